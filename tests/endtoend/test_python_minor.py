"""The Pythons that a wheel can be installed on: the one it was trained on, or what its pins support."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from support import Index, ModelProject, Surroundings, Wheel, interpreter, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

TRAINED_ON = "3.11"
MODEL = "[tool.hatch.metadata.hooks.model]"


def build(
    project: ModelProject, surroundings: Surroundings, version: str = TRAINED_ON
) -> tuple[Wheel, str]:
    """Build a wheel with the Python of the minor *version*; give it, and what was said of it."""
    out = project.folder.parent / version
    said = surroundings.run(
        *("uv", "build", "--wheel", "--python", interpreter(version), "--out-dir", out),
        cwd=project.folder,
    ).stdout
    (path,) = out.glob("*.whl")
    return Wheel(path), said


def only_minor(project: ModelProject) -> None:
    project.replace("pyproject.toml", (MODEL, f'{MODEL}\npython = "minor"'))


def make_dynamic(project: ModelProject, requires_python: str = ">=3.10") -> None:
    """Leave `requires-python` to the hook."""
    project.replace(
        "pyproject.toml",
        ('requires-python = ">=3.10"\n', ""),
        ('["dependencies"]', '["dependencies", "requires-python"]'),
        (MODEL, f'{MODEL}\nrequires-python = "{requires_python}"'),
    )


PIP_BY_PATH = ["ERROR: small-0.1.0-cp311-none-any.whl is not a supported wheel on this platform."]
PIP_BY_NAME = [
    "ERROR: Could not find a version that satisfies the requirement small (from versions: none)",
    "ERROR: No matching distribution found for small",
]


def uv_says(version: str, *, is_dynamic: bool, by_name: bool) -> str:
    """Give a pattern for what uv's conclusions begin with."""
    tag = f"`cp{version.replace('.', '')}`"
    if by_name or version > TRAINED_ON:
        return rf"small==0\.1\.0 has no wheels with a matching Python \w+ tag \(e\.g\., {tag}\)"
    # Of a wheel that it need not look for, uv reads the metadata first. It heeds lower bounds.
    if is_dynamic:
        return (
            rf"the current Python version \({version}\.\d+\) does not satisfy Python>=3\.11,<3\.12"
        )
    return (
        rf"The wheel is compatible with CPython 3\.11 \(`cp311`\), but you're using CPython "
        rf"{version} \({tag}\)"
    )


@pytest.mark.parametrize(
    ("version", "is_dynamic", "by_name"),
    [
        pytest.param(
            version,
            is_dynamic,
            by_name,
            marks=() if version in {"3.11", "3.12"} and by_name else pytest.mark.frontend,
        )
        for version in ["3.10", "3.11", "3.12", "3.13", "3.14"]
        for is_dynamic, by_name in [(True, True), (True, False), (False, False)]
    ],
)
def test_pip_and_uv_install_it_on_the_minor_version_that_trained_it_and_refuse_it_elsewhere(
    *,
    version: str,
    is_dynamic: bool,
    by_name: bool,
    project: ModelProject,
    surroundings: Surroundings,
    tmp_path: Path,
) -> None:
    base = interpreter(version)
    only_minor(project)
    if is_dynamic:
        make_dynamic(project)
    wheel, _ = build(project, surroundings)
    surroundings.find_links.append(wheel.path.parent)
    what = "small" if by_name else wheel.path

    with_uv = surroundings.make_environment(tmp_path / "with-uv", base=base)
    uv = surroundings.run(
        *("uv", "pip", "install", "--python", with_uv, what), cwd=tmp_path, check=False
    )
    with_pip = surroundings.make_environment(tmp_path / "with-pip", base=base)
    pip = surroundings.run(
        *(sys.executable, "-m", "pip", "--python", with_pip, "install", what),
        cwd=tmp_path,
        check=False,
    )

    assert wheel.path.name == "small-0.1.0-cp311-none-any.whl"
    assert wheel.headers("Requires-Python") == (["<3.12,>=3.11"] if is_dynamic else [">=3.10"])
    if version == TRAINED_ON:
        predict = "from small.main import predict; print(predict())"
        for python in (with_uv, with_pip):
            assert surroundings.run(python, "-c", predict, cwd=tmp_path).stdout == "0.5\n\n"
        return
    assert uv.returncode != 0
    assert re.search(
        uv_says(version, is_dynamic=is_dynamic, by_name=by_name), " ".join(uv.stdout.split())
    )
    errors = [line for line in pip.stdout.splitlines() if line.startswith("ERROR")]
    assert (pip.returncode, errors) == (1, PIP_BY_NAME if by_name else PIP_BY_PATH)


def test_requires_python_is_narrowed_to_what_the_pins_support(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "chain", "2.0", requires_python=">=3.10,<3.13")
    make_dynamic(project, ">=3.9")

    wheel, said = build(project, surroundings)

    assert wheel.path.name == "small-0.1.0-py3-none-any.whl"
    assert wheel.headers("Requires-Python") == ["<3.13,>=3.10"]
    assert "warning" not in said


def test_a_static_claim_that_the_pins_do_not_support_is_warned_of(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "chain", "2.0", requires_python=">=3.10,<3.13")

    wheel, said = build(project, surroundings)

    assert wheel.headers("Requires-Python") == [">=3.10"]
    assert (
        'hatch-model: warning: project.requires-python is ">=3.10", but the wheel cannot be '
        "installed on some of these Pythons:\n"
        "  chain 2.0 needs Python <3.13,>=3.10\n"
        'It can be installed on "<3.13,>=3.10".\n'
    ) in said


@pytest.mark.parametrize("requires_python", ["==3.11.*", ">=3.11,<3.12"])
def test_what_other_pythons_would_be_refused_does_not_matter_to_a_wheel_for_one(
    requires_python: str, project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "chain", "2.0", requires_python=requires_python)
    only_minor(project)

    wheel, said = build(project, surroundings)

    assert wheel.path.name == "small-0.1.0-cp311-none-any.whl"
    assert "warning" not in said


def test_a_fork_of_the_lock_is_no_reason_to_refuse_the_pythons_of_the_other(
    project: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "forked", "1.9", requires_python="<3.12")
    make_wheel(index.folder, "forked", "2.0", requires_python=">=3.12")
    make_dynamic(project)
    project.replace(
        "pyproject.toml",
        ('"anchor>=1"', '"anchor>=1", "forked"'),
        ('train = "', 'lock = "requirements.lock"\ntrain = "'),
    )
    project.write(
        "requirements.lock",
        "anchor==1.2\nchain==2.0\n"
        "forked==1.9 ; python_full_version < '3.12'\n"
        "forked==2.0 ; python_full_version >= '3.12'\n",
    )

    wheels = [build(project, surroundings, version)[0] for version in (TRAINED_ON, "3.12")]

    assert [wheel.headers("Requires-Python") for wheel in wheels] == [[">=3.10"], [">=3.10"]]
    assert wheels[0].requires == wheels[1].requires


def test_a_tag_that_another_hook_gave_the_wheel_is_kept(
    project: ModelProject, surroundings: Surroundings
) -> None:
    only_minor(project)
    project.write(
        "hatch_build.py",
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        '        build_data["tag"] = "cp311-abi3-any"\n',
    )
    project.replace(
        "pyproject.toml",
        (
            "[tool.hatch.build.hooks.model]",
            "[tool.hatch.build.hooks.custom]\n\n[tool.hatch.build.hooks.model]",
        ),
    )

    wheel, _ = build(project, surroundings)

    assert wheel.path.name == "small-0.1.0-cp311-abi3-any.whl"
