"""A stored model: a description, and the files that it lists by their content."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model._digests import File, files_of
from hatch_model._store._locks import Lease, reporting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_model._progress import Progress

DESCRIPTION = "model.json"
LEASE_SUFFIX = ".lease"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of a model, as it was when it was stored."""

    file: File
    is_executable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A model in the store."""

    description: Mapping[str, Any]
    """What was given to be kept with the files."""
    kept: datetime
    used: datetime
    """When it was last held, or else kept."""
    folder: Path
    """Of the files."""
    stored: Mapping[PurePosixPath, StoredFile]

    @property
    def fingerprint(self) -> str:
        return self.folder.parent.name

    @property
    def files(self) -> dict[PurePosixPath, Path]:
        """Where each file lies, by its path in the model."""
        return {path: self.folder / path for path in self.stored}

    @property
    def size(self) -> int:
        """Of the files, in bytes."""
        return sum(each.file.size for each in self.stored.values())

    def damage(self, progress: Progress | None = None) -> str:
        """Say which file is not what was stored, as a sentence, or give an empty string.

        *progress* is told how far that has come. A file that was stored as a hard link changes with the one that it was linked to.
        """
        for path, stored in self.stored.items():
            try:
                found = (self.folder / path).stat()
            except OSError as error:
                return f"`{path}` cannot be read: {error.strerror}."
            if found.st_size != stored.file.size:
                return f"`{path}` has {found.st_size} bytes rather than {stored.file.size}."
            if is_executable(found) != stored.is_executable:
                return f"`{path}` is {'no longer' if stored.is_executable else 'now'} executable."
        try:
            sources = {str(path): self.folder / path for path in self.stored}
            files = files_of(sources, progress, "verifying the stored model")
        except OSError as error:
            return f"its files cannot be read: {error.strerror}."
        for found_file in files:
            if found_file != self.stored[PurePosixPath(found_file.path)].file:
                return f"`{found_file.path}` has another content than when it was stored."
        return ""

    def hold(self) -> Lease:
        """Keep the files in the store until the lease is released or this process ends.

        It is for whoever has claimed the fingerprint, since any other may be about to remove them.
        Raises UnusableStoreError.
        """
        slot = self.folder.parent
        with reporting(slot):
            lease = Lease(slot / f"{self.folder.name}.{os.urandom(8).hex()}{LEASE_SUFFIX}")
            os.utime(slot / DESCRIPTION)
        return lease


def is_executable(found: os.stat_result) -> bool:
    return bool(found.st_mode & stat.S_IXUSR)


def entry_bytes(
    description: Mapping[str, Any], folder: str, stored: Mapping[PurePosixPath, StoredFile]
) -> bytes:
    """Write an entry, whose files lie in *folder* beside it, as JSON with a digest of itself."""
    model = {
        "description": description,
        "kept": datetime.now(timezone.utc).isoformat(),
        "folder": folder,
        "files": [
            {
                "path": str(path),
                "sha256": each.file.sha256,
                "size": each.file.size,
                "executable": each.is_executable,
            }
            for path, each in stored.items()
        ],
    }
    return json.dumps({"model": model, "sha256": _digest(model)}).encode()


def read_entry(slot: Path) -> Entry | None:
    """Read the entry in the folder *slot*; None if there is none, or none that can be read."""
    path = slot / DESCRIPTION
    try:
        used = path.stat().st_mtime
        document = json.loads(path.read_bytes())
        model = document["model"]
        if document["sha256"] != _digest(model):
            return None
        return Entry(
            description=model["description"],
            kept=datetime.fromisoformat(model["kept"]),
            used=datetime.fromtimestamp(used, timezone.utc),
            folder=slot / model["folder"],
            stored=dict(map(_stored, model["files"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stored(file: Mapping[str, Any]) -> tuple[PurePosixPath, StoredFile]:
    content = File(path=file["path"], sha256=file["sha256"], size=file["size"])
    return PurePosixPath(content.path), StoredFile(file=content, is_executable=file["executable"])


def _digest(model: object) -> str:
    return hashlib.sha256(json.dumps(model).encode()).hexdigest()
