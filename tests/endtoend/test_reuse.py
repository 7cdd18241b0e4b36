"""With `inputs`, an unchanged model is not trained again, and whatever changes it has it trained."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from filelock import FileLock
from support import FRONTENDS, Built, ModelProject, Surroundings, make_wheel, special, tree, unpack

from hatch_model.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Index, Wheel

_DOCUMENT = (CHECKOUT / "docs" / "training-once.md").read_text("utf-8")
_REUSED = (
    "hatch-model: reusing the model that was trained before, as nothing has changed since "
    "(HATCH_MODEL_RETRAIN=1 trains it again)\n"
)
# Two trainings never give the same model, and each leaves a mark.
_MAIN = """
import os
from pathlib import Path

import tuning


def train(output_dir: Path, depth, name=""):
    with Path(os.environ["MARKS"]).open("a") as file:
        file.write("x")
    (output_dir / "weights.txt").write_text(os.urandom(8).hex())
    program = output_dir / "program"
    program.write_text("#!/bin/sh")
    program.chmod(0o755)
    return {"accuracy": 0.75}


def train_otherwise(output_dir: Path, depth):
    return train(output_dir, depth)
"""
_TABLE = """
[tool.hatch.build.hooks.model]
train = "small.main:train"
inputs = ["inputs/*.csv"]
dependency-groups = ["plots"]
python-path = ["src", "training"]
arguments = { depth = 3 }
gates = { accuracy = ">= 0.5" }
environment = { ROUNDS = "3" }

[dependency-groups]
plots = ["plotter"]
"""


@dataclass
class Reusable:
    """A project whose model may be reused, and all that may change around it."""

    project: ModelProject
    surroundings: Surroundings
    index: Index
    marks: Path
    python: str = sys.executable

    @property
    def trainings(self) -> int:
        return len(self.marks.read_text("utf-8")) if self.marks.exists() else 0

    def build(self, out: str = "dist") -> Built:
        folder = self.marks.parent / out
        completed = self.surroundings.run(
            *("uv", "build", "--wheel", "--python", self.python, "--out-dir", folder),
            cwd=self.project.folder,
        )
        return Built(folder, completed)


@pytest.fixture
def reusable(
    project: ModelProject, surroundings: Surroundings, index: Index, tmp_path: Path
) -> Reusable:
    for name in ("plotter", "tool"):
        make_wheel(index.folder, name, "3.0")
    project.replace(
        "pyproject.toml",
        ('"hatch-model"]', '"hatch-model", "tool"]'),
        ('\n[tool.hatch.build.hooks.model]\ntrain = "small.main:train"\n', _TABLE),
    )
    project.write("src/small/main.py", _MAIN)
    project.write("training/tuning.py", "")
    project.write("inputs/a.csv", "1\n")
    project.write("README.md", "A model.\n")
    marks = tmp_path / "marks"
    surroundings.environment["MARKS"] = str(marks)
    return Reusable(project, surroundings, index, marks)


@pytest.fixture
def trained(reusable: Reusable, shared_folder: Path) -> Reusable:
    """The same after its first training, which is done once for all tests, as its path is no matter."""
    store = shared_folder / "store-of-reusable"
    with FileLock(f"{store}.lock"):
        if not store.exists():
            reusable.build()
            shutil.copytree(reusable.surroundings.store, store)
            reusable.marks.unlink()
    if not reusable.surroundings.store.exists():
        shutil.copytree(store, reusable.surroundings.store)
    return reusable


# What changes the fingerprint


def _replace(*changes: tuple[str, str]) -> Callable[[Reusable], object]:
    return lambda reusable: reusable.project.replace("pyproject.toml", *changes)


def _append(file: str, text: str) -> Callable[[Reusable], object]:
    def change(reusable: Reusable) -> None:
        path = reusable.project.folder / file
        path.write_text(path.read_text("utf-8") + text, "utf-8")

    return change


def _offer(name: str) -> Callable[[Reusable], object]:
    return lambda reusable: make_wheel(reusable.index.folder, name, "3.1")


def _move(reusable: Reusable) -> None:
    moved = reusable.project.folder.with_name("elsewhere")
    reusable.project.folder.rename(moved)
    reusable.project = ModelProject(moved)


def _move_to_sdist(reusable: Reusable) -> None:
    out = reusable.marks.parent / "sdist"
    reusable.surroundings.run(
        *("uv", "build", "--sdist", "--python", sys.executable, "--out-dir", out),
        cwd=reusable.project.folder,
    )
    (sdist,) = out.glob("*.tar.gz")
    reusable.project = unpack(sdist, reusable.marks.parent / "unpacked")


def _commit(reusable: Reusable) -> None:
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "One"],
    ):
        subprocess.run(["git", *arguments], cwd=reusable.project.folder, check=True)


def _other_patch_version(reusable: Reusable) -> None:
    this = sys.version_info[:2]
    script = "import sys; print(*sys.version_info[:3], sep='.')"
    for candidate in (
        "/usr/bin/python3",
        *map(str, Path.home().glob(".pyenv/versions/*/bin/python")),
    ):
        if not Path(candidate).exists():
            continue
        said = subprocess.run([candidate, "-c", script], check=True, capture_output=True, text=True)
        version = tuple(map(int, said.stdout.split(".")))
        if version[:2] == this and version != sys.version_info[:3]:
            reusable.python = candidate
            return
    pytest.skip("no other patch version of this Python on this machine")


_CHANGES: dict[str, tuple[Callable[[Reusable], object], bool]] = {
    "code that the wheel ships, even if it is a comment": (
        _append("src/small/main.py", "# nothing\n"),
        True,
    ),
    "code that the wheel does not ship, but training imports": (
        _append("training/tuning.py", "ROUNDS = 4\n"),
        True,
    ),
    "a file on `python-path`, imported or not": (
        lambda each: each.project.write("training/words.txt", "more\n"),
        True,
    ),
    "which folders are on `python-path`": (
        _replace(('["src", "training"]', '["training", "src"]')),
        True,
    ),
    "the content of an input": (_append("inputs/a.csv", "2\n"), True),
    "an input that is added": (lambda each: each.project.write("inputs/b.csv", "2\n"), True),
    "the modification time of an input": (
        lambda each: os.utime(each.project.folder / "inputs" / "a.csv", (1, 1)),
        False,
    ),
    "an argument": (_replace(("depth = 3", "depth = 4")), True),
    "which function trains": (_replace(('main:train"', 'main:train_otherwise"')), True),
    "the artifacts folder": (
        _replace(("inputs =", 'artifacts = "src/small/model"\ninputs =')),
        True,
    ),
    "a variable in `environment`": (_replace(('ROUNDS = "3"', 'ROUNDS = "4"')), True),
    "a variable in the environment of the build": (
        lambda each: each.surroundings.environment.update(ROUNDS="4"),
        False,
    ),
    "the version of a package that the model needs": (_offer("chain"), True),
    "the version of a package of a training group": (_offer("plotter"), True),
    "the version of a package that only the build tools need": (_offer("tool"), False),
    "a range that allows the same versions": (_replace(('"anchor>=1"', '"anchor>=1.1"')), False),
    "the Python that trains, even if only its patch version": (_other_patch_version, True),
    "the path of the project": (_move, False),
    "building from the source distribution": (_move_to_sdist, False),
    "the git commit": (_commit, False),
    "the project's version": (_replace(('version = "0.1.0"', 'version = "0.2.0"')), False),
    "the README": (_append("README.md", "A good one.\n"), False),
    "a gate": (_replace(('">= 0.5"', '">= 0.6"')), False),
}


def test_the_documented_changes_are_the_tested_ones() -> None:
    rows = re.findall(r"^\| (.+) \| (yes|no) \|$", _DOCUMENT, re.MULTILINE)

    assert dict(rows) == {what: "yes" if trains else "no" for what, (_, trains) in _CHANGES.items()}


@pytest.mark.parametrize("what", _CHANGES)
def test_a_model_is_trained_again_only_if_what_it_is_made_of_changes(
    what: str, trained: Reusable
) -> None:
    change, trains = _CHANGES[what]
    (stored,) = trained.surroundings.store.rglob("weights.txt")
    before = stored.read_text("utf-8")

    change(trained)
    built = trained.build()

    assert trained.trainings == (1 if trains else 0)
    assert (_REUSED in built.output) is not trains
    assert ("hatch-model: training with small.main:" in built.output) is trains
    assert (_weights(built.wheel) == before) is not trains


def _weights(wheel: Wheel) -> str:
    (path,) = (path for path in wheel.files if path.endswith("weights.txt"))
    return wheel.read(path)


# What comes of it


def test_a_reused_model_makes_the_same_wheel(reusable: Reusable) -> None:
    first = reusable.build().wheel
    before = tree(reusable.project.folder)

    second = reusable.build("second").wheel

    assert second.path.read_bytes() == first.path.read_bytes()
    assert tree(reusable.project.folder) == before
    assert list(reusable.surroundings.temporary.iterdir()) == []


def test_a_build_says_what_has_changed_since_the_last_training(reusable: Reusable) -> None:
    first = reusable.build()
    assert special(first.output).count("hatch-model: ") == 4
    assert "hatch-model: there is no stored model of this project to reuse\n" in first.output
    make_wheel(reusable.index.folder, "anchor", "1.3", requires=["chain>=2"])
    _replace(("depth = 3", 'depth = 4, name = "é"'), ('ROUNDS = "3"', 'TOKEN = "secret"'))(reusable)
    _append("src/small/main.py", "# nothing\n")(reusable)
    _append("training/tuning.py", "# nothing\n")(reusable)
    reusable.project.write("inputs/b.csv", "2\n")
    (reusable.project.folder / "inputs" / "a.csv").unlink()

    built = reusable.build("second")

    told = built.output.partition("hatch-model: changed since the last training:\n")[2]
    assert told.partition("hatch-model: training with")[0] == (
        "hatch-model:   argument depth: 3 -> 4\n"
        'hatch-model:   argument name: new, "é"\n'
        "hatch-model:   environment variable ROUNDS: gone\n"
        "hatch-model:   environment variable TOKEN: new\n"
        "hatch-model:   file on python-path training/tuning.py: changed\n"
        "hatch-model:   input inputs/a.csv: gone\n"
        "hatch-model:   input inputs/b.csv: new\n"
        "hatch-model:   package anchor: 1.2 -> 1.3\n"
        "hatch-model:   source small/main.py: changed\n"
    )


def test_the_document_quotes_what_builds_say(reusable: Reusable) -> None:
    quoted = re.findall(r"^```text\n(.*?)^```$", _DOCUMENT, re.MULTILINE | re.DOTALL)
    reusable.build()
    _replace(("depth = 3", "depth = 4"))(reusable)
    make_wheel(reusable.index.folder, "anchor", "1.3", requires=["chain>=2"])
    _append("src/small/main.py", "# nothing\n")(reusable)

    changed, unchanged = reusable.build("second").output, reusable.build("third").output

    assert quoted[0] in unchanged
    assert quoted[1] in changed
    assert quoted[2].splitlines()[1] == "  small/main.py: changed"
    assert len(quoted) == 3


def test_any_file_of_a_package_that_is_installed_as_editable_counts(reusable: Reusable) -> None:
    features = reusable.marks.parent / "features"
    (features / "features").mkdir(parents=True)
    (features / "features" / "__init__.py").touch()
    (features / "features" / "words.txt").write_text("one\n", "utf-8")
    (features / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "features"\nversion = "1.0"\n',
        "utf-8",
    )
    _replace(
        (
            '["anchor>=1"]',
            (
                '["anchor>=1", "features"]\ndirect-references = "version"\n\n[tool.uv.sources]\n'
                f'features = {{ path = "{features.as_posix()}", editable = true }}'
            ),
        )
    )(reusable)
    reusable.build()
    reusable.build("second")
    assert reusable.trainings == 1

    (features / "features" / "words.txt").write_text("two\n", "utf-8")
    changed = reusable.build("third")

    assert reusable.trainings == 2
    assert "hatch-model:   package features: 1.0 with the content " in changed.output


def test_retraining_can_be_asked_for(reusable: Reusable) -> None:
    first = reusable.build().wheel

    reusable.surroundings.environment["HATCH_MODEL_RETRAIN"] = "1"
    again = reusable.build("second")
    del reusable.surroundings.environment["HATCH_MODEL_RETRAIN"]
    third = reusable.build("third")

    assert reusable.trainings == 2
    assert (
        "hatch-model: HATCH_MODEL_RETRAIN is set, so the model is trained even if nothing has "
        "changed\n" in again.output
    )
    assert _weights(again.wheel) != _weights(first)
    assert _weights(third.wheel) == _weights(again.wheel)


def test_a_model_is_reused_by_a_build_from_the_sdist_and_by_another_frontend(
    reusable: Reusable,
) -> None:
    reusable.build()

    for frontend in ("uv build", "pip wheel"):
        out = reusable.marks.parent / frontend.replace(" ", "-")
        built = reusable.project.build(reusable.surroundings, frontend, out=out)
        assert built.wheel.requires == ["anchor==1.2", "chain==2.0"]

    assert reusable.trainings == 1


def test_a_byte_flipped_in_the_store_is_noticed(reusable: Reusable) -> None:
    reusable.build()
    (weights,) = reusable.surroundings.store.rglob("weights.txt")
    content = bytearray(weights.read_bytes())
    content[0] ^= 1
    weights.write_bytes(content)

    built = reusable.build("second")
    third = reusable.build("third")

    assert reusable.trainings == 2
    assert (
        "hatch-model: warning: the stored model is damaged: `weights.txt` has changed since it was "
        "stored. It is trained again.\n" in built.output
    )
    assert _REUSED in third.output


def test_a_missed_gate_costs_no_training_once_it_is_lowered(reusable: Reusable) -> None:
    _replace(('">= 0.5"', '">= 0.9"'))(reusable)
    refused = reusable.project.build(reusable.surroundings, check=False)
    assert refused.completed.returncode != 0
    assert "MISSED" in refused.output

    _replace(('">= 0.9"', '">= 0.7"'))(reusable)
    built = reusable.build()

    assert _REUSED in built.output
    assert reusable.trainings == 1


def test_a_failed_training_is_not_stored(reusable: Reusable) -> None:
    _append("training/tuning.py", "raise ValueError\n")(reusable)

    refused = reusable.project.build(reusable.surroundings, check=False)

    assert refused.completed.returncode != 0
    assert list((reusable.surroundings.store / "v1").glob("models/*")) == []


def test_a_store_that_does_not_work_is_no_reason_not_to_build(reusable: Reusable) -> None:
    reusable.surroundings.store.write_text("a file where a folder should be", "utf-8")

    built = reusable.build()

    assert built.wheel.requires == ["anchor==1.2", "chain==2.0"]
    assert "hatch-model: warning: the store of trained models cannot be used: " in built.output
    assert "The model is trained but not stored for later builds.\n" in built.output
    assert reusable.trainings == 1


def test_a_model_that_is_larger_than_the_store_is_not_kept(reusable: Reusable) -> None:
    reusable.surroundings.environment["HATCH_MODEL_CACHE_LIMIT"] = "10"

    built = reusable.build()

    assert "more than the 10 bytes that the store of trained models may contain" in built.output
    assert list((reusable.surroundings.store / "v1").glob("models/*")) == []


def test_training_into_the_tree_is_reused_although_it_changes_the_tree(reusable: Reusable) -> None:
    main = _MAIN.replace("output_dir: Path, depth", "depth").replace(
        "    (output_dir",
        '    output_dir = Path(__file__).parent / "data"\n'
        "    output_dir.mkdir(exist_ok=True)\n    (output_dir",
    )
    reusable.project.write(
        "src/small/main.py", main.partition("\n\n\ndef train_otherwise")[0] + "\n"
    )
    reusable.project.write("src/small/data/vocabulary.txt", "setosa\n")

    first = reusable.build().wheel
    (reusable.project.folder / "src/small/data/weights.txt").write_text("changed", "utf-8")
    second = reusable.build("second").wheel
    assert reusable.trainings == 1
    assert _weights(first) == _weights(second)

    reusable.project.write("src/small/data/vocabulary.txt", "setosa, versicolor\n")
    third = reusable.build("third")
    assert reusable.trainings == 2
    assert "hatch-model:   file beside the artifacts vocabulary.txt: changed\n" in third.output


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_an_executable_stays_one(reusable: Reusable) -> None:
    reusable.build()
    wheel = reusable.build("second").wheel

    target = reusable.marks.parent / "installed"
    reusable.surroundings.run(
        *("uv", "pip", "install", "--no-deps", "--target", target, wheel.path), cwd=target.parent
    )
    assert os.access(target / "small" / "data" / "program", os.X_OK)


def test_an_editable_install_that_trains_reuses_too(reusable: Reusable) -> None:
    _replace(("inputs =", 'editable = "train"\ninputs ='))(reusable)
    reusable.build()

    python = reusable.surroundings.make_environment(
        reusable.marks.parent / "venv", "--editable", reusable.project.folder
    )

    weights = reusable.project.folder / "src" / "small" / "data" / "weights.txt"
    assert weights.is_file()
    assert python.exists()
    assert reusable.trainings == 1


def test_without_isolation_what_the_store_takes_is_asked_for(
    reusable: Reusable, tmp_path: Path
) -> None:
    python = reusable.surroundings.make_environment(
        tmp_path / "bare", "hatchling", "hatch-model", "anchor", "plotter"
    )

    refused = reusable.surroundings.run(
        *("uv", "build", "--wheel", "--no-build-isolation", "--python", python),
        cwd=reusable.project.folder,
        check=False,
    )

    assert (
        "hatch-model: error: `inputs` requires platformdirs>=3. Build with isolation, so that the "
        "frontend installs it, or install it first.\n" in refused.stdout
    )


# Many builds at a time, and builds that are killed


def test_ten_builds_at_once_train_once(reusable: Reusable) -> None:
    reusable.project.replace(
        "src/small/main.py", ("    program =", "    import time\n    time.sleep(3)\n    program =")
    )
    outs = [reusable.marks.parent / f"dist{number}" for number in range(10)]
    builds = [
        subprocess.Popen(
            [part.format(out=out) for part in FRONTENDS["uv build --wheel"]],
            cwd=reusable.project.folder,
            env=reusable.surroundings.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        for out in outs
    ]

    said = [build.communicate()[0] for build in builds]

    assert [build.returncode for build in builds] == [0] * 10, said
    assert reusable.trainings == 1
    assert sum(_REUSED in each for each in said) == 9
    assert any("another build is training this model: waiting for it\n" in each for each in said)
    wheels = {next(out.glob("*.whl")).read_bytes() for out in outs}
    assert len(wheels) == 1


# Each file of this model tells whether it is whole.
_TELLING_MAIN = """
import hashlib, os
from pathlib import Path


def train(output_dir: Path, depth):
    for number in range(20):
        content = os.urandom(200_000)
        name = hashlib.sha256(content).hexdigest()
        (output_dir / f"{number}-{name}").write_bytes(content)
"""


def _assert_whole(files: dict[str, bytes]) -> None:
    assert len(files) == 20
    for name, content in files.items():
        assert hashlib.sha256(content).hexdigest() == name.rpartition("-")[2]


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's")
def test_a_build_that_is_killed_at_any_moment_leaves_no_half_a_model(reusable: Reusable) -> None:
    reusable.project.write("src/small/main.py", _TELLING_MAIN)
    _replace(('gates = { accuracy = ">= 0.5" }\n', ""))(reusable)
    start = time.monotonic()
    reusable.build()
    seconds = time.monotonic() - start
    store = Store(reusable.surroundings.store, 1 << 30)
    moments = random.Random(0)

    for depth in range(4, 24):
        _replace((f"depth = {depth - 1}", f"depth = {depth}"))(reusable)
        build = subprocess.Popen(
            [part.format(out=reusable.marks.parent / "killed") for part in FRONTENDS["uv build"]],
            cwd=reusable.project.folder,
            env=reusable.surroundings.variables(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.2, 1.2) * seconds)
        os.killpg(build.pid, signal.SIGKILL)
        build.wait()

        for entry in store.entries():
            taken = reusable.marks.parent / "taken" / entry.fingerprint / str(depth)
            with store.claim(entry.fingerprint) as claim:
                assert claim.take(entry, taken, taken) == ""
            _assert_whole({path.name: (taken / path).read_bytes() for path in entry.files})

    built = reusable.build("last")
    with zipfile.ZipFile(built.wheel.path) as archive:
        _assert_whole({name: archive.read(name) for name in archive.namelist() if "/data/" in name})
    store.prune(1 << 30)
    assert {path.suffix for path in store.layout.iterdir()} <= {"", ".lock"}
    assert not [path for path in store.layout.iterdir() if path.name.startswith(".hatch-model")]
