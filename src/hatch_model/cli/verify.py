"""Check that a model matches its own metadata: RECORD, METADATA and the record."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import stat
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from hatch_model.check import CheckRequest, run_check
from hatch_model.cli.open import DAMAGE
from hatch_model.closure import holds
from hatch_model.digests import cores
from hatch_model.entry_point import object_reference
from hatch_model.errors import HatchModelError
from hatch_model.log import Progress, exact_size
from hatch_model.pins import allows, in_extra, is_in_extra, same_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from packaging.tags import Tag

    from hatch_model.cli.interpreter import Interpreter
    from hatch_model.cli.open import ModelFiles
    from hatch_model.installed import Environment


def odd_shape(model: ModelFiles) -> Iterator[str]:
    """List what is wrong with the archive *model* itself, regardless of its files' content."""
    yield from _name(model)
    seen = Counter(entry.filename for entry in model.entries)
    for path, count in seen.items():
        if count > 1:
            yield f"{path}: {count} times in the wheel"
        if is_outside(path):
            yield f"{path}: leads out of the folder that the wheel is installed to"
    for entry in model.entries:
        if stat.S_ISLNK(entry.external_attr >> 16):
            yield f"{entry.filename}: a symbolic link, which no wheel may hold"
    yield from model.odd_layout()
    if model.is_bomb:
        yield (
            f"the wheel unpacks to {sum(model.sizes.values())} bytes from {model.packed_size}, as "
            f"only a zip bomb does: its files were not read"
        )


def is_outside(path: str) -> bool:
    """Return whether *path* in an archive points outside the folder it is unpacked to."""
    parts = PurePosixPath(path.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in path.partition("/")[0]


def _name(model: ModelFiles) -> Iterator[str]:
    name = PurePosixPath(model.origin.replace("\\", "/")).name
    try:
        project, version, _, tags = parse_wheel_filename(name)
    except InvalidWheelFilename:
        yield f"the file is called {name}, which is no wheel's name"
        return
    if not is_of(model, project, str(version)):
        yield f"the file is called {name}, but holds {model.name} {model.version}"
    if tags != _parsed(model):
        yield f"the file is called {name}, but its WHEEL says {', '.join(model.tags) or 'nothing'}"


def is_of(model: ModelFiles, name: str, version: str) -> bool:
    """Return whether *model* is the project *name* at *version*, after normalization."""
    same_name = canonicalize_name(name) == canonicalize_name(model.name)
    return same_name and same_version(version, model.version)


def same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _parsed(model: ModelFiles) -> frozenset[Tag]:
    try:
        return frozenset(tag for each in model.tags for tag in parse_tag(each))
    except ValueError:
        return frozenset()


def by_name(lines: Iterable[str]) -> dict[str, list[str]]:
    """Group *lines* by the normalized name of their package, or else by the whole line."""
    grouped: dict[str, list[str]] = {}
    for line in lines:
        grouped.setdefault(_name_in(line), []).append(line)
    return grouped


@lru_cache(maxsize=10_000)  # a page of many versions compares the same lines again and again
def _name_in(line: str) -> str:
    try:
        return str(canonicalize_name(Requirement(line).name))
    except (InvalidRequirement, RecursionError):
        return line


def same(one: list[str], other: list[str]) -> bool:
    try:
        return same_lines(one, other)
    except (InvalidRequirement, RecursionError):
        return False


def is_of_extra(line: str) -> bool:
    return "extra" in line.partition(";")[2]


def split(line: str) -> tuple[str, str]:
    """Split a requirement into its name and the rest."""
    end = next((index for index, char in enumerate(line) if char in " [(=<>!~;@"), len(line))
    return line[:end], line[end:].strip()


def shown(lines: list[str]) -> str:
    return ", ".join(f"`{line}`" for line in lines) or "nothing"


def not_installed(
    model: ModelFiles, environment: Environment, markers: Mapping[str, str]
) -> list[str]:
    """List the requirements of *model* that *environment* does not satisfy, as sentences."""
    record = model.record or {"environment": []}
    trained = {each["name"]: each["version"] for each in record["environment"]}
    found = []
    for line in model.requires:
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, RecursionError):
            found.append(f"`{line}` is no requirement that could be looked for")
            continue
        if not holds(requirement, markers):
            continue
        name = canonicalize_name(requirement.name)
        distribution = environment.find(name)
        if distribution is None:
            found.append(f"{name}: required as `{line}`, but not installed")
            continue
        version = distribution.raw_version
        # A URL has no version specifier: expect the version that trained the model.
        is_right = (
            same_version(version, trained.get(name, version))
            if requirement.url
            else allows(requirement, version)
        )
        if not is_right:
            found.append(f"{name}: required as `{line}`, but {version} is installed")
    return found


_CHUNK = 1 << 20
# The wheel specification requires sha256 or better.
_ALGORITHMS = frozenset(
    {"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"}
)
# RECORD and its signatures cannot be listed in it with a digest.
_UNLISTED = (".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")
_KINDS = {"artifacts": "an artifact", "sources": "a source", "report": "a file of the report"}


def differences(model: ModelFiles, progress: Progress | None = None) -> list[str]:
    """List the differences within the wheel or installation *model*, as sentences.

    Progress of reading its files, on all cores, is reported to *progress*.
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
    """Return whether installers generate *path*: scripts, which are elsewhere, and bytecode."""
    return is_outside(path) or "__pycache__" in path.split("/")


def _compare(
    model: ModelFiles, path: str, expected: str, size: str, progress: Progress
) -> Iterator[str]:
    if size and size != str(model.sizes[path]):
        yield f"{path}: {exact_size(model.sizes[path])}, but RECORD says {size}"
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
            yield from _recorded_files(model, kind, model.record.get(kind, []))
        yield from _unrecorded_report(model, model.record.get("report", []))
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
    """Compare *files* of the record with RECORD, which _files() compares with the actual files."""
    for file in files:
        path = file["path"]
        digest = base64.urlsafe_b64encode(bytes.fromhex(file["sha256"])).rstrip(b"=").decode()
        if path not in model.listed:
            yield f"{path}: {_KINDS[kind]} of model.json that RECORD does not list"
        elif model.listed[path] != (f"sha256={digest}", str(file["size"])):
            yield f"{path}: RECORD and model.json do not agree on its content"


def _unrecorded_report(model: ModelFiles, report: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Find files where only the build puts those of the report."""
    recorded = {file["path"] for file in report}
    for path in sorted(model.listed.keys() - recorded):
        if path.startswith(f"{model.report_folder}/"):
            yield f"{path}: RECORD lists it as a file of the report, but model.json does not"


def _recorded_pins(model: ModelFiles, pins: list[str], trained: Mapping[str, str]) -> Iterator[str]:
    """Compare METADATA, the recorded pins and the recorded environment with each other."""
    extra = str((model.record or {}).get("extra", ""))
    if extra:
        of_extra = (line for line in model.requires if is_in_extra(line, extra))
        required, recorded = by_name(of_extra), by_name(in_extra(line, extra) for line in pins)
    else:
        required = by_name(line for line in model.requires if not is_of_extra(line))
        recorded = by_name(pins)
    for name in sorted({*required, *recorded}):
        one, other = required.get(name, []), recorded.get(name, [])
        if not same(one, other):
            yield f"{name}: METADATA requires {shown(one)}, but model.json {shown(other)}"
    for name, lines in by_name(pins).items():
        requirements = [Requirement(line) for line in lines]
        if name in trained and not any(allows(each, trained[name]) for each in requirements):
            found = trained[name]
            yield f"{name}: model.json requires {shown(lines)}, but {found} trained the model"


def _recorded_python(model: ModelFiles, version: str) -> Iterator[str]:
    """Compare the tag of a wheel for one minor version of Python with what trained it."""
    minor = "".join(version.split(".")[:2])
    for tag in model.tags:
        interpreter, _, rest = tag.partition("-")
        insists = not interpreter.startswith("py") and not rest.startswith("abi3")
        if insists and not interpreter.endswith(minor):
            yield f"the tag is {tag}, but the model was trained with Python {version}"


def check_again(
    check: Mapping[str, Any],
    interpreter: Interpreter,
    tolerance: float,
    emit: Callable[[str], None],
) -> list[str]:
    """Call the recorded *check* with *interpreter*, and list differences in its result.

    Its output goes to *emit*, line by line.
    """
    with tempfile.TemporaryDirectory(prefix="hatch-model-") as folder:
        try:
            request = CheckRequest(
                check=object_reference(check["entry_point"]),
                python=interpreter.command,
                folder=interpreter.folder,
            )
            result = run_check(request, Path(folder), emit)
        except HatchModelError as error:
            return [str(error)]
    if "result" not in check:
        return []
    if result.is_recordable and same_result(check["result"], result.returned, tolerance):
        return []
    now = json.dumps(result.returned) if result.is_recordable else "what JSON cannot hold"
    then = json.dumps(check["result"])
    return [f"{check['entry_point']} returned {now}, but {then} when the model was made"]


def same_result(one: Any, other: Any, tolerance: float) -> bool:
    """Compare two results of a check, floats within *tolerance*: relative, but absolute below 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same_result(one[key], other[key], tolerance) for key in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            same_result(*pair, tolerance) for pair in zip(one, other, strict=True)
        )
    if _is_number(one) and _is_number(other) and float in {type(one), type(other)}:
        try:
            return math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
        except OverflowError:  # one is an integer that no float can hold
            return False
    return type(one) is type(other) and bool(one == other)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
