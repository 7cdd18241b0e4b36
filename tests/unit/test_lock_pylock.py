"""``pylock.toml`` (PEP 751): its names, its parts, and what is wrong with one."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath

import pytest
from made_up import LINUX
from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError
from hatch_model.lock import Lock, is_pylock, read_lock

_HEAD = 'lock-version = "1.0"\ncreated-by = "tests"\n'
_DIGEST = "0123456789abcdef" * 4


def _package(name: str, version: str, *lines: str) -> str:
    wheel = f"{name}-{version}-py3-none-any.whl"
    archive = f'name = "{wheel}", path = "{wheel}", hashes = {{ sha256 = "{_DIGEST.upper()}" }}'
    fields = [f'name = "{name}"', f'version = "{version}"', *lines]
    return "\n".join(["[[packages]]", *fields, f"wheels = [{{ {archive} }}]", ""])


def _read(folder: Path, text: str, *, groups: tuple[str, ...] = (), model_group: str = "") -> Lock:
    path = PurePosixPath("locks/pylock.toml")
    (folder / "locks").mkdir(exist_ok=True)
    (folder / path).write_text(text, "utf-8")
    return read_lock(
        path,
        folder,
        key="hook.lock",
        project=canonicalize_name("small"),
        groups=groups,
        model_group=model_group,
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pylock.toml", True),
        ("pylock.linux.toml", True),
        ("locks/pylock.toml", True),
        ("pylock.a.b.toml", False),
        ("pylock..toml", False),
        ("pylock.txt", False),
        ("pylocks.toml", False),
        ("my.pylock.toml", False),
        ("Pylock.toml", False),
        ("pylock.toml/requirements.lock", False),
    ],
)
def test_names_are_those_of_the_specification(path: str, *, expected: bool) -> None:
    assert is_pylock(PurePosixPath(path)) is expected


def test_versions_markers_and_the_hashes_of_all_archives_are_read(tmp_path: Path) -> None:
    sdist = (
        'sdist = { name = "anchor-1.2.tar.gz", url = "https://example.org/anchor-1.2.tar.gz", '
        'hashes = { sha512 = "FF" } }'
    )
    marker = """marker = "sys_platform == 'linux'" """
    text = _HEAD + _package("anchor", "1.2", sdist) + _package("chain", "2.0+cpu", marker)

    lock = _read(tmp_path, text + _package("small", "0.1.0"))

    assert [
        (package.requirement, str(package.marker or ""), sorted(package.hashes))
        for package in lock.packages
    ] == [
        ("anchor==1.2", "", [f"sha256:{_DIGEST}", "sha512:ff"]),
        ("chain==2.0+cpu", 'sys_platform == "linux"', [f"sha256:{_DIGEST}"]),
    ]
    assert lock.runtime is None


@pytest.mark.parametrize(
    ("lines", "expected", "is_local"),
    [
        (
            'vcs = { type = "git", url = "https://example.org/lib", commit-id = "c0ffee" }',
            "git+https://example.org/lib@c0ffee",
            False,
        ),
        (
            (
                'vcs = { type = "git", url = "https://me:secret@example.org/lib", commit-id = "c0ffee",'
                ' subdirectory = "python" }'
            ),
            "git+https://example.org/lib@c0ffee#subdirectory=python",
            False,
        ),
        (
            'archive = { url = "https://example.org/lib-1.5.zip", hashes = { sha256 = "ab" } }',
            "https://example.org/lib-1.5.zip#sha256=ab",
            False,
        ),
        (
            'archive = { path = "../wheels/lib.whl", hashes = { sha256 = "ab" } }',
            "{root}/wheels/lib.whl#sha256=ab",
            True,
        ),
        ('directory = { path = "lib", editable = true }', "{root}/locks/lib", True),
    ],
)
def test_addresses_are_written_as_references_relative_to_the_lock(
    lines: str, expected: str, *, is_local: bool, tmp_path: Path
) -> None:
    lock = _read(tmp_path, f'{_HEAD}[[packages]]\nname = "lib"\n{lines}\n')

    (package,) = lock.packages
    reference = expected.format(root=tmp_path.as_uri())
    assert package.requirement == f"lib @ {reference}"
    assert package.is_local is is_local
    assert package.version is None


_GROUPS = (
    _HEAD
    + 'dependency-groups = ["default", "fit", "model"]\ndefault-groups = ["default"]\n'
    + _package("anchor", "1.2", "marker = \"'default' in dependency_groups\"")
    + _package("chain", "2.0", "marker = \"'model' in dependency_groups\"")
    + _package(
        "tool",
        "3.0",
        "marker = \"'fit' in dependency_groups and sys_platform == 'linux'"
        " or 'Model' in dependency_groups and sys_platform == 'win32'\"",
    )
    + _package("never", "4.0", "marker = \"'all' in extras\"")
)


@pytest.mark.parametrize(
    ("groups", "model_group", "packages", "runtime"),
    [
        ((), "", ["anchor==1.2"], ["anchor==1.2"]),
        (
            ("fit",),
            "",
            ["anchor==1.2", 'tool==3.0; sys_platform == "linux"'],
            ["anchor==1.2"],
        ),
        (
            ("Fit",),
            "model",
            [
                "anchor==1.2",
                "chain==2.0",
                'tool==3.0; sys_platform == "linux" or sys_platform == "win32"',
            ],
            ["anchor==1.2", "chain==2.0", 'tool==3.0; sys_platform == "win32"'],
        ),
    ],
)
def test_groups_of_a_lock_that_has_several_are_told_apart(
    groups: tuple[str, ...],
    model_group: str,
    packages: list[str],
    runtime: list[str],
    tmp_path: Path,
) -> None:
    lock = _read(tmp_path, _GROUPS, groups=groups, model_group=model_group)

    assert [
        f"{each.requirement}; {each.marker}" if each.marker else each.requirement
        for each in lock.packages
    ] == packages
    assert [
        f"{each.requirement}; {each.marker}" if each.marker else each.requirement
        for each in lock.runtime or ()
    ] == runtime


def test_what_the_lock_covers_is_read(tmp_path: Path) -> None:
    head = """requires-python = ">=3.11"\nenvironments = ["sys_platform == 'linux'"]\n"""

    coverage = _read(tmp_path, _HEAD + head + _package("anchor", "1.2")).coverage

    assert coverage is not None
    assert coverage.holds(LINUX)
    assert coverage.holds({**LINUX, "python_full_version": "3.15.0a1+"})
    assert not coverage.holds({**LINUX, "sys_platform": "win32"})
    assert not coverage.holds({**LINUX, "python_full_version": "3.10.9"})
    assert str(coverage) == 'Python >=3.11, sys_platform == "linux"'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            'lock-version = "2.0"\ncreated-by = "tests"\npackages = []\n',
            "pylock version 2.0 is not supported",
        ),
        ("", "Missing required value in 'lock-version'"),
        (_HEAD, "Missing required value in 'packages'"),
        (
            f'{_HEAD}packages = "all"\n',
            "Unexpected type str (expected Sequence) in 'packages'",
        ),
        (
            f'{_HEAD}[[packages]]\nname = "anchor"\nversion = "one"\n',
            "Invalid version: 'one' in 'packages[0].version'",
        ),
        (
            f'{_HEAD}[[packages]]\nname = "anchor"\nversion = "1.2"\n',
            (
                "Exactly one of vcs, directory, archive must be set if sdist and wheels are not set "
                "in 'packages[0]'"
            ),
        ),
        (
            _HEAD + _package("anchor", "1.2").replace('version = "1.2"\n', ""),
            "anchor has no version",
        ),
        ('version = 1\n"', "Unterminated string (at end of document)"),
    ],
)
def test_a_malformed_or_newer_lock_is_refused_with_its_reason(
    text: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(HatchModelError) as caught:
        _read(tmp_path, text)

    assert str(caught.value) == (
        f"`locks/pylock.toml` cannot be read as a lock: {reason}. Write it again."
    )


def test_an_older_packaging_cannot_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.pylock", None)

    with pytest.raises(HatchModelError) as caught:
        _read(tmp_path, _HEAD + _package("anchor", "1.2"))

    assert str(caught.value) == (
        "packaging 26.0 or newer is required to read `locks/pylock.toml`, but this environment holds an "
        "older one. Add `hatch-model[lock]` to build-system.requires; where the lock itself holds "
        "an older packaging, raise it there, or lock with a requirements file."
    )
