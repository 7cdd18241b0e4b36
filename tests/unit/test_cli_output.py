"""What the command line looks like: on a terminal, in a pipe, and without its packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from models import FILES, INFO, Ran, contents, make_model, rewrite, run
from support import make_sdist, make_wheel

from hatch_model import cli
from hatch_model.log import Progress


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    one = make_model(tmp_path / "one")
    return [
        one,
        make_model(tmp_path / "other", lambda record: record["metrics"].update(accuracy=1)),
    ]


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "hatch_model", *map(str, arguments)]


def _environment(**variables: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if "COLOR" not in key}
    return {**kept, "TERM": "xterm-256color", "COLUMNS": "60", **variables}


def _on_terminal(*arguments: object, **variables: str) -> str:
    """Run the command line on a terminal, and give what comes out of that."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        _command(*arguments),
        env=_environment(**variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # How Linux tells that the other end is closed.
        pass
    finally:
        os.close(ours)
    assert process.wait() == 0
    return written.decode().replace("\r\n", "\n")


_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?3[0-9][0-9;]*m")


def test_a_terminal_gets_colour_and_lines(models: list[Path]) -> None:
    written = _on_terminal("diff", *models)

    assert _COLOUR.search(written)
    assert [line.split() for line in _ESCAPE.sub("", written).splitlines() if line.strip()] == [
        ["metrics"],
        ["small", "0.1.0", "small", "0.1.0", "change"],
        [51 * "─"],
        ["accuracy", "0.75", "1", "+0.25", "better"],
    ]


def test_a_terminal_gets_no_colour_where_that_is_not_wanted(models: list[Path]) -> None:
    coloured, plain = (
        _on_terminal("diff", *models),
        _on_terminal("diff", *models, NO_COLOR="1"),
    )

    assert not _COLOUR.search(plain)
    assert _ESCAPE.sub("", plain) == _ESCAPE.sub("", coloured)


def test_a_terminal_is_shown_all_of_what_is_too_wide_for_it(tmp_path: Path) -> None:
    wheel = make_model(tmp_path, files={**FILES, f"small/{100 * 'x'}.py": ""}, requires=[])

    shown = _ESCAPE.sub("", _on_terminal("diff", wheel, make_wheel(tmp_path, "other", "1")))
    assert shown.count("x") - shown.count("xtra") >= 100


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}])
def test_a_pipe_gets_neither_colour_nor_lines(
    models: list[Path], variables: dict[str, str]
) -> None:
    completed = subprocess.run(
        _command("diff", *models), env=_environment(**variables), check=True, capture_output=True
    )

    assert completed.stdout.decode().replace("\r\n", "\n") == (
        "metrics\n            small 0.1.0  small 0.1.0  change\n"
        "  accuracy  0.75         1            +0.25 better\n\n"
    )
    assert completed.stderr == b""


def test_a_pipe_that_lacks_a_letter_gets_its_number(tmp_path: Path) -> None:
    files = {**FILES, "small/data/gewichte-größer.txt": "1"}
    wheel = make_model(tmp_path, files=files)

    completed = subprocess.run(
        _command("inspect", wheel),
        env=_environment(PYTHONIOENCODING="ascii"),
        check=True,
        capture_output=True,
    )
    assert b"\n  small/data/gewichte-gr\\xf6\\xdfer.txt  1 byte\n" in completed.stdout.replace(
        b"\r\n", b"\n"
    )


def test_names_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    name = "small/data/\x1b]0;title\x07\x9b2J.txt"
    wheel = make_model(tmp_path, files={**FILES, name: "1"})

    for written in (_on_terminal("inspect", wheel), run("inspect", wheel).out):
        assert "small/data/\\x1b]0;title\\x07\\x9b2J.txt" in written
    assert name not in run("inspect", "--json", wheel).out
    assert run("inspect", "--json", wheel).json["artifacts"][0]["path"] == name


_HOSTILE = "tiny\x1b]0;title\x07\u202e\u2028"
_ESCAPED = "tiny\\x1b]0;title\\x07\\u202e\\u2028"


@pytest.mark.parametrize("command", ["inspect", "verify", "diff", "reproduce"])
def test_metadata_cannot_speak_to_the_terminal(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["metrics"] = {_HOSTILE: 1}
        record["environment"][0]["version"] = _HOSTILE
        record["python"]["implementation"] = _HOSTILE
        record["training"]["arguments"] = {_HOSTILE: [_HOSTILE]}

    wheel, other = make_model(tmp_path / "one", change), make_model(tmp_path / "other")
    metadata = contents(wheel)[f"{INFO}/METADATA"].replace(b"small", _HOSTILE.encode())
    rewrite(wheel, {f"{INFO}/METADATA": metadata}, record=True)
    monkeypatch.setattr("hatch_model.cli.commands.Progress", partial(Progress, seconds=0))

    others = {"diff": [other], "reproduce": [make_sdist(tmp_path, "small", "0.1.0")]}
    ran = run(command, wheel, *others.get(command, []))
    assert _ESCAPED in ran.out + ran.err
    assert [each for each in ran.out + ran.err if not each.isprintable() and each != "\n"] == []


# Without the packages of the extra


@pytest.mark.parametrize("missing", ["click", "jsonschema", "platformdirs", "rich"])
def test_without_the_extra_the_command_says_what_it_takes(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == (
        "hatch-model: error: the command line needs more packages: install `hatch-model[cli]`"
    )


def test_without_the_extra_the_exit_code_is_1() -> None:
    source = "import sys; sys.modules['click'] = None; from hatch_model.cli import main; main()"
    completed = subprocess.run(
        [sys.executable, "-c", source], check=False, capture_output=True, text=True
    )

    assert (completed.stdout, completed.returncode) == ("", 1)
    assert completed.stderr == (
        "hatch-model: error: the command line needs more packages: install `hatch-model[cli]`\n"
    )


# Usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect"], "Missing argument 'MODEL'."),
        (["verify", "small", "more"], "Got unexpected extra argument (more)"),
        (["diff", "small"], "Missing argument 'B'."),
        (["verify", "small", "--tolerance", "-1"], "-1.0 is not in the range x>=0."),
        (["inspect", "--jsn", "small"], "No such option"),
        (["deploy"], "No such command 'deploy'."),
    ],
)
def test_what_the_command_does_not_know_exits_with_2(arguments: list[str], message: str) -> None:
    ran = run(*arguments)

    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""


def test_the_version_is_told() -> None:
    assert run("--version").out.startswith("hatch-model, version ")
    assert run("-h").code == 0
    assert run().code == 2


def test_an_interrupted_command_exits_as_shells_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hatch_model.cli.commands.open_model", interrupt)

    assert run("verify", "small") == Ran("", "hatch-model: interrupted\n", 130)


@pytest.mark.parametrize("command", ["inspect", "verify", "report"])
def test_a_command_without_a_model_names_the_wheel_that_was_built_last(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command).err.endswith("Error: Missing argument 'MODEL'.\n")

    (tmp_path / "dist").mkdir()
    for seconds, version in enumerate(("9", "10")):
        wheel = tmp_path / "dist" / f"small-{version}-py3-none-any.whl"
        wheel.touch()
        os.utime(wheel, (seconds, seconds))
    ran = run(command)

    example = Path("dist", "small-10-py3-none-any.whl")
    assert ran.code == 2
    assert ran.err.endswith(f"Error: Missing argument 'MODEL', such as {example}.\n")
    assert run("reproduce", example).err.endswith("Error: Missing argument 'SDIST'.\n")


def test_more_models_than_a_command_takes_are_told_to_come_from_a_pattern() -> None:
    ran = run("verify", "dist/a-1.whl", "dist/a-2.whl")

    assert ran.code == 2
    assert ran.err.endswith(
        "Error: Got unexpected extra argument (dist/a-2.whl). A pattern such as dist/*.whl also matches the "
        "wheels of earlier builds: name one file.\n"
    )
