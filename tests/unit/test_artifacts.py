"""What training wrote is what ships, and the source tree is as it was before, whatever happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from support import LFS_POINTER, tree

from hatch_model import artifacts as artifacts_module
from hatch_model.artifacts import Artifact, Loan, _stamps, publish, published, written
from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


# What was written


def test_a_pointer_of_git_lfs_is_no_artifact(folder: Path) -> None:
    _write(folder / "deep" / "weights.bin", LFS_POINTER)

    with pytest.raises(
        HatchModelError, match=r"^training wrote `deep/weights\.bin`, which is no more"
    ):
        written(folder)


def test_all_that_a_fresh_folder_holds_was_written(folder: Path) -> None:
    artifacts = written(folder)

    assert _paths(artifacts) == ["deep/old.txt", "old.txt"]
    assert [artifact.source for artifact in artifacts] == [
        folder / "deep" / "old.txt",
        folder / "old.txt",
    ]
    assert [artifact.size for artifact in artifacts] == [12, 3]


def test_nothing_was_written_to_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    assert written(tmp_path / "data", _stamps(tmp_path / "data")) == []


@pytest.mark.parametrize("path", ["new.txt", "deep/new.txt", "deeper/and/deeper/new.txt"])
def test_a_new_file_was_written(folder: Path, path: str) -> None:
    before = _stamps(folder)

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
    before = _stamps(folder)

    rewrite(folder / "old.txt")

    assert _paths(written(folder, before)) == ["old.txt"]


def test_what_is_only_read_was_not_written(folder: Path) -> None:
    before = _stamps(folder)

    (folder / "old.txt").read_text("utf-8")

    assert written(folder, before) == []


def test_what_was_deleted_was_not_written(folder: Path) -> None:
    before = _stamps(folder)

    shutil.rmtree(folder / "deep")

    assert written(folder, before) == []


def test_artifacts_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["c.txt", "a/z.txt", "a.txt", "a-b/c.txt", "B.txt"]
    for name in names:
        _write(tmp_path / name)

    assert _paths(written(tmp_path)) == ["B.txt", "a/z.txt", "a-b/c.txt", "a.txt", "c.txt"]


# Symbolic links


@_posix
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_to_a_file_in_the_folder_ships_as_a_file(folder: Path, *, absolute: bool) -> None:
    before = _stamps(folder)

    (folder / "latest.txt").symlink_to(folder / "old.txt" if absolute else "old.txt")

    assert _paths(written(folder, before)) == ["latest.txt"]


@_posix
def test_a_link_to_a_folder_in_the_folder_ships_as_that_folder(folder: Path) -> None:
    before = _stamps(folder)

    (folder / "latest").symlink_to("deep")

    assert _paths(written(folder, before)) == ["latest/old.txt"]


@_posix
def test_what_is_written_through_a_link_was_written_under_both_names(folder: Path) -> None:
    (folder / "latest").symlink_to("deep")
    (folder / "latest.txt").symlink_to("old.txt")
    before = _stamps(folder)

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
    before = _stamps(folder)

    (folder / path).symlink_to(target)

    with pytest.raises(HatchModelError) as raised:
        written(folder, before)
    assert str(raised.value) == (
        f"training wrote `{path}`, which is a symbolic link to `{target}` outside of its folder and "
        f"cannot be put into a wheel. Write a regular file instead."
    )


@_posix
def test_a_link_to_a_sibling_with_a_like_name_leads_out(folder: Path) -> None:
    _write(folder.parent / "data-of-another" / "file.txt")
    (folder / "link").symlink_to("../data-of-another/file.txt")

    with pytest.raises(HatchModelError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `link`, which is a symbolic link to `../data-of-another/file.txt` outside of "
        "its folder and cannot be put into a wheel. Write a regular file instead."
    )


@_posix
@pytest.mark.parametrize("target", ["nothing", "link", "../deep/link", "old.txt/file"])
def test_a_link_that_leads_nowhere_is_refused(folder: Path, target: str) -> None:
    (folder / "deep" / "link").symlink_to(target)

    with pytest.raises(HatchModelError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `deep/link`, which is a symbolic link that leads nowhere and cannot be "
        "put into a wheel. Write a regular file instead."
    )


@_posix
@pytest.mark.parametrize("path", ["link", "deep/link"])
def test_a_link_to_a_folder_around_itself_is_refused(folder: Path, path: str) -> None:
    (folder / path).symlink_to(folder)

    with pytest.raises(HatchModelError) as raised:
        written(folder)
    assert str(raised.value) == (
        f"training wrote `{path}`, which is a symbolic link to a folder around itself and cannot be "
        f"put into a wheel. Write a regular file instead."
    )


@_posix
def test_links_that_lead_to_each_others_folders_are_refused(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "there").symlink_to("../deep")
    (folder / "deep" / "here").symlink_to("../other")

    with pytest.raises(HatchModelError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `deep/here/there`, which is a symbolic link to a folder around itself and "
        "cannot be put into a wheel. Write a regular file instead."
    )


@_posix
def test_the_folder_may_itself_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    before = _stamps(link)

    _write(link / "new.txt")
    (link / "latest.txt").symlink_to("new.txt")

    assert _paths(written(link, before)) == ["latest.txt", "new.txt"]


@_posix
def test_what_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "deep" / "pipe")

    with pytest.raises(HatchModelError) as raised:
        written(folder)
    assert str(raised.value) == (
        "training wrote `deep/pipe`, which is neither a file nor a folder and cannot be put into "
        "a wheel. Write a regular file instead."
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
    before = _stamps(folder)

    _write(folder / "new.txt")

    assert _paths(written(folder, before)) == ["new.txt"]


@_posix
def test_what_was_there_before_and_was_made_anew_is_refused(folder: Path) -> None:
    _make_stale(folder)
    before = _stamps(folder)

    (folder / "out.txt").unlink()
    (folder / "out.txt").symlink_to("../outside/file.txt")

    with pytest.raises(HatchModelError) as raised:
        written(folder, before)
    assert str(raised.value) == (
        "training wrote `out.txt`, which is a symbolic link to `../outside/file.txt` outside of its "
        "folder and cannot be put into a wheel. Write a regular file instead."
    )


@_posix
def test_what_training_wrote_through_a_stale_link_that_leads_out_is_not_shipped(
    folder: Path,
) -> None:
    _make_stale(folder)
    before = _stamps(folder)

    _write(folder / "out" / "new.txt")

    assert written(folder, before) == []


def test_a_path_is_relative_and_written_with_slashes(folder: Path) -> None:
    assert [artifact.path for artifact in written(folder)] == [
        PurePosixPath("deep/old.txt"),
        PurePosixPath("old.txt"),
    ]


# Names


_REFUSED = "training wrote files under names that not every system and installer takes. Give them other names:"


@_posix
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (b"new\nline.txt", r"`new\nline.txt`: a character that cannot be printed"),
        (b"clear\x1b[2J.txt", r"`clear\x1b[2J.txt`: a character that cannot be printed"),
        (b"return\r.txt", r"`return\r.txt`: a character that cannot be printed"),
        (
            "no-break\u00a0space.txt".encode(),
            r"`no-break\xa0space.txt`: a character that cannot be printed",
        ),
        (b"deep\n/file.txt", r"`deep\n/file.txt`: a character that cannot be printed"),
        (b"latin-\xe9.txt", r"`latin-\udce9.txt`: not in UTF-8"),
        (b"back\\slash.txt", r"`back\slash.txt`: Windows allows no \ ".rstrip()),
        (b'a:b<c>|"?*', '`a:b<c>|"?*`: Windows allows no " * : < > ? |'),
        (b"stop.", "`stop.`: Windows leaves out a dot or a space at the end"),
        (b"deep /file.txt", "`deep /file.txt`: Windows leaves out a dot or a space at the end"),
        (b"AUX.txt", "`AUX.txt`: `AUX.txt` is a device on Windows"),
        (b"nul/x", "`nul/x`: `nul` is a device on Windows"),
        (b"com1", "`com1`: `com1` is a device on Windows"),
        (b"lpt9 .tar.gz", "`lpt9 .tar.gz`: `lpt9 .tar.gz` is a device on Windows"),
    ],
)
@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_a_name_that_not_every_system_takes_is_refused(
    tmp_path: Path, name: bytes, fault: str
) -> None:
    _write(tmp_path / os.fsdecode(name))

    with pytest.raises(HatchModelError) as raised:
        written(tmp_path)
    assert str(raised.value) == f"{_REFUSED}\n  {fault}"


@pytest.mark.skipif(sys.platform != "linux", reason="they are one file on other systems")
@pytest.mark.parametrize(
    ("paths", "twins"),
    [
        (["A.txt", "a.txt"], "`a.txt`: the same as `A.txt`"),
        (["Deep/file.txt", "deep/other.txt"], "`deep`: the same as `Deep`"),
        (["Deep", "deep/file.txt"], "`deep`: the same as `Deep`"),
        (["STRASSE", "straße"], "`straße`: the same as `STRASSE`"),
        (["gru\u0308n", "gr\u00fcn"], "`gr\u00fcn`: the same as `gru\u0308n`"),
        (["GR\u00dcN", "gru\u0308n"], "`gru\u0308n`: the same as `GR\u00dcN`"),
    ],
)
def test_names_that_are_the_same_on_other_systems_are_refused(
    tmp_path: Path, paths: list[str], twins: str
) -> None:
    for path in paths:
        _write(tmp_path / path)

    with pytest.raises(HatchModelError) as raised:
        written(tmp_path)
    assert str(raised.value) == f"{_REFUSED}\n  {twins} on macOS and Windows"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_all_names_that_not_every_system_takes_are_refused_at_once(tmp_path: Path) -> None:
    for name in ("A", "a", "b\n", "nul"):
        _write(tmp_path / name)
    with pytest.raises(HatchModelError) as raised:
        written(tmp_path)
    assert str(raised.value).splitlines() == [
        _REFUSED,
        r"  `b\n`: a character that cannot be printed",
        "  `nul`: `nul` is a device on Windows",
        "  `a`: the same as `A` on macOS and Windows",
    ]

    for number in range(100):
        _write(tmp_path / f"{number}.")
    with pytest.raises(HatchModelError) as raised:
        written(tmp_path)
    assert str(raised.value).splitlines()[21:] == ["  and 83 more"]


def test_unusual_names_are_fine(tmp_path: Path) -> None:
    names = [" a b.txt", "#1.txt", "[x].txt", "auxiliary.txt", "com.txt", "grüße.txt", "模型.bin"]
    for name in names:
        _write(tmp_path / name)

    assert _paths(written(tmp_path)) == names


@_posix
def test_names_that_were_there_before_are_passed_over(folder: Path) -> None:
    _write(folder / "new\nline.txt")
    before = _stamps(folder)
    _write(folder / "new.txt")

    assert _paths(written(folder, before)) == ["new.txt"]


# On loan


def _state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Give what there is to be known of all that lies in *folder*, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        modified = None if path.is_dir() and not path.is_symlink() else status.st_mtime_ns
        found[path.relative_to(folder).as_posix()] = (
            status.st_ino,
            status.st_mode,
            modified,
            content,
        )
    return found


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


def _replace_all_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    _write(folder)


def _replace_all_by_a_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(".")


def _change_modes_and_times(folder: Path) -> None:
    (folder / "old.txt").chmod(0o600)
    os.utime(folder / "old.txt", (1, 1))


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
        _replace_all_by_a_file,
        _change_modes_and_times,
        pytest.param(_replace_a_file_by_a_link, marks=_posix),
        pytest.param(_replace_a_folder_by_a_link, marks=_posix),
        pytest.param(_replace_all_by_a_link, marks=_posix),
    ],
)
def test_a_folder_comes_back_whatever_was_done(
    folder: Path, change: Callable[[Path], object]
) -> None:
    (folder / "old.txt").chmod(0o755)
    os.utime(folder / "old.txt", (1_000_000_000, 1_000_000_000))
    before = _state(folder.parent)

    loan = Loan(folder)
    change(folder)
    loan.end()
    loan.end()

    assert _state(folder.parent) == before
    assert (folder / "old.txt").stat().st_mtime == 1_000_000_000
    assert sys.platform == "win32" or (folder / "old.txt").stat().st_mode & 0o777 == 0o755


def test_what_is_there_can_be_read_and_changed_meanwhile(folder: Path) -> None:
    (folder / "old.txt").chmod(0o755)
    os.utime(folder / "old.txt", (1_000_000_000, 1_000_000_000))

    loan = Loan(folder)

    assert list(tree(folder)) == ["deep", "deep/old.txt", "old.txt"]
    assert (folder / "old.txt").read_text("utf-8") == "old"
    assert (folder / "old.txt").stat().st_mtime == 1_000_000_000
    assert sys.platform == "win32" or (folder / "old.txt").stat().st_mode & 0o777 == 0o755
    loan.end()


def test_only_what_was_written_is_taken_out(folder: Path, tmp_path: Path) -> None:
    before = _state(folder)
    loan = Loan(folder)
    _write(folder / "new.txt")
    _write(folder / "deep" / "old.txt", "newer")
    (folder / "old.txt").read_text("utf-8")

    loan.take_out(tmp_path / "output")
    loan.end()

    assert list(tree(tmp_path / "output")) == ["deep", "deep/old.txt", "new.txt"]
    assert (tmp_path / "output" / "deep" / "old.txt").read_text("utf-8") == "newer"
    assert _state(folder) == before


@_posix
def test_what_is_taken_out_of_links_are_files(folder: Path, tmp_path: Path) -> None:
    before = _state(folder)
    loan = Loan(folder)
    _write(folder / "run-1" / "weights.txt")
    (folder / "run-1" / "weights.txt").chmod(0o755)
    (folder / "latest").symlink_to("run-1")
    (folder / "best.txt").symlink_to(folder / "run-1" / "weights.txt")
    (folder / "first.txt").symlink_to("old.txt")

    loan.take_out(tmp_path / "output")
    loan.end()

    output = tmp_path / "output"
    texts = {
        path.relative_to(output).as_posix(): (path.is_symlink(), path.read_text("utf-8"))
        for path in sorted(output.rglob("*.txt"))
    }
    assert texts == {
        "best.txt": (False, "new"),
        "first.txt": (False, "old"),
        "latest/weights.txt": (False, "new"),
        "run-1/weights.txt": (False, "new"),
    }
    assert (output / "run-1" / "weights.txt").stat().st_mode & 0o777 == 0o755
    assert _state(folder) == before


@_posix
def test_links_and_special_files_come_back_as_they_were(folder: Path, tmp_path: Path) -> None:
    _make_stale(folder)
    before = _state(tmp_path)

    loan = Loan(folder)
    assert not (folder / "pipe").exists()
    assert (folder / "out.txt").readlink() == Path("../outside/file.txt")
    (folder / "out.txt").unlink()
    _write(folder / "out.txt")
    (folder / "out").unlink()
    _write(folder / "out" / "new.txt")
    (folder / "nowhere").unlink()
    loan.take_out(tmp_path / "output")
    loan.end()

    assert list(tree(tmp_path / "output")) == ["out", "out/new.txt", "out.txt"]
    shutil.rmtree(tmp_path / "output")
    assert _state(tmp_path) == before
    assert (folder / "pipe").is_fifo()


def test_a_folder_comes_back_where_what_was_written_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    before = _state(tmp_path)
    loan = Loan(folder)
    (folder / "link").symlink_to("nothing")

    with pytest.raises(HatchModelError) as raised:
        loan.take_out(tmp_path / "output")
    loan.end()

    assert str(raised.value) == (
        "training wrote `link`, which is a symbolic link that leads nowhere and cannot be put into a "
        "wheel. Write a regular file instead."
    )
    assert _state(tmp_path) == before


@pytest.mark.parametrize("path", ["data", "model/deep/data"])
def test_a_folder_that_did_not_exist_goes_and_those_around_it(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "project" / path
    (tmp_path / "project").mkdir()

    loan = Loan(folder)
    assert not folder.exists()
    _write(folder / "deep" / "new.txt")
    loan.take_out(tmp_path / "output")
    loan.end()

    assert list(tree(tmp_path)) == ["output", "output/deep", "output/deep/new.txt", "project"]


def test_a_folder_that_did_not_exist_and_was_not_written_to_is_nothing(tmp_path: Path) -> None:
    loan = Loan(tmp_path / "model" / "data")
    loan.take_out(tmp_path / "output")
    loan.end()

    assert tree(tmp_path) == {}


def test_a_folder_around_it_that_something_else_came_to_stays(tmp_path: Path) -> None:
    loan = Loan(tmp_path / "model" / "data")
    _write(tmp_path / "model" / "data" / "new.txt")
    _write(tmp_path / "model" / "notes.txt")
    loan.end()

    assert list(tree(tmp_path)) == ["model", "model/notes.txt"]


@_posix
def test_a_folder_that_is_a_link_comes_back_as_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("data")
    before = _state(tmp_path)

    loan = Loan(tmp_path / "link")
    _write(tmp_path / "link" / "new.txt")
    _write(tmp_path / "link" / "old.txt", "newer")
    loan.take_out(tmp_path / "output")
    loan.end()

    assert list(tree(tmp_path / "output")) == ["new.txt", "old.txt"]
    shutil.rmtree(tmp_path / "output")
    assert _state(tmp_path) == before
    assert (folder / "old.txt").read_text("utf-8") == "old"


@_posix
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_in_one_that_is_a_link_comes_back(
    folder: Path, tmp_path: Path, *, exists: bool
) -> None:
    parent = tmp_path / "links" / "package"
    parent.parent.mkdir()
    parent.symlink_to(tmp_path)
    before = _state(tmp_path)
    name = folder.name if exists else "fresh"

    loan = Loan(parent / name)
    _write(parent / name / "new.txt")
    loan.take_out(tmp_path / "output")
    loan.end()

    assert list(tree(tmp_path / "output")) == ["new.txt"]
    shutil.rmtree(tmp_path / "output")
    assert _state(tmp_path) == before


@_posix
def test_a_folder_that_is_on_loan_is_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Loan(folder)
    _write(folder / "new.txt")
    seen: list[list[str]] = []

    def borrow() -> None:
        second = Loan(folder)
        seen.append(list(tree(folder)))
        second.end()

    waiting = threading.Thread(target=borrow)
    waiting.start()
    waiting.join(0.3)
    assert seen == []
    first.end()
    waiting.join(20)

    assert seen == [["deep", "deep/old.txt", "old.txt"]]
    assert capsys.readouterr().out == (
        "another build is training in this source tree: waiting for it\n"
    )
    assert list(tree(folder.parent)) == ["data", "data/deep", "data/deep/old.txt", "data/old.txt"]


@_posix
def test_a_folder_that_a_killed_process_had_on_loan_comes_back_with_the_next_loan(
    folder: Path, tmp_path: Path
) -> None:
    before = _state(tmp_path)
    code = (
        "import os, signal, sys; from pathlib import Path; from hatch_model.artifacts import Loan\n"
        "folder = Path(sys.argv[1]); loan = Loan(folder); (folder / 'old.txt').write_text('new')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    completed = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert completed.returncode == -9
    assert (folder / "old.txt").read_text("utf-8") == "new"

    Loan(folder).end()

    assert _state(tmp_path) == before


_REFUSAL = (
    "training writes to {folder}, which cannot be set aside and put back afterwards: Permission "
    "denied. Have the training function take `output_dir` and write there."
)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_in_one_that_is_read_only_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o500)
    try:
        with pytest.raises(HatchModelError) as raised:
            Loan(folder)
    finally:
        folder.parent.chmod(0o700)
    assert str(raised.value) == _REFUSAL.format(folder=folder)


@pytest.mark.parametrize("exists", [True, False])
def test_where_nothing_can_be_set_aside_only_what_can_be_written_to_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(artifacts_module, "Workspace", refuse)
    before = _state(folder.parent)

    if exists:
        with pytest.raises(HatchModelError) as raised:
            Loan(folder)
        assert str(raised.value) == _REFUSAL.format(folder=folder)
    else:
        Loan(folder / "nothing").end()
    assert _state(folder.parent) == before


def test_a_folder_that_cannot_be_copied_comes_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _state(folder.parent)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(artifacts_module, "_copy", refuse)

    with pytest.raises(HatchModelError) as raised:
        Loan(folder)
    assert str(raised.value) == _REFUSAL.format(folder=folder)
    assert _state(folder.parent) == before


# Publishing


def _fresh(folder: Path, names: Iterable[str]) -> list[Artifact]:
    """Make artifacts called *names* in a new *folder*."""
    for name in names:
        _write(folder / name)
    return written(folder)


_MARK = "# Written by hatch-model: the model that it trained here, which is no source."


def test_publishing_puts_artifacts_into_a_folder_and_over_others(
    folder: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    _write(fresh / "old.txt", "newer")
    _write(fresh / "sub" / "new.txt", "new")

    assert publish(written(fresh), folder) == ""

    assert list(tree(folder)) == [
        ".gitignore",
        "deep",
        "deep/old.txt",
        "old.txt",
        "sub",
        "sub/new.txt",
    ]
    assert (folder / "old.txt").read_text("utf-8") == "newer"
    assert (folder / "deep" / "old.txt").read_text("utf-8") == "deep and old"


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


def test_the_ignore_file_lists_exactly_the_files_and_itself(folder: Path, tmp_path: Path) -> None:
    publish(_fresh(tmp_path / "fresh", ["sub/new.txt", "weights.bin"]), folder)

    assert (folder / ".gitignore").read_text("utf-8") == (
        f"{_MARK}\n/.gitignore\n/sub/new.txt\n/weights.bin\n"
    )
    assert list(map(str, published(folder))) == [".gitignore", "sub/new.txt", "weights.bin"]


def test_nothing_was_published_to_a_folder_without_the_ignore_file(
    folder: Path, tmp_path: Path
) -> None:
    assert published(folder) == []
    assert published(tmp_path / "nothing") == []


_NAMES = [
    " first.txt",
    "!important.txt",
    "#1.txt",
    "[ab].txt",
    "a b.txt",
    "grüße.txt",
    "sub/#2 [x].txt",
]


@_posix
def test_git_ignores_what_was_published_and_nothing_else(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    folder = repository / "src" / "small" / "data"
    kept = ["a.txt", "ab.txt", "sub/a.txt", "sub/weights.bin"]
    for name in kept:
        _write(folder / name)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def status() -> list[str]:
        command = ["git", "status", "--porcelain", "-z", "--untracked-files=all"]
        completed = subprocess.run(
            command, cwd=repository, env=environment, check=True, capture_output=True, text=True
        )
        return completed.stdout.split("\0")[:-1]

    subprocess.run(["git", "init", "--quiet"], cwd=repository, env=environment, check=True)
    before = status()
    assert before == [f"?? src/small/data/{name}" for name in kept]

    assert publish(_fresh(tmp_path / "fresh", _NAMES), folder) == ""

    assert status() == before
    assert list(map(str, published(folder))) == [".gitignore", *_NAMES]


@_posix
def test_publishing_again_removes_what_the_first_time_left(folder: Path, tmp_path: Path) -> None:
    publish(_fresh(tmp_path / "first", [*_NAMES, "both.txt"]), folder)

    publish(_fresh(tmp_path / "second", ["both.txt", "new.txt"]), folder)

    assert list(tree(folder)) == [
        ".gitignore",
        "both.txt",
        "deep",
        "deep/old.txt",
        "new.txt",
        "old.txt",
    ]
    assert list(map(str, published(folder))) == [".gitignore", "both.txt", "new.txt"]


@pytest.mark.parametrize(
    ("first", "second"), [("model", "model/a.txt"), ("model/deep/a.txt", "model")]
)
def test_a_file_may_become_a_folder_and_the_other_way_round(
    tmp_path: Path, first: str, second: str
) -> None:
    publish(_fresh(tmp_path / "first", [first]), tmp_path / "data")

    publish(_fresh(tmp_path / "second", [second]), tmp_path / "data")

    assert list(map(str, published(tmp_path / "data"))) == [".gitignore", second]
    assert (tmp_path / "data" / second).read_text("utf-8") == "new"


def test_what_was_published_may_have_gone_meanwhile(folder: Path, tmp_path: Path) -> None:
    artifacts = _fresh(tmp_path / "fresh", ["sub/new.txt"])
    publish(artifacts, folder)
    shutil.rmtree(folder / "sub")

    assert publish(artifacts, folder) == ""
    assert (folder / "sub" / "new.txt").read_text("utf-8") == "new"


@pytest.mark.parametrize(
    "content", [b"*.log\n", b"", b"\xff", f"{_MARK} Not.\n/old.txt\n".encode()]
)
def test_a_users_own_ignore_file_is_left_as_it_is_and_the_user_is_told(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    (folder / ".gitignore").write_bytes(content)
    artifacts = _fresh(tmp_path / "fresh", ["new.txt", "sub/new.txt"])

    for _ in range(2):
        assert publish(artifacts, folder) == (
            f"{folder / '.gitignore'} is not hatch-model's, so it was left as it is: have git ignore "
            f"new.txt, sub/new.txt yourself."
        )
    assert (folder / ".gitignore").read_bytes() == content
    assert published(folder) == []
    assert (folder / "old.txt").read_text("utf-8") == "old"
    assert (folder / "new.txt").read_text("utf-8") == "new"


def test_an_ignore_file_among_the_artifacts_is_published_as_it_is(
    folder: Path, tmp_path: Path
) -> None:
    _write(tmp_path / "fresh" / ".gitignore", "*.log\n")
    _write(tmp_path / "fresh" / "new.txt")

    assert publish(written(tmp_path / "fresh"), folder) == (
        f"{folder / '.gitignore'} is not hatch-model's, so it was left as it is: have git ignore "
        f".gitignore, new.txt yourself."
    )
    assert (folder / ".gitignore").read_text("utf-8") == "*.log\n"
