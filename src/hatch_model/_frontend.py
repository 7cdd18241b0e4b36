"""The process that asked for the build, which may end before the build does."""

from __future__ import annotations


class FrontendGoneError(Exception):
    """The process that asked for the build no longer exists."""
