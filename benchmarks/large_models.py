# /// script
# requires-python = ">=3.11"
# dependencies = ["hatchling", "isal", "numpy", "packaging", "pip", "scikit-learn"]
# ///
"""What it takes to write a large model into a wheel: hatch-model against plain hatchling.

    uv run benchmarks/large_models.py [--only CASE ...] [--scale 1.0] [--folder DIR]

Each case is a package with one kind of files in it:

- `float32` and `bfloat16`: 1 GiB of normally distributed weights;
- `forest`: the pickle of a scikit-learn forest of more than 700 MiB;
- `3GiB`: float32 weights of 3 GiB in one file;
- `small`: 20,000 files of 1 to 31 KiB, half of them text and half float32 weights.

And each is done in a process of its own, one after the other, whose peak memory is told, too:

- `hatchling`: its wheel builder, in process, on a plain project that holds the files;
- `hatch-model`: the same builder with stand-ins for the files, and then `fill`, with `isal` and
without;
- `digest` and `copy`: the files only read by `hashlib.file_digest`, and only copied: no wheel that
  counts its files' digests can be faster than the first.

Then pip and uv install the wheels, with everything stored or deflated.
Factors are against `hatchling`, and those in brackets against `digest`. Files are in the page cache
in all of them. It takes 15 GB in a temporary folder, which is deleted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "src"))

PYPROJECT = """\
[project]
name = "large"
version = "1.0"
"""
CASES = ["float32", "bfloat16", "forest", "3GiB", "small"]


# What each process does


def make_float32(path: Path, size: int) -> None:
    import numpy as np  # noqa: PLC0415 - its memory is not to be counted elsewhere

    generator = np.random.default_rng(0)
    with path.open("wb") as stream:
        for start in range(0, size, 1 << 26):
            generator.standard_normal(min(1 << 26, size - start) // 4, np.float32).tofile(stream)


def make_bfloat16(path: Path, size: int) -> None:
    import numpy as np  # noqa: PLC0415

    generator = np.random.default_rng(0)
    with path.open("wb") as stream:
        for start in range(0, size, 1 << 26):
            weights = generator.standard_normal(min(1 << 26, size - start) // 2, np.float32)
            weights.view(np.uint16)[1::2].tofile(stream)


def make_forest(path: Path, size: int) -> None:
    import pickle  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import (  # noqa: PLC0415
        RandomForestRegressor,
    )

    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((60_000, 10), np.float32)
    target = inputs @ generator.standard_normal(10) + generator.standard_normal(60_000)
    trees = max(round(140 * size / (700 << 20)), 1)  # 5.2 MiB each
    forest = RandomForestRegressor(trees, n_jobs=-1, random_state=0).fit(inputs, target)
    with path.open("wb") as stream:
        pickle.dump(forest, stream)


def make_small(folder: Path, count: int) -> None:
    import numpy as np  # noqa: PLC0415

    generator = np.random.default_rng(0)
    text = b"".join(b"%d words of a vocabulary\n" % number for number in range(40_000))
    for number in range(count):
        file = folder / f"{number % 100}/{number}"
        file.parent.mkdir(exist_ok=True)
        size = 1024 * (1 + number % 31)
        if number % 2:
            file.write_bytes(text[number : number + size])
        else:
            file.write_bytes(generator.standard_normal(size // 4, np.float32).tobytes())


def make(case: str, data: Path, scale: float) -> None:
    if case == "float32":
        make_float32(data / "weights", int(scale * (1 << 30)))
    elif case == "3GiB":
        make_float32(data / "weights", int(scale * (3 << 30)))
    elif case == "bfloat16":
        make_bfloat16(data / "weights", int(scale * (1 << 30)))
    elif case == "forest":
        make_forest(data / "forest.pickle", int(scale * (720 << 20)))
    else:
        make_small(data, int(scale * 20_000))


def files(project: Path) -> list[Path]:
    return sorted(path for path in (project / "large/data").rglob("*") if path.is_file())


def build(project: Path, out: Path, force_include: dict[str, str]) -> Path:
    from hatchling.builders.wheel import WheelBuilder  # noqa: PLC0415

    table: dict[str, Any] = {"only-include": ["large"], "force-include": force_include}
    config = {
        "project": {"name": "large", "version": "1.0"},
        "tool": {"hatch": {"build": {"targets": {"wheel": table}}}},
    }
    builder = WheelBuilder(str(project), config=config)
    if force_include:
        table["exclude"] = ["large/data"]
    return Path(next(builder.build(directory=str(out), versions=["standard"])))


def hatchling(project: Path, out: Path) -> None:
    build(project, out, {})


def hatch_model(project: Path, out: Path, compression: Any = "auto") -> None:
    from hatch_model.log import Progress  # noqa: PLC0415
    from hatch_model.wheel import fill  # noqa: PLC0415

    stand_ins, places = {}, {}
    (out / "stand-ins").mkdir()
    for number, file in enumerate(files(project)):
        stand_in = out / "stand-ins" / str(number)
        stand_in.touch()
        places[str(stand_in)] = file.relative_to(project).as_posix()
        stand_ins[file.relative_to(project).as_posix()] = file
    wheel = build(project, out, places)
    unfinished = wheel.rename(out / "unfinished")
    fill(
        unfinished,
        wheel,
        stand_ins,
        compression=compression,
        finish=lambda _: {},
        progress=Progress(lambda _: None),
    )
    unfinished.unlink()


def hatch_model_stored(project: Path, out: Path) -> None:
    hatch_model(project, out, "stored")


def hatch_model_deflated(project: Path, out: Path) -> None:
    hatch_model(project, out, "deflate")


def digest(project: Path, _: Path) -> None:
    for file in files(project):
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")  # type: ignore[attr-defined] # checked for 3.10


def copy(project: Path, out: Path) -> None:
    for number, file in enumerate(files(project)):
        shutil.copyfile(file, out / str(number))


WORK = {
    "hatchling": hatchling,
    "hatch-model": hatch_model,
    "hatch-model without isal": hatch_model,
    "hatch-model, stored": hatch_model_stored,
    "hatch-model, deflated": hatch_model_deflated,
    "digest": digest,
    "copy": copy,
}


def child(name: str, project: Path, out: Path) -> None:
    """Do the work called *name*, and print what it took."""
    import resource  # noqa: PLC0415 - POSIX alone has it

    if name.endswith("without isal"):
        sys.modules["isal"] = None  # type: ignore[assignment] # as if it were not installed
    # A build has both long before there is anything to write.
    import hatch_model.wheel  # noqa: F401, PLC0415

    start = time.perf_counter()
    WORK[name](project, out)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))


# What is done with them


class Case:
    def __init__(self, name: str, folder: Path, scale: float, rounds: int) -> None:
        self.name = name
        self.rounds = rounds
        self.project = folder / name
        self.out = folder / "out"
        (self.project / "large/data").mkdir(parents=True)
        (self.project / "large/__init__.py").touch()
        (self.project / "pyproject.toml").write_text(PYPROJECT)
        self._itself("--make", name, self.project / "large/data", scale)
        self.size = sum(file.stat().st_size for file in files(self.project))

    def run(self, work: str) -> dict[str, float]:
        """Give the least of the seconds that *work* takes, its memory, and its wheel's size."""
        results = []
        for _ in range(1 if work.startswith("hatchling") else self.rounds):
            shutil.rmtree(self.out, ignore_errors=True)
            self.out.mkdir()
            results.append(json.loads(self._itself("--child", work, self.project, self.out)))
        archives = [archive.stat().st_size for archive in self.out.glob("large-1.0*")]
        return {**min(results, key=lambda result: result["seconds"]), "size": sum(archives)}

    def install(self, *command: str) -> float:
        (wheel,) = self.out.glob("*.whl")
        target = self.out / "installed"
        start = time.perf_counter()
        subprocess.run([*command, str(target), str(wheel)], check=True)
        seconds = time.perf_counter() - start
        shutil.rmtree(target)
        return seconds

    def _itself(self, *arguments: object) -> str:
        command = [sys.executable, __file__, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


WHEELS = ["hatchling", "hatch-model", "hatch-model without isal"]


def measure(case: Case) -> None:
    print(f"\n{case.name}: {case.size / (1 << 20):,.0f} MiB in {len(files(case.project)):,} files")
    print(f"{'':32}{'seconds':>9}{'factor':>8}{'(digest)':>10}{'peak MiB':>10}{'size':>8}")
    measured: dict[str, dict[str, float]] = {}
    stock: dict[str, float] | None = None
    for work in ("digest", "copy", *WHEELS):
        measured[work] = result = case.run(work)
        if work.startswith("hatchling"):
            stock = result
        factor = f"{stock['seconds'] / result['seconds']:.1f}" if stock else ""
        share = f"({result['seconds'] / measured['digest']['seconds']:.2f})"
        print(
            f"{work:32}{result['seconds']:9.2f}{factor:>8}{share:>10}"
            f"{result['peak'] / (1 << 20):10.0f}{result['size'] / case.size:8.3f}",
            flush=True,
        )


def measure_installation(case: Case) -> None:
    print(f"{'installed by':32}{'pip':>9}{'uv':>8}")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-compile", "--target"]
    uv = ["uv", "pip", "install", "-q", "--offline", "--no-cache", "--target"]
    for work in ("hatch-model, stored", "hatch-model, deflated"):
        case.run(work)
        print(f"  {work:30}{case.install(*pip):9.2f}{case.install(*uv):8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes")
    parser.add_argument("--rounds", type=int, default=3, help="of all but plain hatchling's")
    parser.add_argument("--folder", type=Path, help="where to have the temporary folder")
    parser.add_argument("--no-install", action="store_true")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}")
    for name in arguments.only:
        with tempfile.TemporaryDirectory(prefix="large-models-", dir=arguments.folder) as folder:
            case = Case(name, Path(folder), arguments.scale, arguments.rounds)
            measure(case)
            if not arguments.no_install:
                measure_installation(case)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
    elif sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
