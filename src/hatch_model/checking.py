"""The part of the child script that only a check needs.

It keeps the user's code from finding what is hidden, and makes JSON of what the check returns and
of the signature of the function that predicts. The script reads this file without importing
hatch_model, which may not be there, so it imports nothing but the standard library.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 10_000  # characters of a text that describes a function
_DEEPEST = 64  # arrays or objects inside each other that a record may have


def recordable(returned: Any) -> dict[str, Any]:
    """Return *returned* if JSON can hold it; NumPy-like arrays and scalars are converted."""
    try:
        value = json.loads(json.dumps(returned, allow_nan=False, default=_unpack))
        return {} if is_deeper(value, _DEEPEST) else {"value": value}
    except Exception:  # noqa: BLE001 - the conversion may raise anything, depending on the object
        return {}


def is_deeper(value: object, limit: int) -> bool:
    """Return whether more than *limit* arrays or objects are inside each other in *value*."""
    level = [value]
    for _ in range(limit):
        level = [
            each
            for outer in level
            if isinstance(outer, (dict, list))
            for each in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(each, (dict, list)) for each in level)


def _unpack(value: Any) -> Any:
    for method in ("tolist", "to_dict", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError


def described(function: Any) -> dict[str, Any]:
    """Return what is known of *function*: parameters, what it returns, documentation.

    A default that JSON cannot hold is only mentioned: its text may have an address, which differs
    each time.
    """
    found: dict[str, Any] = {}
    try:
        signature = inspect.signature(function)
        found["parameters"] = [_parameter(each) for each in signature.parameters.values()]
        if signature.return_annotation is not signature.empty:
            found["returns"] = _annotation(signature.return_annotation)
    except (TypeError, ValueError):  # some callables of extension modules have no signature
        pass
    documentation = inspect.getdoc(function)
    if documentation:
        found["documentation"] = documentation[:_LONGEST]
    return found


def _parameter(parameter: inspect.Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.description}
    if parameter.annotation is not parameter.empty:
        found["annotation"] = _annotation(parameter.annotation)
    if parameter.default is not parameter.empty:
        default = _plain(parameter.default)
        found.update({"default": default[0]} if default else {"has_default": True})
    return found


def _annotation(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return "…" if " at 0x" in text else text[:_LONGEST]


def _plain(value: Any) -> list[Any]:
    """Return *value* in a list if JSON can hold it as it is, and otherwise an empty list."""
    try:
        text = json.dumps(value, allow_nan=False)
        return [] if is_deeper(value, _DEEPEST) or len(text) > _LONGEST else [json.loads(text)]
    except (RecursionError, TypeError, ValueError):
        return []


# Hiding


def hide(hidden: dict[str, Any], file_of: Callable[[Any], str]) -> dict[str, tuple[str, str]]:
    """Hide what the protocol calls *hidden* from this process.

    *file_of* returns the file of a module. Returns what the protocol calls ``missed``, which grows
    as hidden names are looked for.
    """
    hiding = _Hiding(hidden)
    hiding.install(file_of)
    return hiding.missed


class _Hiding:
    """Keeps imports and importlib.metadata from finding what is hidden.

    It cannot hide distributions whose installer wrote no RECORD. It also does not affect direct
    calls of PathFinder or processes that the check starts.
    """

    def __init__(self, hidden: dict[str, Any]) -> None:
        self._files: dict[str, str] = hidden["files"]
        folders = {_with_separator(path): name for path, name in hidden["folders"].items()}
        shown = {_with_separator(path): None for path in hidden["shown"]}
        # The innermost folder that contains a file decides.
        self._folders = sorted({**folders, **shown}.items(), key=lambda item: -len(item[0]))
        self._distributions = {tuple(each) for each in hidden["distributions"]}
        self.missed: dict[str, tuple[str, str]] = {}

    def install(self, file_of: Callable[[Any], str]) -> None:
        if not (self._files or self._folders):
            return
        for name, module in list(sys.modules.items()):  # imported by .pth files
            if name != "__main__" and self._owner(file_of(module)) is not None:
                del sys.modules[name]
        # Other finders may be added later, such as importlib_metadata's own.
        sys.meta_path = _MetaPath(self, sys.meta_path)

    def hides(self, spec: Any) -> bool:
        owner = None if spec is None else self._owner(spec.origin)
        if owner is None:
            return False
        self.missed[spec.name] = owner, spec.origin
        return True

    def holds(self, distribution: Any) -> bool:
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        return (os.path.normpath(str(distribution.locate_file(""))), name) in self._distributions

    def _owner(self, origin: object) -> str | None:
        """Return the hidden distribution that *origin*, a module's file, belongs to."""
        if not isinstance(origin, str) or not origin:
            return None
        if origin in self._files:
            return self._files[origin]
        real = os.path.realpath(origin)
        return next((name for folder, name in self._folders if real.startswith(folder)), None)


def _with_separator(path: str) -> str:
    return os.path.join(os.path.realpath(path), "")  # noqa: PTH118 - Path drops the separator


class _MetaPath(list):  # type: ignore[type-arg]
    """``sys.meta_path``, whose finders all hide what is hidden."""

    def __init__(self, hiding: _Hiding, finders: list[Any]) -> None:
        super().__init__(_Finder(hiding, each) for each in finders)
        self._hiding = hiding

    def append(self, finder: Any) -> None:
        super().append(_Finder(self._hiding, finder))

    def insert(self, index: Any, finder: Any) -> None:
        super().insert(index, _Finder(self._hiding, finder))


class _Finder:
    def __init__(self, hiding: _Hiding, finder: Any) -> None:
        self._hiding, self._finder = hiding, finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._finder

    def __hash__(self) -> int:
        return hash(self._finder)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        find = getattr(self._finder, "find_spec", None)
        spec: Any = find(name, path, target) if find else None
        while self._hiding.hides(spec):
            if self._finder is not PathFinder:
                return None
            # PathFinder stops at the first match, but a later one may be a vendored copy.
            entries = [*(sys.path if path is None else path)]
            path = entries[_index_of(spec.origin, entries) + 1 :]
            spec = PathFinder.find_spec(name, path, target) if path else None
        return spec

    def find_distributions(self, *args: Any, **kwargs: Any) -> Any:
        find = getattr(self._finder, "find_distributions", None)
        for each in find(*args, **kwargs) if find else ():
            if not self._hiding.holds(each):
                yield each
            elif getattr(args[0] if args else None, "name", None):  # searching for this name
                name = each.metadata["Name"]
                self._hiding.missed[args[0].name] = self._hiding.missed[name] = name, ""


def _index_of(origin: str, entries: list[Any]) -> int:
    for index, entry in enumerate(entries):
        if isinstance(entry, str) and origin.startswith(os.path.join(entry, "")):  # noqa: PTH118
            return index
    return len(entries)
