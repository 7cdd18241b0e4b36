"""Numbers of bytes, as people write them and read them."""

from __future__ import annotations

import pytest

from hatch_model.log import human_share, human_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("12 B", 12),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("1kB", 1000),
        ("1 KiB", 1024),
        ("20 GiB", 20 << 30),
        ("1.5 GiB", 3 << 29),
        (".5TB", 500_000_000_000),
        (" 2TiB ", 2 << 40),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_a_size_is_read_with_a_unit_or_without(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GiB",
        "-1",
        "20 G",
        "20 Gb/s",
        "1,5 GiB",
        "1e9",
        "½ GiB",
        "٣",
        "nan",
        "1 2",
        ".",
        "1.",
        31 * "9",
        f"{400 * '9'}.5",
    ],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (3 << 19, "1.5 MiB"),
        (20 << 30, "20.0 GiB"),
        (2 << 40, "2.0 TiB"),
        (3 << 50, "3072.0 TiB"),
    ],
)
def test_a_size_is_written_with_a_unit_that_keeps_it_short(size: int, text: str) -> None:
    assert human_size(size) == text


def test_one_byte_is_no_bytes() -> None:
    assert human_share(0, 1) == "0 of 1 byte"
    assert human_share(1, 2) == "1 of 2 bytes"
