"""What differs in a model from what its own metadata says."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, TYPE_CHECKING

from packaging.requirements import Requirement

from hatch_model._digests import cores
from hatch_model._progress import Progress
from hatch_model.cli._archive import is_of, is_outside, odd_shape
from hatch_model.cli._model_files import DAMAGE
from hatch_model.cli._requirements import allows, by_name, is_of_extra, same, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_model.cli._model_files import ModelFiles

_CHUNK = 1 << 20
# What the specification of wheels calls sha256 or better.
_ALGORITHMS = frozenset(
    {"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"}
)
# These vouch for RECORD and cannot be listed in it with a digest.
_UNLISTED = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
_KINDS = {"artifacts": "an artifact", "sources": "a source"}


def differences(model: ModelFiles, progress: Progress | None = None) -> list[str]:
    """List what differs within the wheel or installation *model* itself, as sentences.

    *progress* is told of its files while they are read, on all cores.
    """
    progress = progress or Progress(lambda _: None)
    shape = odd_shape(model) if model.kind == "wheel" else ()
    progress.start(f"verifying {model.name} {model.version}", sum(model.sizes.values()))
    return [*shape, *_files(model, progress), *_record(model)]


def _files(model: ModelFiles, progress: Progress) -> Iterator[str]:
    """Compare every file with RECORD."""
    if not model.listed:
        yield "there is no RECORD, so nothing vouches for the files"
        return
    with ThreadPoolExecutor(cores()) as pool:
        for found in pool.map(partial(_listed_file, model, progress), model.listed):
            yield from found
    for path in sorted(model.sizes.keys() - model.listed.keys()):
        if not path.endswith(_UNLISTED):
            yield f"{path}: not listed in RECORD"


def _listed_file(model: ModelFiles, progress: Progress, path: str) -> list[str]:
    """Compare the file at *path*, which RECORD lists."""
    digest, size = model.listed[path]
    if model.kind == "installed" and _is_installers(path):
        return []
    if path not in model.sizes:
        return [f"{path}: missing"]
    if digest:
        return list(_compare(model, path, digest, size, progress))
    return [] if path.endswith(_UNLISTED) else [f"{path}: RECORD has no digest of it"]


def _is_installers(path: str) -> bool:
    """Say whether installers write *path* anew: scripts, which are elsewhere, and bytecode."""
    return is_outside(path) or "__pycache__" in path.split("/")


def _compare(
    model: ModelFiles, path: str, expected: str, size: str, progress: Progress
) -> Iterator[str]:
    if size and size != str(model.sizes[path]):
        yield f"{path}: {model.sizes[path]} bytes, but RECORD says {size}"
        return
    algorithm, _, digest = expected.partition("=")
    if algorithm not in _ALGORITHMS:
        yield f"{path}: RECORD's digest is {algorithm}, not sha256 or better"
        return
    if model.is_bomb:
        return
    try:
        with model.open(path) as stream:
            found = _digest(stream, algorithm, progress)
    except DAMAGE as error:
        yield f"{path}: cannot be read: {error}"
        return
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != digest.rstrip("="):
        yield f"{path}: its content is not what RECORD says"


def _digest(stream: IO[bytes], algorithm: str, progress: Progress) -> bytes:
    digest = hashlib.new(algorithm)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        progress.advance(len(chunk))
    return digest.digest()


def _record(model: ModelFiles) -> Iterator[str]:
    """Compare the record with everything else."""
    if model.record_fault:
        yield f"{model.record_path}: {model.record_fault}"
    if model.record is not None:
        yield from _recorded_project(model, model.record["project"])
        for kind in _KINDS:
            yield from _recorded_files(model, kind, model.record[kind])
        trained = {each["name"]: each["version"] for each in model.record["environment"]}
        yield from _recorded_pins(model, model.record["pins"], trained)
        yield from _recorded_python(model, model.record["python"]["version"])


def _recorded_project(model: ModelFiles, project: Mapping[str, str]) -> Iterator[str]:
    name, version = project["name"], project["version"]
    if not is_of(model, name, version):
        yield f"METADATA is of {model.name} {model.version}, but model.json of {name} {version}"


def _recorded_files(
    model: ModelFiles, kind: str, files: Iterable[Mapping[str, str]]
) -> Iterator[str]:
    """Compare *files* of the record with RECORD, which _files() holds to what is there."""
    for file in files:
        path = file["path"]
        digest = base64.urlsafe_b64encode(bytes.fromhex(file["sha256"])).rstrip(b"=").decode()
        if path not in model.listed:
            yield f"{path}: {_KINDS[kind]} of model.json that RECORD does not list"
        elif model.listed[path] != (f"sha256={digest}", str(file["size"])):
            yield f"{path}: RECORD and model.json do not agree on its content"


def _recorded_pins(model: ModelFiles, pins: list[str], trained: Mapping[str, str]) -> Iterator[str]:
    """Compare METADATA, the recorded pins and the recorded environment with each other."""
    required = by_name(line for line in model.requires if not is_of_extra(line))
    recorded = by_name(pins)
    for name in sorted({*required, *recorded}):
        one, other = required.get(name, []), recorded.get(name, [])
        if not same(one, other):
            yield f"{name}: METADATA requires {shown(one)}, but model.json {shown(other)}"
    for name, lines in recorded.items():
        requirements = [Requirement(line) for line in lines]
        if name in trained and not any(allows(each, trained[name]) for each in requirements):
            yield f"{name}: model.json requires {shown(lines)}, but {trained[name]} trained the model"


def _recorded_python(model: ModelFiles, version: str) -> Iterator[str]:
    """Compare the tag of a wheel that insists on its Python with the Python that trained it."""
    minor = "".join(version.split(".")[:2])
    for tag in model.tags:
        interpreter, _, rest = tag.partition("-")
        insists = not interpreter.startswith("py") and not rest.startswith("abi3")
        if insists and not interpreter.endswith(minor):
            yield f"the tag is {tag}, but the model was trained with Python {version}"
