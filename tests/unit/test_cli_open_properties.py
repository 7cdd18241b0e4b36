"""Whatever an archive is made of, the commands read it or say why they do not."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import INFO, MODEL_JSON, RECORD, contents, make_model, run
from properties import assert_is_message, few, few_hundred, words

from hatch_model.cli.diff import SECTIONS, changes
from hatch_model.cli.inspect import facts, sections
from hatch_model.cli.open import open_model
from hatch_model.cli.verify import differences
from hatch_model.errors import HatchModelError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="session")
def wheel(folder: Path) -> bytes:
    return make_model(folder / "dist").read_bytes()


def _sdist(files: list[tuple[str, bytes, bytes]]) -> bytes:
    """Write an archive of *files*: names, kinds and contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, kind, content in files:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(content), name
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


_PKG_INFO = b"Metadata-Version: 2.4\nName: small\nVersion: 0.1.0\n"
_CARRIED = b'{"git": {"commit": "c", "dirty": false}}'
_SDIST = _sdist(
    [
        ("small-0.1.0/PKG-INFO", tarfile.REGTYPE, _PKG_INFO),
        ("small-0.1.0/.hatch-model.json", tarfile.REGTYPE, _CARRIED),
        ("small-0.1.0/main.py", tarfile.REGTYPE, b"pass\n"),
    ]
)


def _read(file: Path, content: bytes) -> None:
    """Do what the commands do first with an archive."""
    file.write_bytes(content)
    try:
        model = open_model(str(file))
    except HatchModelError as error:
        _check(str(error), file)
        return
    try:
        for line in differences(model) if model.kind == "wheel" else ():
            assert_is_message(line)
        assert sections(facts(model))
        assert changes(model, model).keys() == {*SECTIONS}
    finally:
        model.close()


def _check(message: str, file: Path) -> None:
    assert message.startswith(f"`{file}` cannot be read: ")
    assert message.isprintable()


def _damaged(content: bytes, damage: list[tuple[int, int, bytes]]) -> bytes:
    """Put other bytes in the place of some: at a position, so many, these."""
    for position, size, other in damage:
        begin = position % (len(content) + 1)
        content = content[:begin] + other + content[begin + size :]
    return content


_damage = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.integers(0, 8) | st.integers(0, 4000),
        st.binary(max_size=8) | st.sampled_from([b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6"]),
    ),
    min_size=1,
    max_size=4,
)


@few_hundred
@given(_damage)
def test_a_damaged_wheel_is_read_or_refused(
    folder: Path, wheel: bytes, damage: list[tuple[int, int, bytes]]
) -> None:
    _read(folder / "small-0.1.0-py3-none-any.whl", _damaged(wheel, damage))


@few_hundred
@given(damage=_damage, is_damaged_inside=st.booleans())
def test_a_damaged_sdist_is_read_or_refused(
    folder: Path, damage: list[tuple[int, int, bytes]], *, is_damaged_inside: bool
) -> None:
    damaged = (
        gzip.compress(_damaged(_SDIST, damage), 1)
        if is_damaged_inside
        else _damaged(gzip.compress(_SDIST, 1), damage)
    )
    _read(folder / "small-0.1.0.tar.gz", damaged)


@few_hundred
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["s/PKG-INFO", "s/.hatch-model.json", "PKG-INFO", "t/PKG-INFO"])
            | words,
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
            st.sampled_from([_PKG_INFO, _CARRIED, b""]) | st.binary(max_size=20),
        ),
        max_size=4,
    )
)
def test_an_sdist_of_anything_is_read_or_refused(
    folder: Path, files: list[tuple[str, bytes, bytes]]
) -> None:
    _read(folder / "s-1.tar.gz", _sdist([(each[0] or "x", *each[1:]) for each in files]))


_text = st.lists(
    words
    | st.builds(
        "{}: {}".format, st.sampled_from(["Name", "Version", "Tag", "Requires-Dist"]), words
    )
    | st.builds("{},{},{}".format, words, words, words)
    | st.sampled_from(["Name: small", "Version: 1", "Tag: a.b-c.d-e.f", "small/main.py,sha256=x,3"])
    | st.integers(1, 2000).map(
        lambda depth: f"Requires-Dist: a; {depth * '('}os_name=='nt'{depth * ')'}"
    ),
    max_size=6,
).map("\n".join)


@few_hundred
@given(
    st.dictionaries(
        st.sampled_from([f"{INFO}/METADATA", f"{INFO}/WHEEL", RECORD, MODEL_JSON]) | words,
        _text.map(str.encode) | st.binary(max_size=30),
        min_size=1,
        max_size=3,
    )
)
def test_a_wheel_with_anything_in_it_is_read_or_refused(
    folder: Path, wheel: bytes, files: dict[str, bytes]
) -> None:
    file = folder / "small-0.1.0-py3-none-any.whl"
    file.write_bytes(wheel)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        named = {path.replace("\0", "") or "x": content for path, content in files.items()}
        for path, content in {**contents(file), **named}.items():
            archive.writestr(path, content)
    _read(file, stream.getvalue())


@few
@given(_damage, st.sampled_from(["inspect", "verify", "diff"]))
def test_a_command_ends_without_a_traceback_and_does_nothing_to_the_terminal(
    folder: Path, wheel: bytes, damage: list[tuple[int, int, bytes]], command: str
) -> None:
    file, whole = folder / "small-0.1.0-py3-none-any.whl", folder / "whole.whl"
    file.write_bytes(_damaged(wheel, damage))
    whole.write_bytes(wheel)

    ran = run(command, file, *([whole] if command == "diff" else []))
    assert ran.code in {0, 1}
    assert [each for each in ran.out + ran.err if not each.isprintable() and each != "\n"] == []
