"""The one place that turns an error into an exit."""

from __future__ import annotations

import pytest

from hatch_model.errors import HatchModelError, exit_on_error


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
