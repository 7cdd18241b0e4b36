"""What `verify` finds in a wheel file, and in an installation."""

from __future__ import annotations

import json
import stat
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from checkout import CHECKOUT
from models import (
    FILES,
    INFO,
    MAIN,
    MODEL_JSON,
    RECORD,
    WEIGHTS,
    Ran,
    contents,
    digest_of,
    install,
    make_model,
    record_of,
    rewrite,
    run,
)
from support import make_sdist, make_wheel

from hatch_model.cli.open import read_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WHEEL = "small-0.1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_model(tmp_path / "dist")


def _found(*lines: str) -> Ran:
    """Give what `verify` prints of `small` when it finds *lines*."""
    count = f"{len(lines)} difference{'' if len(lines) == 1 else 's'}"
    return Ran("".join(f"{line}\n" for line in lines), f"small 0.1.0: {count}\n", 1)


def _unreadable(name: object, reason: str) -> Ran:
    return Ran("", f"hatch-model: error: `{name}` cannot be read: {reason}\n", 1)


# Wheels


def test_nothing_differs_in_a_wheel_as_it_was_built(wheel: Path) -> None:
    assert run("verify", wheel) == Ran("", "small 0.1.0: nothing differs\n", 0)


def _flip(wheel: Path, text: bytes, flipped: bytes) -> Path:
    """Change bytes of the file itself, as a bad disk does; *text* occurs once, and is stored."""
    content = wheel.read_bytes()
    assert content.count(text) == 1
    wheel.write_bytes(content.replace(text, flipped))
    return wheel


def _change(path: str, content: bytes | None, *, record: bool = False) -> Callable[[Path], Path]:
    return lambda wheel: rewrite(wheel, {path: content}, record=record)


def _edit(path: str, old: bytes, new: bytes, *, record: bool = False) -> Callable[[Path], Path]:
    def edit(wheel: Path) -> Path:
        content = contents(wheel)[path]
        assert old in content
        return rewrite(wheel, {path: content.replace(old, new)}, record=record)

    return edit


def _rename(name: str) -> Callable[[Path], Path]:
    return lambda wheel: wheel.rename(wheel.with_name(name))


def _add(*entries: str | zipfile.ZipInfo, content: str = "0.6\n") -> Callable[[Path], Path]:
    def add(wheel: Path) -> Path:
        with zipfile.ZipFile(wheel, "a") as archive:
            for entry in entries:
                archive.writestr(entry, content)
        return wheel

    return add


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(WEIGHTS + ".link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


_DAMAGED: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "a byte of the artifact flipped on disk": (
        lambda wheel: _flip(wheel, b"0.5\n", b"0.4\n"),
        [f"{WEIGHTS}: cannot be read: Bad CRC-32 for file '{WEIGHTS}'"],
    ),
    "the artifact exchanged": (
        _change(WEIGHTS, b"0.6\n"),
        [f"{WEIGHTS}: its content is not what RECORD says"],
    ),
    "the artifact cut": (
        _change(WEIGHTS, b"0."),
        [f"{WEIGHTS}: 2 bytes, but RECORD says 4"],
    ),
    "the artifact exchanged in RECORD, too": (
        _change(WEIGHTS, b"0.6\n", record=True),
        [f"{WEIGHTS}: RECORD and model.json do not agree on its content"],
    ),
    "the code exchanged in RECORD, too": (
        _change(MAIN, b"import os\n", record=True),
        [f"{MAIN}: RECORD and model.json do not agree on its content"],
    ),
    "a digest of RECORD changed": (
        _edit(RECORD, digest_of(b"0.5\n").encode(), digest_of(b"0.6\n").encode()),
        [
            f"{WEIGHTS}: its content is not what RECORD says",
            f"{WEIGHTS}: RECORD and model.json do not agree on its content",
        ],
    ),
    "a size of RECORD changed": (
        _edit(RECORD, digest_of(b"0.5\n").encode() + b",4", digest_of(b"0.5\n").encode() + b",x"),
        [
            f"{WEIGHTS}: 4 bytes, but RECORD says x",
            f"{WEIGHTS}: RECORD and model.json do not agree on its content",
        ],
    ),
    "a row of RECORD removed": (
        _edit(RECORD, f"{WEIGHTS},{digest_of(b'0.5' + bytes([10]))},4\n".encode(), b""),
        [
            f"{WEIGHTS}: not listed in RECORD",
            f"{WEIGHTS}: an artifact of model.json that RECORD does not list",
        ],
    ),
    "a digest of RECORD removed": (
        _edit(RECORD, f"{MAIN},{digest_of(FILES[MAIN].encode())}".encode(), f"{MAIN},".encode()),
        [
            f"{MAIN}: RECORD has no digest of it",
            f"{MAIN}: RECORD and model.json do not agree on its content",
        ],
    ),
    "a digest of RECORD weakened": (
        _edit(RECORD, f"{INFO}/WHEEL,sha256=".encode(), f"{INFO}/WHEEL,md5=".encode()),
        [f"{INFO}/WHEEL: RECORD's digest is md5, not sha256 or better"],
    ),
    "RECORD removed": (
        _change(RECORD, None),
        [
            "there is no RECORD, so nothing vouches for the files",
            f"{WEIGHTS}: an artifact of model.json that RECORD does not list",
            "small/__init__.py: a source of model.json that RECORD does not list",
            f"{MAIN}: a source of model.json that RECORD does not list",
        ],
    ),
    "the artifact removed": (
        _change(WEIGHTS, None),
        [f"{WEIGHTS}: missing"],
    ),
    "the artifact removed from RECORD, too": (
        _change(WEIGHTS, None, record=True),
        [f"{WEIGHTS}: an artifact of model.json that RECORD does not list"],
    ),
    "model.json removed": (
        _change(MODEL_JSON, None),
        [f"{MODEL_JSON}: missing"],
    ),
    "a file added": (
        _add("small/evil.py", "small/evil.pyc"),
        [
            "small/evil.py: not listed in RECORD",
            "small/evil.pyc: not listed in RECORD",
        ],
    ),
    "a pin changed": (
        _edit(f"{INFO}/METADATA", b"anchor==1.2", b"anchor==1.3"),
        [
            f"{INFO}/METADATA: its content is not what RECORD says",
            "anchor: METADATA requires `anchor==1.3`, but model.json `anchor==1.2`",
        ],
    ),
    "a pin changed in RECORD, too": (
        _edit(f"{INFO}/METADATA", b"anchor==1.2", b"anchor>=1.2", record=True),
        ["anchor: METADATA requires `anchor>=1.2`, but model.json `anchor==1.2`"],
    ),
    "a pin removed": (
        _edit(f"{INFO}/METADATA", b"Requires-Dist: anchor==1.2\n", b"", record=True),
        ["anchor: METADATA requires nothing, but model.json `anchor==1.2`"],
    ),
    "a pin added": (
        _edit(
            f"{INFO}/METADATA",
            b"Requires-Dist: anchor==1.2\n",
            b"Requires-Dist: anchor==1.2\nRequires-Dist: anchors==1.2\n",
            record=True,
        ),
        ["anchors: METADATA requires `anchors==1.2`, but model.json nothing"],
    ),
    "a pin made unreadable": (
        _edit(f"{INFO}/METADATA", b"anchor==1.2", b"anchor==", record=True),
        [
            "anchor: METADATA requires nothing, but model.json `anchor==1.2`",
            "anchor==: METADATA requires `anchor==`, but model.json nothing",
        ],
    ),
    "the name changed": (
        _edit(f"{INFO}/METADATA", b"Name: small", b"Name: large", record=True),
        [
            f"the file is called {_WHEEL}, but holds large 0.1.0",
            "METADATA is of large 0.1.0, but model.json of small 0.1.0",
        ],
    ),
    "the version made unreadable": (
        _edit(f"{INFO}/METADATA", b"Version: 0.1.0", b"Version: of 2004", record=True),
        [
            f"the file is called {_WHEEL}, but holds small of 2004",
            "METADATA is of small of 2004, but model.json of small 0.1.0",
        ],
    ),
    "renamed to another tag": (
        _rename("small-0.1.0-cp311-none-any.whl"),
        ["the file is called small-0.1.0-cp311-none-any.whl, but its WHEEL says py3-none-any"],
    ),
    "renamed to another version": (
        _rename("small-0.2.0-py3-none-any.whl"),
        ["the file is called small-0.2.0-py3-none-any.whl, but holds small 0.1.0"],
    ),
    "renamed to another project": (
        _rename("large-0.1.0-py3-none-any.whl"),
        ["the file is called large-0.1.0-py3-none-any.whl, but holds small 0.1.0"],
    ),
    "renamed to no wheel's name": (
        _rename("small.whl"),
        ["the file is called small.whl, which is no wheel's name"],
    ),
    "a tag removed": (
        _edit(f"{INFO}/WHEEL", b"Tag: py3-none-any\n", b"", record=True),
        [f"the file is called {_WHEEL}, but its WHEEL says nothing"],
    ),
    "a tag made unreadable": (
        _edit(f"{INFO}/WHEEL", b"py3-none-any", b"py3", record=True),
        [f"the file is called {_WHEEL}, but its WHEEL says py3"],
    ),
    "entries that lead outside": (
        _add("../evil.py", "/etc/evil", "C:/evil", "small/..\\..\\evil", "D:evil\\"),
        [
            *(
                f"{path}: leads out of the folder that the wheel is installed to"
                for path in (
                    *("../evil.py", "/etc/evil", "C:/evil", "small/..\\..\\evil", "D:evil\\"),
                )
            ),
            *(
                f"{path}: not listed in RECORD"
                for path in (
                    *("../evil.py", "/etc/evil", "C:/evil", "D:evil\\", "small/..\\..\\evil"),
                )
            ),
        ],
    ),
    "a folder that leads outside": (
        _add(zipfile.ZipInfo("../evil/"), content=""),
        ["../evil/: leads out of the folder that the wheel is installed to"],
    ),
    "a symbolic link": (
        _add(_link(), content="/etc/passwd"),
        [
            f"{WEIGHTS}.link: a symbolic link, which no wheel may hold",
            f"{WEIGHTS}.link: not listed in RECORD",
        ],
    ),
    "what would move the terminal's cursor": (
        _add("small/\x1b[2J\r\nfine"),
        [
            "small/\\x1b[2J\\r\\nfine: a control character in its name",
            "small/\\x1b[2J\\r\\nfine: not listed in RECORD",
        ],
    ),
}


@pytest.mark.parametrize(("damage", "lines"), _DAMAGED.values(), ids=_DAMAGED)
def test_damage_to_a_wheel_is_listed(
    damage: Callable[[Path], Path], lines: list[str], wheel: Path
) -> None:
    ran = run("verify", damage(wheel))

    assert ran.out.splitlines() == lines
    assert ran.code == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_named_whichever_of_them_is_right(wheel: Path) -> None:
    _add(WEIGHTS, content="0.6\n")(wheel)
    _add(WEIGHTS, content="0.5\n")(wheel)

    assert run("verify", wheel) == _found(f"{WEIGHTS}: 3 times in the wheel")


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            lambda record: record.update(pins=["anchor==1.3"]),
            [
                "anchor: METADATA requires `anchor==1.2`, but model.json `anchor==1.3`",
                "anchor: model.json requires `anchor==1.3`, but 1.2 trained the model",
            ],
        ),
        (
            lambda record: record["environment"][0].update(version="1.3"),
            ["anchor: model.json requires `anchor==1.2`, but 1.3 trained the model"],
        ),
        (
            lambda record: record["environment"][0].update(version="of the trade"),
            ["anchor: model.json requires `anchor==1.2`, but of the trade trained the model"],
        ),
        (
            lambda record: record["artifacts"][0].update(sha256=64 * "0"),
            [f"{WEIGHTS}: RECORD and model.json do not agree on its content"],
        ),
        (
            lambda record: record["artifacts"][0].update(path="small/data/model.bin"),
            ["small/data/model.bin: an artifact of model.json that RECORD does not list"],
        ),
        (
            lambda record: record["project"].update(version="0.1.1"),
            ["METADATA is of small 0.1.0, but model.json of small 0.1.1"],
        ),
        (
            lambda record: record["project"].update(name="tall"),
            ["METADATA is of small 0.1.0, but model.json of tall 0.1.0"],
        ),
    ],
)
def test_a_record_that_does_not_fit_the_wheel_is_a_difference(
    change: Callable[[dict[str, Any]], object], lines: list[str], tmp_path: Path
) -> None:
    assert run("verify", make_model(tmp_path, change)) == _found(*lines)


@pytest.mark.parametrize(
    ("trained", "tag", "lines"),
    [
        ("3.12.1", "cp312-none-any", []),
        ("3.13.0rc1", "cp313-none-any", []),
        ("3.12.1+", "cp312-none-any", []),
        ("3.12.1", "cp310-abi3-any", []),
        (
            "3.12.1",
            "cp311-none-any",
            ["the tag is cp311-none-any, but the model was trained with Python 3.12.1"],
        ),
        (
            "3.1.1",
            "cp311-none-any",
            ["the tag is cp311-none-any, but the model was trained with Python 3.1.1"],
        ),
    ],
)
def test_a_tag_that_insists_on_a_python_insists_on_the_one_that_trained(
    trained: str, tag: str, lines: list[str], tmp_path: Path
) -> None:
    wheel = make_model(tmp_path, lambda record: record["python"].update(version=trained))
    _edit(f"{INFO}/WHEEL", b"py3-none-any", tag.encode(), record=True)(wheel)
    wheel = _rename(f"small-0.1.0-{tag}.whl")(wheel)

    assert run("verify", wheel).out.splitlines() == lines


def test_pins_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        record["pins"] = ["Anchor==1.2;python_version>'3'", "Torch_Vision == 2.5.1"]
        record["environment"] += [
            {"name": "torch-vision", "version": "2.5.1+cu124", "use": "runtime"}
        ]

    wheel = make_model(
        tmp_path,
        change,
        requires=[
            'anchor == 1.2 ; python_version > "3"',
            "torch-vision==2.5.1",
            "plots>=1; extra == 'plots'",
        ],
    )

    assert run("verify", wheel) == Ran("", "small 0.1.0: nothing differs\n", 0)


# Files that are no model, or no longer


@pytest.mark.parametrize(
    "size", [0, 1, 100, 1500, -1], ids=["empty", "a byte", "100", "1500", "all but a byte"]
)
def test_a_truncated_wheel_is_told_in_one_line(size: int, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:size])

    assert run("verify", wheel) == _unreadable(wheel, "File is not a zip file")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_change(f"{INFO}/METADATA", None), "it has nothing for metadata"),
        (
            _add("other-1.0.dist-info/METADATA"),
            "it has other-1.0.dist-info, small-0.1.0.dist-info for metadata",
        ),
        (_change(f"{INFO}/WHEEL", None), f"There is no item named '{INFO}/WHEEL' in the archive"),
        (_edit(f"{INFO}/METADATA", b"Version: 0.1.0\n", b""), "its metadata has no Version"),
        (_edit(f"{INFO}/METADATA", b"Name: small\n", b""), "its metadata has no Name"),
        (
            lambda wheel: _flip(wheel, b"\nRequires-Dist: ", b"\nRequires-Bits: "),
            f"Bad CRC-32 for file '{INFO}/METADATA'",
        ),
        (
            _change(f"{INFO}/METADATA", b"\xff"),
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (_change(RECORD, b"a" * 140_000 + b",,"), "field larger than field limit (131072)"),
    ],
)
def test_a_wheel_whose_metadata_cannot_be_read_is_told_in_one_line(
    damage: Callable[[Path], Path], reason: str, wheel: Path
) -> None:
    damage(wheel)

    assert run("verify", wheel) == _unreadable(wheel, reason)


def _patched(wheel: Path, name: str, offset: int, value: bytes) -> Path:
    """Change *name*'s entry in the archive's directory, *offset* bytes from its begin."""
    content = wheel.read_bytes()
    begin = content.rindex(name.encode()) - 46
    assert content[begin : begin + 4] == b"PK\1\2"
    patched = content[: begin + offset] + value + content[begin + offset + len(value) :]
    wheel.write_bytes(patched)
    return wheel


@pytest.mark.parametrize(
    ("offset", "value", "faults"),
    [
        (
            8,
            b"\1",
            ["cannot be read: File '{}' is encrypted, password required for extraction"],
        ),
        (
            10,
            b"\x63",
            [
                "neither stored nor deflated",
                "cannot be read: That compression method is not supported",
            ],
        ),
    ],
    ids=["encrypted", "an unknown compression"],
)
def test_an_entry_that_cannot_be_read_is_a_difference(
    offset: int, value: bytes, faults: list[str], wheel: Path
) -> None:
    _patched(wheel, WEIGHTS, offset, value)

    assert run("verify", wheel) == _found(
        *(f"{WEIGHTS}: {each}".format(WEIGHTS) for each in faults)
    )


def test_an_entry_that_is_not_where_the_archive_says_is_a_difference(wheel: Path) -> None:
    _patched(wheel, WEIGHTS, 42, struct.pack("<L", 1))

    ran = run("verify", wheel)
    # Newer versions of zipfile also complain of the entry that it overlaps.
    assert ran.out.endswith(f"{WEIGHTS}: cannot be read: Bad magic number for file header\n")
    assert ran.code == 1


@pytest.mark.parametrize(
    "vendored", [f"small/_vendor/{INFO}/METADATA", "small/x.dist-info/METADATA"]
)
def test_metadata_of_vendored_packages_is_not_the_wheels(vendored: str, tmp_path: Path) -> None:
    wheel = make_model(tmp_path, files={**FILES, vendored: "Name: other\nVersion: 1\n"})

    assert run("verify", wheel) == Ran("", "small 0.1.0: nothing differs\n", 0)


def _with_zeros(wheel: Path, size: int, *names: str) -> int:
    """Add files of *size* zeros, deflated and with wrong digests, and give what all unpacks to."""
    held = contents(wheel)
    rows = [f"{name},{digest_of(b'')},{size}\n" for name in names]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in held.items():
            archive.writestr(path, content if path != RECORD else content + "".join(rows).encode())
        for name in names:
            archive.writestr(name, bytes(size))
        return sum(entry.file_size for entry in archive.infolist())


@pytest.mark.parametrize("count", [1, 7])
def test_a_zip_bomb_is_not_read_whether_it_is_one_file_or_many(count: int, wheel: Path) -> None:
    names = [f"small/data/{number}.bin" for number in range(count)]
    total = _with_zeros(wheel, (70 << 20) // count, *names)

    assert run("verify", wheel) == _found(
        f"the wheel unpacks to {total} bytes from {wheel.stat().st_size}, as only a zip bomb does: "
        f"its files were not read"
    )


def test_a_large_file_that_packs_well_is_no_bomb_yet(wheel: Path) -> None:
    _with_zeros(wheel, 60 << 20, "small/data/zeros.bin")

    assert run("verify", wheel) == _found(
        "small/data/zeros.bin: its content is not what RECORD says"
    )


def test_metadata_without_end_is_not_read_whatever_size_it_claims(wheel: Path) -> None:
    _deflate(wheel, {f"{INFO}/METADATA": bytes(100 << 20)})
    honest = run("inspect", wheel)
    _patched(wheel, f"{INFO}/METADATA", 24, struct.pack("<L", 100))

    tracemalloc.start()
    lying = run("inspect", wheel)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert honest == _unreadable(wheel, f"{INFO}/METADATA is larger than 4.0 MiB")
    assert lying == _unreadable(wheel, f"Bad CRC-32 for file '{INFO}/METADATA'")
    assert peak < 20 << 20


def _deflate(wheel: Path, changes: dict[str, bytes]) -> Path:
    held = {**contents(wheel), **changes}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in held.items():
            archive.writestr(path, content)
    return wheel


def _tags(count: int) -> bytes:
    """Give a WHEEL whose one tag stands for the cube of *count*."""
    parts = [".".join(f"{letter}{number}" for number in range(count)) for letter in "abc"]
    return f"Wheel-Version: 1.0\nTag: {'-'.join(parts)}\n".encode()


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        (f"{INFO}/WHEEL", bytes(65 << 10), f"{INFO}/WHEEL is larger than 64.0 KiB"),
        (f"{INFO}/WHEEL", 1001 * b"Tag: a\n", f"{INFO}/WHEEL has more than 1000 lines"),
        (f"{INFO}/WHEEL", _tags(400), "its list of tags has more than 1000 entries"),
        (
            f"{INFO}/METADATA",
            b"Name: small\nVersion: 0.1.0\n" + 100_000 * b"A: b\n",
            f"{INFO}/METADATA has more than 100000 lines",
        ),
        (RECORD, 250_001 * b"a,,\n", f"{RECORD} has more than 250000 lines"),
        (MODEL_JSON, bytes(33 << 20), f"{MODEL_JSON} is larger than 32.0 MiB"),
        (
            MODEL_JSON,
            b"[%s0]" % (500_000 * b"[],"),
            f"{MODEL_JSON} has more than 1000000 values",
        ),
    ],
)
def test_what_is_larger_than_any_wheel_has_it_is_not_parsed(
    path: str, content: bytes, reason: str, wheel: Path
) -> None:
    _deflate(wheel, {path: content})

    assert run("verify", wheel) == _unreadable(wheel, reason)


def test_a_list_of_files_without_end_is_not_read(wheel: Path) -> None:
    content = bytearray(wheel.read_bytes())
    struct.pack_into("<L", content, content.rindex(b"PK\5\6") + 12, 33 << 20)
    wheel.write_bytes(content)

    assert run("verify", wheel) == _unreadable(wheel, "its list of files is larger than 32.0 MiB")


def test_a_record_with_more_pins_than_a_model_can_have_is_a_difference(tmp_path: Path) -> None:
    wheel = make_model(tmp_path, lambda record: record.update(pins=10_001 * ["anchor==1.2"]))

    assert run("verify", wheel) == _found(
        f"{MODEL_JSON}: its list of pins has more than 10000 entries"
    )


def test_large_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 100 << 20
    wheel = make_model(tmp_path / "dist")
    held = contents(wheel)
    row = f"small/data/zeros.bin,{digest_of(bytes(size))},{size}\n"
    rewrite(wheel, {"small/data/zeros.bin": bytes(size), RECORD: held[RECORD] + row.encode()})
    install(wheel, tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")

    tracemalloc.start()
    in_wheel, installed = run("verify", wheel), run("verify", "small")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert in_wheel == Ran("", "small 0.1.0: nothing differs\n", 0)
    assert installed == _found("anchor: required as `anchor==1.2`, but not installed")
    assert peak < 20 << 20


# Records that are none


_NOT_RECORDS = {
    "nothing": ("", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
    "half of one": ('{"a": ', "it is not JSON: Expecting value: line 1 column 7 (char 6)"),
    "an array": ("[]", "it: [] is not of type 'object'"),
    "NaN": (
        '{"schema_version": NaN}',
        "it is not JSON: Out of range float values are not JSON compliant",
    ),
    "a newer one": (
        '{"schema_version": 2}',
        "its schema_version is 2, and this hatch-model reads 1",
    ),
    "one without a version": (
        "{}",
        "its schema_version is null, and this hatch-model reads 1",
    ),
    "one without end": (100_000 * "[", "it is nested too deeply"),
}


@pytest.mark.parametrize(("text", "fault"), _NOT_RECORDS.values(), ids=_NOT_RECORDS)
def test_a_record_that_cannot_be_read_is_a_difference_and_nothing_to_show(
    text: str, fault: str, wheel: Path
) -> None:
    rewrite(wheel, {MODEL_JSON: text.encode()}, record=True)

    verified, inspected = run("verify", wheel), run("inspect", wheel)
    assert verified.out.splitlines()[0].startswith(f"{MODEL_JSON}: {fault.partition(' are ')[0]}")
    assert verified.err == "small 0.1.0: 1 difference\n"
    assert verified.code == 1
    assert inspected.err.startswith(
        f"hatch-model: error: `{wheel}` cannot be read: {MODEL_JSON}: {fault.partition(' are ')[0]}"
    )
    assert (inspected.out, inspected.code) == ("", 1)
    assert run("diff", wheel, wheel) == inspected


def test_a_record_that_was_changed_differs_from_record_too(wheel: Path) -> None:
    _edit(MODEL_JSON, b'"accuracy": 0.75', b'"accuracy": 0.95')(wheel)

    assert run("verify", wheel) == _found(f"{MODEL_JSON}: its content is not what RECORD says")


_FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "training": (lambda record: record.pop("training"), "it: 'training' is a required property"),
    "entry point": (
        lambda record: record["training"].update(entry_point="small.main"),
        r"training.entry_point: 'small.main' does not match '^([^:\\s]+:[^:\\s]+|[^:\\\\]+\\.py)$'",
    ),
    "arguments": (
        lambda record: record["training"].update(arguments=[]),
        "training.arguments: [] is not of type 'object'",
    ),
    "metrics": (lambda record: record.update(metrics=[]), "metrics: [] is not of type 'object'"),
    "metric": (
        lambda record: record["metrics"].update(accuracy=True),
        "metrics.accuracy: True is not of type 'number'",
    ),
    "gate": (
        lambda record: record["gates"].update(accuracy=1),
        "gates.accuracy: 1 is not of type 'string'",
    ),
    "check": (
        lambda record: record.update(check="x:y"),
        "check: 'x:y' is not of type 'object', 'null'",
    ),
    "check's entry point": (
        lambda record: record["check"].update(entry_point=["os", "remove"]),
        "check.entry_point: ['os', 'remove'] is not of type 'string'",
    ),
    "dirty": (
        lambda record: record["git"].update(dirty="yes"),
        "git.dirty: 'yes' is not of type 'boolean'",
    ),
    "artifacts": (
        lambda record: record.update(artifacts={}),
        "artifacts: {} is not of type 'array'",
    ),
    "digest": (
        lambda record: record["artifacts"][0].update(sha256="0"),
        "artifacts[0].sha256: '0' does not match '^[0-9a-f]{64}$'",
    ),
    "size": (
        lambda record: record["artifacts"][0].update(size=-1),
        "artifacts[0].size: -1 is less than the minimum of 0",
    ),
    "pin": (lambda record: record["pins"].append("=="), "pins: `==` is not a requirement"),
    "package": (
        lambda record: record["environment"][1].pop("version"),
        "environment[1]: 'version' is a required property",
    ),
    "python": (lambda record: record.update(python=None), "python: None is not of type 'object'"),
}


@pytest.mark.parametrize(("change", "fault"), _FAULTS.values(), ids=_FAULTS)
def test_a_record_that_breaks_its_schema_is_a_difference(
    change: Callable[[dict[str, Any]], object], fault: str, tmp_path: Path
) -> None:
    assert run("verify", make_model(tmp_path, change)) == _found(f"{MODEL_JSON}: {fault}")


_PLOT = f"{INFO}/extra_metadata/report/plot.svg"


def test_a_report_differs_from_neither_record(tmp_path: Path) -> None:
    wheel = make_model(tmp_path, report={"plot.svg": "<svg/>", "deep/table.csv": "1"})

    assert run("verify", wheel) == Ran("", "small 0.1.0: nothing differs\n", 0)


@pytest.mark.parametrize(
    ("content", "listed", "fault"),
    [
        (b"<xml/>", False, "its content is not what RECORD says"),
        (b"<xml/>", True, "RECORD and model.json do not agree on its content"),
        (None, False, "missing"),
        (None, True, "a file of the report of model.json that RECORD does not list"),
    ],
)
def test_a_changed_report_is_a_difference(
    content: bytes | None, listed: object, fault: str, tmp_path: Path
) -> None:
    wheel = make_model(tmp_path, report={"plot.svg": "<svg/>"})

    rewrite(wheel, {_PLOT: content}, record=bool(listed))

    assert run("verify", wheel) == _found(f"{_PLOT}: {fault}")


@pytest.mark.parametrize("report", [None, {"table.csv": "1"}])
def test_a_file_beside_the_recorded_report_is_a_difference(
    report: dict[str, str] | None, tmp_path: Path
) -> None:
    wheel = make_model(tmp_path, report=report)

    rewrite(wheel, {_PLOT: b"<svg/>"}, record=True)

    assert run("verify", wheel) == _found(
        f"{_PLOT}: RECORD lists it as a file of the report, but model.json does not"
    )


def test_the_records_of_these_tests_are_records() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((CHECKOUT / "src" / "hatch_model" / "model.schema.json").read_text("utf-8"))

    jsonschema.Draft202012Validator(schema).validate(record_of(FILES))


def test_what_the_schema_requires_of_a_record_is_asked_of_it() -> None:
    schema = json.loads((CHECKOUT / "src" / "hatch_model" / "model.schema.json").read_text("utf-8"))
    for key in set(schema["required"]) - {"schema_version"}:
        record = record_of(FILES)
        del record[key]
        with pytest.raises(ValueError, match=f"^it: '{key}' is a required property$"):
            read_record(json.dumps(record))


# Wheels of other tools


def test_a_wheel_without_a_record_is_held_to_record_alone(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "en-core", "3.8.0", files={"en_core/model.bin": "weights"})

    assert run("verify", wheel) == Ran(
        "", "en-core 3.8.0: nothing differs from RECORD (there is no model.json)\n", 0
    )
    rewrite(wheel, {"en_core/model.bin": b"WEIGHTS"})
    assert run("verify", wheel) == Ran(
        "en_core/model.bin: its content is not what RECORD says\n",
        "en-core 3.8.0: 1 difference\n",
        1,
    )


def test_a_wheel_whose_record_has_no_digests_vouches_for_nothing(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "plain", "1.0")
    paths = list(contents(wheel))
    rewrite(wheel, {"plain-1.0.dist-info/RECORD": "".join(f"{p},,\n" for p in paths).encode()})

    assert run("verify", wheel) == Ran(
        "plain/__init__.py: RECORD has no digest of it\n"
        "plain-1.0.dist-info/METADATA: RECORD has no digest of it\n"
        "plain-1.0.dist-info/WHEEL: RECORD has no digest of it\n",
        "plain 1.0: 3 differences\n",
        1,
    )


def test_an_sdist_is_not_verified(tmp_path: Path) -> None:
    ran = run("verify", make_sdist(tmp_path, "small", "0.1.0"))
    assert ran.code == 2
    assert ran.err.endswith("Error: An sdist has no RECORD to verify. Verify its wheel instead.\n")


# JSON


def test_differences_are_told_as_json(wheel: Path) -> None:
    rewrite(wheel, {WEIGHTS: b"0.6\n"})

    ran = run("verify", "--json", wheel)
    assert ran.json == {
        "name": "small",
        "version": "0.1.0",
        "kind": "wheel",
        "recorded": True,
        "checked": False,
        "differences": [f"{WEIGHTS}: its content is not what RECORD says"],
    }
    assert (ran.err, ran.code) == ("", 1)
