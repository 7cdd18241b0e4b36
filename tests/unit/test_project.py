"""What a build needs beside the model's own requirements."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from environments import FakeEnvironment, distribution
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement

from hatch_model.entry_point import ObjectReference
from hatch_model.errors import HatchModelError
from hatch_model.parallel import Parallel
from hatch_model.project import Project, check_source_date_epoch
from hatch_model.settings import ModelSettings, PinPolicy, TrainingSettings

if TYPE_CHECKING:
    from pathlib import Path

_TRAIN = ObjectReference(module="small.main", attribute="train")


def project(**options: Any) -> Project:
    nothing: Any = None
    return Project(
        builder=nothing,
        model=ModelSettings(roots=(), policy=PinPolicy()),
        training=TrainingSettings(key="model", train=_TRAIN, **options),
        log=nothing,
    )


_PLAIN, _WITH_BOM, _REUSABLE = project(), project(sbom=True), project(inputs=())
_ON_DASK = project(parallel=Parallel(key="model.parallel", backend="dask"))


def test_only_the_options_that_are_on_take_anything() -> None:
    assert _PLAIN.tool_requirements() == []
    assert _WITH_BOM.tool_requirements() == ["cyclonedx-python-lib>=8", "hatchling>=1.28"]
    assert _REUSABLE.tool_requirements() == ["platformdirs>=3"]
    assert _ON_DASK.tool_requirements() == ["distributed>=2025.4", "joblib>=1.5"]
    _PLAIN.check_tools(FakeEnvironment([]))


def test_what_is_installed_will_do() -> None:
    _WITH_BOM.check_tools(
        FakeEnvironment(
            [distribution("cyclonedx-python-lib", "8.0"), distribution("hatchling", "1.28")]
        ),
    )


@pytest.mark.parametrize(
    ("cyclonedx", "hatchling"), [(None, "1.33"), ("7.9", "1.33"), ("11.0", "1.27.0")]
)
def test_what_is_missing_or_too_old_is_asked_for(cyclonedx: str | None, hatchling: str) -> None:
    installed = [distribution("hatchling", hatchling)]
    if cyclonedx is not None:
        installed.append(distribution("cyclonedx-python-lib", cyclonedx))

    with pytest.raises(HatchModelError) as refusal:
        _WITH_BOM.check_tools(FakeEnvironment(installed))

    assert str(refusal.value) == (
        "`sbom = true` requires cyclonedx-python-lib>=8 and hatchling>=1.28. Build with isolation, "
        "so that the frontend installs it, or install it first."
    )


def test_the_option_is_named_that_takes_what_is_missing() -> None:
    environment = FakeEnvironment([distribution("filelock", "3.20")])
    with pytest.raises(HatchModelError, match=r"^`inputs` requires platformdirs>=3\. "):
        _REUSABLE.check_tools(environment)
    with pytest.raises(HatchModelError, match=r'^`parallel.backend = "dask"` requires distributed'):
        _ON_DASK.check_tools(environment)


@pytest.mark.parametrize(
    ("target", "required"),
    [
        ("sdist", []),
        ("wheel", ["anchor[fast]>=1.2, <2", "chain", "platformdirs>=3"]),
        ("editable", ["editables~=0.3"]),
    ],
)
def test_asking_for_the_requirements_does_not_import_what_training_needs(
    tmp_path: Path, target: str, required: list[str]
) -> None:
    """A frontend asks in a process of its own, before each build."""
    (tmp_path / "pyproject.toml").write_text(
        """
        [project]
        name = "small"
        version = "1"
        dynamic = ["dependencies", "requires-python"]

        [tool.hatch.metadata.hooks.model]
        dependency-group = "model"
        requires-python = ">=3.10, <4"

        [dependency-groups]
        model = ["anchor[fast]>=1.2, <2", "chain"]

        [tool.hatch.build.hooks.model]
        train = "small:train"
        inputs = []
        """
    )
    (tmp_path / "small.py").write_text("def train(): ...\n", "utf-8")
    source = (
        "import json, sys; from hatchling import build\n"
        f"required = build.get_requires_for_build_{target}()\n"
        "names = ('hatch_model.installed', 'hatch_model.gates', 'hatch_model.parallel', 'importlib_metadata',"
        " 'packaging.requirements', 'packaging.specifiers', 'packaging.utils', 'subprocess')\n"
        "print(json.dumps([required, [name for name in names if name in sys.modules]]))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, check=True, capture_output=True, text=True
    )

    assert json.loads(completed.stdout) == [required, []]


_ON_CLUSTER = """
[project]
name = "small"
version = "1"
dynamic = ["dependencies"]

[tool.hatch.metadata.hooks.model]
dependencies = ["anchor>=1"]

[tool.hatch.build.hooks.model]
train = "small:train"
parallel = { backend = "dask" }
"""


def _asked_for(folder: Path, settings: str = "") -> subprocess.CompletedProcess[str]:
    """Ask what a wheel of a project on a cluster, with more *settings*, requires of its build."""
    (folder / "pyproject.toml").write_text(_ON_CLUSTER + settings, "utf-8")
    (folder / "small.py").write_text("def train(): ...\n", "utf-8")
    source = (
        "import json; from hatchling import build\n"
        "print(json.dumps(build.get_requires_for_build_wheel()))"
    )
    command = [sys.executable, "-c", source]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_an_engine_is_installed_beside_the_requirements_or_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    (tmp_path / "requirements.lock").write_text("anchor==1.2\ndistributed==2026.8.0\n", "utf-8")
    group = '[dependency-groups]\ncluster = ["distributed"]\n'
    locked = f'lock = "requirements.lock"\ndependency-groups = ["cluster"]\n{group}'

    asked = [json.loads(_asked_for(tmp_path, each).stdout) for each in ("", locked)]

    engine = ["distributed>=2025.4", "joblib>=1.5"]
    assert asked == [
        ["anchor>=1", *engine],
        ["anchor==1.2", "distributed==2026.8.0", *engine],
    ]


def test_a_missing_address_is_told_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)

    asked = _asked_for(tmp_path)

    assert (asked.returncode, asked.stdout, asked.stderr) == (
        1,
        "",
        (
            "hatch-model: error: tool.hatch.build.hooks.model.parallel names no address. Set "
            "tool.hatch.build.hooks.model.parallel.address or the environment variable "
            "DASK_SCHEDULER_ADDRESS.\n"
        ),
    )


def test_metadata_without_pins_keeps_the_variables_in_an_address(tmp_path: Path) -> None:
    """As an editable install has it: hatchling would take the braces for a field of its own."""
    (tmp_path / "pyproject.toml").write_text(
        """
        [project]
        name = "small"
        version = "1"
        dynamic = ["dependencies"]

        [tool.hatch.metadata]
        allow-direct-references = true

        [tool.hatch.metadata.hooks.model]
        dependencies = ["anchor @ https://${TOKEN}@h.example/anchor.zip"]
        """
    )
    metadata = ProjectMetadata(str(tmp_path), PluginManager())

    (line,) = metadata.core.dependencies
    assert Requirement(line).url == "https://${TOKEN}@h.example/anchor.zip"


@pytest.mark.parametrize("value", ["0", "315532800", "4354819199"])
def test_files_get_the_time_of_source_date_epoch(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)

    check_source_date_epoch()


@pytest.mark.parametrize(
    "value", ["", "abc", "-1", "1e3", "1.5", "1_000", "٣", "4354819200", f"1{30 * '0'}"]
)
def test_a_source_date_epoch_that_no_file_can_have_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)

    with pytest.raises(HatchModelError) as refusal:
        check_source_date_epoch()
    assert str(refusal.value) == (
        f"SOURCE_DATE_EPOCH is `{value}`, but it has to be a number of seconds since 1970, and at most "
        f"4354819199, the end of 2107."
    )
