"""What training wrote is what ships, and where it failed everything is as it was before."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from support import tree

from hatch_model._artifacts import Artifact, publish, restore, snapshot, written
from hatch_model.errors import EscapingLinkError, UnshippableError

if TYPE_CHECKING:
    from collections.abc import Callable

_posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are not for everyone")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifacts folder with something in it already."""
    folder = tmp_path / "data"
    _write(folder / "old.txt", "old")
    _write(folder / "deep" / "old.txt", "deep and old")
    return folder


def _write(path: Path, text: str = "new") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _paths(artifacts: list[Artifact]) -> list[str]:
    return [str(artifact.path) for artifact in artifacts]


# What was written -----------------------------------------------------------------------------------


def test_all_that_a_fresh_folder_holds_was_written(folder: Path) -> None:
    artifacts = written(folder)

    assert _paths(artifacts) == ["deep/old.txt", "old.txt"]
    assert [artifact.source for artifact in artifacts] == [
        folder / "deep" / "old.txt",
        folder / "old.txt",
    ]
    assert [artifact.size for artifact in artifacts] == [12, 3]


def test_nothing_was_written_to_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert written(tmp_path / "data", snapshot(tmp_path / "data")) == []


@pytest.mark.parametrize("path", ["new.txt", "deep/new.txt", "deeper/and/deeper/new.txt"])
def test_a_new_file_was_written(folder: Path, path: str) -> None:
    before = snapshot(folder)

    _write(folder / path)

    assert _paths(written(folder, before)) == [path]


def _same_content(path: Path) -> None:
    path.write_text(path.read_text("utf-8"), "utf-8")


def _same_content_and_time(path: Path) -> None:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    _same_content(path)
    os.utime(path, ns=times)


def _moved_into_place(path: Path) -> None:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    partial = path.with_suffix(".partial")
    shutil.copy2(path, partial)
    partial.replace(path)
    os.utime(path, ns=times)


def _deleted_and_written_again(path: Path) -> None:
    text = path.read_text("utf-8")
    path.unlink()
    path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda path: path.write_text("other", "utf-8"),
        _same_content,
        pytest.param(_same_content_and_time, marks=_posix),
        _moved_into_place,
        _deleted_and_written_again,
    ],
)
def test_a_file_that_is_written_again_was_written_whatever_it_holds(
    folder: Path, rewrite: Callable[[Path], object]
) -> None:
    before = snapshot(folder)

    rewrite(folder / "old.txt")

    assert _paths(written(folder, before)) == ["old.txt"]


def test_what_is_only_read_was_not_written(folder: Path) -> None:
    before = snapshot(folder)

    (folder / "old.txt").read_text("utf-8")

    assert written(folder, before) == []


def test_what_was_deleted_was_not_written(folder: Path) -> None:
    before = snapshot(folder)

    shutil.rmtree(folder / "deep")

    assert written(folder, before) == []


def test_artifacts_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["b.txt", "a/z.txt", "a.txt", "a-b/c.txt", "B.txt"]
    for name in names:
        _write(tmp_path / name)

    assert _paths(written(tmp_path)) == ["B.txt", "a/z.txt", "a-b/c.txt", "a.txt", "b.txt"]


# Symbolic links -------------------------------------------------------------------------------------


@_posix
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_to_a_file_in_the_folder_ships_as_a_file(folder: Path, *, absolute: bool) -> None:
    before = snapshot(folder)

    (folder / "latest.txt").symlink_to(folder / "old.txt" if absolute else "old.txt")

    assert _paths(written(folder, before)) == ["latest.txt"]


@_posix
def test_a_link_to_a_folder_in_the_folder_ships_as_that_folder(folder: Path) -> None:
    before = snapshot(folder)

    (folder / "latest").symlink_to("deep")

    assert _paths(written(folder, before)) == ["latest/old.txt"]


@_posix
def test_what_is_written_through_a_link_was_written_under_both_names(folder: Path) -> None:
    (folder / "latest").symlink_to("deep")
    (folder / "latest.txt").symlink_to("old.txt")
    before = snapshot(folder)

    _write(folder / "latest" / "old.txt")
    _write(folder / "latest.txt")

    assert _paths(written(folder, before)) == [
        "deep/old.txt",
        "latest/old.txt",
        "latest.txt",
        "old.txt",
    ]


@_posix
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "../outside.txt"),
        ("link", ".."),
        ("deep/link", "../../outside.txt"),
    ],
)
def test_a_link_that_leads_out_is_refused(folder: Path, path: str, target: str) -> None:
    _write(folder.parent / "outside.txt")
    before = snapshot(folder)

    (folder / path).symlink_to(target)

    with pytest.raises(EscapingLinkError) as raised:
        written(folder, before)
    assert (raised.value.path, raised.value.target) == (path, target)


@_posix
def test_a_link_to_a_sibling_with_a_like_name_leads_out(folder: Path) -> None:
    _write(folder.parent / "data-of-another" / "file.txt")
    (folder / "link").symlink_to("../data-of-another/file.txt")

    with pytest.raises(EscapingLinkError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote the symbolic link `link`, which leads to `../data-of-another/file.txt` "
        "outside of the artifacts. Write a copy of the file instead."
    )


@_posix
@pytest.mark.parametrize("target", ["nothing", "link", "../deep/link", "old.txt/file"])
def test_a_link_that_leads_nowhere_is_refused(folder: Path, target: str) -> None:
    (folder / "deep" / "link").symlink_to(target)

    with pytest.raises(UnshippableError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `deep/link`, which is a symbolic link that leads nowhere and cannot be "
        "put into a wheel."
    )


@_posix
@pytest.mark.parametrize("path", ["link", "deep/link"])
def test_a_link_to_a_folder_around_itself_is_refused(folder: Path, path: str) -> None:
    (folder / path).symlink_to(folder)

    with pytest.raises(UnshippableError) as raised:
        written(folder)
    assert (raised.value.path, raised.value.kind) == (
        path,
        "a symbolic link to a folder around itself",
    )


@_posix
def test_links_that_lead_to_each_others_folders_are_refused(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "there").symlink_to("../deep")
    (folder / "deep" / "here").symlink_to("../other")

    with pytest.raises(UnshippableError) as raised:
        written(folder)
    assert raised.value.path == "deep/here/there"


@_posix
def test_the_folder_may_itself_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    before = snapshot(link)

    _write(link / "new.txt")
    (link / "latest.txt").symlink_to("new.txt")

    assert _paths(written(link, before)) == ["latest.txt", "new.txt"]


@_posix
def test_what_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "deep" / "pipe")

    with pytest.raises(UnshippableError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `deep/pipe`, which is neither a file nor a folder and cannot be put into "
        "a wheel."
    )


def _make_stale(folder: Path) -> None:
    """Fill *folder* with what could not be shipped."""
    _write(folder.parent / "outside" / "file.txt", "old")
    (folder / "out.txt").symlink_to("../outside/file.txt")
    (folder / "out").symlink_to("../outside")
    (folder / "nowhere").symlink_to("nothing")
    (folder / "deep" / "loop").symlink_to("..")
    (folder / "latest").symlink_to("runs/1")
    _write(folder / "runs" / "1" / "file.txt", "old")
    (folder / "runs" / "1" / "all").symlink_to("..")
    os.mkfifo(folder / "pipe")


@_posix
def test_what_was_there_before_breaks_nothing(folder: Path) -> None:
    _make_stale(folder)
    before = snapshot(folder)

    _write(folder / "new.txt")

    assert _paths(written(folder, before)) == ["new.txt"]


@_posix
def test_what_was_there_before_and_was_made_anew_is_refused(folder: Path) -> None:
    _make_stale(folder)
    before = snapshot(folder)

    (folder / "out.txt").unlink()
    (folder / "out.txt").symlink_to("../outside/file.txt")

    with pytest.raises(EscapingLinkError):
        written(folder, before)


@_posix
def test_what_training_wrote_through_a_stale_link_that_leads_out_is_not_shipped(
    folder: Path,
) -> None:
    _make_stale(folder)
    before = snapshot(folder)

    _write(folder / "out" / "new.txt")

    assert written(folder, before) == []


# Putting back ---------------------------------------------------------------------------------------


def _assert_restored(folder: Path, change: Callable[[Path], object]) -> None:
    before, expected = snapshot(folder), tree(folder.parent)
    with TemporaryDirectory() as workspace:
        backup = Path(workspace, "backup")
        if folder.is_dir():
            shutil.copytree(folder, backup, symlinks=True, ignore=lambda *_: ["pipe"])
        else:
            backup.mkdir()
        change(folder)

        restore(folder, before, backup)

    assert tree(folder.parent) == expected
    now = snapshot(folder)
    assert (now.files.keys(), now.folders) == (before.files.keys(), before.folders)


def _replace_a_file_by_a_folder(folder: Path) -> None:
    (folder / "old.txt").unlink()
    _write(folder / "old.txt" / "new.txt")


def _replace_a_folder_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder / "deep")
    _write(folder / "deep")


def _replace_a_file_by_a_link(folder: Path) -> None:
    (folder / "old.txt").unlink()
    (folder / "old.txt").symlink_to("deep/old.txt")


def _replace_a_folder_by_a_link(folder: Path) -> None:
    shutil.move(folder / "deep", folder / "deeper")
    (folder / "deep").symlink_to("deeper")


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda folder: _write(folder / "new.txt"),
        lambda folder: _write(folder / "deep" / "deeper" / "deepest" / "new.txt"),
        lambda folder: (folder / "empty" / "emptier").mkdir(parents=True),
        lambda folder: _write(folder / "old.txt"),
        lambda folder: (folder / "old.txt").unlink(),
        lambda folder: shutil.rmtree(folder / "deep"),
        shutil.rmtree,
        _replace_a_file_by_a_folder,
        _replace_a_folder_by_a_file,
        pytest.param(_replace_a_file_by_a_link, marks=_posix),
        pytest.param(_replace_a_folder_by_a_link, marks=_posix),
    ],
)
def test_restoring_undoes_whatever_was_done(folder: Path, change: Callable[[Path], object]) -> None:
    _assert_restored(folder, change)


@_posix
def test_restoring_puts_back_links_as_links(folder: Path) -> None:
    _make_stale(folder)

    def change(folder: Path) -> None:
        (folder / "out.txt").unlink()
        _write(folder / "out.txt")
        (folder / "out").unlink()
        _write(folder / "out" / "new.txt")
        (folder / "nowhere").unlink()

    _assert_restored(folder, change)

    assert (folder / "out.txt").readlink() == Path("../outside/file.txt")
    assert (folder / "out").readlink() == Path("../outside")
    assert (folder / "nowhere").readlink() == Path("nothing")


@pytest.mark.parametrize("path", ["data", "model/deep/data"])
def test_restoring_removes_a_folder_that_did_not_exist_and_those_around_it(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "project").mkdir()
    _assert_restored(tmp_path / "project" / path, lambda folder: _write(folder / "new.txt"))

    assert tree(tmp_path) == {"project": ""}


def test_restoring_keeps_a_folder_around_it_that_something_else_came_to(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "data"
    before = snapshot(folder)
    _write(folder / "new.txt")
    _write(tmp_path / "model" / "notes.txt")
    (tmp_path / "backup").mkdir()

    restore(folder, before, tmp_path / "backup")

    assert list(tree(tmp_path)) == ["backup", "model", "model/notes.txt"]


def test_nothing_is_restored_where_training_was_not_about_to_write(folder: Path) -> None:
    before = snapshot(folder)
    _write(folder / "mine.txt")

    restore(folder, before, folder.parent / "no backup")

    assert (folder / "mine.txt").exists()


def test_restored_files_keep_their_modes_and_times(folder: Path) -> None:
    path = folder / "old.txt"
    path.chmod(0o755)
    os.utime(path, (1_000_000_000, 1_000_000_000))

    _assert_restored(folder, lambda folder: (folder / "old.txt").unlink())

    assert path.stat().st_mtime == 1_000_000_000
    assert sys.platform == "win32" or path.stat().st_mode & 0o777 == 0o755


# Publishing -----------------------------------------------------------------------------------------


def test_publishing_puts_artifacts_into_a_folder_and_over_others(
    folder: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    _write(fresh / "old.txt", "newer")
    _write(fresh / "sub" / "new.txt", "new")

    publish(written(fresh), folder)

    assert list(tree(folder)) == ["deep", "deep/old.txt", "old.txt", "sub", "sub/new.txt"]
    assert (folder / "old.txt").read_text("utf-8") == "newer"


@_posix
@pytest.mark.parametrize("absolute", [False, True])
def test_publishing_makes_files_of_links(folder: Path, tmp_path: Path, *, absolute: bool) -> None:
    fresh = tmp_path / "fresh"
    _write(fresh / "run-1" / "weights.txt")
    (fresh / "latest").symlink_to(fresh / "run-1" if absolute else "run-1")
    (fresh / "best.txt").symlink_to(fresh / "run-1" / "weights.txt")

    publish(written(fresh), folder)
    shutil.rmtree(fresh)

    for path in ("run-1/weights.txt", "latest/weights.txt", "best.txt"):
        assert (folder / path).read_text("utf-8") == "new"
        assert not (folder / path).is_symlink()


@_posix
def test_publishing_does_not_write_through_a_link_that_was_there(folder: Path) -> None:
    _make_stale(folder)
    fresh = folder.parent / "fresh"
    _write(fresh / "out.txt")

    publish(written(fresh), folder)

    assert (folder / "out.txt").read_text("utf-8") == "new"
    assert (folder.parent / "outside" / "file.txt").read_text("utf-8") == "old"


def test_a_path_is_relative_and_written_with_slashes(folder: Path) -> None:
    assert [artifact.path for artifact in written(folder)] == [
        PurePosixPath("deep/old.txt"),
        PurePosixPath("old.txt"),
    ]
