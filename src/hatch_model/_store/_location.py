"""Where the store is, and how much it may hold: the two things that a user can say of it."""

from __future__ import annotations

import os
from pathlib import Path

from hatch_model._sizes import parse_size
from hatch_model.errors import StoreLimitError, UnusableStoreError

_FOLDER_VARIABLE = "HATCH_MODEL_CACHE_DIR"
_LIMIT_VARIABLE = "HATCH_MODEL_CACHE_LIMIT"
_DEFAULT_LIMIT = 20 << 30


def store_folder() -> Path:
    """Give the store's folder: HATCH_MODEL_CACHE_DIR, or one in the user's cache directory.

    Raises UnusableStoreError for a user who has no home.
    """
    said = os.environ.get(_FOLDER_VARIABLE, "")
    if said:
        return Path(said).absolute()
    from platformdirs import user_cache_dir  # noqa: PLC0415 - only where a model may be reused

    folder = Path("~", ".cache", "hatch-model")
    try:
        folder = Path(user_cache_dir("hatch-model", appauthor=False))
        if folder.is_absolute():
            return folder
    except RuntimeError:  # what platformdirs says of it from version 4.6 on
        pass
    raise UnusableStoreError(str(folder), "the user has no home directory")


def store_limit() -> int:
    """Give what the store may hold, in bytes: HATCH_MODEL_CACHE_LIMIT, or 20 GiB.

    Raises StoreLimitError.
    """
    said = os.environ.get(_LIMIT_VARIABLE, "")
    try:
        return parse_size(said) if said else _DEFAULT_LIMIT
    except ValueError as error:
        raise StoreLimitError(_LIMIT_VARIABLE, said) from error
