"""Made-up stores, and the models in them."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_model._store import Entry, Store

WEIGHTS = PurePosixPath("weights.bin")
NESTED = PurePosixPath("parts/one.txt")
CONTENTS = {WEIGHTS: b"\x00weights" * 100, NESTED: b"1\n", PurePosixPath("empty"): b""}


def make(folder: Path, contents: Mapping[PurePosixPath, bytes]) -> dict[PurePosixPath, Path]:
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {path: folder / path for path in contents}


def keep(store: Store, fingerprint: str, files: Mapping[PurePosixPath, Path], **what: Any) -> None:
    with store.claim(fingerprint) as claim:
        claim.keep(what, files)


def find(store: Store, fingerprint: str) -> Entry | None:
    with store.claim(fingerprint) as claim:
        return claim.find()


def entry_of(store: Store, fingerprint: str) -> Entry:
    entry = find(store, fingerprint)
    assert entry is not None
    return entry


def contents_of(entry: Entry) -> dict[PurePosixPath, bytes]:
    return {path: file.read_bytes() for path, file in entry.files.items()}


def slot_of(store: Store, fingerprint: str) -> list[str]:
    """Name what lies in the folder of *fingerprint*, the description first."""
    folder = store.folder / "v1" / "models" / fingerprint
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return sorted(names, key=lambda name: (name != "model.json", name))


def keep_aged(store: Store, **used: int) -> None:
    """Have models of 1000 bytes stored, in this order, that were last used at these times."""
    for fingerprint, time in used.items():
        made = make(store.folder.parent / fingerprint, {WEIGHTS: fingerprint.encode()[:2] * 500})
        keep(store, fingerprint, made)
        os.utime(entry_of(store, fingerprint).folder.parent / "model.json", (time, time))


def kept_in(store: Store) -> set[str]:
    return {entry.fingerprint for entry in store.entries()}
