"""Numbers of bytes, as people write them and read them."""

from __future__ import annotations

import re

_UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_SHOWN_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Read a size such as ``20 GiB``, ``500MB`` or ``1000``, in bytes; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get((match[2] or "B").upper()) if match else None
    if match is None or unit is None:
        raise ValueError(text)
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def human_size(size: int) -> str:
    """Write *size*, in bytes, with a unit that keeps it short."""
    unit = _unit(size)
    return f"{_in(unit, size)} {_SHOWN_UNITS[unit]}"


def human_share(done: int, total: int) -> str:
    """Write *done* of *total*, both in bytes, with one unit: ``1.2 of 3.0 GiB``."""
    unit = _unit(total)
    return f"{_in(unit, done)} of {_in(unit, total)} {_SHOWN_UNITS[unit]}"


def _unit(size: int) -> int:
    return min(max(size.bit_length() - 1, 0) // 10, len(_SHOWN_UNITS) - 1)


def _in(unit: int, size: int) -> str:
    return f"{size / (1 << 10 * unit):.1f}" if unit else str(size)
