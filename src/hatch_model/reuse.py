"""Reuse a stored model instead of training an identical one again.

The ingredients of a model have two parts. Those that are *given* are known before training, and
their fingerprint is the key of the model. Those that are *noticed* are only known after training:
code that was imported from the tree although the wheel does not ship it, undeclared packages, and
the files next to the artifacts. A model is the same if both parts are.

Neither part depends on the location of the tree, on times, or on the project's version, so a clone
and an sdist have the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sysconfig
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_model.artifacts import Artifact, TrainedModel, written
from hatch_model.digests import files_of
from hatch_model.entry_point import Script
from hatch_model.errors import FrontendGoneError, HatchModelError, StoreError
from hatch_model.installed import editable_folder, is_site_folder
from hatch_model.log import Progress
from hatch_model.settings import RETRAIN, retrain_wanted
from hatch_model.sources import sdist_files
from hatch_model.store import Store, store_folder, store_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from hatch_model.digests import File
    from hatch_model.installed import Distribution, Environment
    from hatch_model.log import Log
    from hatch_model.settings import TrainingSettings
    from hatch_model.store import Claim

Parts = dict[str, dict[str, str]]
"""A kind of ingredient -> its name -> its value or digest."""

# Part of every fingerprint: increase it when models that were stored before must not be reused.
_FORMAT = 2

_CODE, _PACKAGE, _BESIDE = "training code", "undeclared package", "file beside the artifacts"
_BY_DIGEST = frozenset(
    {"source", "input", "environment variable", "file on python-path", _CODE, _BESIDE}
)
# Parts of a folder that are never imported and change with every build.
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages"})
# Files at the top that an sdist may add or lack, whatever training reads.
_OF_THE_PROJECT = frozenset({"pyproject.toml", "hatch.toml", "PKG-INFO", ".gitignore"})


# The ingredients of a model


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingredients:
    """The ingredients of a model that is about to be trained."""

    given: Parts
    beside: Mapping[str, str]
    """The digests of the files that ship from the artifacts folder, by their paths there."""
    root: Path
    known_files: frozenset[Path]
    """Real paths of files that are already covered: those that ship."""
    workspace: Path
    """The folder for the build's copies of them."""
    environment: Environment

    @property
    def fingerprint(self) -> str:
        text = json.dumps({"format": _FORMAT, "given": self.given}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def parts_of(self, trained: TrainedModel) -> Parts:
        """Return all ingredients of *trained*, which has just been trained from these."""
        code = {_relative(file, self.root): file for file in self._unshipped(trained.imported)}
        packages = [*trained.strangers, *(["joblib"] if trained.model_saved else [])]
        artifacts = [str(artifact.path) for artifact in trained.artifacts]
        return {**self.given, **self._noticed(code, packages, artifacts)}

    def parts_like(self, before: Parts, artifacts: Collection[str]) -> Parts:
        """Return the ingredients as of now, with the noticed ones of *before* looked up again.

        *artifacts* are the paths of the stored model's artifacts, which training would overwrite.
        """
        code = {name: self.root / name for name in before[_CODE]}
        present = {name: file for name, file in code.items() if file.is_file()}
        return {**self.given, **self._noticed(present, before[_PACKAGE], artifacts)}

    def _noticed(
        self, code: Mapping[str, Path], packages: Iterable[str], artifacts: Collection[str]
    ) -> Parts:
        found = {name: self.environment.find(canonicalize_name(name)) for name in packages}
        return {
            _CODE: _sha256(files_of(code)),
            _PACKAGE: {name: each.raw_version for name, each in found.items() if each},
            _BESIDE: {path: each for path, each in self.beside.items() if path not in artifacts},
        }

    def _unshipped(self, imported: Iterable[str]) -> Iterator[Path]:
        """Return those of the *imported* files that neither ship nor are installed."""
        installed = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
        for name in imported:
            if name.startswith(installed) or is_site_folder(name):
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
    folders: tuple[PurePosixPath, PurePosixPath],
    inputs: Sequence[File],
    packages: Mapping[NormalizedName, Distribution],
    *,
    root: Path,
    workspace: Path,
    environment: Environment,
    project: NormalizedName,
) -> Ingredients:
    """Collect the ingredients of a model.

    *shipped* are the files that the wheel ships, by their paths in it. *folders* are the artifacts
    folder in the tree and in the wheel. *packages* are the packages in *environment* that the model
    and its training need.
    """
    sources, beside = _digests(shipped, folders[1])
    known_files = frozenset(file.resolve() for file in shipped.values())
    script = _script(training, root, known_files)
    on_path = _on_python_path(training, root, folders[0], known_files)
    return Ingredients(
        given={
            **_settings(training, folders[1]),
            "version": {
                "Python": f"{platform.python_implementation()} {platform.python_version()}",
                "platform": f"{platform.system()} {platform.machine()}",
            },
            "package": _versions(packages, environment, project),
            "source": sources | _sha256(files_of(script)),
            "file on python-path": _sha256(files_of(on_path)),
            "input": _sha256(inputs),
        },
        beside=beside,
        root=root,
        known_files=known_files.union(map(Path.resolve, {**on_path, **script}.values())),
        workspace=workspace,
        environment=environment,
    )


def _sha256(files: Iterable[File]) -> dict[str, str]:
    return {file.path: file.sha256 for file in files}


def _digests(
    shipped: Mapping[PurePosixPath, Path], artifacts: PurePosixPath
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of the sources in *shipped*, and of the files beside the *artifacts*."""
    sources, beside = {}, {}
    for file in files_of({str(path): file for path, file in sorted(shipped.items())}):
        path = PurePosixPath(file.path)
        if path.is_relative_to(artifacts) and path.suffix != ".py":
            beside[str(path.relative_to(artifacts))] = file.sha256
        else:
            sources[file.path] = file.sha256
    return sources, beside


def _settings(training: TrainingSettings, artifacts: PurePosixPath) -> Parts:
    return {
        "setting": {
            "train": str(training.train),
            "artifacts": str(artifacts),
            "python-path": json.dumps([str(each) for each in training.python_path]),
        },
        "argument": {
            name: json.dumps(value, ensure_ascii=False)
            for name, value in training.arguments.items()
        },
        "environment variable": {
            name: _digest(value) for name, value in training.environment.items()
        },
    }


def _script(training: TrainingSettings, root: Path, known: frozenset[Path]) -> dict[str, Path]:
    """Return the script that trains the model by its path, unless it ships."""
    if not isinstance(training.train, Script):
        return {}
    file = root / training.train.path
    return {} if file.resolve() in known else {str(training.train.path): file}


def _on_python_path(
    training: TrainingSettings, root: Path, artifacts: PurePosixPath, known: frozenset[Path]
) -> dict[str, Path]:
    """Find the files on `python-path` that the wheel does not ship, imported or not.

    Imports of worker processes cannot be observed. Only files that an sdist would contain count, so
    that an sdist has the same fingerprint.
    """
    if not training.python_path:
        return {}
    found = {}
    for file in sdist_files(root):
        path = PurePosixPath(file.relative_to(root).as_posix())
        is_own = str(path) in _OF_THE_PROJECT or str(path).startswith(".hatch-model.")
        is_on_path = any(path.is_relative_to(folder) for folder in training.python_path)
        is_other = not is_own and not path.is_relative_to(artifacts)
        if is_on_path and is_other and file.resolve() not in known:
            found[str(path)] = file
    return found


def _versions(
    packages: Mapping[NormalizedName, Distribution],
    environment: Environment,
    project: NormalizedName,
) -> dict[str, str]:
    """Return the versions of *packages* and of everything that is installed as editable."""
    editable = {each.name: each for each in environment if editable_folder(each)}
    return {
        name: _version(each)
        for name, each in {**editable, **packages}.items()
        if name not in {project, "hatch-model"}
    }


def _version(distribution: Distribution) -> str:
    """Return the version, and what distinguishes two installations of the same version."""
    if not distribution.raw_direct_url:
        return distribution.raw_version
    folder = editable_folder(distribution)
    if folder:
        # RECORD only lists the files that point to the folder.
        files = files_of(dict(_files_below(Path(folder))))
        content: Sequence[Sequence[str]] = [*_sha256(files).items()]
    else:
        # RECORD has a digest of every file. Those of its own metadata show where it came from.
        rows = [row.split(",") for row in distribution.read_record().splitlines()]
        content = sorted(
            row for row in rows if ".dist-info/" not in row[0] and row[-2:] != ["", ""]
        )
    return f"{distribution.raw_version} with the content {_digest(json.dumps(content))[:12]}"


def _files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Return the files of a source tree, by their paths in it, except those of tools."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _PASSED_OVER
            and not Path(parent, name, "pyvenv.cfg").is_file()
        )
        for name in sorted(names):
            file = Path(parent, name)
            if not name.startswith(".") and file.is_file():
                yield file.relative_to(folder).as_posix(), file


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def changes(before: Parts, now: Parts) -> list[str]:
    """Return what differs, as sentences. Digests are not shown, because they may be of secrets."""
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


# Reusing models


def reuse_or_train(
    ingredients: Ingredients,
    train: Callable[[], TrainedModel],
    *,
    project: str,
    folder: Path,
    log: Log,
) -> TrainedModel:
    """Copy the model of *ingredients* from the store to *folder*, or *train* and store it.

    Only one build per fingerprint does so at a time on this machine. If the store does not work,
    the build trains.
    """
    with ExitStack() as stack:
        try:
            claim = _claim(ingredients, stack, log)
        except StoreError as error:
            log.warning(f"{error} The model is trained but not stored for later builds.")
            return train()
        if not retrain_wanted():
            stored = _stored(claim, ingredients, folder, log)
            if stored is not None:
                log.info(
                    "reusing the model that was trained before, as nothing has changed since "
                    f"({RETRAIN}=1 trains it again)"
                )
                return stored
        for line in _reasons(claim.store, ingredients, project):
            log.info(line)
        trained = train()
        _keep(claim, trained, ingredients, project, log)
        return trained


def _claim(ingredients: Ingredients, stack: ExitStack, log: Log) -> Claim:
    """Claim the model of *ingredients* until *stack* is closed. Raises StoreError."""
    store = Store(store_folder(), store_limit())
    waiting = "another build is training this model: waiting for it"
    try:
        return stack.enter_context(
            store.claim(ingredients.fingerprint, on_wait=lambda: log.info(waiting))
        )
    except FrontendGoneError:
        train = ingredients.given["setting"]["train"]
        raise HatchModelError(f"the build frontend is gone, so {train} was stopped") from None


def _stored(claim: Claim, ingredients: Ingredients, folder: Path, log: Log) -> TrainedModel | None:
    """Copy the stored model to *folder*, if its ingredients are the same and it is not damaged."""
    entry = claim.read()
    if entry is None:
        return None
    if not _is_description(entry.description):
        log.warning(f"the stored model is damaged: {_UNKNOWN} It is trained again.")
        return None
    if _changes_since(entry.description, ingredients):
        return None
    artifacts, report = folder / "artifacts", folder / "report"
    damage = claim.take(entry, artifacts, report, Progress(log.info))
    if damage:
        log.warning(f"the stored model is damaged: {damage} It is trained again.")
        return None
    description = entry.description
    return TrainedModel(
        artifacts=written(artifacts),
        metrics=description["metrics"],
        environment=[(name, version) for name, version in description["environment"]],
        strangers=description["strangers"],
        imported=(),
        model_saved=description["model_saved"],
        report=[Artifact(path=path, source=report / path) for path in entry.report],
        engine=description.get("engine"),
    )


_UNKNOWN = "its description is not what hatch-model writes."


def _is_description(description: Mapping[str, Any]) -> bool:
    """Return whether *description* is what `_keep` writes."""
    try:
        parts = description["parts"]
        names = [*parts[_PACKAGE], *parts[_CODE], *description["artifacts"]]
        texts = [value for kind in parts.values() for value in kind.values()]
        environment = [
            each for name, version in description["environment"] for each in (name, version)
        ]
        numbers = [*description["metrics"].values()]
        engine = description.get("engine", {"name": "", "version": ""})
        texts += [engine["name"], engine["version"]]
        return all(
            isinstance(each, str)
            for each in (*names, *texts, *environment, *description["strangers"])
        ) and all(isinstance(each, (int, float)) for each in (*numbers, description["model_saved"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _changes_since(description: Mapping[str, Any], ingredients: Ingredients) -> list[str]:
    before = description["parts"]
    return changes(before, ingredients.parts_like(before, description["artifacts"]))


def _reasons(store: Store, ingredients: Ingredients, project: str) -> list[str]:
    """Return why the model is trained: what has changed since the last training."""
    if retrain_wanted():
        return [f"{RETRAIN} is set, so the model is trained even if nothing has changed"]
    last = _last_training(store, project)
    if last is None:
        return ["there is no stored model of this project to reuse"]
    changed = _changes_since(last, ingredients)
    if not changed:
        return []  # It was damaged, which has been reported.
    return ["changed since the last training:", *(f"  {line}" for line in changed)]


def _last_training(store: Store, project: str) -> Mapping[str, Any] | None:
    try:
        descriptions = [entry.description for entry in store.entries()]
    except StoreError:
        return None
    of_project = (
        each
        for each in descriptions
        if (each.get("format"), each.get("project")) == (_FORMAT, project) and _is_description(each)
    )
    return next(of_project, None)


def _keep(
    claim: Claim, trained: TrainedModel, ingredients: Ingredients, project: str, log: Log
) -> None:
    description = {
        "format": _FORMAT,
        "project": project,
        "parts": ingredients.parts_of(trained),
        "artifacts": [str(artifact.path) for artifact in trained.artifacts],
        "metrics": trained.metrics,
        "environment": trained.environment,
        "strangers": trained.strangers,
        "model_saved": trained.model_saved,
        **({"engine": dict(trained.engine)} if trained.engine else {}),
    }
    files = {artifact.path: artifact.source.resolve() for artifact in trained.artifacts}
    report = {file.path: file.source for file in trained.report}
    try:
        claim.keep(description, files, report, Progress(log.info))
    except StoreError as error:
        log.warning(f"{error} The model is not stored for later builds.")
