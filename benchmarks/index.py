# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""What it costs to index wheels, and to add one more.

    uv run benchmarks/index.py [--wheels 1000] [--mebibytes 1 10] [--rounds 3]

Made-up wheels of ten models, each with forty pins and a plot. In turns, each in a process of its
own:

- reading the list of files and METADATA of each wheel, and digesting it by `hashlib.file_digest`:
what an
  index has to do at least;
- `hatch-model index update` of a folder that holds nothing but the wheels;
- `hatch-model index add` of one more wheel.

The files are in the page cache, if they fit there. The times of the commands include the start of
Python and their imports. All files are deleted in the end."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

from _example import CHECKOUT

MEBIBYTE = 1 << 20
MODELS = 10

READING = """\
import hashlib, sys, zipfile
from pathlib import Path
for file in Path(sys.argv[1]).glob("*.whl"):
    with zipfile.ZipFile(file) as archive:
        archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))
    with file.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
"""


def write_wheel(folder: Path, number: int, weights: bytes) -> Path:
    name, version = f"model{number % MODELS}", f"1.{number // MODELS}"
    info = f"{name}-{version}.dist-info"
    pins = [f"package-{index}=={index}.0" for index in range(40)]
    parts = {
        f"{name}/__init__.py": b"",
        f"{name}/data/weights.bin": weights,
        f"{info}/extra_metadata/report/plot.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    files = [
        {"path": path, "sha256": hashlib.sha256(held).hexdigest(), "size": len(held)}
        for path, held in parts.items()
    ]
    record = {
        "schema_version": 1,
        "project": {"name": name, "version": version},
        "training": {"entry_point": f"{name}.main:train", "arguments": {"depth": number}},
        "metrics": {"accuracy": 0.9 + number / 100_000, "loss": 1 / (number + 1)},
        "gates": {"accuracy": ">= 0.8"},
        "check": None,
        "python": {"implementation": "CPython", "version": "3.12.1"},
        "platform": {"system": "Linux", "machine": "x86_64"},
        "environment": [
            {"name": line.partition("==")[0], "version": line.partition("==")[2], "use": "runtime"}
            for line in pins
        ],
        "pins": pins,
        "lock": None,
        "git": None,
        "inputs": [],
        "sources": files[:1],
        "artifacts": files[1:2],
        "report": files[2:],
        "generator": {"name": "hatch-model", "version": "0.1.0"},
    }
    requires = "".join(f"Requires-Dist: {line}\n" for line in pins)
    parts |= {
        f"{info}/METADATA": (
            f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{requires}"
            f"Description-Content-Type: text/markdown\n\n# A model\n\n{'text ' * 200}\n"
        ).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/extra_metadata/model.json": json.dumps(record).encode(),
    }
    listed = "".join(
        f"{path},sha256={urlsafe_b64encode(hashlib.sha256(held).digest()).rstrip(b'=').decode()},{len(held)}\n"
        for path, held in parts.items()
    )
    parts[f"{info}/RECORD"] = f"{listed}{info}/RECORD,,\n".encode()
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, held in parts.items():
            archive.writestr(path, held)
    return file


def seconds(*command: str | Path) -> tuple[float, float]:
    """Run *command*, and give the seconds that it took and its peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def measure(folder: Path, python: Path, count: int, mebibytes: int, rounds: int) -> None:
    weights = random.Random(0).randbytes(mebibytes * MEBIBYTE)  # noqa: S311 - as incompressible as weights
    served = folder / "served"
    served.mkdir()
    for number in range(count):
        write_wheel(served, number, weights)
    command = (python, "-m", "hatch_model", "index")
    read, update, add, memory = [], [], [], []
    for each in range(rounds):
        read.append(seconds(python, "-c", READING, served)[0])
        taken, peak = seconds(*command, "update", served)
        update.append(taken)
        more = write_wheel(folder, count + each, weights)
        add.append(seconds(*command, "add", served, more)[0])
        memory.append(peak)
        for made in ("simple", "models", "static", "files"):
            shutil.rmtree(served / made, ignore_errors=True)
        for page in ("index.html", "feed.xml"):
            (served / page).unlink()
    shutil.rmtree(served)
    ratio = statistics.median(one / other for one, other in zip(update, read, strict=True))
    print(
        f"{count} wheels of {mebibytes} MiB: read {min(read):.2f} s, index update "
        f"{min(update):.2f} s ({ratio:.2f} times, {1000 * (min(update) - min(read)) / count:.1f} "
        f"ms more a wheel, {max(memory):.0f} MiB), index add {min(add):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheels", type=int, default=1000)
    parser.add_argument("--mebibytes", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            ["uv", "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True
        )
        python = folder / "venv/bin/python"
        subprocess.run(
            ["uv", "pip", "install", "--quiet", "--python", python, f"{CHECKOUT}[cli]"], check=True
        )
        for mebibytes in options.mebibytes:
            measure(folder, python, options.wheels, mebibytes, options.rounds)


if __name__ == "__main__":
    main()
