"""Changes to an index: what is taken, refused and written, and what a crash leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import sys
import zipfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from models import rewrite
from registries import model_wheel
from support import make_sdist, make_wheel, tree

from hatch_model.errors import HatchModelError
from hatch_model.index.folder import Index

if TYPE_CHECKING:
    from collections.abc import Callable


_WHEEL = "iris_model-0.1.0-py3-none-any.whl"


def _clock() -> Callable[[], str]:
    ticks = count(1)
    return lambda: f"2026-01-01T00:00:{next(ticks):02}Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Index:
    return Index(folder, now=_clock())


def _files(folder: Path) -> set[str]:
    """List what an index holds, apart from its lock and style."""
    found = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    return {each for each in found if not each.startswith((".", "static/"))}


def _only_release(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "models/iris-model/history.json").read_bytes())
    (release,) = content["releases"]
    return cast("dict[str, Any]", release)


def _versions(folder: Path, name: str = "iris-model") -> list[str]:
    content = json.loads((folder / "simple" / name / "index.json").read_bytes())
    return [file["filename"].split("-")[1] for file in content["files"]]


# add


def test_a_wheel_is_copied_and_all_pages_are_written(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    wheel = model_wheel(tmp_path)

    assert index.add([wheel]) == ["files/iris-model/iris_model-0.1.0-py3-none-any.whl: added"]
    assert _files(folder) == {
        "index.html",
        "feed.xml",
        "simple/index.html",
        "simple/index.json",
        "simple/iris-model/index.html",
        "simple/iris-model/index.json",
        "files/iris-model/iris_model-0.1.0-py3-none-any.whl",
        "files/iris-model/iris_model-0.1.0-py3-none-any.whl.metadata",
        "models/iris-model/index.html",
        "models/iris-model/history.json",
        "models/iris-model/0.1.0/index.html",
        "models/iris-model/0.1.0/report.json",
    }
    copied = folder / "files/iris-model" / wheel.name
    assert copied.read_bytes() == wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("iris_model-0.1.0.dist-info/METADATA")
    assert copied.with_name(f"{wheel.name}.metadata").read_bytes() == metadata


def test_adding_a_wheel_again_changes_nothing(index: Index, folder: Path, tmp_path: Path) -> None:
    wheel = model_wheel(tmp_path)
    index.add([wheel])
    before = tree(folder)

    assert index.add([wheel, wheel]) == 2 * [
        "files/iris-model/iris_model-0.1.0-py3-none-any.whl: there already"
    ]
    assert tree(folder) == before


def test_a_wheel_of_that_name_with_other_content_is_refused(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path / "one")])
    before = tree(folder)
    other = model_wheel(tmp_path / "other", weights="0.6\n")

    with pytest.raises(HatchModelError) as error:
        index.add([other])
    assert str(error.value) == (
        f"`{other}` differs from `files/iris-model/iris_model-0.1.0-py3-none-any.whl`, which is in the "
        f"index. A file that was published never changes: build a new version."
    )
    assert tree(folder) == before


def test_a_file_that_the_index_does_not_know_is_not_replaced(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    there = model_wheel(folder / "files/iris-model")
    before = there.read_bytes()

    with pytest.raises(HatchModelError) as error:
        index.add([model_wheel(tmp_path, weights="0.6\n")])
    assert str(error.value) == (
        f"`{tmp_path / there.name}` differs from `{there}`, which is not in the index. Delete that file, "
        f"or run `hatch-model index update {folder}` to take it in."
    )
    assert there.read_bytes() == before
    index.add([model_wheel(tmp_path)])


def test_two_files_of_one_name_in_one_call_are_refused(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    pair = [model_wheel(tmp_path / "one"), model_wheel(tmp_path / "other", weights="0.6\n")]

    with pytest.raises(HatchModelError, match="which is in the index"):
        index.add(pair)
    assert _files(folder) == set()


def test_nothing_is_taken_if_one_of_the_files_is_damaged(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    good = model_wheel(tmp_path, version="0.1.0")
    bad = model_wheel(tmp_path, version="0.2.0")
    rewrite(bad, {"iris_model/data/model.joblib": b"0.6\n"})

    with pytest.raises(HatchModelError) as error:
        index.add([good, bad])
    assert str(error.value) == (
        f"`{bad}` does not match its own metadata:\n"
        f"  iris_model/data/model.joblib: its content is not what RECORD says"
    )
    assert _files(folder) == set()
    assert [each.name for each in folder.iterdir()] == [".hatch-model.lock"]


def _not_there(folder: Path) -> Path:
    return folder / "none-1-py3-none-any.whl"


def _of_another_name(folder: Path) -> Path:
    return model_wheel(folder).rename(folder / "other-0.1.0-py3-none-any.whl")


def _called_anything(folder: Path) -> Path:
    return model_wheel(folder).rename(folder / "model.zip")


def _no_zip(folder: Path) -> Path:
    file = folder / "iris_model-0.1.0-py3-none-any.whl"
    file.write_bytes(b"not a zip")
    return file


def _unfinished(folder: Path) -> Path:
    file = model_wheel(folder)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("iris_model-0.1.0.data/unfinished/x", "")
    return file


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (_not_there, "`{file}` is not a file."),
        (
            _of_another_name,
            "`{file}` holds iris-model 0.1.0, which is not what its name says.",
        ),
        (_called_anything, "`{file}` does not have the name of a wheel or an sdist."),
        *(
            (
                partial(model_wheel, name=name),
                "`{file}` does not have the name of a wheel or an sdist.",
            )
            for name in ("münchen", "_x_", ".")
        ),
        (_no_zip, "`{file}` cannot be read: File is not a zip file"),
        (_unfinished, "`{file}` was left by a build that was interrupted. Build it again."),
    ],
)
def test_what_is_no_wheel_of_its_name_is_refused(
    made: Callable[[Path], Path], message: str, index: Index, tmp_path: Path
) -> None:
    file = made(tmp_path)

    with pytest.raises(HatchModelError) as error:
        index.add([file])
    assert str(error.value) == message.format(file=file)


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(HatchModelError, match=r"file`: (File exists|Not a directory)"):
        Index(tmp_path / "file").add([model_wheel(tmp_path)])


def test_a_full_disk_is_named_by_the_folder_and_nothing_is_taken(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(HatchModelError) as error:
        index.add([model_wheel(tmp_path)])
    assert str(error.value) == f"`{folder}`: No space left on device"
    assert [each.name for each in folder.iterdir()] == [".hatch-model.lock"]


def test_sdists_and_wheels_of_other_tools_are_taken(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([make_sdist(tmp_path, "iris_model", "0.1.0"), model_wheel(tmp_path)])
    index.add([make_wheel(tmp_path, "plain", "1")])

    content = json.loads((folder / "simple/iris-model/index.json").read_bytes())
    assert [(file["filename"], bool(file["core-metadata"])) for file in content["files"]] == [
        ("iris_model-0.1.0-py3-none-any.whl", True),
        ("iris_model-0.1.0.tar.gz", False),
    ]
    assert "<h1>plain</h1>" in (folder / "models/plain/index.html").read_text()
    assert _metrics(folder) == {"accuracy": 0.9}


def _metrics(folder: Path) -> object:
    return _only_release(folder)["model"]["metrics"]


def test_the_facts_of_a_version_are_those_of_its_first_wheel(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([make_sdist(tmp_path, "iris_model", "0.1.0")])
    assert _metrics(folder) is None
    index.add([model_wheel(tmp_path)])
    assert _metrics(folder) == {"accuracy": 0.9}


def test_versions_are_in_their_order_and_written_as_installers_normalize_them(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    for version in ("0.10.0", "0.2", "0.2rc1", "1!0.1", "0.2+cpu"):
        index.add([model_wheel(tmp_path, version=version)])

    assert _versions(folder) == ["0.2rc1", "0.2", "0.2+cpu", "0.10.0", "1!0.1"]
    assert 'href="1%210.1/index.html"' in (folder / "models/iris-model/index.html").read_text()


def test_only_the_new_file_is_read(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version=f"0.{minor}") for minor in range(3)])
    for archive in (folder / "files").rglob("*.whl"):
        archive.write_bytes(b"")

    index.add([model_wheel(tmp_path, version="0.3")])
    assert _versions(folder) == ["0.0", "0.1", "0.2", "0.3"]


def test_only_the_pages_that_change_are_written(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version=f"0.{minor}") for minor in range(3)])
    index.add([model_wheel(tmp_path, "other-model")])
    before = {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}

    index.add([model_wheel(tmp_path, version="0.3")])
    changed = {
        each.relative_to(folder).as_posix()
        for each in folder.rglob("*")
        if each.is_file() and before.get(each) != each.stat().st_mtime_ns
    }
    assert changed == {
        "files/iris-model/iris_model-0.3-py3-none-any.whl",
        "files/iris-model/iris_model-0.3-py3-none-any.whl.metadata",
        "simple/iris-model/index.html",
        "simple/iris-model/index.json",
        "models/iris-model/history.json",
        "models/iris-model/index.html",
        "models/iris-model/0.3/index.html",
        "models/iris-model/0.3/report.json",
        "index.html",
        "feed.xml",
    }


def test_a_version_between_two_others_changes_what_the_later_one_is_compared_with(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("0.1", "0.3")])
    page = folder / "models/iris-model/0.3/index.html"
    assert "What changed since 0.1" in page.read_text()

    index.add([model_wheel(tmp_path, version="0.2", weights="0.6\n")])
    assert "What changed since 0.2" in page.read_text()


# yank


def test_a_yanked_version_is_marked_with_its_reason_until_it_is_unyanked(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("0.1", "0.2", "0.3")])
    before = tree(folder)

    assert index.yank("Iris_Model", "0.2.0", 'wrong "labels"') == ["iris-model 0.2 is yanked"]
    html = (folder / "simple/iris-model/index.html").read_text()
    assert html.count('data-yanked="wrong &#34;labels&#34;"') == html.count("data-yanked") == 1
    assert "What changed since 0.1" in (folder / "models/iris-model/0.3/index.html").read_text()
    assert "wrong &#34;labels&#34;" in (folder / "models/iris-model/index.html").read_text()

    assert index.yank("iris-model", "0.2", None) == ["iris-model 0.2 is not yanked"]
    assert tree(folder) == before


def test_a_reason_that_is_no_text_is_shown_as_far_as_it_is(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])

    index.yank("iris-model", "0.1.0", "wrong \udcff labels")
    assert _only_release(folder)["yanked"] == "wrong ? labels"


def test_the_latest_version_is_the_last_that_installers_take(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("0.1", "0.2", "0.3rc1")])
    page = folder / "models/iris-model/index.html"
    assert '<span class="badge version">0.2</span>' in page.read_text()

    index.yank("iris-model", "0.2", "")
    assert '<span class="badge version">0.1</span>' in page.read_text()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("other", "0.1.0"), "`{folder}` has no `other`. It has iris-model."),
        (("iris-model", "0.2"), "`{folder}` has no iris-model `0.2`. It has 0.1.0."),
        (("iris-model", "latest"), "`{folder}` has no iris-model `latest`. It has 0.1.0."),
        (("../../x", "0.1.0"), "`{folder}` has no `../../x`. It has iris-model."),
    ],
)
def test_what_is_not_in_the_index_is_named(
    asked: tuple[str, str], message: str, index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])

    for change in (
        partial(index.yank, *asked, ""),
        partial(index.remove, *asked),
        partial(index.promote, Index(tmp_path / "other"), *asked),
    ):
        with pytest.raises(HatchModelError) as error:
            change()
        assert str(error.value) == message.format(folder=folder)


# remove


def test_nothing_of_a_removed_version_is_left(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version="0.1", weights="secret")])
    before = tree(folder)
    index.add([model_wheel(tmp_path, version="0.2")])

    assert index.remove("iris-model", "0.2") == [
        "files/iris-model/iris_model-0.2-py3-none-any.whl: removed"
    ]
    assert tree(folder) == before


def test_nothing_of_a_model_is_left_without_its_last_version(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])

    index.remove("iris-model", "0.1.0")
    assert _files(folder) == {"index.html", "feed.xml", "simple/index.html", "simple/index.json"}
    assert {each.name for each in folder.iterdir() if each.is_dir()} == {"simple", "static"}
    assert "There is no model yet" in (folder / "index.html").read_text()


def test_a_removed_version_can_be_added_again(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path)])
    index.remove("iris-model", "0.1.0")

    index.add([model_wheel(tmp_path, weights="0.6\n")])
    assert _versions(folder) == ["0.1.0"]


def test_an_interrupted_removal_can_be_repeated(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("0.1", "0.2")])
    monkeypatch.setattr(Index, "_write_histories", _crash)
    with pytest.raises(KeyboardInterrupt):
        index.remove("iris-model", "0.2")
    monkeypatch.undo()

    index.remove("iris-model", "0.2")
    assert not [each for each in _files(folder) if "0.2" in each]


def _crash(_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["_write_pages", "_write_histories"])
def test_interrupted_changes_can_be_repeated(
    step: str, index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = model_wheel(tmp_path)

    def interrupted(change: Callable[[], object]) -> None:
        monkeypatch.setattr(Index, step, _crash)
        with pytest.raises(KeyboardInterrupt):
            change()
        monkeypatch.undo()

    interrupted(partial(index.add, [wheel]))
    index.add([wheel])
    assert _versions(folder) == ["0.1.0"]
    interrupted(partial(index.yank, "iris-model", "0.1.0", "wrong labels"))
    index.yank("iris-model", "0.1.0", "wrong labels")
    assert 'data-yanked="wrong labels"' in (folder / "simple/iris-model/index.html").read_text()


# update


def test_a_folder_that_was_served_by_hand_becomes_an_index(index: Index, folder: Path) -> None:
    model_wheel(folder / "iris-model", version="0.1")
    model_wheel(folder, version="0.2")
    (folder / "notes.tar.gz").write_bytes(b"no sdist")

    lines, faults = index.update()
    assert lines == [
        "iris-model/iris_model-0.1-py3-none-any.whl: added",
        "iris_model-0.2-py3-none-any.whl: added",
    ]
    assert faults == []
    html = (folder / "simple/iris-model/index.html").read_text()
    assert 'href="../../iris-model/iris_model-0.1-py3-none-any.whl#sha256=' in html
    assert 'href="../../iris_model-0.2-py3-none-any.whl#sha256=' in html
    # For --find-links, and for `FOLDER/` as an index.
    digest = hashlib.sha256((folder / "iris_model-0.2-py3-none-any.whl").read_bytes()).hexdigest()
    front = (folder / "index.html").read_text()
    assert f'href="iris_model-0.2-py3-none-any.whl#sha256={digest}"' in front
    assert "iris_model-0.1" not in front
    assert not (folder / "iris-model/index.html").exists()
    assert (folder / "iris-model/iris_model-0.1-py3-none-any.whl.metadata").is_file()


def test_an_index_is_updated_to_the_same_bytes(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version=f"0.{minor}") for minor in range(3)])
    before = {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}

    assert index.update() == ([], [])
    assert before == {each: each.stat().st_mtime_ns for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize(
    "lost", ["models/iris-model/0.1.0", "models/iris-model/index.html", "simple", "index.html"]
)
def test_an_update_writes_pages_that_were_lost(
    lost: str, index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    before = tree(folder)
    path = folder / lost
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()

    index.update()
    assert tree(folder) == before


def test_archives_that_are_gone_are_left_out(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("0.1", "0.2")])
    gone = "files/iris-model/iris_model-0.1-py3-none-any.whl"
    (folder / gone).unlink()

    assert index.update() == ([f"{gone}: gone"], [])
    assert _versions(folder) == ["0.2"]
    assert not list(folder.rglob("*0.1*"))


def test_the_facts_follow_the_wheel_that_is_left(index: Index, folder: Path) -> None:
    model_wheel(folder / "a")
    make_sdist(folder, "iris_model", "0.1.0")
    index.update()
    assert _metrics(folder) == {"accuracy": 0.9}
    (folder / "a/iris_model-0.1.0-py3-none-any.whl").unlink()

    index.update()
    assert _metrics(folder) is None
    assert _only_release(folder)["archives"][0]["uploaded"] == "2026-01-01T00:00:01Z"


def test_an_archive_that_changed_is_read_again_and_told(index: Index, folder: Path) -> None:
    wheel = model_wheel(folder)
    index.update()
    model_wheel(folder, metrics={"accuracy": 0.95}, weights="0.123456\n")

    lines, faults = index.update()
    assert lines == [f"{wheel.name}: changed, so locks that have its digest refuse it"]
    assert faults == []
    assert _metrics(folder) == {"accuracy": 0.95}


def test_rereading_finds_a_change_that_keeps_the_size(index: Index, folder: Path) -> None:
    wheel = model_wheel(folder, weights="0.5\n")
    index.update()
    model_wheel(folder, weights="0.6\n")

    assert index.update() == ([], [])
    assert index.update(reread=True)[0] == [
        f"{wheel.name}: changed, so locks that have its digest refuse it"
    ]


def test_what_cannot_be_read_is_left_out_and_told(index: Index, folder: Path) -> None:
    model_wheel(folder)
    bad = folder / "other-1-py3-none-any.whl"
    bad.write_bytes(b"")

    lines, faults = index.update()
    assert lines == ["iris_model-0.1.0-py3-none-any.whl: added"]
    assert faults == [f"left out: `{bad}` cannot be read: File is not a zip file"]
    assert "other" not in (folder / "simple/index.html").read_text()


def test_a_wheel_whose_record_is_of_another_release_is_shown_without_it(
    index: Index, folder: Path
) -> None:
    model_wheel(folder, changes={"schema_version": 2})

    assert index.update()[1] == []
    assert _metrics(folder) is None


@pytest.mark.parametrize(
    "path", ["index.html", "feed.xml", "simple/index.html", "simple/iris-model/index.html"]
)
def test_a_page_that_somebody_else_wrote_is_not_overwritten(
    path: str, index: Index, folder: Path, tmp_path: Path
) -> None:
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text("<h1>mine</h1>")

    with pytest.raises(HatchModelError) as error:
        index.add([model_wheel(tmp_path)])
    assert str(error.value) == (
        f"`{file}` is there already, and hatch-model did not write it. Move it away."
    )
    assert file.read_text() == "<h1>mine</h1>"


@pytest.mark.parametrize("page", ["index.html", "simple/index.html"])
def test_nothing_is_added_where_somebody_elses_page_is(
    page: str, index: Index, folder: Path, tmp_path: Path
) -> None:
    file = folder / page
    file.parent.mkdir(parents=True)
    file.write_text("a page of mine")

    with pytest.raises(HatchModelError, match="is there already, and hatch-model did not write it"):
        index.add([model_wheel(tmp_path)])
    assert _files(folder) == {page}


def test_a_link_at_the_place_of_a_partial_file_is_not_followed(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    files = folder / "files/iris-model"
    files.mkdir(parents=True)
    for place in (folder / ".index.html.partial", files / f".{_WHEEL}.metadata.partial"):
        place.symlink_to(other)

    index.add([model_wheel(tmp_path)])
    assert other.read_text() == "mine"
    assert not list(folder.rglob("*.partial"))


@pytest.mark.skipif(sys.platform == "win32", reason="files have no modes")
def test_all_who_may_change_the_folder_may_lock_it(index: Index, folder: Path) -> None:
    folder.mkdir()
    before = os.umask(0o002)
    try:
        index.update()
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / ".hatch-model.lock").stat().st_mode) == 0o664


def test_what_is_missing_of_a_version_whose_wheel_is_elsewhere_is_named(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    shutil.rmtree(folder / "files")
    lost = folder / "models/iris-model/0.1.0/report.json"
    lost.unlink()

    with pytest.raises(HatchModelError) as error:
        index.yank("iris-model", "0.1.0", "")
    assert str(error.value) == (
        f"`{lost}` is missing or was written by another release of hatch-model. To write it again, "
        f"`files/iris-model/{_WHEEL}` has to be in the folder."
    )


def test_a_folder_that_is_not_there_has_nothing_to_update(tmp_path: Path) -> None:
    with pytest.raises(HatchModelError, match="is not a folder"):
        Index(tmp_path / "none").update()


def test_a_version_whose_wheel_was_damaged_keeps_its_digest_and_remains_yanked(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    index.yank("iris-model", "0.1.0", "wrong labels")
    before = tree(folder)
    (wheel,) = folder.rglob("*.whl")
    content = wheel.read_bytes()
    wheel.write_bytes(content[:100])

    lines, faults = index.update()
    assert (lines, faults) == (
        [],
        [f"damaged since it was added: `{wheel}` cannot be read: File is not a zip file"],
    )
    wheel.write_bytes(content)
    assert index.update() == ([], [])
    assert tree(folder) == before


def test_of_two_files_of_one_name_the_index_keeps_the_one_that_it_has_and_removes_both(
    index: Index, folder: Path
) -> None:
    wheel = model_wheel(folder)
    index.add([wheel])
    before = tree(folder)

    assert index.update() == (
        [f"{wheel.name}: ignored, because files/iris-model/{wheel.name} has that name"],
        [],
    )
    assert tree(folder) == before
    assert index.remove("iris-model", "0.1.0") == [
        f"files/iris-model/{wheel.name}: removed",
        f"{wheel.name}: removed",
    ]
    assert not list(folder.rglob("*.whl*"))


def test_files_behind_a_link_are_part_of_the_index(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    for each in (storage, folder):
        each.mkdir()
    (folder / "files").symlink_to(storage)
    index.add([model_wheel(tmp_path)])
    before = tree(folder)
    (storage / "around").symlink_to(folder)

    assert index.update() == ([], [])
    (storage / "around").unlink()
    assert tree(folder) == before
    assert [each.name for each in storage.iterdir()] == ["iris-model"]
    index.remove("iris-model", "0.1.0")
    assert list(storage.iterdir()) == []


def test_a_file_is_copied_to_the_file_system_of_the_files_before_it_gets_its_name(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        moved.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    wheel = model_wheel(tmp_path)
    index.add([wheel])

    (copy,) = [each for each in moved if each.name == wheel.name]
    assert copy.is_relative_to(folder / "files")


def test_versions_that_are_equal_are_one(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path, version="1.0"), model_wheel(tmp_path, version="1.0.0")])

    assert [archive["path"] for archive in _only_release(folder)["archives"]] == [
        "files/iris-model/iris_model-1.0-py3-none-any.whl",
        "files/iris-model/iris_model-1.0.0-py3-none-any.whl",
    ]
    assert not (folder / "models/iris-model/1.0.0").exists()
    index.remove("iris-model", "1")
    assert not list(folder.rglob("*1.0*"))


# promote


@pytest.fixture
def production(tmp_path: Path) -> Path:
    return tmp_path / "production"


def _promote(index: Index, production: Path, version: str) -> list[str]:
    return index.promote(
        Index(production, now=lambda: "2026-02-02T00:00:00Z"), "iris-model", version
    )


def test_a_version_is_copied_to_another_index_as_it_is(
    index: Index, folder: Path, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path), make_sdist(tmp_path, "iris_model", "0.1.0")])
    before = tree(folder)

    assert _promote(index, production, "0.1.0") == [
        "files/iris-model/iris_model-0.1.0-py3-none-any.whl: added",
        "files/iris-model/iris_model-0.1.0.tar.gz: added",
    ]
    assert tree(folder / "files") == tree(production / "files")
    assert tree(folder) == before
    assert _only_release(production)["archives"][0]["uploaded"] == "2026-02-02T00:00:00Z"
    assert _promote(index, production, "0.1.0")[0].endswith(": there already")


def test_a_version_has_to_pass_the_gates_of_the_index_it_is_promoted_to(
    index: Index, production: Path, tmp_path: Path
) -> None:
    for version, accuracy in (("0.1", 0.9), ("0.2", 0.89), ("0.3", 0.93)):
        index.add([model_wheel(tmp_path, version=version, metrics={"accuracy": accuracy})])
    production.mkdir()
    (production / "gates.toml").write_text('[Iris_Model]\naccuracy = ">= latest, < 1"\n')

    assert _promote(index, production, "0.1")[0] == "accuracy 0.9: >= latest, < 1"
    before = tree(production)
    with pytest.raises(HatchModelError) as error:
        _promote(index, production, "0.2")
    assert str(error.value) == (
        "iris-model 0.2 misses the gates of the index, so it was not promoted:\n"
        "  accuracy 0.89: >= latest, < 1 (0.9 in 0.1)"
    )
    assert tree(production) == before
    assert _promote(index, production, "0.3") == [
        "accuracy 0.93: >= latest, < 1 (0.9 in 0.1)",
        "files/iris-model/iris_model-0.3-py3-none-any.whl: added",
    ]


def test_a_file_that_changed_since_it_was_added_is_not_promoted(
    index: Index, folder: Path, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    model_wheel(folder / "files/iris-model", weights="0.6\n")

    with pytest.raises(HatchModelError, match="has changed since it was added there"):
        _promote(index, production, "0.1.0")
    assert _files(production) == set()


def test_the_gates_hold_for_what_the_wheel_says_and_not_its_index(
    index: Index, folder: Path, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, metrics={"accuracy": 0.85})])
    file = folder / "models/iris-model/history.json"
    file.write_text(file.read_text().replace("0.85", "0.99"))
    production.mkdir()
    (production / "gates.toml").write_text('[iris-model]\naccuracy = ">= 0.9"\n')

    with pytest.raises(HatchModelError, match=r"\n  accuracy 0\.85: >= 0\.9"):
        _promote(index, production, "0.1.0")
    assert _files(production) == {"gates.toml"}


def test_every_wheel_of_a_version_has_to_pass_the_gates(
    index: Index, production: Path, tmp_path: Path
) -> None:
    wheels = []
    for tag, accuracy in (("py3", 0.85), ("py2.py3", 0.95)):
        wheel = model_wheel(tmp_path / tag, metrics={"accuracy": accuracy})
        text = f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}-none-any\n"
        rewrite(wheel, {"iris_model-0.1.0.dist-info/WHEEL": text.encode()}, record=True)
        wheels.append(wheel.rename(wheel.with_name(f"iris_model-0.1.0-{tag}-none-any.whl")))
    index.add(wheels)
    production.mkdir()
    (production / "gates.toml").write_text('[iris-model]\naccuracy = ">= 0.9"\n')

    with pytest.raises(HatchModelError, match=r"\n  accuracy 0\.85: >= 0\.9"):
        _promote(index, production, "0.1.0")


def test_a_history_cannot_have_another_project_promoted(
    index: Index, folder: Path, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path), model_wheel(tmp_path, "other")])
    ours, others = (folder / "models" / name / "history.json" for name in ("iris-model", "other"))
    forged = json.loads(ours.read_text())
    forged["releases"][0]["archives"] = json.loads(others.read_text())["releases"][0]["archives"]
    ours.write_text(json.dumps(forged))

    with pytest.raises(HatchModelError, match=r"is not iris-model 0\.1\.0, as the history in"):
        _promote(index, production, "0.1.0")
    assert _files(production) == set()


def test_a_yanked_version_is_not_promoted(
    index: Index, folder: Path, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    index.yank("iris-model", "0.1.0", "wrong labels")

    with pytest.raises(HatchModelError) as error:
        _promote(index, production, "0.1.0")
    assert str(error.value) == f"iris-model 0.1.0 is yanked in `{folder}`: wrong labels"
    assert not production.exists()


def test_a_version_that_is_yanked_in_the_target_remains_yanked(
    index: Index, production: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    _promote(index, production, "0.1.0")
    Index(production).yank("iris-model", "0.1.0", "wrong labels")

    assert _promote(index, production, "0.1.0") == [
        f"files/iris-model/{_WHEEL}: there already, and yanked"
    ]
    assert _only_release(production)["yanked"] == "wrong labels"


def test_an_index_is_not_promoted_to_itself(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path)])

    with pytest.raises(HatchModelError, match="from one index to another"):
        index.promote(Index(folder / "."), "iris-model", "0.1.0")


# Histories


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"schema_version": 1, "name": "other", "releases": []}',
        b'{"schema_version": 1, "name": "iris-model", "releases": [{"version": "../x"}]}',
        b'{"schema_version": 2, "name": "iris-model", "releases": []}',
    ],
)
def test_a_history_that_cannot_be_read_stops_every_change(
    content: bytes, index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path)])
    file = folder / "models/iris-model/history.json"
    file.write_bytes(content)
    before = tree(folder)

    with pytest.raises(HatchModelError) as error:
        index.add([model_wheel(tmp_path, version="0.2")])
    assert str(error.value).startswith(f"`{file}` cannot be read: ")
    assert "run `hatch-model index update`" in str(error.value)
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda release: release.update(model={}), "KeyError: 'arguments'"),
        (lambda release: release.update(summary=None), "TypeError: summary is None"),
        (lambda release: release.update(yanked=True), "TypeError: yanked is True"),
        (lambda release: release["archives"][0].update(size="1"), "TypeError: size is '1'"),
        (lambda release: release["model"].update(metrics=[1]), "TypeError: metrics is [1]"),
        (lambda release: release["model"].update(metrics={"a": "b"}), "TypeError: a is 'b'"),
    ],
)
def test_a_history_that_was_edited_by_hand_is_refused_with_a_reason(
    change: Callable[[dict[str, Any]], None],
    reason: str,
    index: Index,
    folder: Path,
    tmp_path: Path,
) -> None:
    index.add([model_wheel(tmp_path)])
    file = folder / "models/iris-model/history.json"
    content = json.loads(file.read_text())
    change(content["releases"][0])
    file.write_text(json.dumps(content))

    with pytest.raises(HatchModelError) as error:
        index.update()
    assert f"`{file}` cannot be read: {reason}. Restore it, or " in str(error.value)


def test_a_history_has_each_version_once_and_in_order(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    index.add([model_wheel(tmp_path, version=version) for version in ("1", "2")])
    file = folder / "models/iris-model/history.json"
    content = json.loads(file.read_text())
    content["releases"].reverse()
    file.write_text(json.dumps(content))

    with pytest.raises(HatchModelError, match="the versions are not in order"):
        index.update()


def test_a_history_cannot_lead_out_of_the_index(index: Index, folder: Path, tmp_path: Path) -> None:
    index.add([model_wheel(tmp_path)])
    file = folder / "models/iris-model/history.json"
    file.write_text(file.read_text().replace("files/iris-model/", "../"))

    with pytest.raises(HatchModelError, match=r"cannot be read: ValueError: \.\./iris_model"):
        index.remove("iris-model", "0.1.0")
    assert (tmp_path / "iris_model-0.1.0-py3-none-any.whl").is_file()


def test_the_reason_of_a_yank_is_one_line(index: Index, folder: Path) -> None:
    model_wheel(folder)
    index.update()

    index.yank("iris-model", "0.1.0", "wrong rows,\nsee\tthe ticket ")

    assert _only_release(folder)["yanked"] == "wrong rows, see the ticket"
