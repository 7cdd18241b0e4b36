"""Whatever the two tables say, the settings are typed or the problems are told."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hatchling.metadata.core import ProjectMetadata
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_is_message, few_hundred, names, toml_values, words

from hatch_model.entry_point import PASSED_FOLDERS
from hatch_model.errors import SettingsError
from hatch_model.settings import (
    Settings,
    read_model_settings,
    read_settings,
    read_training_settings,
)

if TYPE_CHECKING:
    import pytest

    from hatch_model.errors import Problem

_MODEL_KEYS = (
    *("dependencies", "dependency-group", "pins", "local-versions", "direct-references"),
    *("requires-python", "python"),
)
_TRAINING_KEYS = (
    *("train", "artifacts", "arguments", "dependency-groups", "lock", "inputs", "gates", "check"),
    *("sbom", "python-path", "environment", "editable", "sdist", "compression"),
)
_plausible = st.sampled_from(
    [
        *("all", "keep", "url", "minor", "run", "small.main:train", "data", "uv.lock", ">=3.10"),
        *(
            ["anchor>=1"],
            ["run"],
            ["anchor @ https://example.org/a.whl"],
            ["**/*.csv"],
            [".", "src"],
        ),
        *({"accuracy": ">= 0.9"}, {"depth": 3}, {"A": "1"}, True, "train", "trained", "stored"),
    ]
)


def _table(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    known = st.dictionaries(st.sampled_from(keys), _plausible | toml_values, max_size=6)
    unknown = st.dictionaries(words, toml_values, max_size=2)
    return st.builds(lambda one, other: {**other, **one}, known, unknown)


_groups = st.just({"run": ["anchor>=1"]}) | toml_values | st.dictionaries(words, toml_values)


_projects = st.dictionaries(
    st.sampled_from(["name", "version", "dynamic", "dependencies", "requires-python"]) | words,
    words | toml_values,
    max_size=3,
)


def _check(problems: list[Problem]) -> None:
    if problems:
        message = str(SettingsError(problems))
        assert_is_message(message)
        # A line for each of them, whatever they quote.
        assert message.count("\n") <= 52


@few_hundred
@given(_table(_MODEL_KEYS) | toml_values, _groups)
def test_whatever_the_metadata_hooks_table_says_it_is_read_or_refused(
    table: object, groups: object
) -> None:
    problems: list[Problem] = []
    read_model_settings("hook", table, {"dependency-groups": groups}, problems)
    _check(problems)


@few_hundred
@given(_table(_TRAINING_KEYS) | toml_values, _groups)
def test_whatever_the_build_hooks_table_says_it_is_read_or_refused(
    table: object, groups: object
) -> None:
    problems: list[Problem] = []
    read_training_settings("hook", table, {"dependency-groups": groups}, problems)
    _check(problems)


@few_hundred
@given(_table(_MODEL_KEYS), _table(_TRAINING_KEYS), _groups, _projects)
def test_whatever_a_project_says_its_settings_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    model: dict[str, Any],
    training: dict[str, Any],
    groups: object,
    project: dict[str, Any],
) -> None:
    config = {
        "project": {"name": "small", "version": "1", "dynamic": ["dependencies"], **project},
        "dependency-groups": groups,
        "tool": {
            "hatch": {
                "metadata": {"hooks": {"model": model}},
                "build": {"hooks": {"model": training}},
            }
        },
    }
    metadata: ProjectMetadata[Any] = ProjectMetadata(
        str(tmp_path_factory.getbasetemp()), None, config
    )
    try:
        assert isinstance(read_settings(metadata, needs_training=True), Settings)
    except SettingsError as error:
        _check([*error.problems])


_paths = st.lists(names, min_size=1, max_size=4).map("/".join)
# `a.py:f` is refused, since it means a script or a module `a`.
_references = st.builds("{}.{}:{}".format, names, names.filter(lambda name: name != "py"), names)
_arguments = st.recursive(
    st.booleans() | st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@few_hundred
@given(
    train=_references,
    check=_references,
    artifacts=_paths,
    lock=_paths,
    path=st.lists(_paths, max_size=3),
    inputs=st.lists(_paths, max_size=3),
    arguments=st.dictionaries(names.filter(lambda name: name not in PASSED_FOLDERS), _arguments),
    environment=st.dictionaries(names, words.filter(lambda value: "\0" not in value)),
    gates=st.dictionaries(words, st.sampled_from([">= 0.9", "<1", ">= 0.9, < 1e3"])),
)
def test_what_the_build_hooks_table_says_is_what_the_settings_hold(  # noqa: PLR0917 - one for each key
    train: str,
    check: str,
    artifacts: str,
    lock: str,
    path: list[str],
    inputs: list[str],
    arguments: dict[str, Any],
    environment: dict[str, str],
    gates: dict[str, str],
) -> None:
    problems: list[Problem] = []
    table = {
        "train": train,
        "check": check,
        "artifacts": artifacts,
        "lock": lock,
        "inputs": inputs,
        "python-path": path,
        "arguments": arguments,
        "environment": environment,
        "gates": gates,
    }
    settings = read_training_settings("hook", table, {}, problems)

    assert problems == []
    assert (str(settings.train), str(settings.check)) == (train, check)
    assert (str(settings.artifacts), str(settings.lock)) == (artifacts, lock)
    assert settings.python_path == tuple(map(PurePosixPath, path))
    assert settings.inputs == tuple(inputs)
    assert settings.arguments == arguments
    assert settings.environment == environment
    assert {metric: gate.text for metric, gate in settings.gates.items()} == gates
