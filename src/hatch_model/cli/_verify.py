"""What differs in a model from what its own metadata says."""

from __future__ import annotations

import base64
import hashlib
import math
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from hatch_model._environment import holds, same_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_model._environment import Environment
    from hatch_model.cli._model_files import ModelFiles

_CHUNK = 1 << 20
# What package indexes refuse as a bomb.
_BOMB_SIZE, _BOMB_RATIO = 64 << 20, 50
# These vouch for RECORD and cannot be listed in it with a digest.
_UNLISTED = ("/RECORD", "/RECORD.jws", "/RECORD.p7s")
# What an installer adds.
_INSTALLERS_OWN = ("/INSTALLER", "/REQUESTED", "/direct_url.json", "/RECORD", "/uv_cache.json")


def differences(model: ModelFiles) -> list[str]:
    """List what differs within *model* itself, as sentences; empty if nothing does."""
    return [*_archive(model), *_files(model), *_recorded_files(model), *_pins(model), *_tags(model)]


def _archive(model: ModelFiles) -> Iterator[str]:
    """Look at a wheel's own shape: its name, and entries that are no honest files."""
    if model.kind != "wheel":
        return
    name = PurePosixPath(model.origin.replace("\\", "/")).name
    try:
        project, version, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        yield str(error)
    else:
        if project != canonicalize_name(model.name) or version != Version(model.version):
            yield f"the file is called {name}, but holds {model.name} {model.version}"
        inside = {tag for each in model.tags for tag in parse_tag(each)}
        if tags != inside:
            yield (f"the file is called {name}, but its WHEEL says {', '.join(model.tags)}")
    for path in model.sizes:
        if is_outside(path):
            yield f"{path}: leads out of the folder that the wheel is installed to"


def is_outside(path: str) -> bool:
    """Say whether *path* in an archive leads out of the folder it is unpacked to."""
    parts = PurePosixPath(path.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in path.partition("/")[0]


def _is_bomb(model: ModelFiles, path: str) -> bool:
    """Say whether the file at *path* would unpack to far more than it takes up."""
    size = model.sizes[path]
    return size > _BOMB_SIZE and size > _BOMB_RATIO * model.packed.get(path, size)


def _files(model: ModelFiles) -> Iterator[str]:
    """Compare every file with RECORD."""
    if model.kind == "sdist":
        return
    if not model.listed:
        yield "there is no RECORD, so nothing vouches for the files"
        return
    for path, (digest, size) in model.listed.items():
        # Scripts are outside of the folder, and installers write them anew, as they do bytecode.
        if path.endswith(".pyc") or (model.kind == "installed" and is_outside(path)):
            continue
        if path not in model.sizes:
            yield f"{path}: missing"
        elif digest:
            yield from _compare(model, path, digest, size)
        elif not path.endswith(_UNLISTED):
            yield f"{path}: RECORD has no digest of it"
    for path in sorted(model.sizes.keys() - model.listed.keys()):
        if not path.endswith(_INSTALLERS_OWN):
            yield f"{path}: not listed in RECORD"


def _compare(model: ModelFiles, path: str, expected: str, size: str) -> Iterator[str]:
    if _is_bomb(model, path):
        yield f"{path}: unpacks to {model.sizes[path]} bytes from {model.packed[path]}: not read"
        return
    if size and int(size) != model.sizes[path]:
        yield f"{path}: {model.sizes[path]} bytes, but RECORD says {size}"
        return
    algorithm, _, digest = expected.partition("=")
    if algorithm not in hashlib.algorithms_guaranteed:
        yield f"{path}: RECORD uses {algorithm}, which nothing here can compute"
        return
    try:
        with model.open(path) as stream:
            found = _digest(stream, algorithm, model.sizes[path])
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        yield f"{path}: cannot be read: {error}"
        return
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != digest:
        yield f"{path}: its content is not what RECORD says"


def _digest(stream: IO[bytes], algorithm: str, size: int) -> bytes:
    """Hash *stream*, which gives *size* bytes; raises EOFError if it gives more."""
    digest = hashlib.new(algorithm)
    read = 0
    while chunk := stream.read(_CHUNK):
        read += len(chunk)
        if read > size:
            raise EOFError("it is longer than it says")
        digest.update(chunk)
    return digest.digest()


def _recorded_files(model: ModelFiles) -> Iterator[str]:
    """Compare the record's artifacts and sources with RECORD, which _files() vouches for."""
    if model.record is None or model.kind == "sdist":
        return
    for kind in ("artifacts", "sources"):
        for file in model.record[kind]:
            path = file["path"]
            digest = base64.urlsafe_b64encode(bytes.fromhex(file["sha256"])).rstrip(b"=").decode()
            if path not in model.listed:
                yield f"{path}: {_KINDS[kind]} of model.json that RECORD does not list"
            elif model.listed[path] != (f"sha256={digest}", str(file["size"])):
                yield f"{path}: RECORD and model.json do not agree on its content"


_KINDS = {"artifacts": "an artifact", "sources": "a source"}


def _pins(model: ModelFiles) -> Iterator[str]:
    """Compare METADATA, the recorded pins and the recorded environment with each other."""
    if model.record is None or model.kind == "sdist":
        return
    pins = model.record["pins"]
    required = [line for line in model.requires if "extra ==" not in line]
    if not same_lines(pins, required):
        for line in sorted(set(map(_plain, required)) ^ set(map(_plain, pins))):
            where = (
                "METADATA, but not model.json"
                if line in map(_plain, required)
                else ("model.json, but not METADATA")
            )
            yield f"{line}: required by {where}"
    trained = {each["name"]: each["version"] for each in model.record["environment"]}
    for name, lines in _by_name(pins).items():
        if name in trained and not any(
            line.url or line.specifier.contains(trained[name], prereleases=True) for line in lines
        ):
            yield f"{name}: pinned to {lines[0].specifier}, but trained with {trained[name]}"


def _plain(line: str) -> str:
    return str(Requirement(line)).replace("'", '"')


def _by_name(lines: list[str]) -> dict[str, list[Requirement]]:
    requirements: dict[str, list[Requirement]] = {}
    for line in lines:
        requirement = Requirement(line)
        requirements.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return requirements


def _tags(model: ModelFiles) -> Iterator[str]:
    """Compare the tag of a wheel that insists on its Python with the Python that trained it."""
    if model.record is None:
        return
    version = Version(model.record["python"]["version"])
    minor = f"{version.major}{version.minor}"
    for tag in model.tags:
        interpreter = tag.partition("-")[0]
        if not interpreter.startswith("py") and not interpreter.endswith(minor):
            yield f"the tag is {tag}, but the model was trained with Python {version}"


def not_installed(
    model: ModelFiles, environment: Environment, markers: Mapping[str, str]
) -> list[str]:
    """List the requirements of *model* that *environment* does not satisfy, as sentences."""
    found = []
    for line in model.requires:
        requirement = Requirement(line)
        if not holds(requirement, markers):
            continue
        distribution = environment.find(canonicalize_name(requirement.name))
        if distribution is None:
            found.append(f"{requirement.name}: required as `{requirement}`, but not installed")
        elif not requirement.specifier.contains(distribution.version, prereleases=True):
            found.append(
                f"{requirement.name}: required as `{requirement}`, but {distribution.version} is "
                f"installed"
            )
    return found


def same_result(one: Any, other: Any, tolerance: float) -> bool:
    """Compare two results of a check, floats within the relative *tolerance*."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_result(one[key], other[key], tolerance) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            same_result(*pair, tolerance) for pair in zip(one, other, strict=True)
        )
    if _is_number(one) and _is_number(other):
        return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
