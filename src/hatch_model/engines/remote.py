"""What runs in the processes of a Dask cluster, where hatch-model is not installed.

It is sent there by value, so it uses nothing else of hatch-model.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import shutil
import sys
import traceback
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
from distributed import SchedulerPlugin, WorkerPlugin

PREFIX = "hatch-model-"
"""Of the names of plugins and of folders."""


class Modules(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Puts the project's modules on a worker, in place of those of an earlier build, and removes them."""

    def __init__(self, name: str, digest: str, archive: bytes, packages: list[str]) -> None:
        self.name = name
        self._digest = digest
        self._archive = archive
        self._packages = packages
        self._folder = ""

    def setup(self, worker: Any) -> None:
        folder = Path(worker.local_directory, f"{PREFIX}{self._digest}")
        with zipfile.ZipFile(io.BytesIO(self._archive)) as archive:
            archive.extractall(folder)
        self._folder = str(folder)
        self._forget()
        sys.path.insert(0, self._folder)
        importlib.invalidate_caches()

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
        if self._folder in sys.path:
            sys.path.remove(self._folder)
        self._forget()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _forget(self) -> None:
        for name in list(sys.modules):
            if any(f"{name}.".startswith(f"{package}.") for package in self._packages):
                del sys.modules[name]


class Tenant(SchedulerPlugin):  # type: ignore[misc] # as above
    """Claims the project's packages on a cluster for one build, and removes all when its client is gone."""

    def __init__(self, name: str, client: str, packages: list[str]) -> None:
        self.name = name
        self.packages = packages
        self._client = client
        self._removal: Any = None

    async def start(self, scheduler: Any) -> None:
        for name, plugin in scheduler.plugins.items():
            if name.startswith(PREFIX) and {*plugin.packages} & {*self.packages}:
                raise RuntimeError(TAKEN)

    def remove_client(self, scheduler: Any, client: str) -> None:
        if client == self._client:
            self._removal = asyncio.ensure_future(self._remove(scheduler))

    async def _remove(self, scheduler: Any) -> None:
        with suppress(ValueError):  # there is none, or no longer
            await scheduler.unregister_worker_plugin(comm=None, name=self.name)
        with suppress(ValueError):
            scheduler.remove_plugin(name=self.name)


TAKEN = "another build has modules of the same names on this cluster"


def call(batch: bytes, data: list[Any]) -> bytes:
    """Call the functions of *batch*, which the other side packed, and return a pickled outcome.

    It is a pair: whether all of them returned, and either their results, or the error with its traceback.
    Whatever fails, fails here, where it is told: also that a module cannot be imported.
    """
    try:
        items, backend, n_jobs = cloudpickle.loads(batch)
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            results = []
            for function, given, places in items:
                given.update({place: data[index] for place, index in places.items()})
                args = [given.pop(place) for place in [*given] if isinstance(place, int)]
                results.append(function(*args, **given))
        outcome: bytes = cloudpickle.dumps((True, results))
    except BaseException as error:  # noqa: BLE001 - raised again on the other side
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        try:
            outcome = cloudpickle.dumps((False, (error, text)))
        except Exception:  # noqa: BLE001 - an error that cannot be pickled
            outcome = cloudpickle.dumps((False, (RuntimeError(repr(error)), text)))
    return outcome
