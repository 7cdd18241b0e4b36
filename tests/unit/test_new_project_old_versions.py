"""The lock of old versions: what uv is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_model.new_project.old_versions import old_versions, oldest_python, python_of
from hatch_model.new_project.plan import Choice
from hatch_model.new_project.planner import make_plan
from hatch_model.new_project.survey import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

_TRAIN = "import joblib\nfrom sklearn.svm import SVC\njoblib.dump(SVC().fit(x, y), 'o/m.joblib')\n"


class Uv:
    """Stands in for uv, and fails as often as it is told."""

    def __init__(self, failures: int = 0, unbuilt: str = "") -> None:
        self._unbuilt = unbuilt
        self.asked: list[str] = []
        self.text = self.constraints = ""
        self._failures = failures

    def __call__(self, arguments: Sequence[str], text: str) -> tuple[int, str, str]:
        if "--only-binary" in arguments:
            return (1, "", self._unbuilt) if self._unbuilt else (0, "", "")
        self.asked, self.text = [*arguments], text
        file = arguments[arguments.index("--constraints") + 1]
        self.constraints = Path(file).read_text("utf-8")
        self._failures -= 1
        return (2, "", "no such version\n") if self._failures >= 0 else (0, "a==1\n", "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(_TRAIN)
    (tmp_path / "requirements.txt").write_text("scikit-learn>=1\nscipy==1.11.4\npackaging==21.0\n")
    (tmp_path / "poetry.lock").write_text('[[package]]\nname = "numpy"\nversion = "1.26.4"\n')
    return tmp_path


def _lock(project: Path, uv: Uv, committed: str = "2024-03-01T10:00:00+00:00") -> tuple[str, str]:
    plan = make_plan(replace(survey(project), committed=committed), Choice())
    return old_versions(plan, uv)


def test_versions_are_as_of_the_last_commit_and_pins_stay(project: Path) -> None:
    uv = Uv()

    assert _lock(project, uv) == (
        "# Versions as of the last commit (2024-03-01), by `hatch-model init`.\na==1\n",
        "",
    )
    assert uv.asked[uv.asked.index("--exclude-newer") + 1] == "2024-03-01T10:00:00+00:00"
    assert "--exclude-newer-package" not in uv.asked
    assert uv.text == "scikit-learn>=1\n"
    lines = uv.constraints.split()
    # Those of hatch-model itself cannot be older than it takes.
    assert "packaging>=24.2" in lines and "packaging==21.0" not in lines
    assert {"scipy==1.11.4", "numpy==1.26.4"} <= {*lines}


def test_what_hatch_model_needs_may_be_newer_than_the_commit(project: Path) -> None:
    uv = Uv(failures=1)

    content, _ = _lock(project, uv)
    assert content.endswith("a==1\n")
    newer = [each for each in uv.asked if each.startswith("packaging=")]
    assert len(newer) == 1


def test_what_uv_says_is_given_if_there_are_no_versions(project: Path) -> None:
    assert _lock(project, Uv(failures=2)) == ("", "no such version")


def test_versions_that_a_build_would_compile_are_told(project: Path) -> None:
    plan = make_plan(replace(survey(project), committed=""), Choice())

    uv = Uv(
        unbuilt="  cause: Because numpy==1.19.5 has no usable wheels and you require numpy==1.19.5, …"
    )
    assert old_versions(plan, uv)[0]
    assert plan.notes[-1] == (
        "`numpy==1.19.5` has no wheel for Python 3.10 or newer, so a build compiles it, and may fail. If it does, "
        "allow a newer version"
    )


def test_without_a_commit_the_newest_versions_are_locked(project: Path) -> None:
    uv = Uv()

    assert _lock(project, uv, "")[0].startswith("# The newest versions that fit")
    assert "--exclude-newer" not in uv.asked


@pytest.mark.parametrize(
    ("specifier", "python"),
    [("", "3.10"), (">=3.7", "3.10"), (">=3.12", "3.12"), ("==3.11.*", "3.11")],
)
def test_a_lock_is_for_the_oldest_python(specifier: str, python: str) -> None:
    assert oldest_python(specifier) == python


@pytest.mark.parametrize(
    ("committed", "python"),
    [
        ("", ""),
        ("2019-05-01", "3.10"),
        ("2023-03-01", "3.10"),
        ("2023-04-01", "3.11"),
        ("2025-06-01", "3.13"),
    ],
)
def test_the_python_of_a_time_is_the_newest_that_most_packages_supported(
    committed: str, python: str
) -> None:
    assert python_of(committed) == python
