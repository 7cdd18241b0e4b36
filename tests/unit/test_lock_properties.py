"""Whatever a lock says, in any of the three formats, it is read or refused."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from environments import LINUX
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from properties import assert_is_message, few_hundred, names, toml_values, words

from hatch_model.errors import HatchModelError
from hatch_model.lock import Lock, read_lock

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGEST = "0123456789abcdef" * 4
_KEYS = (
    *("lock-version", "created-by", "environments", "requires-python", "extras", "default-groups"),
    *("dependency-groups", "packages", "name", "version", "marker", "wheels", "sdist", "archive"),
    *("vcs", "directory", "url", "path", "hashes", "index", "commit-id", "type", "subdirectory"),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("locks")


def _read(folder: Path, name: str, content: bytes) -> Lock | None:
    """Read *content* as a lock called *name*; None if it was refused."""
    (folder / name).write_bytes(content)
    try:
        lock = read_lock(
            PurePosixPath(name),
            folder,
            key="hook.lock",
            project=canonicalize_name("small"),
            groups=["train"],
            model_group="run",
            run=lambda _arguments, *, path, root: content.decode("utf-8", "replace"),  # noqa: ARG005
        )
        # What a build does with it.
        lock.requirements(LINUX)
    except HatchModelError as error:
        assert_is_message(str(error))
        return None
    return lock


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(key)} = {_toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _document(content: Mapping[str, object]) -> bytes:
    return "".join(f"{_toml(key)} = {_toml(each)}\n" for key, each in content.items()).encode()


def _package(name: str, version: str) -> dict[str, Any]:
    wheel = f"{name}-{version}-py3-none-any.whl"
    archive = {"name": wheel, "url": f"https://example.org/{wheel}", "hashes": {"sha256": _DIGEST}}
    return {"name": name, "version": version, "wheels": [archive]}


def _lock(*packages: dict[str, Any]) -> dict[str, Any]:
    return {"lock-version": "1.0", "created-by": "tests", "packages": [*packages]}


_sources = st.dictionaries(
    st.sampled_from(["archive", "vcs", "directory"]),
    st.builds(
        lambda change, url, path: {
            "type": "git",
            "commit-id": "c",
            "hashes": {"sha256": _DIGEST},
            **change,
            **({"url": url} if url else {}),
            **({"path": path} if path else {}),
        },
        st.dictionaries(st.sampled_from(_KEYS), words | toml_values, max_size=1),
        words,
        words,
    ),
    min_size=1,
    max_size=1,
)
_versions = st.builds("{}.{}".format, st.integers(0, 99), st.integers(0, 99))
_odd_packages = st.builds(
    lambda package, change: {**package, **change},
    st.builds(_package, names, _versions),
    st.dictionaries(st.sampled_from(_KEYS), toml_values, max_size=3)
    | _sources.map(lambda sources: {"wheels": [], **sources}),
)
_odd_locks = st.builds(
    lambda packages, change: {**_lock(*packages), **change},
    st.lists(_odd_packages, max_size=3),
    st.dictionaries(st.sampled_from(_KEYS), toml_values, max_size=2),
)


@few_hundred
@given(name=st.sampled_from(["uv.lock", "pylock.toml"]), content=_odd_locks)
def test_a_lock_with_anything_in_it_is_read_or_refused(
    folder: Path, name: str, content: dict[str, object]
) -> None:
    _read(folder, name, _document(content))


_lines = st.lists(
    words
    | st.builds("{}=={}".format, names, _versions)
    | st.builds("{}=={} ; {}".format, names, _versions, words)
    | st.builds("{} --hash=sha256:{}".format, names, words)
    | st.integers(1, 2000).map(lambda depth: f"a==1; {depth * '('}os_name=='nt'{depth * ')'}"),
    max_size=4,
)


@few_hundred
@given(
    name=st.sampled_from(["uv.lock", "pylock.toml", "requirements.lock"]),
    content=st.binary(max_size=50) | _lines.map(lambda lines: "\n".join(lines).encode()),
)
def test_a_file_with_anything_in_it_is_read_or_refused(
    folder: Path, name: str, content: bytes
) -> None:
    _read(folder, name, content)


_pins = st.dictionaries(names.filter(lambda name: name != "small"), _versions, max_size=5)


@few_hundred
@given(pins=_pins, hashes=st.booleans(), marker=st.sampled_from(["", ' ; os_name == "nt"']))
def test_the_lines_of_a_requirements_file_are_what_is_read(
    folder: Path, pins: dict[str, str], marker: str, *, hashes: bool
) -> None:
    digest = f" \\\n    --hash=sha256:{_DIGEST}" if hashes else ""
    text = "".join(f"{name}=={version}{marker}{digest}\n" for name, version in pins.items())

    lock = _read(folder, "requirements.lock", text.encode())

    assert lock is not None
    assert {each.name: str(each.version) for each in lock.packages} == pins
    assert {str(each.marker or "") for each in lock.packages} <= {marker[3:]}
    assert {each.hashes for each in lock.packages} <= {
        frozenset({f"sha256:{_DIGEST}"} if hashes else ())
    }


@few_hundred
@given(name=st.sampled_from(["uv.lock", "pylock.toml"]), pins=_pins)
def test_the_packages_of_a_lock_are_what_is_read(
    folder: Path, name: str, pins: dict[str, str]
) -> None:
    packages = [_package(*pin) for pin in pins.items()]

    lock = _read(folder, name, _document(_lock(*packages)))

    assert lock is not None
    assert {each.name: str(each.version) for each in lock.packages} == pins
