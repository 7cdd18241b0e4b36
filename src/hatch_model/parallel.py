"""The table `parallel`: the engine for joblib, and what the child is told of it.

The child's part is :mod:`hatch_model.engines.engine`.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from hatch_model.errors import HatchModelError
from hatch_model.tables import Table, one_of, string
from hatch_model.tables import table as table_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path, PurePosixPath

_Backend = Literal["loky", "threading", "dask", "ray"]

_VARIABLES = {"dask": "DASK_SCHEDULER_ADDRESS", "ray": "RAY_ADDRESS"}
"""The environment variables that name an engine's address, as its own tools read them."""
_REQUIREMENTS = {
    "dask": ("distributed>=2025.4", "joblib>=1.5"),
    "ray": ("cloudpickle>=3", "joblib>=1.5", "ray>=2.50"),
}
_DISTRIBUTIONS = {"dask": "distributed", "ray": "ray"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Parallel:
    """The table `parallel` of the build hook."""

    key: str
    """Its full dotted key."""
    backend: _Backend
    address: str = ""
    """Of the cluster; if empty, an environment variable says it."""
    n_jobs: int = -1
    timeout: float = 10
    """Seconds to wait for the cluster and its first worker."""
    patience: float = 60
    """Seconds to go on without any worker."""
    offload: bool = False
    """Whether the training function itself runs on a worker."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What that worker must have, as the engine spells it."""

    @property
    def is_cluster(self) -> bool:
        """Whether the engine is one that runs in other processes than the build's."""
        return self.backend in _DISTRIBUTIONS

    @property
    def requirements(self) -> tuple[str, ...]:
        """What the engine needs in the training environment."""
        return _REQUIREMENTS.get(self.backend, ())

    @property
    def distribution(self) -> str:
        """The distribution whose version is the engine's; "" for joblib's own engines."""
        return _DISTRIBUTIONS.get(self.backend, "")

    def address_in(self, environment: Mapping[str, str]) -> str:
        """Return the address of the cluster. *environment* is what `environment` sets for training.

        Raises HatchModelError if nothing names one.
        """
        if not self.is_cluster:
            return ""
        variable = _VARIABLES[self.backend]
        address = self.address or {**os.environ, **environment}.get(variable, "")
        if not address:
            raise HatchModelError(
                f"{self.key} names no address. Set {self.key}.address or the environment variable "
                f"{variable}."
            )
        return address

    def request(
        self,
        environment: Mapping[str, str],
        *,
        train: str,
        versions: Mapping[str, str],
        modules: Iterable[tuple[PurePosixPath, Path]],
        archive: Path,
    ) -> dict[str, Any]:
        """Return what the child is told. *modules*, by paths in the wheel, go to *archive*.

        *train* is the training function, for messages, and *versions* are those that workers must
        have.
        """
        told = {"backend": self.backend, "n_jobs": self.n_jobs, "offload": False}
        if not self.is_cluster:
            return told
        told |= self._of_cluster(environment, train, versions)
        return {**told, "archive": str(archive), "packages": _pack(modules, archive)}

    def request_to_offload(
        self,
        environment: Mapping[str, str],
        *,
        train: str,
        versions: Mapping[str, str],
        folders: Mapping[str, tuple[Path, Iterable[Path]]],
        python_path: Iterable[str],
        archive: Path,
    ) -> dict[str, Any]:
        """Return what the child is told to train on a worker. Write the files to *archive*.

        *folders* are the folders that training gets, each with the files in it, by its name at the
        top of the archive. *python_path* are those, or folders in them, that modules are imported
        from.
        """
        import zipfile  # noqa: PLC0415 - only for a cluster

        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, (folder, files) in folders.items():
                for file in files:
                    packed.write(file, f"{name}/{file.relative_to(folder).as_posix()}")
        return {
            **self._of_cluster(environment, train, versions),
            "backend": self.backend,
            "offload": True,
            "resources": dict(self.resources),
            "environment": sorted(environment),
            "folders": {name: str(folder) for name, (folder, _) in folders.items()},
            "python_path": [*python_path],
            "archive": str(archive),
        }

    def _of_cluster(
        self, environment: Mapping[str, str], train: str, versions: Mapping[str, str]
    ) -> dict[str, Any]:
        return {
            "key": self.key,
            "train": train,
            "address": self.address_in(environment),
            "timeout": self.timeout,
            "patience": self.patience,
            "versions": dict(versions),
        }


def _pack(modules: Iterable[tuple[PurePosixPath, Path]], archive: Path) -> list[str]:
    """Write *modules* to *archive*, the same bytes for the same modules, and return their packages.

    These are dotted names: whoever imports none of them and of what is below imports no module of
    these.
    """
    import zipfile  # noqa: PLC0415 - only for a cluster

    by_place = dict(modules)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for place, file in sorted(by_place.items()):
            packed.writestr(zipfile.ZipInfo(str(place)), file.read_bytes())
    regular = {place.parent for place in by_place if place.stem == "__init__"}
    return sorted({_outermost(place, regular) for place in by_place})


def _outermost(place: PurePosixPath, regular: set[PurePosixPath]) -> str:
    """Return the outermost regular package of the module at *place*, or its own name."""
    for folder in reversed(place.parents):
        if folder in regular:
            return ".".join(folder.parts)
    return ".".join((*place.parent.parts, place.name.partition(".")[0]))


def read_parallel(table: Table) -> Parallel | None:
    """Read the key `parallel` of the build hook's *table*, and add errors to its problems."""
    content = table.get("parallel", "a table", table_value, cast("dict[str, Any] | None", None))
    if content is None:
        return None
    inside = Table(table.key_of("parallel"), content, table.problems)
    choices = '"loky" or "threading" or "dask" or "ray"'
    if "backend" not in inside:
        inside.note_missing("backend", choices)
    backend = inside.get("backend", choices, one_of("loky", "threading", "dask", "ray"), "loky")
    seconds = "a positive number of seconds"
    parallel = Parallel(
        key=inside.key,
        backend=cast("_Backend", backend),
        address=inside.get("address", 'an address such as "tcp://127.0.0.1:8786"', _address, ""),
        n_jobs=inside.get("n-jobs", "a whole number other than 0", _n_jobs, -1),
        timeout=inside.get("timeout", seconds, _seconds, 10.0),
        patience=inside.get("patience", seconds, _seconds, 60.0),
        offload=inside.get("offload", "true or false", one_of(True, False), False),
        resources=inside.get("resources", "a table of positive numbers", _resources, {}),
    )
    _note_contradictions(inside, parallel)
    inside.note_unknown()
    return parallel


def _note_contradictions(table: Table, parallel: Parallel) -> None:
    """Add what does not go together to the table's problems."""
    if not parallel.is_cluster and table.get("backend", "", string, "loky") == parallel.backend:
        for name in ("address", "timeout", "patience", "offload", "resources"):
            if name in table:
                reason = f'no such key with backend = "{parallel.backend}", which needs no cluster'
                table.note(name, reason)
        return
    if parallel.offload and "n-jobs" in table:
        table.note("n-jobs", "no such key with offload = true, where training itself says it")
    elif parallel.is_cluster and parallel.n_jobs == 1:
        table.note("n-jobs", "another number than 1, with which nothing runs on the cluster")
    if parallel.resources and not parallel.offload:
        table.note("resources", "no such key without offload = true")


def _resources(value: object) -> dict[str, float]:
    return {string(name): _seconds(amount) for name, amount in table_value(value).items()}


def _address(value: object) -> str:
    address = string(value)
    if not address.isprintable() or " " in address:
        raise ValueError
    return address


def _n_jobs(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value == 0:
        raise ValueError
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    if not (math.isfinite(value) and value > 0):
        raise ValueError
    return value
