"""What a build needs beside the model's own requirements."""

from __future__ import annotations

from typing import Any

import pytest
from environments import FakeEnvironment, distribution

from hatch_model.errors import HatchModelError
from hatch_model.project import Project
from hatch_model.settings import ModelSettings, ObjectReference, PinPolicy, TrainingSettings

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


def test_only_the_options_that_are_on_take_anything() -> None:
    assert _PLAIN.tool_requirements() == []
    assert _WITH_BOM.tool_requirements() == ["cyclonedx-python-lib>=8", "hatchling>=1.28"]
    assert _REUSABLE.tool_requirements() == ["platformdirs>=3"]
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
        "`sbom = true` takes cyclonedx-python-lib>=8 and hatchling>=1.28. Build with isolation, so "
        "that the frontend installs that, or install it first."
    )


def test_the_option_is_named_that_takes_what_is_missing() -> None:
    with pytest.raises(HatchModelError, match=r"^`inputs` takes platformdirs>=3\. "):
        _REUSABLE.check_tools(FakeEnvironment([distribution("filelock", "3.20")]))
