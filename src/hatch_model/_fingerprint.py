"""What a model is made of, where `inputs` says that training depends on nothing else.

It has two parts. What is *given* is known before training, and its fingerprint is what a model is
looked up by. What is *noticed* is known only once it has been trained: the code that it imported from
the tree although the wheel does not ship it, packages that nothing declares, and the files that lay
beside the artifacts. A model is the same if both are.

Nothing in either depends on where the tree lies, on times, or on the project's version, so a clone and
an sdist have the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sysconfig
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_model._digests import files_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

    from hatch_model._environment import Distribution, Environment
    from hatch_model._origin import Origin
    from hatch_model._settings import TrainingSettings
    from hatch_model._trained import TrainedModel

Parts = dict[str, dict[str, str]]
"""A kind of thing -> the name of one -> its value or digest."""

# Part of every fingerprint: raise it when models that were stored before must not be taken any more.
FORMAT = 1

_CODE, _PACKAGE, _BESIDE = "training code", "undeclared package", "file beside the artifacts"
_BY_DIGEST = frozenset({"source", "input", "environment variable", _CODE, _BESIDE})
_SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingredients:
    """What a model that is about to be trained is made of."""

    given: Parts
    beside: Mapping[str, str]
    """The digests of the files that ship from the artifacts folder, by their paths there."""
    root: Path
    known_files: frozenset[Path]
    """Real paths of files that need no further notice: those that ship."""
    workspace: Path
    """Where the build keeps copies of them."""
    environment: Environment

    @property
    def fingerprint(self) -> str:
        text = json.dumps({"format": FORMAT, "given": self.given}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def parts_of(self, trained: TrainedModel) -> Parts:
        """Give all that *trained*, which has just been made of this, is made of."""
        code = {_relative(file, self.root): file for file in self._unshipped(trained.imported)}
        packages = [*trained.strangers, *(["joblib"] if trained.model_saved else [])]
        artifacts = [str(artifact.path) for artifact in trained.artifacts]
        return {**self.given, **self._noticed(code, packages, artifacts)}

    def parts_like(self, before: Parts, artifacts: Collection[str]) -> Parts:
        """Give what a model would be made of now of which is noticed what was noticed *before*.

        *artifacts* are the paths of that one's, which training would write anew.
        """
        code = {name: self.root / name for name in before[_CODE]}
        present = {name: file for name, file in code.items() if file.is_file()}
        return {**self.given, **self._noticed(present, before[_PACKAGE], artifacts)}

    def _noticed(
        self, code: Mapping[str, Path], packages: Iterable[str], artifacts: Collection[str]
    ) -> Parts:
        found = {name: self.environment.find(canonicalize_name(name)) for name in packages}
        return {
            _CODE: {file.path: file.sha256 for file in files_of(code)},
            _PACKAGE: {name: each.raw_version for name, each in found.items() if each},
            _BESIDE: {path: each for path, each in self.beside.items() if path not in artifacts},
        }

    def _unshipped(self, imported: Iterable[str]) -> Iterator[Path]:
        """Give those of the *imported* files that neither ship nor are installed."""
        installed = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
        for name in imported:
            if name.startswith(installed) or not _SITE_FOLDERS.isdisjoint(Path(name).parts):
                continue
            file = Path(name).resolve()
            is_known = file in self.known_files or file.is_relative_to(self.workspace)
            if not is_known and file.is_file():
                yield file


def _relative(file: Path, root: Path) -> str:
    try:
        return Path(os.path.relpath(file, root)).as_posix()
    except ValueError:  # another drive
        return file.as_posix()


def ingredients_of(
    training: TrainingSettings,
    shipped: Mapping[PurePosixPath, Path],
    folder: PurePosixPath,
    origin: Origin,
    packages: Mapping[NormalizedName, Distribution],
    *,
    root: Path,
    workspace: Path,
    environment: Environment,
) -> Ingredients:
    """Gather what a model is made of.

    *shipped* are the files that the wheel ships, by their paths in it, *folder* is the one of the
    artifacts there, and *packages* are all that the model and its training need of what is installed.
    """
    files = files_of({str(path): file for path, file in sorted(shipped.items())})
    beside, sources = {}, {}
    for file in files:
        path = PurePosixPath(file.path)
        if path.is_relative_to(folder) and path.suffix != ".py":
            beside[str(path.relative_to(folder))] = file.sha256
        else:
            sources[file.path] = file.sha256
    return Ingredients(
        given={
            "setting": {"train": str(training.train), "artifacts": str(folder)},
            "argument": {
                name: json.dumps(value, ensure_ascii=False)
                for name, value in training.arguments.items()
            },
            "environment variable": {
                name: _digest(value) for name, value in training.environment.items()
            },
            "version": {
                "Python": f"{platform.python_implementation()} {platform.python_version()}",
                "platform": f"{platform.system()} {platform.machine()}",
            },
            "package": {name: _version(each) for name, each in packages.items()},
            "source": sources,
            "input": {file.path: file.sha256 for file in origin.inputs},
        },
        beside=beside,
        root=root,
        known_files=frozenset(file.resolve() for file in shipped.values()),
        workspace=workspace,
        environment=environment,
    )


def _version(distribution: Distribution) -> str:
    """Give the version, and what tells apart what may be there twice under one version."""
    if not distribution.raw_direct_url:
        return distribution.raw_version
    # RECORD has a digest of every file. Those of its own metadata tell where it came from.
    rows = [row.split(",") for row in distribution.read_record().splitlines()]
    content = sorted(row for row in rows if ".dist-info/" not in row[0] and row[-2:] != ["", ""])
    return f"{distribution.raw_version} with the content {_digest(json.dumps(content))[:12]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def changes(before: Parts, now: Parts) -> list[str]:
    """Say what differs, a sentence each; digests, of values that may be secret among them, are not shown."""
    return [
        f"{kind} {name}: {_change(kind, old.get(name), new.get(name))}"
        for kind in sorted({*before, *now})
        for old, new in [(before.get(kind, {}), now.get(kind, {}))]
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _change(kind: str, old: str | None, new: str | None) -> str:
    if kind in _BY_DIGEST:
        return "new" if old is None else "gone" if new is None else "changed"
    if old is None:
        return f"new, {new}"
    return f"gone, was {old}" if new is None else f"{old} -> {new}"
