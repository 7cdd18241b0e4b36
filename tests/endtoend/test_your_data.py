"""docs/your-data.md: what travels of data and secrets, and the code that reads data from elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from checkout import CHECKOUT
from indexes import served
from support import ModelProject, Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support import Index, Surroundings

pytestmark = pytest.mark.frontend

_PAGE = (CHECKOUT / "docs/your-data.md").read_text("utf-8")
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_SETTINGS, _EXCLUDED = (block for kind, block in _BLOCKS if kind == "toml")
_DOWNLOAD, _QUERY = (block for kind, block in _BLOCKS if kind == "python")
_TRAIN = """
import os
from pathlib import Path


def train(output_dir):
    rows = Path("data/wines.csv").read_text().splitlines()
    print("reads as", os.environ.get("PASSWORD"))
    (output_dir / "weights.txt").write_text(f"{len(rows)}")
    return {"accuracy": 0.75, "rows": len(rows)}
"""


@pytest.fixture
def wine(index: Index, tmp_path: Path) -> ModelProject:
    """A project with data that nobody ignores, and without a lock."""
    assert index.folder.is_dir()
    project = ModelProject.copy("pipelines", tmp_path / "project")
    project.replace("pyproject.toml", ('lock = "uv.lock"\n', ""), ("sbom = true\n", ""))
    project.replace("pyproject.toml", ("inputs = []\n", 'inputs = ["data/*.csv"]\n'))
    project.write("src/acme_wine/training.py", _TRAIN)
    project.write("data/wines.csv", "private,1\nprivate,2\n")
    return project


def _build(
    project: ModelProject, surroundings: Surroundings, *options: str, check: bool = True
) -> str:
    command = ("uv", "build", "--python", sys.executable, *options)
    return surroundings.run(
        *command, cwd=project.folder, check=check, PASSWORD="a-secret-word"
    ).stdout


def _contents(project: ModelProject) -> dict[str, bytes]:
    """Give the content of each file in both archives."""
    (wheel,) = project.folder.glob("dist/*.whl")
    (sdist,) = project.folder.glob("dist/*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        found = {f"wheel/{name}": archive.read(name) for name in archive.namelist()}
    with tarfile.open(sdist) as files:
        for each in files.getmembers():
            content = files.extractfile(each)
            if content is not None:
                found[f"sdist/{each.name.partition('/')[2]}"] = content.read()
    return found


def _record(contents: dict[str, bytes]) -> dict[str, object]:
    record = json.loads(contents["wheel/acme_wine-0.1.0.dist-info/extra_metadata/model.json"])
    assert isinstance(record, dict)
    return record


def test_data_in_git_is_in_the_source_distribution_and_recorded_but_not_in_the_wheel(
    wine: ModelProject, surroundings: Surroundings
) -> None:
    _build(wine, surroundings)

    contents = _contents(wine)
    assert [name for name in contents if "wines" in name] == ["sdist/data/wines.csv"]
    assert _record(contents)["inputs"] == [
        {
            "path": "data/wines.csv",
            "sha256": hashlib.sha256(b"private,1\nprivate,2\n").hexdigest(),
            "size": 20,
        }
    ]


@pytest.mark.parametrize("hidden_by", ["git", "exclude"])
def test_data_that_does_not_travel_stops_a_build_unless_the_model_is_trained_first(
    hidden_by: str, wine: ModelProject, surroundings: Surroundings
) -> None:
    (wine.folder / ".git").mkdir()
    if hidden_by == "git":
        wine.write(".gitignore", "data/*.csv\n.hatch-model/\n")
    else:
        with (wine.folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(_EXCLUDED)

    stopped = _build(wine, surroundings, check=False)
    (quoted,) = (block for kind, block in _BLOCKS if kind == "text")
    assert quoted in stopped

    table, keys = _SETTINGS.split("\n", 1)
    old = 'train = "acme_wine.training:train"\ninputs = ["data/*.csv"]\n'
    assert table == "[tool.hatch.build.hooks.model]"
    wine.replace("pyproject.toml", (old, keys))
    said = _build(wine, surroundings)
    assert "the model was trained when this source distribution was made" in said
    contents = _contents(wine)
    assert not [name for name in contents if "wines" in name]
    assert not [name for name, content in contents.items() if b"private" in content]
    assert contents["wheel/acme_wine/data/weights.txt"] == b"2"


def test_training_sees_variables_of_the_build_and_no_archive_has_them(
    wine: ModelProject, surroundings: Surroundings
) -> None:
    said = _build(wine, surroundings)

    assert "reads as a-secret-word\n" in said
    assert not [name for name, content in _contents(wine).items() if b"a-secret" in content]


@pytest.mark.skipif(os.name == "nt", reason="addresses and paths are those of POSIX systems")
def test_the_code_that_downloads_refuses_data_that_has_changed(
    wine: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    digest = re.search('SHA256 = "(.+)"', _DOWNLOAD)
    assert digest is not None
    train = "\n\ndef train():\n    return download().read()\n"
    wine.write("src/acme_wine/training.py", _DOWNLOAD + train)
    wine.replace("pyproject.toml", ('gates = { accuracy = ">= 0.7" }\n', ""))
    wine.replace("pyproject.toml", ('check = "acme_wine:predict"\n', ""))
    wine.replace("pyproject.toml", ('"data/*.csv"', ""), ('"anchor>=1"', '"joblib"'))
    data = tmp_path / "served/wines.csv"
    data.parent.mkdir()
    data.write_bytes(b"13.0,1\n")
    with served(data.parent) as address:
        surroundings.environment["WINES_URL"] = f"{address}/wines.csv"
        refused = _build(wine, surroundings, check=False)
        assert "ValueError: the file at WINES_URL has changed" in refused
        right = hashlib.sha256(b"13.0,1\n").hexdigest()
        wine.replace("src/acme_wine/training.py", (digest[1], right))
        _build(wine, surroundings)
        assert "reusing the model" in _build(wine, surroundings)

    (wheel,) = wine.folder.glob("dist/*.whl")
    assert "acme_wine/data/model.joblib" in Wheel(wheel).files


def test_the_code_that_queries_returns_the_rows_up_to_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wines.sqlite"
    database = sqlite3.connect(file)
    database.execute("CREATE TABLE wines (alcohol REAL, class INTEGER, day TEXT)")
    database.execute("INSERT INTO wines VALUES (13.0, 1, '2026-06-30'), (12.0, 2, '2026-07-01')")
    database.commit()
    database.close()
    monkeypatch.setenv("WINES_DATABASE", str(file))

    namespace: dict[str, object] = {}
    exec(_QUERY, namespace)  # noqa: S102
    query = namespace["query"]
    assert callable(query)
    assert query("2026-06-30") == [(13.0, 1)]
