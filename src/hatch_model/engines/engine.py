"""The engine that joblib runs on during training: imported before the user's code.

``running(options)`` gives joblib an engine for as long as training runs. *options* is ``parallel``
of the child's request: ``backend`` and ``n_jobs``, and for a cluster

``key``, ``train``
    The full dotted key of the settings, and the training function, for messages.
``address``, ``timeout``, ``patience``
    Of the cluster, and seconds to wait for it, and for workers if all are gone.
``versions``
    What the workers must have, by distribution.
``archive``, ``packages``
    A ZIP file with the project's modules, and the dotted names of the packages in it.

If ``offload`` is true, training itself runs on a worker, and ``offloaded(request, script)`` does
that. *options* has

``archive``, ``folders``
    A ZIP file with the files that training gets, and the folder here of each folder at its top.
``python_path``
    The folders in it that modules are imported from.
``environment``
    The names of the variables that the settings set.
``resources``
    What the worker must have, as the engine spells it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import joblib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@contextmanager
def running(options: Mapping[str, Any]) -> Iterator[None]:
    """Have joblib run on an engine. Raises EngineError."""
    if options["backend"] == "dask":
        from hatch_model.engines import dask  # noqa: PLC0415 - only for this engine

        with dask.running(options):
            yield
        return
    if options["backend"] == "ray":
        from hatch_model.engines import ray  # noqa: PLC0415 - only for this engine

        with ray.running(options):
            yield
        return
    with joblib.parallel_config(backend=options["backend"], n_jobs=options["n_jobs"]):
        yield


def offloaded(request: Mapping[str, Any], script: Path) -> dict[str, Any]:
    """Have the child *script* carry out *request* on a worker. Raises EngineError."""
    from hatch_model.engines import offload  # noqa: PLC0415 - only for this option

    options = request["parallel"]
    if options["backend"] == "dask":
        from hatch_model.engines import dask  # noqa: PLC0415 - only for this engine

        with dask.placed(options) as place:
            return offload.train(request, script, place)
    from hatch_model.engines import ray  # noqa: PLC0415 - only for this engine

    with ray.placed(options) as place:
        return offload.train(request, script, place)
