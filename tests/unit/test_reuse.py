"""What a model is made of, and what of that has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sysconfig
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from environments import LINUX, MODEL, FakeEnvironment, distribution, roots

from hatch_model.artifacts import Artifact, TrainedModel
from hatch_model.closure import closure_of
from hatch_model.digests import File
from hatch_model.entry_point import ObjectReference
from hatch_model.installed import Distribution
from hatch_model.parallel import Parallel
from hatch_model.reuse import Ingredients, changes, ingredients_of, reuse_or_train
from hatch_model.settings import TrainingSettings
from hatch_model.store import Store

_SETTINGS = TrainingSettings(
    key="model",
    train=ObjectReference(module="small.main", attribute="train"),
    arguments={"depth": 3},
    environment={"TOKEN": "secret"},
    inputs=("data/*.csv",),
)
_INPUTS = (File(path="data/a.csv", sha256="a" * 64, size=4),)
_FOLDERS = (PurePosixPath("src/small/data"), PurePosixPath("small/data"))
_ANCHOR = distribution("anchor", "1.2")
_PYPROJECT = '[project]\nname = "model"\nversion = "1.0"\n'


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def ingredients(
    root: Path,
    *installed: Distribution,
    settings: TrainingSettings = _SETTINGS,
    inputs: tuple[File, ...] = _INPUTS,
) -> Ingredients:
    """Gather what the project at *root* is made of, whose wheel ships all of `src`."""
    environment = FakeEnvironment([_ANCHOR, *installed])
    src = root / "src"
    shipped = {
        PurePosixPath(file.relative_to(src).as_posix()): file
        for file in sorted(src.rglob("*"))
        if file.is_file()
    }
    return ingredients_of(
        settings,
        shipped,
        _FOLDERS,
        inputs,
        closure_of(roots("anchor"), environment, LINUX, project=MODEL).distributions,
        root=root,
        workspace=root.parent / "workspace",
        environment=environment,
        project=MODEL,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "project", **{"src/small/main.py": "pass\n"})


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return root


def trained(
    *imported: Path | str, strangers: tuple[str, ...] = (), saved: bool = False
) -> TrainedModel:
    return TrainedModel(
        artifacts=[Artifact(path=PurePosixPath("weights.txt"), source=Path("weights.txt"))],
        metrics={},
        environment=[],
        strangers=strangers,
        imported=list(map(str, imported)),
        model_saved=saved,
    )


def _with_path(*path: str) -> TrainingSettings:
    return replace(_SETTINGS, python_path=tuple(map(PurePosixPath, path)))


# What it is made of


def test_everything_that_is_known_before_training_is_given(root: Path) -> None:
    write(root, **{"src/small/data/words.txt": "setosa\n"})

    found = ingredients(root)

    version = found.given.pop("version")
    assert found.given == {
        "setting": {
            "train": "small.main:train",
            "artifacts": "small/data",
            "python-path": "[]",
        },
        "argument": {"depth": "3"},
        "environment variable": {"TOKEN": digest("secret")},
        "package": {"anchor": "1.2"},
        "source": {"small/main.py": digest("pass\n")},
        "file on python-path": {},
        "input": {"data/a.csv": "a" * 64},
    }
    assert sorted(version) == ["Python", "platform"]
    assert found.beside == {"words.txt": digest("setosa\n")}


def test_the_fingerprint_depends_on_neither_place_nor_time(root: Path, tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere", **{"src/small/main.py": "pass\n"})
    os.utime(elsewhere / "src/small/main.py", (1, 1))

    here, there = ingredients(root), ingredients(elsewhere)

    assert here.fingerprint == there.fingerprint
    assert len(here.fingerprint) == 64


def test_the_fingerprint_depends_on_everything_that_is_given(root: Path) -> None:
    before = ingredients(root)
    fingerprints = {before.fingerprint}
    for kind, things in before.given.items():
        for name in things:
            changed = {**before.given, kind: {**things, name: "changed"}}
            fingerprints.add(replace(before, given=changed).fingerprint)

    assert len(fingerprints) == 1 + sum(map(len, before.given.values()))


@pytest.mark.parametrize("path", [("src",), ("src", "training"), ("training", "src")], ids=" ".join)
def test_the_fingerprint_depends_on_python_path(path: tuple[str, ...], root: Path) -> None:
    """Which of two modules of a name is imported goes by it, and where workers find theirs."""
    found = ingredients(root, settings=_with_path(*path))

    assert found.given["setting"]["python-path"] == json.dumps(list(path))
    assert found.fingerprint != ingredients(root).fingerprint


# Files on python-path that do not ship: a worker process imports them unseen


def _on_path(root: Path, *path: str) -> dict[str, str]:
    return ingredients(root, settings=_with_path(*path)).given["file on python-path"]


def test_files_on_python_path_that_do_not_ship_count(root: Path) -> None:
    write(
        root,
        **{
            "pyproject.toml": _PYPROJECT,
            "training/worker.py": "1\n",
            "training/nested/words.txt": "setosa\n",
            "tools/other.py": "2\n",
            "src/small/data/weights.txt": "0.5\n",
        },
    )

    assert _on_path(root, "src", "training") == {
        "training/nested/words.txt": digest("setosa\n"),
        "training/worker.py": digest("1\n"),
    }
    assert _on_path(root) == {}
    assert _on_path(root, "src") == {}
    before = ingredients(root, settings=_with_path("src", "training"))
    write(root, **{"training/worker.py": "3\n"})
    now = ingredients(root, settings=_with_path("src", "training"))
    assert before.fingerprint != now.fingerprint
    assert changes(before.given, now.given) == ["file on python-path training/worker.py: changed"]


def test_what_an_sdist_adds_or_leaves_out_does_not_count(root: Path, tmp_path: Path) -> None:
    """With the root itself on python-path, and in an sdist, which has no ignored files."""
    write(
        root,
        **{
            "pyproject.toml": _PYPROJECT,
            ".gitignore": "*.log\n/scratch/\n",
            "helper.py": "1\n",
            "a.log": "never\n",
            "scratch/b.py": "never\n",
            "training/__pycache__/worker.cpython-311.pyc": "never\n",
            "training/worker.py": "2\n",
            "src/small/data/weights.txt": "0.5\n",
        },
    )
    unpacked = tmp_path / "sdist"
    shutil.copytree(root, unpacked, ignore=shutil.ignore_patterns("*.log", "scratch", "data"))
    (unpacked / ".gitignore").unlink()
    shutil.rmtree(unpacked / "training" / "__pycache__")
    write(unpacked, **{"PKG-INFO": "Name: model\n", ".hatch-model.json": "{}\n"})
    expected = {"helper.py": digest("1\n"), "training/worker.py": digest("2\n")}

    assert _on_path(root, ".") == expected
    assert _on_path(unpacked, ".") == expected
    here, there = (ingredients(each, settings=_with_path(".")) for each in (root, unpacked))
    assert here.fingerprint == there.fingerprint


def test_code_on_python_path_is_not_noticed_once_more(root: Path) -> None:
    write(root, **{"pyproject.toml": _PYPROJECT, "training/worker.py": "1\n", "other.py": "2\n"})
    found = ingredients(root, settings=_with_path("training"))

    parts = found.parts_of(trained(root / "training/worker.py", root / "other.py"))

    assert parts["training code"] == {"other.py": digest("2\n")}


# Packages that are not from an index may be there twice under one version.


def _local(*record: str, url: str = "file:///home/a") -> Distribution:
    return Distribution(
        name=_ANCHOR.name,
        raw_version="1.2",
        raw_direct_url=f'{{"url": "{url}", "dir_info": {{}}}}',
        read_record=lambda: "\n".join(record),
    )


def _package(tmp_path: Path, installed: Distribution) -> str:
    environment = FakeEnvironment([installed])
    closure = closure_of(roots("anchor"), environment, LINUX, project=MODEL)
    found = ingredients_of(
        _SETTINGS,
        {},
        _FOLDERS,
        _INPUTS,
        closure.distributions,
        root=tmp_path,
        workspace=tmp_path,
        environment=environment,
        project=MODEL,
    )
    return found.given["package"]["anchor"]


def test_a_package_from_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    one = _local(
        "anchor/a.py,sha256=1,10", "anchor-1.2.dist-info/direct_url.json,sha256=3,9", "x,,"
    )
    moved = _local(
        "anchor-1.2.dist-info/direct_url.json,sha256=4,9",
        "anchor/a.py,sha256=1,10",
        "anchor/__pycache__/a.pyc,,",
        url="file:///home/b",
    )
    changed = _local("anchor/a.py,sha256=2,10")

    assert _package(tmp_path, one).startswith("1.2 with the content ")
    assert _package(tmp_path, one) == _package(tmp_path, moved)
    assert _package(tmp_path, one) != _package(tmp_path, changed)


def _editable(name: str, folder: Path) -> Distribution:
    return distribution(name, direct_url={"url": folder.as_uri(), "dir_info": {"editable": True}})


def test_the_files_of_an_editable_distribution_count_whoever_needs_it(
    root: Path, tmp_path: Path
) -> None:
    """RECORD names no more than what leads there."""
    tools = write(
        tmp_path / "tools",
        **{
            "src/tools/main.py": "1\n",
            "src/tools/__pycache__/main.cpython-311.pyc": "1",
            ".git/HEAD": "1",
            ".hidden": "1",
            "env/pyvenv.cfg": "1",
            "env/lib/a.py": "1",
            "node_modules/a.js": "1",
            "build/a.py": "1",
            "dist/a.whl": "1",
        },
    )
    before = ingredients(root, _editable("tools", tools))
    fingerprint = before.fingerprint

    assert before.given["package"]["anchor"] == "1.2"
    assert before.given["package"]["tools"].startswith("1.0 with the content ")
    for name in (
        "src/tools/__pycache__/main.cpython-311.pyc",
        ".git/HEAD",
        ".hidden",
        "env/lib/a.py",
        "node_modules/a.js",
        "build/a.py",
        "dist/a.whl",
    ):
        write(tools, **{name: "2"})
    assert ingredients(root, _editable("tools", tools)).fingerprint == fingerprint
    moved = tools.rename(tmp_path / "moved")
    assert ingredients(root, _editable("tools", moved)).fingerprint == fingerprint
    write(moved, **{"src/tools/main.py": "2\n"})
    assert ingredients(root, _editable("tools", moved)).fingerprint != fingerprint
    assert ingredients(root).fingerprint != fingerprint


@pytest.mark.parametrize("name", ["model", "hatch-model"])
def test_the_project_and_hatch_model_do_not_count(name: str, root: Path, tmp_path: Path) -> None:
    """A checkout of either is edited as one works, and the files that matter are counted anyway."""
    folder = write(tmp_path / "checkout", **{"src/a.py": "1\n"})

    found = ingredients(root, _editable(name, folder))

    assert found.given["package"] == {"anchor": "1.2"}
    assert found.fingerprint == ingredients(root).fingerprint


# What is noticed once a model is trained


def test_code_that_training_imported_and_the_wheel_lacks_is_noticed(root: Path) -> None:
    write(
        root,
        **{
            "training/tuning.py": "1\n",
            "../workspace/tree/small/main.py": "pass\n",
            ".venv/lib/python3.12/site-packages/anchor.py": "",
            "../lib/shared.py": "2\n",
        },
    )
    imported = [
        root / "training/tuning.py",
        root / "src/small/main.py",
        root / ".venv/lib/python3.12/site-packages/anchor.py",
        root.parent / "workspace/tree/small/main.py",
        root.parent / "lib/shared.py",
        Path(sysconfig.get_path("stdlib")) / "json" / "__init__.py",
        root / "gone.py",
    ]

    parts = ingredients(root).parts_of(trained(*imported))

    assert parts["training code"] == {
        "../lib/shared.py": digest("2\n"),
        "training/tuning.py": digest("1\n"),
    }


def test_packages_that_nothing_declares_are_noticed(root: Path) -> None:
    found = ingredients(root, distribution("rich", "14.0"), distribution("joblib", "1.6"))

    parts = found.parts_of(trained(strangers=("rich",), saved=True))

    assert parts["undeclared package"] == {"joblib": "1.6", "rich": "14.0"}
    assert found.parts_of(trained())["undeclared package"] == {}


def test_what_training_writes_is_not_what_it_is_made_of(root: Path) -> None:
    before = ingredients(root).parts_of(trained())
    write(root, **{"src/small/data/weights.txt": "0.5\n"})

    assert ingredients(root).parts_like(before, ["weights.txt"]) == before


def test_what_was_noticed_is_looked_at_again(root: Path) -> None:
    write(
        root, **{"training/tuning.py": "1\n", "training/gone.py": "", "src/small/data/words": "a"}
    )
    imported = (root / "training/tuning.py", root / "training/gone.py")
    before = ingredients(root, distribution("rich", "14.0")).parts_of(
        trained(*imported, strangers=("rich",))
    )

    write(root, **{"training/tuning.py": "2\n", "src/small/data/words": "b"})
    (root / "training/gone.py").unlink()
    now = ingredients(root, distribution("rich", "15.0")).parts_like(before, ["weights.txt"])

    assert changes(before, now) == [
        "file beside the artifacts words: changed",
        "training code training/gone.py: gone",
        "training code training/tuning.py: changed",
        "undeclared package rich: 14.0 -> 15.0",
    ]


# What has changed


def test_changes_name_what_is_new_gone_or_other_than_before() -> None:
    before = {
        "argument": {"depth": "3", "loss": '"log"', "same": "1"},
        "package": {"anchor": "1.2", "chain": "2.0"},
        "source": {"a.py": "1", "b.py": "2", "c.py": "3"},
    }
    now = {
        "argument": {"depth": "4", "rate": "0.5", "same": "1"},
        "package": {"anchor": "1.3", "plotter": "3.0"},
        "source": {"a.py": "1", "b.py": "0", "d.py": "4"},
    }

    assert changes(before, now) == [
        "argument depth: 3 -> 4",
        'argument loss: gone, was "log"',
        "argument rate: new, 0.5",
        "package anchor: 1.2 -> 1.3",
        "package chain: gone, was 2.0",
        "package plotter: new, 3.0",
        "source b.py: changed",
        "source c.py: gone",
        "source d.py: new",
    ]
    assert changes(now, now) == []


def test_the_value_of_a_variable_is_not_told(root: Path) -> None:
    before = ingredients(root).given
    other = replace(_SETTINGS, environment={"TOKEN": "another"})
    now = ingredients(root, settings=other).given

    assert changes(before, now) == ["environment variable TOKEN: changed"]
    assert "secret" not in str(before)


class _Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        self.warnings.append(message)

    output = info


def test_the_engine_is_no_ingredient_and_is_stored_with_the_model(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path / "store"))
    made = write(tmp_path / "made", **{"weights.txt": "0.5"}) / "weights.txt"
    engine = {"name": "dask", "version": "2026.8.0"}
    model = replace(
        trained(root / "src/small/main.py"),
        artifacts=[Artifact(path=PurePosixPath("weights.txt"), source=made)],
        engine=engine,
    )
    on_dask = replace(_SETTINGS, parallel=Parallel(key="model.parallel", backend="dask"))
    found = [ingredients(root, settings=settings) for settings in (on_dask, _SETTINGS)]

    built = []
    for index, each in enumerate(found):
        folder = tmp_path / str(index)
        folder.mkdir()
        built.append(
            reuse_or_train(each, lambda: model, project="small", folder=folder, log=_Log())
        )

    assert found[0].fingerprint == found[1].fingerprint
    assert [(each.is_reused, each.engine) for each in built] == [(False, engine), (True, engine)]


@pytest.mark.parametrize(
    "change",
    [
        {"parts": 3},
        {"parts": {}},
        {"artifacts": [3]},
        {"metrics": {"accuracy": "high"}},
        {"environment": [["anchor"]]},
        {"strangers": None},
        {"engine": {"name": "dask"}},
        {"engine": {"name": "dask", "version": 2026}},
    ],
)
def test_a_stored_model_whose_description_is_not_ours_is_trained_again(
    change: dict[str, Any], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path / "store"))
    made = write(tmp_path / "made", **{"weights.txt": "0.5"}) / "weights.txt"
    model = replace(
        trained(root / "src/small/main.py"),
        artifacts=[Artifact(path=PurePosixPath("weights.txt"), source=made)],
    )
    found, log = ingredients(root), _Log()

    def build(folder: str) -> TrainedModel:
        (tmp_path / folder).mkdir()
        return reuse_or_train(
            found, lambda: model, project="small", folder=tmp_path / folder, log=log
        )

    build("first")
    assert build("second").is_reused
    store = Store(tmp_path / "store", 1 << 20)
    with store.claim(found.fingerprint) as claim:
        entry = claim.read()
        assert entry is not None
        claim.keep({**entry.description, **change}, {PurePosixPath("weights.txt"): made}, {})

    assert not build("third").is_reused
    (warning,) = log.warnings
    assert warning == (
        "the stored model is damaged: its description is not what hatch-model writes. It is trained "
        "again."
    )
    assert build("fourth").is_reused
