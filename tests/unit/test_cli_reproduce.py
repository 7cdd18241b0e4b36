"""What `reproduce` makes of a wheel and of what was rebuilt, and what it refuses to rebuild."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from checkout import CHECKOUT
from models import FILES, MAIN, WEIGHTS, Ran, make_model, rewrite, run
from support import make_sdist, make_wheel

from hatch_model.cli.open import open_model
from hatch_model.cli.reproduce import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models import Change


def _compare(original: Path, rebuilt: Path, tolerance: float = 1e-6) -> Comparison:
    with closing(open_model(str(original))) as one, closing(open_model(str(rebuilt))) as other:
        return compare(one, other, tolerance)


def _found(comparison: Comparison) -> dict[str, Any]:
    """Give the sections in which anything differs."""
    return {section: pairs for section, pairs in comparison.differences.items() if pairs}


# Verdicts

_OTHER = {**FILES, WEIGHTS: "0.6\n"}


def _check(result: Any) -> Change:
    return lambda record: record["check"].update(result=result)


def _metrics(**metrics: float) -> Change:
    return lambda record: record.update(metrics=metrics)


def _without_check(record: dict[str, Any]) -> None:
    record["check"] = None


def _unrecordable(record: dict[str, Any]) -> None:
    del record["check"]["result"]


def test_a_model_whose_files_are_the_same_is_identical(tmp_path: Path) -> None:
    comparison = _compare(make_model(tmp_path / "one"), make_model(tmp_path / "other"))

    assert (comparison.verdict, comparison.reason) == ("identical", "")
    assert _found(comparison) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "the metrics or the check's result"),
        (_without_check, "the metrics"),
        (_unrecordable, "the metrics"),
        (_check(None), "the metrics"),
        (_metrics(), "the check's result"),
    ],
)
def test_other_bytes_with_what_was_measured_before_are_equivalent(
    change: Change, reason: str, tmp_path: Path
) -> None:
    original = make_model(tmp_path / "one", change)
    rebuilt = make_model(tmp_path / "other", change, files=_OTHER)

    comparison = _compare(original, rebuilt)

    assert comparison.verdict == "equivalent"
    assert comparison.reason == f"files differ, but not {reason}"
    assert list(_found(comparison)) == ["artifacts"]


@pytest.mark.parametrize("change", [_without_check, _unrecordable, _check(None)])
def test_other_bytes_of_which_nothing_was_measured_are_different(
    change: Change, tmp_path: Path
) -> None:
    original = make_model(tmp_path / "one", change, _metrics())
    rebuilt = make_model(tmp_path / "other", change, _metrics(), files=_OTHER)

    comparison = _compare(original, rebuilt)

    assert comparison.verdict == "different"
    assert comparison.reason == (
        "files differ, and there are no metrics and no check's result to compare"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([_metrics(accuracy=0.74)], "the metrics"),
        ([_metrics()], "the metrics"),
        ([_metrics(accuracy=0.75, loss=0.1)], "the metrics"),
        ([_check([0.4, "setosa", 3])], "the check's result"),
        ([_without_check], "the check's result"),
        ([_unrecordable], "the check's result"),
        ([_metrics(accuracy=0.74), _check(3)], "the metrics and the check's result"),
    ],
)
def test_other_bytes_with_anything_else_measured_are_different(
    changes: list[Change], reason: str, tmp_path: Path
) -> None:
    original = make_model(tmp_path / "one")
    rebuilt = make_model(tmp_path / "other", *changes, files=_OTHER)

    comparison = _compare(original, rebuilt)

    assert comparison.verdict == "different"
    assert comparison.reason == f"files differ, as well as {reason}"


@pytest.mark.parametrize("change", [_metrics(accuracy=0.76), _check([0.51, "setosa", 3])])
def test_the_tolerance_is_for_metrics_and_the_checks_result(change: Change, tmp_path: Path) -> None:
    original = make_model(tmp_path / "one")
    rebuilt = make_model(tmp_path / "other", change, files=_OTHER)

    assert _compare(original, rebuilt, 0.009).verdict == "different"
    assert _compare(original, rebuilt, 0.011).verdict == "equivalent"


def test_files_that_are_missing_or_new_differ(tmp_path: Path) -> None:
    original = make_model(tmp_path / "one", files={**FILES, "small/data/old.txt": ""})
    rebuilt = make_model(tmp_path / "other", files={**FILES, "small/data/new.txt": ""})

    comparison = _compare(original, rebuilt)

    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert comparison.verdict == "equivalent"
    assert _found(comparison) == {
        "artifacts": {"small/data/new.txt": (None, empty), "small/data/old.txt": (empty, None)}
    }


def test_a_model_with_other_code_around_it_is_not_identical(tmp_path: Path) -> None:
    original = make_model(tmp_path / "one")
    rebuilt = make_model(tmp_path / "other", files={**FILES, MAIN: "def check(): ...\n"})

    comparison = _compare(original, rebuilt)

    assert comparison.verdict == "equivalent"
    assert [*_found(comparison)["sources"]] == [MAIN]


# Circumstances


def _environment(record: dict[str, Any]) -> None:
    record["environment"][0]["version"] = "1.3"
    record["environment"][1]["name"] = "loky"


_CIRCUMSTANCES: dict[str, tuple[Change, dict[str, Any]]] = {
    "training": (
        lambda record: record.update(
            training={"entry_point": "small.main:fit", "arguments": {"depth": 4, "loss": "log"}}
        ),
        {
            "summary": {"entry point": ("small.main:train", "small.main:fit")},
            "arguments": {"depth": (3, 4)},
        },
    ),
    "metrics": (
        lambda record: record["metrics"].update(loss=0.1),
        {"metrics": {"loss": (None, 0.1)}},
    ),
    "gates": (
        lambda record: record["gates"].update(accuracy=">= 0.6"),
        {"gates": {"accuracy": (">= 0.7", ">= 0.6")}},
    ),
    "check": (
        _check([0.4, "setosa", 3]),
        {"check": {"result": ([0.5, "setosa", 3], [0.4, "setosa", 3])}},
    ),
    "python": (
        lambda record: record.update(python={"implementation": "PyPy", "version": "3.11.9"}),
        {
            "summary": {"python": ("3.12.1", "3.11.9")},
            "platform": {"implementation": ("CPython", "PyPy")},
        },
    ),
    "platform": (
        lambda record: record["platform"].update(machine="arm64"),
        {"platform": {"machine": ("x86_64", "arm64")}},
    ),
    "environment": (
        _environment,
        {
            "environment": {
                "anchor": ("1.2", "1.3"),
                "joblib": ("1.5.0", None),
                "loky": (None, "1.5.0"),
            }
        },
    ),
    "lock": (
        lambda record: record.update(lock={"path": "uv.lock", "sha256": 64 * "2", "size": 9}),
        {
            "lock": {
                "path": (None, "uv.lock"),
                "sha256": (None, 64 * "2"),
                "size": (None, 9),
            }
        },
    ),
    "git": (
        lambda record: record.update(git=None),
        {
            "summary": {
                "commit": ("c0ffee" + 34 * "0", None),
                "uncommitted changes": (False, None),
            }
        },
    ),
    "inputs": (
        lambda record: record["inputs"][0].update(sha256=64 * "2"),
        {"inputs": {"flowers.csv": (64 * "1", 64 * "2")}},
    ),
}


@pytest.mark.parametrize(("change", "found"), _CIRCUMSTANCES.values(), ids=_CIRCUMSTANCES)
def test_circumstances_that_differ_are_told_and_change_no_verdict(
    change: Change, found: dict[str, Any], tmp_path: Path
) -> None:
    comparison = _compare(make_model(tmp_path / "one"), make_model(tmp_path / "other", change))

    assert comparison.verdict == "identical"
    assert _found(comparison) == found


def test_pins_that_differ_are_told(tmp_path: Path) -> None:
    original = make_model(tmp_path / "one")
    rebuilt = make_model(tmp_path / "other", requires=["anchor==1.3"])

    assert _found(_compare(original, rebuilt)) == {"pins": {"anchor": ("==1.2", "==1.3")}}


def test_no_part_of_a_record_is_left_out() -> None:
    schema = json.loads((CHECKOUT / "src" / "hatch_model" / "model.schema.json").read_text("utf-8"))

    told_elsewhere = {
        "schema_version",  # this is the only one
        "project",  # the sdist of another one is refused
        "generator",  # it is in the environment
        *("pins", "sources", "artifacts"),  # above
    }
    assert {*schema["required"]} == told_elsewhere | {*_CIRCUMSTANCES}


# Refusals: nothing is built, or else these would say that there is no uv


@pytest.fixture
def no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return make_sdist(tmp_path, "small", "0.1.0")


def _refused(message: str) -> Ran:
    return Ran("", f"hatch-model: error: {message}\n", 1)


@pytest.mark.usefixtures("no_uv")
def test_without_uv_nothing_is_rebuilt(sdist: Path, tmp_path: Path) -> None:
    wheel = make_model(tmp_path / "dist")

    assert run("reproduce", wheel, sdist) == _refused(
        "uv is required to rebuild a wheel, and was not found. Install uv, or put its path into UV."
    )


@pytest.mark.usefixtures("no_uv")
def test_two_of_a_kind_or_an_installed_model_are_refused(sdist: Path, tmp_path: Path) -> None:
    wheel = make_model(tmp_path / "dist")

    assert run("reproduce", sdist, wheel) == _refused(
        f"`{sdist}` is an sdist, but a wheel is needed here."
    )
    assert run("reproduce", wheel, wheel) == _refused(
        f"`{wheel}` is a wheel, but an sdist is needed here."
    )
    assert run("reproduce", "click", sdist) == _refused(
        "`click` is an installed model, but a wheel is needed here."
    )


@pytest.mark.usefixtures("no_uv")
@pytest.mark.parametrize("position", ["WHEEL", "SDIST"])
def test_what_cannot_be_opened_is_refused(position: str, sdist: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.gz"
    broken.write_text("no archive", "utf-8")
    wheel = make_model(tmp_path / "dist")
    models = [broken, sdist] if position == "WHEEL" else [wheel, broken]

    assert run("reproduce", *models) == _refused(
        f"`{broken}` cannot be read: file could not be opened successfully"
    )


@pytest.mark.usefixtures("no_uv")
def test_a_wheel_of_another_tool_is_refused(sdist: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "small", "0.1.0")

    assert run("reproduce", wheel, sdist) == _refused(
        f"`{wheel}` contains no record of how it was made. Wheels that hatch-model builds contain "
        f"one."
    )


@pytest.mark.usefixtures("no_uv")
def test_a_wheel_with_a_damaged_record_is_refused(sdist: Path, tmp_path: Path) -> None:
    wheel = make_model(tmp_path / "dist", lambda record: record.pop("metrics"))

    assert run("reproduce", wheel, sdist) == _refused(
        f"`{wheel}` cannot be read: small-0.1.0.dist-info/extra_metadata/model.json: it: 'metrics' "
        "is a required property"
    )


@pytest.mark.usefixtures("no_uv")
@pytest.mark.parametrize(("name", "version"), [("small", "0.2.0"), ("other", "0.1.0")])
def test_an_sdist_of_something_else_is_refused(name: str, version: str, tmp_path: Path) -> None:
    wheel, sdist = make_model(tmp_path / "dist"), make_sdist(tmp_path, name, version)

    assert run("reproduce", wheel, sdist) == _refused(
        f"`{wheel}` is small 0.1.0, but `{sdist}` is {name} {version}. Give the sdist that the "
        "wheel was built from."
    )


@pytest.mark.usefixtures("no_uv")
@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({WEIGHTS: b"0.6\n"}, f"{WEIGHTS}: its content is not what RECORD says"),
        ({"small/\x1b[2J": b""}, r"small/\x1b[2J: a control character in its name, and 1 more"),
        (
            {WEIGHTS: b"0.6\n", MAIN: b""},
            f"{MAIN}: 0 bytes, but RECORD says {len(FILES[MAIN])}, and 1 more",
        ),
    ],
)
def test_a_wheel_that_was_changed_since_is_refused(
    damage: Mapping[str, bytes], what: str, sdist: Path, tmp_path: Path
) -> None:
    wheel = rewrite(make_model(tmp_path / "dist"), damage)

    assert run("reproduce", wheel, sdist) == _refused(
        f"`{wheel}` does not match its metadata: {what}. See `hatch-model verify`."
    )
