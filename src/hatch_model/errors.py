"""Error classes, what they show, and the one place that turns an error into an exit.

hatchling prints its own frames above an exception that leaves a hook, and only build hooks have an
``app`` to abort with. Frontends show the backend's output and that it failed, which is sufficient.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import TextIO

    from packaging.requirements import Requirement

_NOTHING = object()
_INTERRUPTED = 130  # the exit code of shells for SIGINT
_LONGEST_VALUE = 1_000  # characters
LONGEST_MESSAGE = 20_000
"""Of several lines, in characters."""
_MOST_PROBLEMS = 50
_MOST_DIGITS = 308  # of what a float can hold, too
_DEEPEST = 8  # arrays inside each other

DISK_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""The errors of writing a file where there is no room for it."""


HARMLESS_USER = re.compile(r"git|\$\{[A-Za-z0-9-_]+\}(:\$\{[A-Za-z0-9-_]+\})?")
"""What PEP 610 allows before the host of an address, because it is not secret."""
_ADDRESS = re.compile(r"(\w://)(?:([^\s/@`'\"]*)@)?([^\s?#`'\"]*)(\?[^\s#`'\"]*[^\s#`'\",.;:)])?")


def _without_secrets(address: re.Match[str]) -> str:
    scheme, user, rest, query = address.groups()
    shown = f"{user if HARMLESS_USER.fullmatch(user) else '…'}@" if user is not None else ""
    return f"{scheme}{shown}{rest}{'?…' if query else ''}"


def printable(text: str, *, longest: int = _LONGEST_VALUE, keep: str = "") -> str:
    """Return *text*, which anybody may have written, as it can be printed to a terminal.

    What could move the cursor, clear the screen, or make the text look like another one is escaped:
    control characters (except for those in *keep*), line separators, and changes of its direction.
    What may be secret in an address is left out: user, password, and query. What is longer than
    *longest* is cut.
    """
    if "://" in text:
        text = _ADDRESS.sub(_without_secrets, text)
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode()
        for each in shown
    )


def printable_message(text: str) -> str:
    """Return *text*, a message of several lines, as it can be printed to a terminal."""
    return printable(text, longest=LONGEST_MESSAGE, keep="\n\t")


class HatchModelError(Exception):
    """The base class of all errors that this project raises on purpose. Its text is the message."""


class StoreError(HatchModelError):
    """The store cannot be used. This does not fail a build."""


class EngineError(HatchModelError):
    """The engine of `parallel` cannot be used, or was lost. It passes through the user's code."""


class FrontendGoneError(Exception):
    """The process that asked for the build no longer exists."""


class BrokenDistributionError(HatchModelError):
    """An installed distribution's own metadata cannot be read."""


class RequirementError(HatchModelError):
    """The training environment does not contain what is required."""

    def __init__(self, message: str, requirement: Requirement, required_by: str) -> None:
        super().__init__(message)
        self.requirement = requirement
        self.required_by = required_by
        """A TOML key, or a distribution's name and version."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a configuration file."""

    key: str
    """The full dotted key, with an index for an entry of an array."""
    expected: str = ""
    """Empty for an unknown key."""
    found: object = _NOTHING
    suggestion: str = ""
    known: Collection[str] = ()
    statement: str = ""
    """What is wrong, with the key as the subject, if more is to be said than what was expected."""

    def __str__(self) -> str:
        key = printable(self.key)
        if self.statement:
            return f"{key} {printable(self.statement)}"
        hint = f"; did you mean `{printable(self.suggestion)}`?" if self.suggestion else ""
        if not self.expected:
            return f"{key}: unknown key{hint or f'; known keys are {_listed(self.known)}'}"
        found = "it is missing"
        if self.found is not _NOTHING:
            found = f"found {printable(_toml(self.found))}"
        return f"{key}: expected {printable(self.expected)}; {found}{hint}"


class SettingsError(HatchModelError):
    """The project's configuration is invalid."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"\n  {problem}" for problem in self.problems[:_MOST_PROBLEMS]]
        if len(self.problems) > _MOST_PROBLEMS:
            lines.append(f"\n  and {len(self.problems) - _MOST_PROBLEMS} more")
        return f"{len(self.problems)} problems in the project's configuration:{''.join(lines)}"


def _toml(value: object, depth: int = 0) -> str:
    """Format *value* as TOML, or else describe it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        if depth == _DEEPEST:
            return "[…]"
        return f"[{', '.join(_toml(each, depth + 1) for each in value)}]"
    if isinstance(value, (str, bool)):
        import json  # noqa: PLC0415 - only for a message

        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        return f"a number of more than {_MOST_DIGITS} digits"
    return str(value)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with a message and without a traceback on errors that this project raises on purpose."""
    try:
        yield
    except HatchModelError as error:
        _exit(f"error: {error}", 1)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        place = f" to {error.filename}" if error.filename else ""
        _exit(
            f"error: a file cannot be written{place}: {error.strerror}. Make room, or set TMPDIR "
            f"to another folder.",
            1,
        )
    except KeyboardInterrupt:
        _exit("interrupted", _INTERRUPTED)


def painted(message: str, stream: TextIO) -> str:
    """Colour the words of *message* that must not be overlooked, if *stream* is to have colours.

    That is where it is a terminal. It never is under most frontends, so FORCE_COLOR and NO_COLOR
    decide first.
    """
    if os.environ.get("NO_COLOR") or not (os.environ.get("FORCE_COLOR") or stream.isatty()):
        return message
    for words, code in _COLOURS.items():
        message = words.sub(rf"\033[{code}m\g<0>\033[0m", message)
    return message


_COLOURS = {
    re.compile(r"(?<=^hatch-model: )error:"): "1;31",
    re.compile(r"(?<=^hatch-model: )warning:"): "1;33",
    re.compile(r"\bMISSED$", re.MULTILINE): "1;31",
    re.compile(r"(?<=  )ok$", re.MULTILINE): "32",
}
"""Codes of ECMA-48: bold red, bold yellow, green."""


def _exit(message: str, code: int) -> None:
    line = f"hatch-model: {printable_message(message)}"
    print(painted(line, sys.stderr), file=sys.stderr, flush=True)  # noqa: T201
    raise SystemExit(code)
