"""Simplify and combine PEP 508 markers: the conditions under which pins apply.

``packaging`` can combine markers with ``&`` and ``|`` since 26.1, but requiring that version would
exclude projects whose own dependencies cap it. Combining is also not enough: an ``extra`` must be
removed from the marker, and terms that many paths repeat must be merged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

_TOKEN = re.compile(r"""\s*("[^"]*"|'[^']*'|[()]|[<>=!~]+|[\w.]+)""")
_COMPARISON = re.compile(r"(?P<left>\S+) (?P<operator>not in|\S+) (?P<right>.+)")
_NEGATIONS = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in"}

# Real closures need two or three terms. Above this limit, only what all terms have in common is
# kept: a condition that applies wherever the exact one does, so that no pin is ever missing.
_MOST_TERMS = 32

# A conjunction of comparisons such as `python_version < "3.12"`, each in packaging's spelling.
_Term = frozenset[str]


@dataclass(frozen=True, slots=True)
class Condition:
    """A disjunction of conjunctions of marker comparisons, without any ``extra``."""

    terms: frozenset[_Term]

    def __and__(self, other: Condition) -> Condition:
        return _reduced(left | right for left in self.terms for right in other.terms)

    def __or__(self, other: Condition) -> Condition:
        return _reduced((*self.terms, *other.terms))

    def __str__(self) -> str:
        """Return the marker, empty for :data:`ALWAYS`; equal conditions give equal text."""
        terms = sorted(" and ".join(sorted(term)) for term in self.terms)
        return str(Marker(" or ".join(terms))) if all(terms) else ""

    def holds(self, environment: Mapping[str, str]) -> bool:
        """Evaluate for *environment*, a marker environment (PEP 508) or a part of one."""
        return any(
            all(Marker(comparison).evaluate(dict(environment)) for comparison in term)
            for term in self.terms
        )


ALWAYS = Condition(frozenset({frozenset()}))
NEVER = Condition(frozenset())


def condition_of(
    marker: Marker | None, extra: str = "", groups: Collection[NormalizedName] = ()
) -> Condition:
    """Read *marker* for a distribution requested with *extra*.

    In a lock (PEP 751), a marker can also refer to dependency *groups* or to a project's extras;
    the latter are never set.
    """
    if marker is None:
        return ALWAYS
    return _disjunction(_tokens(str(marker)), _Asked(extra, groups))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The values of the marker variables that do not describe an environment."""

    extra: str
    groups: Collection[NormalizedName]

    def answer(self, left: str, operator: str, right: str) -> Condition | None:
        """Return ALWAYS or NEVER for a comparison with such a variable, None for any other."""
        if "extra" in {left, right}:
            is_true = Marker(f"{left} {operator} {right}").evaluate({"extra": self.extra})
        elif right in {"extras", "dependency_groups"}:
            members = self.groups if right == "dependency_groups" else ()
            is_true = (canonicalize_name(left.strip("\"'")) in members) == (operator == "in")
        else:
            return None
        return ALWAYS if is_true else NEVER


def _tokens(text: str) -> Iterator[str]:
    return iter([match.group(1) for match in _TOKEN.finditer(text)] + [")"])


def _disjunction(tokens: Iterator[str], asked: _Asked) -> Condition:
    """Parse ``a and b or c …`` up to and including its closing parenthesis."""
    alternatives, current = NEVER, ALWAYS
    for word in tokens:
        if word == ")":
            break
        if word == "or":
            alternatives, current = alternatives | current, ALWAYS
        elif word == "(":
            current &= _disjunction(tokens, asked)
        elif word != "and":
            current &= _comparison(word, tokens, asked)
    return alternatives | current


def _comparison(left: str, tokens: Iterator[str], asked: _Asked) -> Condition:
    operator = next(tokens)
    if operator == "not":
        operator += " " + next(tokens)
    right = next(tokens)
    answer = asked.answer(left, operator, right)
    if answer is not None:
        return answer
    return Condition(frozenset({frozenset({f"{left} {operator} {right}"})}))


def _reduced(terms: Iterable[_Term]) -> Condition:
    """Drop terms that are contradictory or implied; merge terms that split on a comparison."""
    possible = {term for term in terms if not any(_negation(each) in term for each in term)}
    merged = True
    while merged:
        possible = {term for term in possible if not any(other < term for other in possible)}
        merged = False
        for one, other in combinations(sorted(possible, key=sorted), 2):
            # (a and b) or (a and not b) is a.
            only_one, only_other = one - other, other - one
            if len(only_one) == 1 and {_negation(*only_one)} == only_other:
                possible = (possible - {one, other}) | {one & other}
                merged = True
                break
    if len(possible) > _MOST_TERMS:
        possible = {frozenset.intersection(*possible)}
    return Condition(frozenset(possible))


def _negation(comparison: str) -> str:
    match = _COMPARISON.fullmatch(comparison)
    if match is None or match["operator"] not in _NEGATIONS:
        return ""
    return f"{match['left']} {_NEGATIONS[match['operator']]} {match['right']}"
