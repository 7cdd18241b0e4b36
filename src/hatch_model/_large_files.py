"""Artifacts on their way into an archive: hatchling packs those of a small model, and we the others.

hatchling deflates in one thread, at a few dozen MB/s. So a model that is large, be it by one file or
by twenty thousand, is kept from it, and added to the wheel or sdist that it has made.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_model._archives import LARGE, Member, add_files
from hatch_model._progress import Progress
from hatch_model._sources import distribution_path
from hatch_model.errors import ArchiveNotWrittenError, DuplicateFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hatchling.builders.plugin.interface import BuilderInterface

    from hatch_model._archives import Compression
    from hatch_model._digests import File
    from hatch_model._log import Log


class LargeFiles:
    """The artifacts of a large model, which *builder* does not see; none of a small one."""

    def __init__(
        self, builder: BuilderInterface[Any, Any], compression: Compression, log: Log
    ) -> None:
        self.paths: dict[str, Path] = {}
        """Where each of them lies now, by its path in the archive."""
        self._builder = builder
        self._compression = compression
        self._log = log

    def place(
        self, artifacts: Mapping[PurePosixPath, Path], build_data: dict[str, Any]
    ) -> dict[str, Path]:
        """Have *artifacts*, by their paths in the tree, shipped; give them by those in the archive.

        Where they are small together, they are put into hatchling's *build_data*.
        """
        placed = {
            str(distribution_path(self._builder, place)): file for place, file in artifacts.items()
        }
        if sum(file.stat().st_size for file in placed.values()) >= LARGE:
            self.paths = placed
        else:
            build_data["force_include"].update(
                {str(file): str(Path(place)) for place, file in artifacts.items()}
            )
        return placed

    def hide(self) -> None:
        """Have hatchling leave out what its selection has at the paths of large files.

        To be called at the end of `initialize`: hatchling itself keeps such a list for what it is
        forced to include, for as long as one reading of the tree takes.
        """
        self._builder.config.build_reserved_paths.update(str(Path(path)) for path in self.paths)

    def add_to(
        self,
        archive: Path,
        finish: Callable[[Mapping[str, File]], Mapping[str, bytes]],
        add: Callable[..., None] = add_files,
    ) -> None:
        """Write *archive* anew with them in it; *finish* as for *add*, which knows its format."""
        members = [Member(path=path, source=file) for path, file in sorted(self.paths.items())]
        add(
            archive,
            archive,
            members,
            compression=self._compression,
            finish=finish,
            progress=Progress(self._log.info),
        )


@contextmanager
def unfinished(archive: Path) -> Iterator[Path]:
    """Give *archive* under a hidden name, and its own back in the end; after an error, it is gone.

    So it has its name only once it is all that it should be, even if this process is killed.
    """
    hidden = archive.with_name(f".{archive.name}.unfinished")
    archive.replace(hidden)
    try:
        yield hidden
        hidden.replace(archive)
    except ArchiveNotWrittenError as error:
        raise ArchiveNotWrittenError(archive, error.needed, error.reason) from None
    except DuplicateFileError as error:
        raise DuplicateFileError(error.path, archive.name) from None
    finally:
        hidden.unlink(missing_ok=True)
