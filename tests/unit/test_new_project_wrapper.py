"""The script that is written for what a build cannot run by itself, run as a build does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hatch_model.new_project.wrapper import Step, Wrapper

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, wrapper: Wrapper, *options: str) -> tuple[int, Path]:
    """Give the exit code of the script, run in *folder* with *options*, and the folder for the model."""
    (folder / "build_model.py").write_text(wrapper.text(), "utf-8")
    output = folder / "output"
    output.mkdir()
    variables = {"HATCH_MODEL_OUTPUT_DIR": str(output), "HATCH_MODEL_REPORT_DIR": str(output)}
    done = subprocess.run(
        [sys.executable, "build_model.py", *options],
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
    )
    return done.returncode, output


def step(folder: Path, path: str, code: str, *, is_notebook: bool = False) -> Step:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code, "utf-8")
    return Step(path=PurePosixPath(path), is_notebook=is_notebook)


def test_a_model_beside_code_moves_out_and_the_file_that_was_there_comes_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.pkl").write_bytes(b"old")
    source = "import sys\nopen('m.pkl', 'w').write(sys.argv[1])\nsys.exit(0)\n"
    steps = [step(tmp_path, "train.py", source)]

    code, output = run(tmp_path, Wrapper(steps=steps, written={"m.pkl": "a/m.pkl"}), "--fast")

    assert code == 0
    assert (output / "a" / "m.pkl").read_text() == "--fast"
    assert (tmp_path / "m.pkl").read_bytes() == b"old"


def test_a_file_comes_back_after_a_script_that_fails(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"old")
    steps = [step(tmp_path, "train.py", "import sys\nopen('m.pkl', 'w').write('x')\nsys.exit(3)\n")]

    code, output = run(tmp_path, Wrapper(steps=steps, written={"m.pkl": "m.pkl"}))

    assert (code, [*output.iterdir()]) == (3, [])
    assert (tmp_path / "m.pkl").read_bytes() == b"old"


def test_scripts_run_in_a_row_each_beside_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "words.py").write_text("WORD = 'b'\n")
    last = "import os, words\nopen('output/c', 'w').write(open('a.txt').read() + words.WORD)\n"
    steps = [
        step(tmp_path, "a/first.py", "open('a.txt', 'w').write(__name__)\n"),
        step(tmp_path, "b/second.py", last),
    ]

    code, output = run(tmp_path, Wrapper(steps=steps))

    assert (code, (output / "c").read_text()) == (0, "__main__b")


def test_a_notebook_has_what_only_jupyter_has_and_its_variable_is_saved(tmp_path: Path) -> None:
    code = "get_ipython().run_line_magic('matplotlib', 'inline')\ndisplay(1)\nm = [1]\n"
    steps = [step(tmp_path, "a.py", code, is_notebook=True)]

    code_, output = run(tmp_path, Wrapper(steps=steps, variable="m"))

    assert (code_, [each.name for each in output.iterdir()]) == (0, ["model.joblib"])


def test_numbers_that_a_function_returns_are_metrics(tmp_path: Path) -> None:
    found = step(tmp_path, "lib/a.py", "def f(x): return {'x': x, 'name': 'a'}\n")
    steps = [Step(path=found.path, function="f", values={"x": "2"})]

    code, output = run(tmp_path, Wrapper(steps=steps, result="metrics"))

    assert (code, json.loads((output / "metrics.json").read_text())) == (0, {"x": 2})
