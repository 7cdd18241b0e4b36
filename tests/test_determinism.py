"""The table in docs/determinism.md against the script that measures it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from checkout import CHECKOUT, online

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCRIPT = CHECKOUT / "benchmarks" / "byte_identical.py"
_DOCUMENT = (CHECKOUT / "docs" / "determinism.md").read_text("utf-8")


class _Row(NamedTuple):
    library: str
    version: str
    model: str
    saved_with: str
    verdict: str
    remark: str


def _rows(text: str) -> list[_Row]:
    pattern = r"^\| (\S+) (\d\S*) \| (.+?) \| (.+?) \| (yes|no) \|(.*) \|$"
    return [
        _Row(*(cell.strip() for cell in row)) for row in re.findall(pattern, text, re.MULTILINE)
    ]


def _verdicts(rows: list[_Row], *libraries: str) -> dict[tuple[str, ...], str]:
    return {row[2:4]: row.verdict for row in rows if row.library in libraries}


def _measured(*command: str, variables: Mapping[str, str] | None = None) -> list[_Row]:
    completed = subprocess.run(
        command, check=True, env=variables, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    return _rows(completed.stdout)


def test_the_table_has_a_row_for_each_case_and_no_other() -> None:
    cases = runpy.run_path(str(_SCRIPT))["CASES"]

    shown = [(row.library, row.model, row.saved_with, row.remark) for row in _rows(_DOCUMENT)]
    assert shown == [case.cells for case in cases]


def test_each_row_that_differs_has_a_remark_and_no_other() -> None:
    rows = _rows(_DOCUMENT)

    assert [row for row in rows if (row.verdict == "no") is not bool(row.remark)] == []


def test_what_the_table_says_of_the_standard_library_holds() -> None:
    expected = _verdicts(_rows(_DOCUMENT), "Python")
    if sys.version_info >= (3, 14):  # as the remark says
        expected["any bytes", '`zipfile.ZipFile.writestr("…", …)`'] = "yes"

    measured = _measured(sys.executable, str(_SCRIPT), "Python")

    assert _verdicts(measured, "Python") == expected


@pytest.mark.network
@pytest.mark.nightly
def test_what_the_table_says_of_scikit_learn_holds(shared_folder: Path) -> None:
    libraries = ("scikit-learn", "joblib", "numpy")
    environment = ("uv", "run", "--no-project", "--isolated", "--python", sys.executable)
    packages = [option for library in libraries for option in ("--with", library)]

    measured = _measured(
        *(*environment, *packages, "python", str(_SCRIPT), *libraries),
        variables=online(shared_folder),
    )

    assert _verdicts(measured, *libraries) == _verdicts(_rows(_DOCUMENT), *libraries)
