"""The function that apps call: its entry point, and what is said of its signature."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from hatch_model.checking import described
from hatch_model.entry_point import ObjectReference
from hatch_model.errors import HatchModelError
from hatch_model.predict import entry_points, shown_signature

_PREDICT = ObjectReference(module="iris", attribute="predict")
_KEY = "tool.hatch.build.hooks.model.predict"


class Model:
    def predict(self, rows: list[list[float]], /, *, threshold: float = 0.5) -> list[str]:
        """Tell the species.

        Of each row.
        """
        return [str(threshold), str(rows)]


def plain(rows, names=("a", "b"), limit=None, flag=True, text="é"):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, FBT002
    return rows, names, limit, flag, text


def variadic(first: Model, /, *rows: int, **more: Any) -> None: ...


def odd(where=object(), *, how: float = float("nan")) -> "Model":  # type: ignore[no-untyped-def] # noqa: ANN001, ARG001, B008, UP037
    return Model()


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (Model().predict, "(rows: list[list[float]], /, *, threshold: float = 0.5) -> list[str]"),
        (plain, '(rows, names=["a", "b"], limit=None, flag=True, text="é")'),
        (variadic, "(first: Model, /, *rows: int, **more: Any) -> None"),
        (odd, "(where=…, *, how: float = …) -> 'Model'"),
        (nothing, "() -> None"),
        (functools.partial(plain, 1), '(names=["a", "b"], limit=None, flag=True, text="é")'),
        (print, None),
        (dict, "(…)"),
    ],
)
def test_a_signature_is_shown_as_python_spells_it(function: Any, shown: str | None) -> None:
    told = shown_signature({"entry_point": "iris:predict", **described(function)})

    assert told.startswith("iris:predict(")
    assert shown is None or told == f"iris:predict{shown}"
    assert " at 0x" not in told


def test_what_is_said_of_a_function_is_the_same_each_time() -> None:
    found = described(Model().predict)

    assert found == described(Model().predict)
    assert found == {
        "parameters": [
            {"name": "rows", "kind": "positional-only", "annotation": "list[list[float]]"},
            {
                "name": "threshold",
                "kind": "keyword-only",
                "annotation": "float",
                "default": 0.5,
            },
        ],
        "returns": "list[str]",
        "documentation": "Tell the species.\n\nOf each row.",
    }


def test_a_default_that_json_cannot_hold_is_mentioned() -> None:
    parameters = described(odd)["parameters"]

    assert [each["has_default"] for each in parameters] == [True, True]
    assert "default" not in parameters[0]


def test_the_entry_point_stands_after_those_of_the_project() -> None:
    own = b"[console_scripts]\niris = iris:main\n"

    assert entry_points(b"", "iris-model", _PREDICT, _KEY) == (
        b"[hatch_model.models]\niris-model = iris:predict\n"
    )
    assert entry_points(own, "iris-model", _PREDICT, _KEY) == (
        own + b"\n[hatch_model.models]\niris-model = iris:predict\n"
    )


def test_a_project_that_declares_the_group_itself_is_told() -> None:
    own = b"[hatch_model.models]\nother = iris:other\n"

    with pytest.raises(HatchModelError) as error:
        entry_points(own, "iris-model", _PREDICT, _KEY)
    assert str(error.value) == (
        'project.entry-points."hatch_model.models" is what tool.hatch.build.hooks.model.predict writes. '
        "Remove one of them."
    )
