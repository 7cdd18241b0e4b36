"""The pages for people and the feed: what they say of versions and what changed between them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from registries import SVG, model_wheel
from support import tree

from hatch_model.index.folder import Index
from hatch_model.index.history import read_history
from hatch_model.index.site import change_of, feed, front_page

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model.index.history import History

_ATOM = "{http://www.w3.org/2005/Atom}"


def _clock() -> partial[str]:
    ticks = count(1)
    return partial(lambda: f"2026-01-01T00:00:{next(ticks):02}Z")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index", now=_clock())


def _history(tmp_path: Path, name: str = "iris-model") -> History:
    return read_history(tmp_path / "index/models" / name / "history.json")


def test_a_change_says_its_cause_in_a_few_words(index: Index, tmp_path: Path) -> None:
    changed = {"inputs": [{"path": "new.csv", "sha256": 64 * "2", "size": 1}]}
    index.add(
        [
            model_wheel(tmp_path, version="1"),
            model_wheel(tmp_path, version="2", arguments={"depth": 4}, weights="0.6\n"),
            model_wheel(tmp_path, version="3", arguments={"depth": 4}, weights="0.7\n"),
            model_wheel(
                tmp_path, version="4", requires=["anchor==1.3", "chain==2"], changes=changed
            ),
            model_wheel(
                tmp_path, version="5", requires=["anchor==1.3", "chain==2"], changes=changed
            ),
            model_wheel(
                tmp_path,
                version="6",
                requires=["anchor==1.3", "chain==2"],
                changes=changed,
                metrics={"accuracy": 0.8},
            ),
        ]
    )

    history = _history(tmp_path)
    changes = [change_of(history, release) for release in history.releases]
    assert [change and change.cause for change in changes] == [
        None,
        "1 argument",
        "only the artifacts",
        "1 argument, 2 pins, 2 inputs",
        "nothing",
        "only the metrics",
    ]
    # A few bytes more or less are no change of the size.
    assert [section.title for each in changes[4:] if each for section in each.sections] == []


def test_a_version_is_compared_with_the_last_that_installers_took(
    index: Index, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("1", "2", "3rc1", "4")])
    index.yank("iris-model", "2", "")

    history = _history(tmp_path)
    baselines = [history.baseline(release) for release in history.releases]
    assert [each and each.version for each in baselines] == [None, "1", "1", "1"]


def test_a_model_has_a_chart_for_each_metric_with_a_point_for_each_version(
    index: Index, tmp_path: Path
) -> None:
    index.add(
        [
            model_wheel(
                tmp_path, version=str(minor), metrics={"accuracy": 0.9 + minor / 100, "loss": 1}
            )
            for minor in range(3)
        ]
    )

    page = (tmp_path / "index/models/iris-model/index.html").read_text()
    assert page.count('<svg class="chart"') == 2
    assert page.count('<circle class="point"') == 6
    assert "accuracy over 3 versions: 0.9 in 0, 0.92 in 2, lowest 0.9, highest 0.92" in page


def test_a_page_shows_the_plots_of_its_version_and_the_model_those_of_the_latest(
    index: Index, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version="1", report={"first.svg": SVG})])
    index.add([model_wheel(tmp_path, version="2", report={"second.svg": SVG})])

    models = tmp_path / "index/models/iris-model"
    assert 'alt="Picture first.svg"' in (models / "1/index.html").read_text()
    assert 'alt="Picture second.svg"' in (models / "index.html").read_text()
    assert "first.svg" not in (models / "index.html").read_text()


def test_no_file_of_a_wheel_is_written_as_one_that_a_browser_runs(
    index: Index, tmp_path: Path
) -> None:
    report = {"a.svg": SVG, "b.html": b"<script>", "c.xml": b"<a/>", "d.js": b"x"}
    index.add([model_wheel(tmp_path, report=report)])

    kinds = {file.suffix for file in (tmp_path / "index").rglob("*") if file.is_file()}
    assert kinds == {".html", ".json", ".xml", ".whl", ".metadata", ".css", ".js", ".lock"}
    assert not [*(tmp_path / "index").rglob("[abcd].*")]


def test_the_front_page_shows_each_model_with_its_first_metric(
    index: Index, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, "b-model"), model_wheel(tmp_path, "a-model", gates={})])

    page = (tmp_path / "index/index.html").read_text()
    assert page.index("models/a-model/index.html") < page.index("models/b-model/index.html")
    assert page.count("gates held") == 1
    assert 'data-search="a-model tells the species of an iris accuracy"' in page


def test_long_names_are_cut_and_digests_are_not(index: Index, tmp_path: Path) -> None:
    metric = 5_000 * "m"
    index.add([model_wheel(tmp_path, metrics={metric: 0.5}, gates={})])

    (archive,) = _history(tmp_path).releases[0].archives
    model = tmp_path / "index/models/iris-model"
    assert f"{300 * 'm'}…</span>" in (model / "index.html").read_text("utf-8")
    assert archive.sha256 in (model / "0.1.0/index.html").read_text("utf-8")


def test_an_index_without_models_says_how_to_add_one() -> None:
    assert "hatch-model index add FOLDER dist/*.whl" in front_page([], []).decode()


def test_a_feed_tells_of_new_versions_newest_first(index: Index, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version="1")])
    index.add([model_wheel(tmp_path, version="2", metrics={"accuracy": 0.95}, arguments={"a": 1})])

    root = ET.fromstring(feed([_history(tmp_path)]))
    assert root.findtext(f"{_ATOM}updated") == "2026-01-01T00:00:02Z"
    entries = root.findall(f"{_ATOM}entry")
    assert [entry.findtext(f"{_ATOM}title") for entry in entries] == [
        "iris-model 2",
        "iris-model 1",
    ]
    assert entries[0].findtext(f"{_ATOM}summary") == (
        "Tells the species of an iris. accuracy 0.95. changed: 2 arguments"
    )
    link = entries[0].find(f"{_ATOM}link")
    assert link is not None
    assert link.attrib["href"] == "models/iris-model/2/index.html"
    ids = [entry.findtext(f"{_ATOM}id") or "" for entry in entries]
    assert len(set(ids)) == 2 and all(each.startswith("urn:uuid:") for each in ids)


def test_a_feed_is_xml_whatever_a_summary_holds(index: Index, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, summary="a \x0b<b> & \ufffe")])

    (entry,) = ET.fromstring(feed([_history(tmp_path)])).findall(f"{_ATOM}entry")
    assert (entry.findtext(f"{_ATOM}summary") or "").startswith("a <b> & . accuracy")
    assert ET.fromstring(feed([])).findtext(f"{_ATOM}updated") == "1970-01-01T00:00:00Z"


def test_a_feed_has_the_last_fifty_versions(index: Index, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path)])
    history = _history(tmp_path)
    releases = [replace(history.releases[0], version=str(minor)) for minor in range(60)]

    root = ET.fromstring(feed([replace(history, releases=releases)]))
    assert len(root.findall(f"{_ATOM}entry")) == 50


_BUILD = """\
import sys
from itertools import count
from pathlib import Path
from hatch_model.index.folder import Index
ticks = count(1)
folder = Path(sys.argv[1])
Index(folder, now=lambda: f"2026-01-01T00:00:{next(ticks):02}Z").add(sorted(folder.parent.glob("*.whl")))
"""


def test_an_index_is_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    for seed in ("0", "1"):
        folder = tmp_path / seed
        folder.mkdir()
        metrics = dict.fromkeys("abcdef", 0.5)
        model_wheel(folder, metrics=metrics, report={"a.svg": SVG, "b.csv": b"x,y\n"})
        model_wheel(folder, "other-model", metrics=metrics)
        subprocess.run(
            [sys.executable, "-c", _BUILD, folder / "index"],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
        )

    assert tree(tmp_path / "0/index") == tree(tmp_path / "1/index")
