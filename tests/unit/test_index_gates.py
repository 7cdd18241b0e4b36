"""gates.toml: what may be promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hatch_model.errors import HatchModelError, SettingsError
from hatch_model.index.gates import check_promotion, read_gates
from hatch_model.index.history import Archive, History, Release

if TYPE_CHECKING:
    from pathlib import Path


def _release(version: str, *, yanked: str | None = None, **metrics: float) -> Release:
    archive = Archive(
        path=f"files/m/m-{version}-py3-none-any.whl",
        sha256=64 * "0",
        size=1,
        uploaded="2026-01-01T00:00:00Z",
        requires_python=None,
        metadata_sha256=None,
    )
    model: dict[str, Any] = {"metrics": metrics or None}
    return Release(version=version, yanked=yanked, archives=[archive], summary="", model=model)


def _history(*releases: Release) -> History:
    return History(name="m", releases=releases)


@pytest.mark.parametrize(
    ("gate", "latest", "value", "passes"),
    [
        (">= latest", 0.9, 0.9, True),
        (">= latest", 0.9, 0.89, False),
        ("> latest", 0.9, 0.9, False),
        (">= latest - 0.01", 0.9, 0.89, True),
        (">= latest - 0.01", 0.9, 0.8899, False),
        ("<= latest + 1e-1", 0.5, 0.6, True),
        (">=latest-0.01,<1", 0.9, 1.0, False),
        (">= 0.95", 0.9, 0.94, False),
        ("== latest", 2**60 + 1, 2**60 + 1, True),
        ("== latest", 2**60 + 1, 2**60, False),
        (">= latest", 1e-300, 1e-300, True),
        (">= latest", -5e20, -5e20, True),
        (">= latest + 1e308", 1e308, 1.7e308, False),
        (">= latest - 1e400", 0.5, 0.1, True),
        pytest.param("<= latest + 1", 10**400, 0.5, True, id="more than a float holds"),
    ],
)
def test_a_metric_is_compared_with_that_of_the_latest_release(
    gate: str, latest: float, value: float, *, passes: bool
) -> None:
    target, release = _history(_release("1", a=latest)), _release("2", a=value)

    if passes:
        assert check_promotion({"a": gate}, release, target)[0].startswith("a ")
        return
    with pytest.raises(HatchModelError, match="2 misses the gates of the index"):
        check_promotion({"a": gate}, release, target)


def test_the_latest_release_is_the_last_that_installers_take() -> None:
    target = _history(_release("1", a=0.5), _release("2", yanked="bad", a=0.9))

    assert check_promotion({"a": ">= latest"}, _release("3", a=0.6), target) == [
        "a 0.6: >= latest (0.5 in 1)"
    ]


@pytest.mark.parametrize(
    "target",
    [
        _history(),
        _history(_release("1", b=1)),
        _history(_release("1")),
        _history(_release("1", yanked="leaked labels", a=0.9)),
        _history(_release("1rc1", a=0.9)),
    ],
)
def test_a_metric_is_passed_where_there_is_nothing_to_compare_it_with(target: History) -> None:
    assert check_promotion({"a": ">= latest"}, _release("2", a=0.1), target) == ["a 0.1: >= latest"]


def test_a_metric_that_is_missing_misses_its_gate() -> None:
    with pytest.raises(HatchModelError) as error:
        check_promotion({"a": ">= 0", "b": ">= latest"}, _release("2", c=1), _history())
    assert str(error.value) == (
        "m 2 misses the gates of the index, so it was not promoted:\n"
        "  a missing: >= 0\n"
        "  b missing: >= latest"
    )


def test_an_index_without_gates_has_none(tmp_path: Path) -> None:
    assert read_gates(tmp_path) == {}


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_text(
        'loose = ">= 1"\n[m]\na = ">= lates"\nb = 0.9\nc = ">= latest"\nd = ">= latest * 2"\n'
        'e = ">= +latest"\nf = ">= -latest"\n[Two_Tables]\na = ">= 1"\n[two-tables]\nb = ">= 1"\n'
    )

    with pytest.raises(SettingsError) as error:
        read_gates(tmp_path)
    comparisons = (
        "expected comparisons with a number or with `latest`, such as `>= latest` or `>= 0.9, < 1`"
    )
    assert str(error.value).splitlines()[1:] == [
        '  gates.toml: loose: expected a table of metrics; found ">= 1"',
        f'  gates.toml: m.a: {comparisons}; found ">= lates"',
        f"  gates.toml: m.b: {comparisons}; found 0.9",
        f'  gates.toml: m.d: {comparisons}; found ">= latest * 2"',
        f'  gates.toml: m.e: {comparisons}; found ">= +latest"',
        f'  gates.toml: m.f: {comparisons}; found ">= -latest"',
        "  gates.toml: Two_Tables is one of several tables of a model: merge them",
        "  gates.toml: two-tables is one of several tables of a model: merge them",
    ]


@pytest.mark.parametrize("content", [b"[m", b"\xff"])
def test_what_is_not_toml_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gates.toml").write_bytes(content)

    with pytest.raises(HatchModelError, match=r"gates\.toml` is not TOML: "):
        read_gates(tmp_path)


def test_gates_that_cannot_be_read_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gates.toml").symlink_to(tmp_path / "elsewhere.toml")

    with pytest.raises(FileNotFoundError):
        read_gates(tmp_path)


def test_without_a_latest_release_the_other_comparison_still_counts() -> None:
    gates = {"a": ">= latest, < 1"}

    assert check_promotion(gates, _release("1", a=0.9), _history()) == ["a 0.9: >= latest, < 1"]
    with pytest.raises(HatchModelError, match="misses the gates"):
        check_promotion(gates, _release("1", a=1), _history())
