"""What property-based tests share: arbitrary values, and what every message has to be like."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hatch_model.errors import LONGEST_MESSAGE, printable_message

few_hundred = settings(
    max_examples=300,
    deadline=None,
    derandomize=False,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
few = settings(few_hundred, max_examples=100)

NASTY = [
    "",
    "\0",
    "\x1b]0;t\x07",
    "\u202e",
    "\u2028",
    "a\nb",
    "../x",
    "/x",
    "a:b",
    300 * "x",
    "==",
    "http://[",
]
# TOML has no lone surrogates.
words = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(string.ascii_lowercase, min_size=1, max_size=8)
numbers = (
    st.integers()
    | st.sampled_from([10**400, -(10**309), 2**63])
    | st.floats(allow_nan=True, allow_infinity=True)
)
_json_leaves = st.none() | st.booleans() | numbers | words


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=5,
    )


def _deep(depth: int) -> Any:
    nested: Any = 1
    for level in range(depth):
        nested = {"a": nested} if level % 2 else [nested]
    return nested


# Not so deep, and the numbers not so large, that an example could not be shown.
deep_values = st.integers(50, 150).map(_deep)
toml_values = (
    _nested(
        st.booleans() | numbers | words | st.dates() | st.just(dt.datetime(2000, 1, 1))  # noqa: DTZ001
    )
    | deep_values
)
json_values = _nested(_json_leaves) | deep_values


def assert_is_message(text: str) -> None:
    """A message is one, it is bounded, and it does nothing to a terminal."""
    shown = printable_message(text)
    assert text
    assert len(shown) <= 10 * LONGEST_MESSAGE
    assert [each for each in shown if not each.isprintable() and each not in "\n\t"] == []
