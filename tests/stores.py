"""Made-up stores, and the models in them."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_model.store import Entry, Store

WEIGHTS = PurePosixPath("weights.bin")
NESTED = PurePosixPath("parts/one.txt")
CONTENTS = {WEIGHTS: b"\x00weights" * 100, NESTED: b"1\n", PurePosixPath("empty"): b""}


def make(folder: Path, contents: Mapping[PurePosixPath, bytes]) -> dict[PurePosixPath, Path]:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {path: folder / path for path in contents}


def keep(
    store: Store,
    fingerprint: str,
    files: Mapping[PurePosixPath, Path],
    report: Mapping[PurePosixPath, Path] | None = None,
    **what: Any,
) -> None:
    with store.claim(fingerprint) as claim:
        claim.keep(what, files, report or {})


def find(store: Store, fingerprint: str) -> Entry | None:
    with store.claim(fingerprint) as claim:
        return claim.read()


def entry_of(store: Store, fingerprint: str) -> Entry:
    entry = find(store, fingerprint)
    assert entry is not None
    return entry


def take(store: Store, fingerprint: str, folder: Path) -> str:
    """Copy what is stored to *folder* and one beside it, and say what is wrong with it."""
    folder.mkdir(parents=True)
    with store.claim(fingerprint) as claim:
        entry = claim.read()
        assert entry is not None
        return claim.take(entry, folder, folder.with_name(f"report of {folder.name}"))


def contents_of(folder: Path) -> dict[PurePosixPath, bytes]:
    return {
        PurePosixPath(path.relative_to(folder).as_posix()): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def names_in(store: Store) -> list[str]:
    """Name what lies beside each other in the store's layout."""
    return sorted(path.name for path in store.layout.iterdir()) if store.layout.exists() else []


def keep_aged(store: Store, **used: int) -> None:
    """Have models of 1000 bytes stored, in this order, that were last used at these times.

    They are named by the digit that their fingerprints consist of.
    """
    for digit, time in used.items():
        made = make(store.folder.parent / f"made-{digit}", {WEIGHTS: digit.encode() * 1000})
        keep(store, digit * 64, made)
        os.utime(store.layout / (digit * 64) / "entry.json", (time, time))


def kept_in(store: Store) -> set[str]:
    """Name the models by the digits that their fingerprints consist of."""
    kept = {entry.fingerprint for entry in store.entries()}
    assert all(fingerprint == fingerprint[0] * 64 for fingerprint in kept)
    return {fingerprint[0] for fingerprint in kept}
