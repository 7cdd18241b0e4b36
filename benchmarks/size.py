"""How large hatch-model is, and how much of it a build of a wheel imports.

    uv run benchmarks/size.py

Prints the modules, lines and statements of each part, the longest module and function, and the
modules that are imported to build the wheel of a project with no more settings than it must have."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "hatch_model"
PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-model"]
build-backend = "hatchling.build"

[project]
name = "tiny"
version = "1.0"
dynamic = ["dependencies"]

[tool.hatch.metadata.hooks.model]
dependencies = ["joblib"]

[tool.hatch.build.hooks.model]
train = "tiny.main:train"
"""
CODE = """\
def train(output_dir):
    (output_dir / "weights.txt").write_text("0.5")
"""
BUILD = """\
import sys
from hatchling.build import build_wheel
build_wheel("dist")
print(*sorted(each for each in sys.modules if each.startswith("hatch_model.")))
"""


def main() -> None:
    modules: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    statements: Counter[str] = Counter()
    longest = (0, "")
    functions: list[tuple[int, str]] = []
    for file in SOURCE.rglob("*.py"):
        name = file.relative_to(SOURCE).as_posix()
        part = name.partition("/")[0] if "/" in name else "core"
        nodes = [*ast.walk(ast.parse(file.read_bytes()))]
        count = len(file.read_text("utf-8").splitlines())
        longest = max(longest, (count, name))
        for key in (part, "all"):
            modules[key] += 1
            lines[key] += count
            statements[key] += sum(isinstance(node, ast.stmt) for node in nodes)
        functions += [
            ((node.end_lineno or 0) - node.lineno + 1, f"{name}: {node.name}")
            for node in nodes
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
    print(f"{'':14}modules   lines  statements")
    for part in sorted(modules, key=lambda each: (each == "all", each)):
        print(f"{part:14}{modules[part]:7}{lines[part]:8}{statements[part]:12}")
    print(f"longest module: {longest[1]}, {longest[0]} lines")
    print("longest function: {1}, {0} lines".format(*max(functions)))
    imported = imported_by_a_build()
    print(f"imported to build a wheel: {len(imported)} modules\n  {' '.join(imported)}")


def imported_by_a_build() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "src", "tiny")
        package.mkdir(parents=True)
        Path(folder, "pyproject.toml").write_text(PYPROJECT, "utf-8")
        (package / "__init__.py").touch()
        (package / "main.py").write_text(CODE, "utf-8")
        built = subprocess.run(
            [sys.executable, "-c", BUILD], cwd=folder, check=True, capture_output=True, text=True
        )
    return [each.removeprefix("hatch_model.") for each in built.stdout.splitlines()[-1].split()]


if __name__ == "__main__":
    main()
