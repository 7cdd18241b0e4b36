"""An adversarial trial of hatch-model: settings, files, kills and surroundings that nobody should have.

    uv run tests/trial.py [--seed 1] [--scale 1] [PART ...]

Each part tries many cases of one kind, chosen at random by the seed, and counts those that held: what comes
out is what was asked for, or one message and an exit code, never a traceback of hatch-model's, a changed
source tree, a wheel that is not whole, or an abandoned file. Every subprocess is limited in time and memory. It
needs no network: the wheels are built without isolation, in the environment that runs this script.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MEMORY = 2 << 30  # bytes
_TIMEOUT = 60  # seconds
_PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-model"]
build-backend = "hatchling.build"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.hatch.metadata.hooks.model]
dependencies = ["joblib"]

[tool.hatch.build.hooks.model]
train = "tiny.fit:train"
arguments = { size = 3 }
gates = { size = ">= 1" }
check = "tiny.fit:check"
"""
_CODE = """\
from pathlib import Path

def train(size, output_dir):
    (output_dir / "numbers.txt").write_text("7\\n" * 200_000 * size)
    return list(range(size)), {"size": size}

def check():
    import joblib
    return joblib.load(Path(__file__).parent / "data" / "model.joblib")
"""


@dataclass
class Count:
    """The cases of one part, and what did not hold."""

    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def case(self, problem: str, name: str) -> None:
        self.tried += 1
        if problem:
            self.failures.append(f"{name}: {problem}")


def write_project(folder: Path, pyproject: str = _PYPROJECT, code: str = _CODE) -> Path:
    package = folder / "src" / "tiny"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject, "utf-8", errors="surrogatepass")
    (package / "__init__.py").touch()
    (package / "fit.py").write_text(code, "utf-8")
    return folder


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def run(
    *arguments: str | Path,
    cwd: Path,
    before: Callable[[], None] = limit,
    **variables: str | None,
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with *arguments*; a variable of None is not set."""
    changed = {**os.environ, "HATCH_MODEL_CACHE_DIR": str(cwd.parent / "store"), **variables}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={key: value for key, value in changed.items() if value is not None},
        check=False,
        timeout=_TIMEOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        preexec_fn=before,
    )


def build(project: Path, out: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run("-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=project, **options)


def wheel_in(out: Path) -> Path | None:
    return next(iter(out.glob("*.whl")), None)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): digest(path) for path in files}


def is_ours(text: str) -> bool:
    """Return whether *text* has a traceback that ends in a file of hatch-model's, or escapes a terminal."""
    files = [line for line in text.splitlines() if line.startswith('  File "')]
    return "Traceback" in text and bool(files) and "/hatch_model/" in files[-1]


# Settings


def odd_values(chance: random.Random) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: chance.choice([True, False, 0, -1, 10**400, 1.5, "", " ", ".", "..", "/", "\x00"]),
        lambda: chance.choice(
            ["a" * 400_000, "\x1b]0;x\x07", "\u202e", "ü" * 200, "{root:uri}", "~"]
        ),
        lambda: [odd_values(chance) for _ in range(chance.randrange(4))],
        lambda: {chance.choice(["a", "", "\x1b[2J", "b.c"]): odd_values(chance)},
        lambda: chance.choice(
            ["all", "joblib", "joblib>=", "tiny.fit", "tiny.fit:", ":x", "uv.lock"]
        ),
    ]
    return chance.choice(kinds)()


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)} = {as_toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value)


_KEYS = {
    "tool.hatch.metadata.hooks.model": (
        *("dependencies", "dependency-group", "pins", "local-versions", "direct-references"),
        *("requires-python", "python", "pnis"),
    ),
    "tool.hatch.build.hooks.model": (
        *("train", "artifacts", "arguments", "dependency-groups", "lock", "python-path"),
        *(
            "environment",
            "editable",
            "inputs",
            "sdist",
            "gates",
            "check",
            "compression",
            "sbom",
            "tarin",
        ),
    ),
}


def malformed_settings(chance: random.Random) -> str:
    tables: dict[str, dict[str, Any]] = {
        "tool.hatch.metadata.hooks.model": {"dependencies": ["joblib"]},
        "tool.hatch.build.hooks.model": {"train": "tiny.fit:train"},
    }
    for _ in range(chance.randint(1, 4)):
        name = chance.choice(list(tables))
        tables[name][chance.choice(_KEYS[name])] = odd_values(chance)
    head = _PYPROJECT.partition("[tool")[0]
    return head + "".join(
        f"[{name}]\n{''.join(f'{key} = {as_toml(value)}' + chr(10) for key, value in table.items())}\n"
        for name, table in tables.items()
    )


def call_hooks(folder: Path) -> list[str]:
    """Call the backend's hooks for the project in *folder*; return what did not hold."""
    from hatchling import build as backend  # noqa: PLC0415 - in the subprocess

    problems = []
    for hook in (
        "get_requires_for_build_wheel",
        "get_requires_for_build_sdist",
        "get_requires_for_build_editable",
    ):
        said = io.StringIO()
        try:
            os.chdir(folder)
            with contextlib.redirect_stderr(said):
                getattr(backend, hook)()
        except SystemExit:
            text = said.getvalue()
            if not text.startswith("hatch-model: error: ") or len(text) > 25_000 or "\x1b" in text:
                problems.append(f"{hook}: {text[:200]!r}")
        except Exception as error:  # noqa: BLE001 - hatchling's own are not ours to judge
            frames = traceback.extract_tb(error.__traceback__)
            if "/hatch_model/" in frames[-1].filename:
                problems.append(f"{hook}: {error!r:.200}")
    return problems


def try_settings(folder: Path, chance: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    """Three hooks each; in one process, in which settings that are not refused are left as they are."""
    texts = [malformed_settings(chance) for _ in range(round(520 * scale))]
    for number, text in enumerate(texts):
        write_project(folder / str(number), text)
    done = run(__file__, "--call-hooks", folder, str(len(texts)), cwd=folder)
    if done.returncode != 0:
        yield "all", done.stdout[-500:]
        return
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    for number in range(len(texts)):
        problems = found.get(str(number), [])
        for hook in range(3):
            yield f"settings {number}", problems[hook] if hook < len(problems) else ""


# Files


def hostile(good: bytes, chance: random.Random) -> bytes:
    """Return a wheel that somebody has tampered with."""
    data = bytearray(good)
    kind = chance.randrange(6)
    if kind == 0:
        for _ in range(chance.randint(1, 40)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == 1:
        del data[chance.randrange(len(data)) :]
    elif kind == 2:
        data += chance.choice([good, b"x" * 100, b"PK\x05\x06" + bytes(18)])
    elif kind == 3:
        data = bytearray(chance.randbytes(chance.randrange(1, 5000))) + data
    else:
        return rewritten(good, chance)
    return bytes(data)


def rewritten(good: bytes, chance: random.Random) -> bytes:
    """Replace the content of one entry, or add one under an odd name."""
    odd = [
        b"",
        b"\x00" * 2_000_000,
        b"[" * 20_000,
        b'{"a":' * 5_000,
        b"Name: \x1b]0;x\x07\n",
        b"\xff\xfe,,\n" * 99,
    ]
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(good)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        names = old.namelist()
        victim = chance.choice([name for name in names if ".dist-info/" in name])
        for name in names:
            new.writestr(name, chance.choice(odd) if name == victim else old.read(name))
        if chance.random() < 0.5:
            new.writestr(
                chance.choice(["../x", "/x", "a\\b", "\x1b[2J", "x" * 5000, victim + "2"]), b"x"
            )
    return out.getvalue()


def try_files(folder: Path, chance: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    out = folder / "good"
    build(write_project(folder / "tiny"), out)
    good = wheel_in(out)
    assert good is not None
    content = good.read_bytes()
    for number in range(round(56 * scale)):
        (folder / str(number)).mkdir()
        file = folder / str(number) / good.name
        file.write_bytes(hostile(content, chance))
        commands: list[list[str | Path]] = [
            ["inspect", file],
            ["verify", file],
            ["diff", good, file],
        ]
        for command in commands:
            try:
                done = run("-m", "hatch_model", *command, cwd=folder)
            except subprocess.TimeoutExpired:
                yield f"file {number}", f"{command[0]} did not end"
                continue
            odd = (
                "Traceback" in done.stdout
                or "\x1b" in done.stdout
                or done.returncode not in {0, 1, 2}
            )
            yield f"file {number}", f"{command[0]}: {done.stdout[-300:]!r}" if odd else ""


# Kills


def try_kills(folder: Path, chance: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    project = write_project(folder / "tiny")
    out, temporary = folder / "dist", folder / "tmp"
    temporary.mkdir()
    start = time.perf_counter()
    build(project, out, TMPDIR=str(temporary))
    duration = time.perf_counter() - start
    whole, tree = digest(wheel_in(out) or out), digests(project)
    for _ in range(round(24 * scale)):
        kill = chance.choice(
            [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
        )
        after = chance.uniform(0, duration)
        problem = killed(project, out, temporary, kill, after)
        if not problem:
            again = build(project, out, TMPDIR=str(temporary))
            left = sorted(path.name for path in temporary.iterdir())
            wheel = wheel_in(out)
            if again.returncode != 0 or wheel is None or digest(wheel) != whole:
                problem = f"the next build: {again.stdout[-300:]}"
            elif left or [path.name for path in out.iterdir()] != [wheel.name]:
                problem = f"left {left} and {sorted(path.name for path in out.iterdir())}"
            elif digests(project) != tree:
                problem = "the source tree has changed"
        yield f"{kill.name} after {after:.2f} s", problem


def killed(project: Path, out: Path, temporary: Path, kill: signal.Signals, after: float) -> str:
    process = subprocess.Popen(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=project,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        if kill is signal.SIGKILL:
            os.killpg(process.pid, kill)
        else:
            process.send_signal(kill)
    process.wait(_TIMEOUT)
    wheel = wheel_in(out)
    if wheel is not None and zipfile.is_zipfile(wheel):
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        if (
            not any("unfinished" in name for name in names)
            and "tiny/data/model.joblib" not in names
        ):
            return "a wheel without its model can be installed"
    return ""


# Pressures


def set_limit(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def pressures(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    read_only = folder / "read-only"
    read_only.mkdir(mode=0o500)
    yield "no TMPDIR", {"TMPDIR": str(folder / "absent")}
    yield "read-only TMPDIR", {"TMPDIR": str(read_only)}
    for kilobytes in (0, 1, 4, 64, 900):
        yield (
            f"files of {kilobytes} KiB",
            {"before": set_limit(resource.RLIMIT_FSIZE, kilobytes << 10)},
        )
    for files in (16, 32, 64):
        yield f"{files} open files", {"before": set_limit(resource.RLIMIT_NOFILE, files)}
    yield "256 MiB of memory", {"before": set_limit(resource.RLIMIT_AS, 256 << 20)}
    yield "one second", {"before": set_limit(resource.RLIMIT_CPU, 1)}
    for locale in ("C", "POSIX", "tr_TR.UTF-8", "xx_XX.ISO-8859-15"):
        yield f"locale {locale}", {"LC_ALL": locale, "PYTHONUTF8": "0"}
    yield "no HOME, no PATH", {"HOME": None, "PATH": None}
    yield "a date that is none", {"SOURCE_DATE_EPOCH": "tomorrow"}
    yield "umask 777", {"before": lambda: os.umask(0o777)}


def try_pressures(folder: Path, _: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    del scale  # there are as many as there are
    reference = folder / "reference"
    build(write_project(folder / "first" / "tiny"), reference)
    whole = digest(wheel_in(reference) or reference)
    for number, (name, options) in enumerate(pressures(folder)):
        project = write_project(folder / str(number) / "tiny")
        out, tree = folder / str(number) / "dist", digests(project)
        try:
            done = build(project, out, **options)
        except subprocess.TimeoutExpired:
            yield name, "did not end"
            continue
        with contextlib.suppress(OSError):
            out.chmod(0o700)
        wheel = wheel_in(out) if out.exists() else None
        if is_ours(done.stdout):
            yield name, done.stdout[-400:]
        elif (
            done.returncode == 0
            and (wheel is None or digest(wheel) != whole)
            and "umask" not in name
        ):
            yield name, "another wheel"
        elif digests(project) != tree:
            yield name, "the source tree has changed"
        else:
            yield name, ""


# Pins that would lie


def lies(folder: Path) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """Yield projects whose training is not what the metadata would say."""
    fake = folder / "fake"
    info = fake / "joblib-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: joblib\nVersion: 99.0\n", "utf-8")
    (fake / "joblib.py").write_text("def dump(*_): ...\ndef load(*_): ...\n", "utf-8")
    vendored = folder / "vendored"
    vendored.mkdir()
    (vendored / "joblib.py").write_text("def dump(*_): ...\ndef load(*_): ...\n", "utf-8")
    imports = "import joblib\n" + _CODE

    def project(name: str, code: str = imports, *change: tuple[str, str]) -> Path:
        text = _PYPROJECT
        for old, new in change:
            assert old in text, old
            text = text.replace(old, new)
        return write_project(folder / name / "tiny", text, code)

    yield "a module on PYTHONPATH", project("1"), {"PYTHONPATH": str(vendored)}
    own = project("2")
    shutil.copy(vendored / "joblib.py", own / "src" / "joblib.py")
    yield "a module beside the package", own, {}
    path = (("train =", 'python-path = ["vendor", "src"]\ntrain ='),)
    on_path = project("3", imports, *path)
    shutil.copytree(vendored, on_path / "vendor")
    yield "a module on python-path", on_path, {}
    late = f"import sys; sys.path.insert(0, {str(fake)!r})\n"
    yield (
        "another version in mid-training",
        project("4", _CODE.replace("    (out", f"    {late}    (out")),
        {},
    )
    yield "a path set on import", project("5", late + imports), {}
    static = ('dynamic = ["dependencies"]', 'dependencies = ["joblib==0.1"]')
    yield "static dependencies", project("6", imports, static), {}
    yield "no build hooks", project("7"), {"HATCH_BUILD_NO_HOOKS": "true"}
    other = (
        "[tool.hatch.build",
        "[tool.hatch.metadata.hooks.custom]\n\n[tool.hatch.build",
    )
    hooked = project("8", imports, other)
    (hooked / "hatch_build.py").write_text(
        "from hatchling.metadata.plugin.interface import MetadataHookInterface\n"
        "class Hook(MetadataHookInterface):\n"
        "    def update(self, metadata): metadata['dependencies'] = ['joblib==0.1']\n",
        "utf-8",
    )
    yield "another hook that overwrites them", hooked, {}
    yield (
        "an environment variable of the settings",
        project(
            "9",
            imports,
            ("train =", f"environment = {{ PYTHONPATH = {json.dumps(str(vendored))} }}\ntrain ="),
        ),
        {},
    )


def try_lies(folder: Path, _: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    del scale  # there are as many as there are
    for number, (name, project, variables) in enumerate(lies(folder)):
        out = folder / f"dist-{number}"
        done = build(project, out, **variables)
        yield name, "" if done.returncode != 0 and not is_ours(done.stdout) else done.stdout[-300:]


# The same wheel everywhere


def surroundings(folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    for name in ("plain", "a folder/with ümlaut", "x" * 60):
        yield name, write_project(folder / name / "tiny"), {}
    for zone in ("Pacific/Kiritimati", "America/St_Johns"):
        yield zone, write_project(folder / zone / "tiny"), {"TZ": zone}
    for seed in ("1", "random"):
        yield (
            f"hash seed {seed}",
            write_project(folder / f"s{seed}" / "tiny"),
            {"PYTHONHASHSEED": seed},
        )
    for mask in (0o000, 0o077):
        yield (
            f"umask {mask:o}",
            write_project(folder / f"u{mask}" / "tiny"),
            {"before": lambda m=mask: os.umask(m)},
        )
    yield (
        "another user's name and host",
        write_project(folder / "who" / "tiny"),
        {"USER": "x", "HOSTNAME": "y"},
    )


def try_identity(folder: Path, _: random.Random, scale: float) -> Iterator[tuple[str, str]]:
    del scale  # there are as many as there are
    first = ""
    for number, (name, project, options) in enumerate(surroundings(folder)):
        out = folder / f"dist-{number}"
        done = build(project, out, **options)
        wheel = wheel_in(out)
        now = digest(wheel) if wheel else done.stdout[-300:]
        first = first or now
        yield name, "" if now == first else f"another wheel: {now}"


PARTS = {
    "settings": try_settings,
    "files": try_files,
    "kills": try_kills,
    "pressures": try_pressures,
    "lies": try_lies,
    "identity": try_identity,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1, help="how many cases, as a factor")
    arguments = parser.parse_args()
    print(
        f"seed {arguments.seed}\n\n{'part':<12}{'tried':>8}{'held':>8}{'seconds':>10}", flush=True
    )
    failures = []
    for name in arguments.parts or PARTS:
        count, start = Count(), time.perf_counter()
        folder = Path(tempfile.mkdtemp(prefix="trial-"))
        try:
            for case, problem in PARTS[name](
                folder, random.Random(arguments.seed), arguments.scale
            ):
                count.case(problem, case)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        held, seconds = count.tried - len(count.failures), time.perf_counter() - start
        print(f"{name:<12}{count.tried:>8}{held:>8}{seconds:>10.0f}", flush=True)
        failures += [f"{name}: {each}" for each in count.failures]
    print("".join(f"\n{each}" for each in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--call-hooks"]:
        root, number = Path(sys.argv[2]), int(sys.argv[3])
        print(
            "\n" + json.dumps({str(each): call_hooks(root / str(each)) for each in range(number)})
        )
        sys.exit()
    sys.exit(main())
