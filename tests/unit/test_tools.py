"""Packages that only some options take."""

from __future__ import annotations

import pytest
from environments import FakeEnvironment, distribution

from hatch_model._settings import ObjectReference, TrainingSettings
from hatch_model._tools import check_tools, tool_requirements
from hatch_model.errors import MissingToolsError

_TRAIN = ObjectReference(module="small.main", attribute="train")
_PLAIN = TrainingSettings(key="model", train=_TRAIN)
_WITH_BOM = TrainingSettings(key="model", train=_TRAIN, sbom=True)
_REUSABLE = TrainingSettings(key="model", train=_TRAIN, inputs=())


def test_only_the_options_that_are_on_take_anything() -> None:
    assert tool_requirements(_PLAIN) == []
    assert tool_requirements(_WITH_BOM) == ["cyclonedx-python-lib>=8", "hatchling>=1.28"]
    assert tool_requirements(_REUSABLE) == ["filelock>=3.12", "platformdirs>=3"]
    check_tools(_PLAIN, FakeEnvironment([]))


def test_what_is_installed_will_do() -> None:
    check_tools(
        _WITH_BOM,
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

    with pytest.raises(MissingToolsError) as refusal:
        check_tools(_WITH_BOM, FakeEnvironment(installed))

    assert str(refusal.value) == (
        "`sbom = true` takes cyclonedx-python-lib>=8 and hatchling>=1.28. Build with isolation, so "
        "that the frontend installs that, or install it first."
    )


def test_the_option_is_named_that_takes_what_is_missing() -> None:
    with pytest.raises(MissingToolsError, match=r"^`inputs` takes filelock>=3.12 and platformdirs"):
        check_tools(_REUSABLE, FakeEnvironment([distribution("filelock", "3.20")]))
