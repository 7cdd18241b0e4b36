"""`pins = "extra"`: who installs the model takes ranges, or with its extra the exact versions."""

from __future__ import annotations

import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from models import run
from support import FRONTENDS, Index, ModelProject, Surroundings, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "tool.hatch.metadata.hooks.model"
_TABLE = """dependencies = ["anchor>=1"]
pins = "extra"
"""


@pytest.fixture
def flexible(project: ModelProject, index: Index) -> ModelProject:
    make_wheel(index.folder, "chain", "2.0", requires=["link; python_version >= '3.8'"])
    make_wheel(index.folder, "link", "3.1")
    project.replace(
        "pyproject.toml",
        ('dynamic = ["dependencies"]', 'dynamic = ["dependencies", "optional-dependencies"]'),
        ('dependencies = ["anchor>=1"]\n', _TABLE),
    )
    return project


_REQUIRED = ["anchor>=1"]
_PINNED = [
    "anchor==1.2; extra == 'pinned'",
    "chain==2.0; extra == 'pinned'",
    "link==3.1; (python_version >= '3.8') and extra == 'pinned'",
]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_the_wheel_requires_ranges_and_its_extra_the_exact_versions(
    frontend: str, flexible: ModelProject, surroundings: Surroundings
) -> None:
    wheel = flexible.build(surroundings, frontend).wheel

    assert wheel.requires == [*_REQUIRED, *_PINNED]
    assert wheel.headers("Provides-Extra") == ["pinned"]
    record = json.loads(wheel.read("small-0.1.0.dist-info/extra_metadata/model.json"))
    assert record["extra"] == "pinned"
    assert record["pins"] == [
        "anchor==1.2",
        "chain==2.0",
        'link==3.1; python_version >= "3.8"',
    ]
    assert run("verify", wheel.path).code == 0


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_app_chooses(
    installer: str,
    flexible: ModelProject,
    surroundings: Surroundings,
    index: Index,
    tmp_path: Path,
) -> None:
    wheel = flexible.build(surroundings).wheel.path
    make_wheel(index.folder, "anchor", "1.3", requires=["chain"])
    make_wheel(index.folder, "chain", "2.5")
    found = {}
    for name in ("small", "small[pinned]"):
        python = surroundings.make_environment(tmp_path / f"for-{len(name)}")
        command = (
            ["uv", "pip", "install", "--python", str(python)]
            if installer == "uv"
            else [sys.executable, "-m", "pip", "--python", str(python), "install"]
        )
        surroundings.run(*command, f"{name} @ {wheel.as_uri()}", cwd=tmp_path)
        listed = surroundings.run(
            *("uv", "pip", "freeze", "--python", python), cwd=tmp_path
        ).stdout.split()
        found[name] = [line for line in listed if "==" in line]

    assert found == {
        "small": ["anchor==1.3", "chain==2.5"],
        "small[pinned]": ["anchor==1.2", "chain==2.0", "link==3.1"],
    }


def test_extras_of_the_projects_own_stand_in_the_hooks_table(
    flexible: ModelProject, surroundings: Surroundings
) -> None:
    flexible.replace(
        "pyproject.toml",
        (
            'pins = "extra"\n',
            'pins = "extra"\noptional-dependencies = { plots = ["draw>=2", "ink; sys_platform == \'x\'"] }\n',
        ),
    )

    wheel = flexible.build(surroundings).wheel

    assert wheel.headers("Provides-Extra") == ["pinned", "plots"]
    plots = ["draw>=2; extra == 'plots'", "ink; (sys_platform == 'x') and extra == 'plots'"]
    assert wheel.requires == [*_REQUIRED, *_PINNED, *plots]
    assert run("verify", wheel.path).code == 0


def test_an_editable_install_has_the_ranges_and_no_extra(
    flexible: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    surroundings.call_backend("editable", tmp_path / "out", cwd=flexible.folder)

    (wheel,) = (tmp_path / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("small-0.1.0.dist-info/METADATA").decode()
    assert "Requires-Dist: anchor>=1\n" in metadata
    assert "extra" not in metadata


def test_a_trained_sdist_has_the_extra_as_its_wheel_has(
    flexible: ModelProject, surroundings: Surroundings
) -> None:
    flexible.replace("pyproject.toml", ("train =", 'sdist = "trained"\ntrain ='))

    built = flexible.build(surroundings, "uv build")

    assert built.output.count("training with") == 1
    assert built.wheel.requires == [*_REQUIRED, *_PINNED]
    assert run("verify", built.wheel.path).code == 0


def test_locked_versions_are_in_the_extra(
    flexible: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    make_wheel(index.folder, "anchor", "1.9", requires=["chain"])
    flexible.write("lock.txt", "anchor==1.2\nchain==2.0\nlink==3.1 ; python_version >= '3.8'\n")
    flexible.replace("pyproject.toml", ("train =", 'lock = "lock.txt"\ntrain ='))

    wheel = flexible.build(surroundings, "uv build --wheel").wheel

    assert wheel.requires == [*_REQUIRED, *_PINNED]


def test_a_base_range_of_pythons_stays_as_it_is(
    flexible: ModelProject, surroundings: Surroundings, index: Index
) -> None:
    """The exact versions may need a newer Python, but the model can be installed without them."""
    make_wheel(index.folder, "link", "3.1", requires_python=">=3.10")
    flexible.replace(
        "pyproject.toml",
        ('requires-python = ">=3.10"\n', ""),
        ('"optional-dependencies"]', '"optional-dependencies", "requires-python"]'),
        ('pins = "extra"\n', 'pins = "extra"\nrequires-python = ">=3.6"\n'),
    )

    wheel = flexible.build(surroundings).wheel

    assert wheel.headers("Requires-Python") == [">=3.6"]


def test_targets_that_share_their_metadata_are_refused(
    flexible: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    python = surroundings.make_environment(tmp_path / "full", "hatchling", "hatch-model", "anchor")

    built = surroundings.run(
        *(python, "-m", "hatchling", "build"), cwd=flexible.folder, check=False
    )

    assert built.returncode == 1
    assert built.stdout.endswith(
        "hatch-model: error: hatchling reads the metadata once for both the sdist and the wheel here, but an "
        "sdist must leave the dynamic `optional-dependencies` open. Build the targets one by one: "
        "`hatchling build -t sdist`, then `hatchling build -t wheel`.\n"
    )
    assert not [*flexible.folder.glob("dist/*.whl")]


def test_a_wheel_whose_extra_was_changed_does_not_verify(
    flexible: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    wheel = flexible.build(surroundings).wheel
    changed = tmp_path / wheel.path.name
    with zipfile.ZipFile(wheel.path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("METADATA"):
                content = content.replace(b"anchor==1.2", b"anchor==1.3")
            new.writestr(name, content)

    ran = run("verify", changed)

    assert ran.code == 1
    assert "anchor: METADATA requires `anchor==1.3; extra == 'pinned'`" in ran.out
