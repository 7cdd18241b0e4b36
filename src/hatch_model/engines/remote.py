"""What keeps a build's modules on a Dask cluster, in whose processes hatch-model is not installed.

It is sent there by value, as is the workplace, so it uses nothing else of hatch-model.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import shutil
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import SchedulerPlugin, WorkerPlugin, get_worker

from hatch_model.engines.workplace import Workplace

PREFIX = "hatch-model-"
"""Of the names of plugins and of folders."""


class Modules(WorkerPlugin):  # type: ignore[misc] # distributed has no types
    """Puts the project's modules on a worker, in place of an earlier build's, and removes them."""

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


class Guest(WorkerPlugin):  # type: ignore[misc] # as above
    """Keeps the workplace of a build on a worker, and removes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._worker: Any = None
        self._place: Workplace | None = None

    def setup(self, worker: Any) -> None:
        self._worker = worker

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's signature
        if self._place is not None:
            self._place.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the workplace. Raises RuntimeError in a worker that has restarted."""
        if method == "settle":
            self._place = Workplace(self._worker.local_directory)
            return self._worker.address
        if self._place is None:
            raise RuntimeError(RESTARTED)
        return getattr(self._place, method)(*arguments)


def call_guest(name: str, method: str, arguments: tuple[Any, ...], dask_worker: Any = None) -> Any:
    """Call a method of the workplace of the build *name*, in a task or by ``Client.run``."""
    worker = dask_worker or get_worker()
    return worker.plugins[name].call(method, *arguments)


class Tenant(SchedulerPlugin):  # type: ignore[misc] # as above
    """Claims the project's packages on a cluster for one build, until its client is gone."""

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
RESTARTED = "the worker was started again"
