"""Changes to an index, each made by one process at a time, in an order that survives a crash."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone
from itertools import zip_longest
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from hatch_model.cli.output import refuse_foreign, write_page
from hatch_model.digests import Workers, file_of
from hatch_model.errors import DISK_FULL, HatchModelError, printable
from hatch_model.index.archive import (
    FILES,
    metadata_file,
    parsed_name,
    read_archive,
    verified_copy,
    write_metadata,
)
from hatch_model.index.gates import check_promotion, read_gates
from hatch_model.index.history import Archive, History, Release, read_history
from hatch_model.index.simple import project_detail, project_list
from hatch_model.index.site import feed, front_page, model_page, release_page
from hatch_model.pages.content import Content
from hatch_model.pages.page import static
from hatch_model.workspace import FileLock, Workspace, remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hatch_model.index.archive import ReadArchive

_LOCK = ".hatch-model.lock"


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Index:
    """The index in a folder.

    All changes raise HatchModelError, for bad input before anything has changed, and return what
    they did as lines for people.
    """

    def __init__(self, folder: Path, *, now: Callable[[], str] = _now) -> None:
        self._folder = folder
        self._now = now
        self._histories: dict[str, History] = {}
        self._before: dict[str, History] = {}

    def update(self, *, reread: bool = False) -> tuple[list[str], list[str]]:
        """Take in what lies in the folder, and write all pages.

        Only new archives are read, and those with another size, unless *reread*. Returns also what
        is wrong with archives: new ones are left out, and installers refuse others by their digest.
        """
        faults: list[str] = []
        with self._locked(exists=True):
            known = self._known()
            found, lines = self._found(known)
            gone = known.keys() - found.keys()
            lines += [f"{path}: gone" for path in sorted(gone)]
            stale = self._forget(gone)
            unread = {
                path: file
                for path, file in sorted(found.items())
                if reread
                or path in stale
                or path not in known
                or known[path].size != file.stat().st_size
            }
            for path, new in self._read(unread, known):
                before = known.get(path)
                if isinstance(new, HatchModelError):
                    state = "left out" if before is None else "damaged since it was added"
                    faults.append(f"{state}: {new}")
                    continue
                if before is None:
                    lines.append(f"{path}: added")
                elif before.sha256 != new.archive.sha256:
                    lines.append(f"{path}: changed, so locks that have its digest refuse it")
                self._take(new)
            self._write_pages(everything=True)
            self._write_histories()
            self._delete(metadata_file(self._folder / path) for path in gone)
        return lines, faults

    def add(self, files: Sequence[Path]) -> list[str]:
        """Verify *files*, copy them to the index, and write the pages that change."""
        with self._locked(), self._verified(files) as found:
            lines = self._add(found)
            self._write_pages()
            self._write_histories()
        return lines

    def yank(self, name: str, version: str, reason: str | None) -> list[str]:
        """Have installers skip a version, or take it again if *reason* is None."""
        with self._locked(exists=True):
            history, release = self._find(name, version)
            if reason is not None:  # arguments of a command may be bytes that are no text
                reason = " ".join(reason.encode("utf-8", "replace").decode().split())
            self._histories[history.name] = history.replaced(replace(release, yanked=reason))
            self._write_pages()
            self._write_histories()
        state = "not yanked" if reason is None else "yanked"
        return [f"{history.name} {release.version} is {state}"]

    def remove(self, name: str, version: str) -> list[str]:
        """Delete the archives and the pages of a version."""
        with self._locked(exists=True):
            history, release = self._find(name, version)
            self._histories[history.name] = history.without(release.version)
            self._write_pages()
            names = {archive.filename for archive in release.archives}
            paths = {archive.path for archive in release.archives}
            paths |= {self._relative(file) for file in self._archives() if file.name in names}
            for path in paths:
                self._delete([self._folder / path, metadata_file(self._folder / path)])
            self._write_histories()
        return [f"{path}: removed" for path in sorted(paths)]

    def promote(self, target: Index, name: str, version: str) -> list[str]:
        """Copy a version to the index *target* if it passes the gates there."""
        with self._reporting():
            self._load(exists=True)
            history, release = self._find(name, version)
        if release.yanked is not None:
            raise HatchModelError(
                f"{history.name} {release.version} is yanked in `{self._folder}`: "
                f"{printable(release.yanked)}"
            )
        return target.accept(history.name, release, self._folder)

    def accept(self, name: str, release: Release, source: Path) -> list[str]:
        """Copy *release* of *name* from the index in *source*, if it passes the gates here."""
        if source.resolve() == self._folder.resolve():
            raise HatchModelError("Promote a version from one index to another.")
        paths = [source / archive.path for archive in release.archives]
        digests = [archive.sha256 for archive in release.archives]
        with self._locked(), self._verified(paths, digests) as found:
            gates = read_gates(self._folder).get(name, {})
            there = self._histories.get(name, History(name=name, releases=()))
            # What the archives say counts: whoever can write to *source* can change its history.
            for file, (_, new) in zip(paths, found, strict=True):
                if (new.name, new.version) != (name, release.version):
                    raise HatchModelError(
                        f"`{file}` is not {name} {release.version}, as the history in `{source}` "
                        f"says."
                    )
            wheels = [new for _, new in found if new.archive.is_wheel]
            passed = [
                check_promotion(
                    gates,
                    replace(release, model=new.content.facts),
                    there.without(release.version),
                )
                for new in wheels or [new for _, new in found]
            ]
            lines = [*dict.fromkeys(line for each in passed for line in each), *self._add(found)]
            self._write_pages()
            self._write_histories()
        return lines

    # The state

    @contextmanager
    def _locked(self, *, exists: bool = False) -> Iterator[None]:
        """Load the state, alone among all processes. Unless it *exists*, make the folder."""
        with self._reporting():
            if not exists:
                self._folder.mkdir(parents=True, exist_ok=True)
            elif not self._folder.is_dir():
                raise HatchModelError(f"`{self._folder}` is not a folder.")
            _make_lock(self._folder / _LOCK)
            lock = FileLock.acquire(self._folder / _LOCK)
            if lock is None:
                print("another process is changing this index: waiting for it", file=sys.stderr)  # noqa: T201
                lock = FileLock.acquire(self._folder / _LOCK, wait=True)
            try:
                remove_abandoned(self._folder / FILES)
                for page in _FRONT:
                    refuse_foreign(self._folder / page)
                self._load(exists=exists)
                yield
            finally:
                if lock is not None:
                    lock.release()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Raise HatchModelError for errors of the file system."""
        try:
            yield
        except OSError as error:
            # Of a copy to a full disk, it names the file that was read.
            place = self._folder if error.errno in DISK_FULL else error.filename or self._folder
            raise HatchModelError(f"`{place}`: {error.strerror or error}") from error

    def _load(self, *, exists: bool) -> None:
        if exists and not self._folder.is_dir():
            raise HatchModelError(f"`{self._folder}` is not a folder.")
        histories = [read_history(file) for file in self._folder.glob("models/*/history.json")]
        self._histories = {each.name: each for each in histories}
        self._before = dict(self._histories)

    def _known(self) -> dict[str, Archive]:
        return {
            archive.path: archive
            for history in self._histories.values()
            for release in history.releases
            for archive in release.archives
        }

    def _find(self, name: str, version: str) -> tuple[History, Release]:
        history = self._histories.get(canonicalize_name(name))
        if history is None:
            names = ", ".join(sorted(self._histories)) or "nothing"
            raise HatchModelError(f"`{self._folder}` has no `{printable(name)}`. It has {names}.")
        try:
            release = history.find(version)
        except InvalidVersion:
            release = None
        if release is None:
            versions = ", ".join(each.version for each in history.releases)
            raise HatchModelError(
                f"`{self._folder}` has no {history.name} `{printable(version)}`. It has {versions}."
            )
        return history, release

    def _forget(self, gone: Collection[str]) -> set[str]:
        """Leave out archives, and return the others of their releases, which are read again."""
        stale: set[str] = set()
        for history in list(self._histories.values()):
            for release in history.releases:
                left = [each for each in release.archives if each.path not in gone]
                if len(left) == len(release.archives):
                    continue
                stale.update(each.path for each in left)
                history = (  # noqa: PLW2901 - one release after the other
                    history.replaced(replace(release, archives=left))
                    if left
                    else history.without(release.version)
                )
            self._histories[history.name] = history
        return stale

    def _take(self, new: ReadArchive) -> None:
        """Put *new*, whose file is in place, into its history."""
        write_metadata(self._folder / new.archive.path, new.metadata)
        history = self._histories.get(new.name, History(name=new.name, releases=()))
        release = history.find(new.version)
        # 1.0 and 1.0.0 are one version.
        version = release.version if release else new.version
        others = (
            [each for each in release.archives if each.filename != new.archive.filename]
            if release
            else []
        )
        archives = sorted([*others, new.archive], key=lambda each: each.filename)
        fresh = Release(
            version=version,
            yanked=release.yanked if release else None,
            archives=archives,
            summary=new.content.summary,
            model={key: value for key, value in new.content.facts.items() if key != "environment"},
        )
        if release is not None and fresh.main != new.archive:
            # The facts are about another archive.
            fresh = replace(fresh, summary=release.summary, model=release.model)
        else:
            write_page(self._report(new.name, version), _stored(new.content))
        self._histories[new.name] = history.replaced(fresh)

    # Files

    def _relative(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()

    def _archives(self, folder: Path | None = None, above: tuple[Path, ...] = ()) -> Iterator[Path]:
        """Find wheels and sdists, wherever they lie, behind links as well."""
        folder = folder or self._folder
        real = folder.resolve()
        if real in above:  # a link to a folder around it
            return
        for file in sorted(folder.iterdir()):
            if file.is_dir() and not file.name.startswith("."):
                yield from self._archives(file, (*above, real))
            elif file.suffix == ".whl" or (
                file.name.endswith(".tar.gz") and parsed_name(file.name)
            ):
                yield file

    def _found(self, known: Collection[str]) -> tuple[dict[str, Path], list[str]]:
        """Return an archive of each file name by its path, and a line about each of the others.

        Installers could not tell two of a name apart. That which is *known* counts, or else that
        which is least deep in the folder.
        """
        files = {self._relative(file): file for file in self._archives()}
        found: dict[str, Path] = {}
        places: dict[str, str] = {}
        lines = []
        for path, file in sorted(
            files.items(), key=lambda item: (item[0] not in known, item[0].count("/"), item[0])
        ):
            if places.setdefault(file.name, path) == path:
                found[path] = file
            else:
                lines.append(f"{path}: ignored, because {places[file.name]} has that name")
        return found, lines

    def _read(
        self, files: Mapping[str, Path], known: Mapping[str, Archive]
    ) -> Iterator[tuple[str, ReadArchive | HatchModelError]]:
        """Read the archives *files*, on all cores. Yield each with its path, or what is wrong."""
        now = self._now()

        def read(path: str) -> ReadArchive | HatchModelError:
            try:
                return read_archive(
                    files[path], path, known[path].uploaded if path in known else now
                )
            except HatchModelError as error:
                return error

        with closing(Workers()) as workers:
            yield from zip(files, workers.map(read, files), strict=True)

    @contextmanager
    def _verified(
        self, files: Sequence[Path], digests: Sequence[str] = ()
    ) -> Iterator[list[tuple[Path, ReadArchive]]]:
        """Verify copies of *files*, whose *digests* may be known, and keep the copies."""
        known = {archive.filename: archive for archive in self._known().values()}
        found = []
        with _workspace(self._folder / FILES) as workspace:
            for file, expected in zip_longest(files, digests):
                copy, new = verified_copy(file, workspace.path, self._now())
                if expected and new.archive.sha256 != expected:
                    raise HatchModelError(f"`{file}` has changed since it was added there.")
                before = known.setdefault(copy.name, new.archive)
                if before.sha256 != new.archive.sha256:
                    raise HatchModelError(
                        f"`{file}` differs from `{before.path}`, which is in the index. A file "
                        f"that was published never changes: build a new version."
                    )
                if before is new.archive:
                    self._refuse_to_replace(file, new.archive)
                found.append((copy, new))
            yield found

    def _refuse_to_replace(self, file: Path, archive: Archive) -> None:
        """Raise HatchModelError if another file is where *archive* goes."""
        place = self._folder / archive.path
        if place.is_file() and file_of(archive.path, place).sha256 != archive.sha256:
            raise HatchModelError(
                f"`{file}` differs from `{place}`, which is not in the index. Delete that file, or "
                f"run `hatch-model index update {self._folder}` to take it in."
            )

    def _add(self, found: Sequence[tuple[Path, ReadArchive]]) -> list[str]:
        """Move the copies *found* to their places."""
        known = {archive.filename: archive for archive in self._known().values()}
        lines = []
        for copy, new in found:
            before = known.setdefault(copy.name, new.archive)
            if before is not new.archive:
                _, release = self._find(new.name, new.version)
                state = "there already" if release.yanked is None else "there already, and yanked"
                lines.append(f"{before.path}: {state}")
                continue
            place = self._folder / new.archive.path
            place.parent.mkdir(parents=True, exist_ok=True)
            copy.replace(place)
            self._take(new)
            lines.append(f"{new.archive.path}: added")
        return lines

    def _delete(self, files: Iterable[Path]) -> None:
        """Delete *files*, and folders of the index that are then empty."""
        for file in files:
            file.unlink(missing_ok=True)
            parent = file.parent
            while parent != self._folder:
                try:
                    parent.rmdir()
                except OSError:  # something else is there
                    break
                parent = parent.parent

    # Pages

    def _report(self, name: str, version: str) -> Path:
        return self._folder / "models" / name / version / "report.json"

    def _write_histories(self) -> None:
        """Write what is known, after all else, so that an interrupted command can be repeated."""
        for name, history in self._histories.items():
            file = self._folder / "models" / name / "history.json"
            if not history.releases:
                self._delete([file])
            elif history != self._before.get(name):
                write_page(file, history.as_json())

    def _write_pages(self, *, everything: bool = False) -> None:
        """Write the pages of models that have changed, or of all; those for installers first."""
        changed = [
            history
            for name, history in sorted(self._histories.items())
            if everything or history != self._before.get(name)
        ]
        kept = {name: each for name, each in self._histories.items() if each.releases}
        simple = self._folder / "simple"
        for history in changed:
            if history.releases:
                _write(simple / history.name, project_detail(history))
        _write(simple, project_list(kept))
        for history in changed:
            if history.releases:
                self._write_model(history, everything=everything)
            self._delete_pages(history)
        _write(self._folder / "static", {name: static(name).encode() for name in _STATIC})
        loose = [each for path, each in sorted(self._known().items()) if "/" not in path]
        front = {"feed.xml": feed(kept.values()), "index.html": front_page(kept.values(), loose)}
        _write(self._folder, front)

    def _write_model(self, history: History, *, everything: bool) -> None:
        """Write the pages of a model: of its versions, only those that show something else now."""
        folder = self._folder / "models" / history.name
        before = self._before.get(history.name, History(name=history.name, releases=()))
        shown = {each.version: (each, before.baseline(each)) for each in before.releases}
        for release in history.releases:
            if everything or shown.get(release.version) != (release, history.baseline(release)):
                page = release_page(history, release, self._content(history, release))
                write_page(folder / release.version / "index.html", page)
        latest = history.latest
        assert latest is not None  # noqa: S101 - it has releases
        write_page(folder / "index.html", model_page(history, self._content(history, latest)))

    def _delete_pages(self, history: History) -> None:
        """Delete the pages of what is not in *history* any more."""
        kept = {each.version for each in history.releases}
        before = self._before.get(history.name, history).releases
        models = self._folder / "models" / history.name
        for release in before:
            if release.version not in kept:
                folder = models / release.version
                self._delete([folder / "index.html", folder / "report.json"])
        if not kept:
            simple = self._folder / "simple" / history.name
            self._delete([simple / "index.html", simple / "index.json", models / "index.html"])

    def _content(self, history: History, release: Release) -> Content:
        """Return what the page of *release* shows, from its archive if it is not stored."""
        file = self._report(history.name, release.version)
        try:
            return Content.from_json(json.loads(file.read_bytes())["content"])
        except (OSError, ValueError, KeyError, TypeError):
            archive = release.main
            if not (self._folder / archive.path).is_file():
                raise HatchModelError(
                    f"`{file}` is missing or was written by another release of hatch-model. To "
                    f"write it again, `{archive.path}` has to be in the folder."
                ) from None
            new = read_archive(self._folder / archive.path, archive.path, archive.uploaded)
            write_page(file, _stored(new.content))
            return new.content


_STATIC = ("style.css", "script.js")
_FRONT = ("index.html", "feed.xml", "simple/index.html", "simple/index.json")
"""The pages that every change writes."""


def _make_lock(file: Path) -> None:
    """Create the lock's file for all who may change the index, unlike FileLock."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o666))


def _stored(content: Content) -> bytes:
    # The generator first, which is looked for. On one line, as Python's indenting encoder is slow.
    return json.dumps({"generator": "hatch-model", "content": content.as_json()}).encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_page(folder / name, content)


@contextmanager
def _workspace(folder: Path) -> Iterator[Workspace]:
    """Make a workspace in *folder*, which may be a link to another file system."""
    folder.mkdir(exist_ok=True)
    try:
        with closing(Workspace(folder)) as workspace:
            yield workspace
    finally:
        with suppress(OSError):
            folder.rmdir()
