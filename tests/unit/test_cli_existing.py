"""`hatch-model init` in a project that exists: what it shows, asks and writes, and when it writes nothing."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from models import Ran, installed_from, run
from support import PROJECTS, tree

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = "import joblib\nmodel.fit(x)\njoblib.dump(model, 'models/model.joblib')\n"


@pytest.fixture(autouse=True)
def _from_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_from(None, monkeypatch)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A project of one script."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "train.py").write_text(_SCRIPT)
    return folder


def _project(name: str, tmp_path: Path) -> Path:
    return shutil.copytree(PROJECTS / "existing" / name, tmp_path / name)


def test_everything_is_shown_before_it_is_written(tmp_path: Path) -> None:
    folder = _project("src-layout", tmp_path)

    ran = run("init", folder, "--yes", "--no-lock")
    assert (ran.err, ran.code) == ("", 0)
    assert ran.out == (
        """\
--- pyproject.toml
+++ pyproject.toml
@@ -2,6 +2,6 @@

 [build-system]
-requires = ["setuptools>=61"]
-build-backend = "setuptools.build_meta"
+requires = ["hatchling", "hatch-model"]
+build-backend = "hatchling.build"

 [project]
@@ -9,13 +9,29 @@
 version = "0.4.0"
 requires-python = ">=3.10"
-dependencies = [
-    "scikit-learn>=1.3",  # also at run time
-    "optuna",
-    "typer>=0.9",
-]
+dynamic = ["dependencies"]

 [project.scripts]
 petals = "petals.cli:main"

+[dependency-groups]
+training = ["optuna"]
+
 [tool.ruff]
 line-length = 100
+
+[tool.hatch.metadata.hooks.model]
+# What the model needs to predict.
+dependencies = [
+    "scikit-learn>=1.3",  # also at run time
+    "typer>=0.9",
+]
+
+[tool.hatch.build.hooks.model]
+train = "petals.fitting:train"
+dependency-groups = ["training"]
+# All that training reads: an unchanged model is not trained again.
+inputs = []
+
+[tool.uv]
+# Build again when the code changes, in projects that use this one from its folder.
+cache-keys = [{ file = "pyproject.toml" }, { file = "src/**/*.py" }]

It trains with `petals.fitting:train`, from `src/petals/fitting.py`.

wrote pyproject.toml
"""
        f"Next: cd {folder} && uv build\n"
    )


def test_nothing_is_written_without_a_terminal_or_yes(scripts: Path) -> None:
    before = tree(scripts)

    ran = run("init", scripts, "--no-lock")
    assert "+++ pyproject.toml" in ran.out
    assert ran.err == (
        "hatch-model: error: nothing was written, because there is no terminal to ask on. Give --yes to "
        "write this.\n"
    )
    assert ran.code == 1
    assert tree(scripts) == before


def test_a_file_that_is_there_is_overwritten_only_if_told(scripts: Path) -> None:
    (scripts / "src/scripts").mkdir(parents=True)
    (scripts / "src/scripts/__init__.py").write_text("print 'Python 2'\n")
    before = tree(scripts)

    ran = run("init", scripts, "--yes", "--no-lock")
    assert ran == Ran(
        "",
        f"hatch-model: error: `{scripts}` has `src/scripts/__init__.py` already, so nothing was written. "
        f"Overwrite with --force, or move it away.\n",
        1,
    )
    assert tree(scripts) == before
    assert run("init", scripts, "--yes", "--no-lock", "--force").code == 0
    assert "def load" in (scripts / "src/scripts/__init__.py").read_text()


def test_what_cannot_be_written_leaves_everything_as_it_was(scripts: Path) -> None:
    (scripts / "src").write_text("a file\n")
    before = tree(scripts)

    ran = run("init", scripts, "--yes", "--no-lock")
    assert ran.code == 1
    assert re.search(
        r"^hatch-model: error: `.*src.*` cannot be written: .* Nothing was changed.$", ran.err
    )
    assert tree(scripts) == before


def test_a_model_project_is_not_converted_again(scripts: Path) -> None:
    assert run("init", scripts, "--yes", "--no-lock").code == 0
    before = tree(scripts)

    assert run("init", scripts, "--yes", "--no-lock") == Ran(
        "",
        f"hatch-model: error: `{scripts}` is a model project already: its pyproject.toml has "
        f"[tool.hatch.metadata.hooks.model].\n",
        1,
    )
    assert tree(scripts) == before


def test_a_failing_lock_puts_everything_back(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts / "uv.lock").write_text("the old lock\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text("#!/bin/sh\necho new > uv.lock\nexit 2\n")
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    before = tree(scripts)

    ran = run("init", scripts, "--yes")
    assert ran.err == (
        "hatch-model: error: `uv lock` failed, as uv says above, so everything was put back as it was. Mend that "
        "and try again, or give --no-lock and renew the lock later.\n"
    )
    assert ran.code == 1
    assert tree(scripts) == before


def test_a_lock_that_cannot_be_made_is_told_and_stops_nothing(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").write_text("#!/bin/sh\necho 'no such version' >&2\nexit 2\n")
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    ran = run("init", scripts, "--yes")
    assert "- no lock was made, because uv found no versions: no such version" in ran.out
    assert "lock =" not in (scripts / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--yes", "--name", "x"], "--name, --library, --format and --ci are for new projects."),
        (["--arguments", "=1"], "Invalid value for --arguments: =1 is not KEY=VALUE"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(
    options: list[str], message: str, scripts: Path
) -> None:
    ran = run("init", scripts, *options)

    assert ran.code == 2
    assert message in ran.err


def test_options_for_existing_projects_need_one(tmp_path: Path) -> None:
    ran = run("init", tmp_path / "new", "--train", "train.py")

    assert ran.code == 2
    assert f"are for a project that exists, and `{tmp_path / 'new'}` has none." in ran.err


@pytest.mark.skipif(os.name == "nt", reason="there are no such terminals")
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_a_terminal_is_asked_at_most_twice(answer: bytes, code: int, scripts: Path) -> None:
    (scripts / "fit_other.py").write_text(_SCRIPT)
    answers = iter([b"train.py\n", answer])
    said = b""

    def master_read(descriptor: int) -> bytes:
        nonlocal said
        read = os.read(descriptor, 1024)
        said += read
        if read.rstrip().endswith((b"]:",)):
            os.write(descriptor, next(answers))
        return read

    command = [sys.executable, "-m", "hatch_model", "init", str(scripts), "--no-lock"]
    assert os.waitstatus_to_exitcode(pty.spawn(command, master_read, lambda _: b"")) == code
    assert b"Which code trains (fit_other.py, train.py) [fit_other.py]:" in said
    assert b"Write this? [Y/n]:" in said
    assert (scripts / "pyproject.toml").exists() == (code == 0)


def test_escapes_in_a_projects_files_do_not_reach_the_terminal(scripts: Path) -> None:
    (scripts / "requirements.txt").write_text("\x1b[2Jnumpy\n")
    (scripts / "pyproject.toml").write_text('[project]\nname = "a"\n# \u202e\n')

    ran = run("init", scripts, "--yes", "--no-lock")
    assert ran.code == 0
    assert "\x1b" not in ran.out and "\u202e" not in ran.out


def test_the_next_command_has_a_python_of_the_time_of_the_lock(
    scripts: Path, tmp_path: Path
) -> None:
    pytest.importorskip("joblib")
    (tmp_path / "bin").mkdir()
    uv = tmp_path / "bin/uv"
    uv.write_text('#!/bin/sh\necho "$@" > "$LOG"\ncat > "$LOG.in"\necho joblib==1.3.2\n')
    uv.chmod(0o755)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    environment = {
        **os.environ,
        "GIT_COMMITTER_DATE": "2022-01-01T00:00:00Z",
        "LOG": str(tmp_path / "log"),
    }
    subprocess.run(["git", "init", "-q"], cwd=scripts, check=True)
    subprocess.run(["git", "add", "-A"], cwd=scripts, check=True)
    subprocess.run([*git, "commit", "-qm", "x"], cwd=scripts, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "hatch_model", "init", "--yes"],
        cwd=scripts,
        env={**environment, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    )

    python = "" if sys.version_info < (3, 11) else " --python 3.10"
    assert done.stdout.endswith(f"\nNext: uv build{python}\n")
    assert "--exclude-newer 2022-01-01T00:00:00" in (tmp_path / "log").read_text()
    assert (tmp_path / "log.in").read_text() == "joblib\n"
    assert (scripts / "requirements.lock").read_text() == (
        "# Versions as of the last commit (2022-01-01), by `hatch-model init`.\njoblib==1.3.2\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX's")
def test_links_and_modes_stay(scripts: Path) -> None:
    real = scripts.parent / "real.toml"
    real.write_text('[project]\nname = "acme"\nversion = "1"\n')
    real.chmod(0o600)
    (scripts / "pyproject.toml").symlink_to(real)

    assert run("init", scripts, "--yes", "--no-lock").code == 0
    assert (scripts / "pyproject.toml").is_symlink()
    assert "hooks.model" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600
