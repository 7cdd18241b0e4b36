from __future__ import annotations


class HatchModelError(Exception):
    """The root of all errors that this project raises on purpose."""
