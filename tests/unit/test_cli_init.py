"""`hatch-model init`: which files it writes, and when it writes none."""

from __future__ import annotations

import json
import os
import pty
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
import yaml
from models import Ran, installed_from, run
from support import tree

from hatch_model.new_project import CI_SYSTEMS, FORMATS

if TYPE_CHECKING:
    from pathlib import Path

_FILES = [
    "pyproject.toml",
    "README.md",
    ".gitignore",
    "src/acme_wine/__init__.py",
    "src/acme_wine/prediction.py",
    "src/acme_wine/training.py",
    "tests/conftest.py",
    "tests/test_prediction.py",
    ".github/workflows/model.yml",
]


def test_a_project_is_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Acme.wine"

    ran = run("init", folder, "--no-lock")
    written = "".join(f"wrote {file}\n" for file in _FILES)
    assert ran == Ran(f"{written}Next: cd {folder} && uv run pytest && uv build\n", "", 0)
    assert sorted(path for path in tree(folder) if (folder / path).is_file()) == sorted(_FILES)
    assert 'name = "Acme.wine"' in (folder / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("library", "format_"), [(name, each) for name, formats in FORMATS.items() for each in formats]
)
@pytest.mark.parametrize("ci", CI_SYSTEMS)
def test_every_combination_is_python_and_yaml(
    library: str, format_: str, ci: str, tmp_path: Path
) -> None:
    options = ["--library", library, "--format", format_, "--ci", ci, "--no-lock"]
    assert run("init", tmp_path / "wine", *options).code == 0

    for file in (tmp_path / "wine").rglob("*.py"):
        text = file.read_text()
        compile(text, str(file), "exec")
        assert "<%" not in text and "<<" not in text
    workflows = [*(tmp_path / "wine").rglob("*.yml")]
    assert len(workflows) == (ci != "none")
    assert all(yaml.safe_load(workflow.read_text()) for workflow in workflows)
    assert (tmp_path / "wine/src/wine/network.py").exists() == (library == "pytorch")


def test_a_file_that_is_there_stops_all_of_it_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("mine")

    ran = run("init", tmp_path, "--name", "wine", "--no-lock")
    assert ran.code == 1
    assert ran.err.startswith(
        f"hatch-model: error: `{tmp_path}` has `tests/conftest.py` already, so nothing was"
    )
    assert tree(tmp_path).keys() == {"tests", "tests/conftest.py"}
    assert run("init", tmp_path, "--name", "wine", "--no-lock", "--force").code == 0
    assert (tmp_path / "tests/conftest.py").read_text() != "mine"


def test_the_readme_and_gitignore_of_a_new_repository_stay(tmp_path: Path) -> None:
    for name in ("README.md", ".gitignore"):
        (tmp_path / name).write_text("mine")

    ran = run("init", tmp_path, "--name", "wine", "--no-lock")
    assert ran.code == 0
    assert "kept README.md\nkept .gitignore\nNext: " in ran.out
    assert "wrote README.md" not in ran.out
    assert (tmp_path / "README.md").read_text() == (tmp_path / ".gitignore").read_text() == "mine"
    assert run("init", tmp_path, "--name", "wine", "--no-lock", "--force").code == 0
    assert (tmp_path / "README.md").read_text().startswith("# wine\n")


def test_a_file_that_cannot_be_written_leaves_none_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("a file")

    ran = run("init", tmp_path, "--name", "wine", "--no-lock")
    assert ran.code == 1
    assert ran.err.endswith(
        f"`{tmp_path / 'tests'}` cannot be written: File exists. Nothing was changed.\n"
    )
    assert tree(tmp_path).keys() == {"tests"}


def test_a_folder_with_spaces_gives_a_name_with_hyphens_and_a_command_that_can_be_copied(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "My  wine"

    ran = run("init", folder, "--no-lock")

    assert ran.out.endswith(f"\nNext: cd '{folder}' && uv run pytest && uv build\n")
    assert 'name = "My-wine"\n' in (folder / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "1wine",
            "wine!",
            "a b",
            "class",
            "numpy",
            "Tests",
            "-wine",
            "<<x>>",
            "json",
            "Scikit_Learn",
        ),
    ],
)
def test_a_name_that_no_package_can_have_is_refused(name: str, tmp_path: Path) -> None:
    ran = run("init", tmp_path / "p", f"--name={name}", "--no-lock")

    assert ran.code == 1
    assert f"`{name}` cannot be the name of a project" in ran.err
    assert not (tmp_path / "p").exists()


def test_a_format_of_another_library_is_refused(tmp_path: Path) -> None:
    ran = run("init", tmp_path / "p", "--library", "pytorch", "--format", "onnx", "--no-lock")

    assert ran.err == (
        "hatch-model: error: a model of pytorch is saved as safetensors, not as onnx.\n"
    )


def test_a_format_tells_the_library(tmp_path: Path) -> None:
    assert run("init", tmp_path / "p", "--format", "safetensors", "--no-lock").code == 0
    assert (tmp_path / "p/src/p/network.py").exists()


def test_a_missing_uv_and_a_failing_lock_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "uv is not on PATH. Install it, and run `uv lock`" in run("init", tmp_path / "one").out

    (tmp_path / "uv").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "uv").chmod(0o755)
    ran = run("init", tmp_path / "two")
    assert ran.code == 1
    assert ran.err.startswith("hatch-model: error: the project was written, but `uv lock` failed")


@pytest.mark.skipif(os.name == "nt", reason="there are no such terminals")
def test_a_terminal_is_asked_for_what_the_options_do_not_say(tmp_path: Path) -> None:
    answers = iter([b"wine\n", b"\n", b"onnx\n", b"none\n"])
    said = b""

    def master_read(descriptor: int) -> bytes:
        nonlocal said
        read = os.read(descriptor, 1024)
        said += read
        if read.rstrip().endswith(b":"):
            os.write(descriptor, next(answers))
        return read

    command = [sys.executable, "-m", "hatch_model", "init", str(tmp_path / "x"), "--no-lock"]
    assert pty.spawn(command, master_read, lambda _: b"") == 0
    assert b"Name [x]:" in said
    assert b"Library (scikit-learn, pytorch) [scikit-learn]:" in said
    assert "skl2onnx" in (tmp_path / "x/src/wine/training.py").read_text()
    assert not (tmp_path / "x/.github").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("fit.ipynb", "{}", "jupyter nbconvert --to script fit.ipynb"),
        ("train.py", "print 'fit'\n", "`train.py` is not Python 3 in line 1: "),
        (
            "hello.py",
            "print('hello')\n",
            "or choose an empty folder, where `hatch-model init FOLDER`",
        ),
    ],
)
def test_nothing_new_is_written_beside_code(
    file: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(text)

    ran = run("init", tmp_path)
    assert ran.code == 1
    assert message in ran.err
    assert tree(tmp_path).keys() == {file}
    assert run("init", tmp_path, "--name", "wine", "--no-lock").code == 0


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        ({"url": "file://{}/hatch%20model", "dir_info": {}}, {"path": "../hatch model"}),
        ({"url": "file://{}/a.whl", "archive_info": {}}, {"path": "../a.whl"}),
        (
            {
                "url": "https://me:secret@example.org/h.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
            },
            {"git": "https://example.org/h.git", "rev": "abc"},
        ),
        (
            {"url": "https://example.org/a.whl", "archive_info": {}},
            {"url": "https://example.org/a.whl"},
        ),
        (None, None),
    ],
)
def test_a_project_gets_hatch_model_from_where_it_was_installed(
    direct_url: dict[str, Any] | None,
    source: dict[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = json.dumps(direct_url).replace("{}/", f"{tmp_path.as_posix()}/") if direct_url else None
    installed_from(text, monkeypatch)
    (tmp_path / "old").mkdir()
    (tmp_path / "old/train.py").write_text(
        "import joblib, os\nfrom sklearn.svm import SVC\nos.mkdir('m')\njoblib.dump(SVC().fit(x, y), 'm/m.joblib')\n"
    )

    assert run("init", tmp_path / "new", "--name", "wine", "--no-lock").code == 0
    assert run("init", tmp_path / "old", "--yes", "--no-lock").code == 0
    for folder in ("new", "old"):
        content = tomlkit.parse((tmp_path / folder / "pyproject.toml").read_text()).unwrap()
        found = content["tool"]["uv"].get("sources", {}).get("hatch-model")
        assert found == source
