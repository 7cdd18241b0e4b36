"""The table `parallel`, and what the training process is told of it."""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from hatch_model.errors import HatchModelError, Problem
from hatch_model.parallel import Parallel
from hatch_model.settings import read_training_settings

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "tool.hatch.build.hooks.model"
_DASK = Parallel(key=f"{_KEY}.parallel", backend="dask", address="tcp://127.0.0.1:8786")
_UNSET = Parallel(key=f"{_KEY}.parallel", backend="dask")


def read(parallel: object) -> tuple[Parallel | None, list[str]]:
    """Read *parallel* as part of the build hook's table, and give the problems as sentences."""
    problems: list[Problem] = []
    content = {"train": "small:train", "parallel": parallel}
    settings = read_training_settings(_KEY, content, {}, problems)
    return settings.parallel, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("table", "parallel"),
    [
        ({"backend": "loky"}, Parallel(key=f"{_KEY}.parallel", backend="loky")),
        (
            {"backend": "threading", "n-jobs": 2},
            Parallel(key=f"{_KEY}.parallel", backend="threading", n_jobs=2),
        ),
        ({"backend": "dask"}, _UNSET),
        (
            {
                "backend": "dask",
                "address": "tls://cluster.example:8786",
                "n-jobs": -2,
                "timeout": 2.5,
                "patience": 600,
            },
            Parallel(
                key=f"{_KEY}.parallel",
                backend="dask",
                address="tls://cluster.example:8786",
                n_jobs=-2,
                timeout=2.5,
                patience=600,
            ),
        ),
        (
            {"backend": "ray", "offload": True, "resources": {"GPU": 1, "disk": 0.5}},
            Parallel(
                key=f"{_KEY}.parallel",
                backend="ray",
                offload=True,
                resources={"GPU": 1, "disk": 0.5},
            ),
        ),
    ],
)
def test_a_table_is_read(table: dict[str, Any], parallel: Parallel) -> None:
    assert read(table) == (parallel, [])


def test_without_the_table_joblib_chooses() -> None:
    problems: list[Problem] = []

    assert read_training_settings(_KEY, {"train": "small:train"}, {}, problems).parallel is None
    assert problems == []


_SECONDS = "expected a positive number of seconds; found"


@pytest.mark.parametrize(
    ("table", "problems"),
    [
        ("dask", ['parallel: expected a table; found "dask"']),
        (
            {},
            ['parallel.backend: expected "loky" or "threading" or "dask" or "ray"; it is missing'],
        ),
        (
            {"backend": "spark", "addres": "tcp://h:1", "n-jobs": 0, "timeout": True},
            [
                'parallel.backend: expected "loky" or "threading" or "dask" or "ray"; found "spark"',
                "parallel.n-jobs: expected a whole number other than 0; found 0",
                f"parallel.timeout: {_SECONDS} true",
                "parallel.addres: unknown key; did you mean `address`?",
            ],
        ),
        (
            {"backend": "dask", "address": "a b", "n-jobs": True, "timeout": 0, "patience": "1"},
            [
                'parallel.address: expected an address such as "tcp://127.0.0.1:8786"; found "a b"',
                "parallel.n-jobs: expected a whole number other than 0; found true",
                f"parallel.timeout: {_SECONDS} 0",
                f'parallel.patience: {_SECONDS} "1"',
            ],
        ),
        (
            {"backend": "dask", "n-jobs": 1},
            [
                (
                    "parallel.n-jobs: expected another number than 1, with which nothing runs on the "
                    "cluster; found 1"
                )
            ],
        ),
        (
            {"backend": "dask", "offload": 1, "resources": {"GPU": 0}},
            [
                "parallel.offload: expected true or false; found 1",
                "parallel.resources: expected a table of positive numbers; found a table",
            ],
        ),
        (
            {"backend": "dask", "offload": True, "n-jobs": 4},
            [
                (
                    "parallel.n-jobs: expected no such key with offload = true, where training itself "
                    "says it; found 4"
                )
            ],
        ),
        (
            {"backend": "dask", "resources": {"GPU": 1}},
            [("parallel.resources: expected no such key without offload = true; found a table")],
        ),
        (
            {"backend": "threading", "offload": True},
            [
                (
                    'parallel.offload: expected no such key with backend = "threading", which needs no '
                    "cluster; found true"
                )
            ],
        ),
        ({"backend": "dask", "timeout": float("inf")}, [f"parallel.timeout: {_SECONDS} inf"]),
        (
            {"backend": "loky", "address": "tcp://u:pw@h:1", "patience": 1},
            [
                (
                    'parallel.address: expected no such key with backend = "loky", which needs no '
                    'cluster; found "tcp://…@h:1"'
                ),
                (
                    'parallel.patience: expected no such key with backend = "loky", which needs no '
                    "cluster; found 1"
                ),
            ],
        ),
    ],
)
def test_every_problem_is_told(table: object, problems: list[str]) -> None:
    assert read(table)[1] == [f"{_KEY}.{problem}" for problem in problems]


def test_an_address_comes_from_the_table_or_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")

    assert _DASK.address_in({}) == "tcp://127.0.0.1:8786"
    assert _UNSET.address_in({}) == "tcp://127.0.0.1:1"
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:3")
    assert Parallel(key="parallel", backend="ray").address_in({}) == "127.0.0.1:3"
    set_for_training = {"DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:2"}
    assert _UNSET.address_in(set_for_training) == "tcp://127.0.0.1:2"


def test_a_missing_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)

    with pytest.raises(HatchModelError) as refusal:
        _UNSET.address_in({})
    assert str(refusal.value) == (
        f"{_KEY}.parallel names no address. Set {_KEY}.parallel.address or the environment variable "
        f"DASK_SCHEDULER_ADDRESS."
    )


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_engines_of_joblib_need_nothing(backend: Any, tmp_path: Path) -> None:
    parallel = Parallel(key="parallel", backend=backend, n_jobs=2)
    archive = tmp_path / "modules.zip"

    request = parallel.request({}, train="small:train", versions={}, modules=[], archive=archive)
    assert request == {"backend": backend, "n_jobs": 2, "offload": False}
    assert (parallel.address_in({}), parallel.requirements) == ("", ())
    assert not archive.exists()


def test_a_cluster_gets_the_modules_in_an_archive_that_is_always_the_same(tmp_path: Path) -> None:
    places = [
        *("acme/iris/__init__.py", "acme/iris/steps.py", "acme/iris/deep/__init__.py"),
        *("tool.py", "fast.cpython-312-x86_64-linux-gnu.so", "space/part.py"),
    ]
    modules = []
    for place in places:
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(place, "utf-8")
        modules.append((PurePosixPath(place), file))
    archives = [tmp_path / "one.zip", tmp_path / "other.zip"]

    requests = [
        _DASK.request(
            {}, train="small:train", versions={"numpy": "2.5.5"}, modules=given, archive=archive
        )
        for given, archive in zip([modules, modules[::-1]], archives, strict=True)
    ]

    assert requests[0] == {
        "backend": "dask",
        "n_jobs": -1,
        "offload": False,
        "key": f"{_KEY}.parallel",
        "train": "small:train",
        "address": "tcp://127.0.0.1:8786",
        "timeout": 10,
        "patience": 60,
        "versions": {"numpy": "2.5.5"},
        "archive": str(archives[0]),
        # `acme` and `space` have no __init__.py: other distributions may have modules there.
        "packages": ["acme.iris", "fast", "space.part", "tool"],
    }
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == {
            place: place for place in sorted(places)
        }
