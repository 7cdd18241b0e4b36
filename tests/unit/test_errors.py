"""What errors show, and the one place that turns an error into an exit."""

from __future__ import annotations

import errno

import pytest

from hatch_model.errors import (
    HatchModelError,
    Problem,
    SettingsError,
    exit_on_error,
    printable,
)


def test_what_is_refused_ends_in_one_message_and_exit_code_1(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as exit_, exit_on_error():
        raise HatchModelError("the lock is missing. Write it.")

    assert exit_.value.code == 1
    assert capfd.readouterr() == (
        "",
        "hatch-model: error: the lock is missing. Write it.\n",
    )


def test_an_interrupted_build_exits_as_shells_have_it(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_, exit_on_error():
        raise KeyboardInterrupt

    assert exit_.value.code == 130
    assert capfd.readouterr() == ("", "hatch-model: interrupted\n")


def test_every_refusal_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    class OwnError(HatchModelError):
        def __str__(self) -> str:
            return "no"

    with pytest.raises(SystemExit), exit_on_error():
        raise OwnError

    assert capfd.readouterr().err == "hatch-model: error: no\n"


def test_a_defect_keeps_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), exit_on_error():
        _ = 1 / 0

    assert capfd.readouterr() == ("", "")


def test_what_ends_well_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with exit_on_error():
        pass

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größer, 模型", "größer, 模型"),
        ("\x1b]0;title\x07\x9b2J", "\\x1b]0;title\\x07\\x9b2J"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("\u202efdp\u202c \u2066x\u2069", "\\u202efdp\\u202c \\u2066x\\u2069"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\udcff\ud800", "\\udcff\\ud800"),
        (1000 * "x", 1000 * "x"),
        ("--index-url https://me:pass@h.example/simple", "--index-url https://…@h.example/simple"),
        ("`git+ssh://git@h.example/a.git`", "`git+ssh://git@h.example/a.git`"),
        ("https://${USER}:${TOKEN}@h.example/a", "https://${USER}:${TOKEN}@h.example/a"),
        (
            "x @ https://h.example/a.whl?token=s3#sha256=ab",
            "x @ https://h.example/a.whl?…#sha256=ab",
        ),
        ("is it https://h.example/a? Yes", "is it https://h.example/a? Yes"),
        (400_000 * "x", 1000 * "x" + "…"),
    ],
)
def test_what_a_terminal_would_not_only_show_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_message_keeps_its_lines_and_nothing_else_that_moves_the_cursor(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit), exit_on_error():
        raise HatchModelError("two problems:\n\tone \x1b[2J\n\ttwo \u202e\r" + 20_000 * "x")

    begin = "hatch-model: error: two problems:\n\tone \\x1b[2J\n\ttwo \\u202e\\r"
    assert capfd.readouterr().err == f"{begin}{19_962 * 'x'}…\n"


def test_keys_and_values_of_settings_are_escaped_and_cut() -> None:
    assert str(Problem("a.\x1b[2J\n", expected="a\tb", found="\u202e\n")) == (
        'a.\\x1b[2J\\n: expected a\\tb; found "\\u202e\\n"'
    )
    assert str(Problem(400_000 * "k", expected="a table", found=400_000 * "v")) == (
        f'{1000 * "k"}…: expected a table; found "{999 * "v"}…'
    )
    assert str(Problem("a.\x1b", known=["b"])) == "a.\\x1b: unknown key; known keys are `b`"


def test_of_very_many_problems_the_first_are_listed() -> None:
    problems = [Problem(f"key{number}", expected="a table") for number in range(1000)]

    lines = str(SettingsError(problems)).splitlines()
    assert lines[0] == "1000 problems in the project's configuration:"
    assert lines[50:] == ["  key49: expected a table; it is missing", "  and 950 more"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), ": No space left on device"),
        (OSError(errno.EFBIG, "File too large", "a.json"), " to a.json: File too large"),
    ],
)
def test_a_full_disk_is_no_defect(
    error: OSError, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit), exit_on_error():
        raise error

    assert capfd.readouterr().err == (
        f"hatch-model: error: a file cannot be written{reason}. Make room, or set TMPDIR to another "
        f"folder.\n"
    )
