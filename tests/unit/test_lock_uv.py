"""``uv.lock``: how uv is asked for it, and what is made of its answers."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError
from hatch_model.lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_model.lock import Lock


class _Uv:
    """Answers like uv, from the packages by their group."""

    def __init__(self, **groups: str) -> None:
        self._groups = groups
        self.calls: list[tuple[list[str], str, Path]] = []

    def __call__(self, arguments: Sequence[str], *, path: str, root: Path) -> str:
        self.calls.append((list(arguments), path, root))
        chosen = ["project", *(each[8:] for each in arguments if each.startswith("--group="))]
        packages = [
            f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
            f'sdist = {{ path = "{name}-{version}.tar.gz", hashes = {{ sha256 = "ab" }} }}\n'
            for group in chosen
            for name, version in [self._groups[group].split()]
        ]
        head = 'lock-version = "1.0"\ncreated-by = "tests"\nrequires-python = ">=3.11"\n'
        return head + "".join(packages)


def _read(root: Path, uv: _Uv, *groups: str, path: str = "uv.lock") -> Lock:
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).touch()
    return read_lock(
        PurePosixPath(path),
        root,
        key="hook.lock",
        project=canonicalize_name("small"),
        groups=groups,
        run=uv,
    )


_EXPORT = [
    *("export", "--quiet", "--frozen", "--format", "pylock.toml", "--python", sys.executable),
    *("--no-header", "--no-emit-project", "--no-default-groups"),
]


def test_a_project_without_groups_is_exported_once(tmp_path: Path) -> None:
    uv = _Uv(project="anchor 1.2")

    lock = _read(tmp_path, uv)

    assert uv.calls == [(_EXPORT, "uv.lock", tmp_path)]
    assert [each.requirement for each in lock.packages] == ["anchor==1.2"]
    assert lock.runtime == lock.packages
    assert str(lock.coverage) == "Python >=3.11, any platform"


def test_groups_are_exported_beside_what_the_model_needs_alone(tmp_path: Path) -> None:
    uv = _Uv(project="anchor 1.2", fit="tool 3.0", more="chain 2.0")

    lock = _read(tmp_path, uv, "fit", "more")

    assert uv.calls == [
        (_EXPORT, "uv.lock", tmp_path),
        ([*_EXPORT, "--group=fit", "--group=more"], "uv.lock", tmp_path),
    ]
    assert [each.requirement for each in lock.packages] == [
        "anchor==1.2",
        "tool==3.0",
        "chain==2.0",
    ]
    assert [each.requirement for each in lock.runtime or ()] == ["anchor==1.2"]


def test_a_lock_in_another_folder_is_not_taken_for_the_one_of_the_project(tmp_path: Path) -> None:
    uv = _Uv(project="anchor 1.2")

    _read(tmp_path, uv, path="model/uv.lock")

    assert uv.calls == [(_EXPORT, "model/uv.lock", tmp_path / "model")]


def test_an_answer_that_is_no_lock_is_refused(tmp_path: Path) -> None:
    def nothing(arguments: Sequence[str], *, path: str, root: Path) -> str:
        return f"# no lock: {arguments} {path} {root}"

    (tmp_path / "uv.lock").touch()

    with pytest.raises(HatchModelError) as caught:
        read_lock(
            PurePosixPath("uv.lock"),
            tmp_path,
            key="hook.lock",
            project=canonicalize_name("small"),
            groups=[],
            run=nothing,
        )

    assert str(caught.value) == (
        "`uv.lock` cannot be read as a lock: Missing required value in 'lock-version'. Write it "
        "again."
    )


@pytest.mark.parametrize(
    ("path", "groups", "command"),
    [
        ("uv.lock", ["fit"], "uv lock"),
        (
            "locks/pylock.gpu.toml",
            [],
            (
                "uv export --format pylock.toml --no-emit-project --no-default-groups "
                "--output-file locks/pylock.gpu.toml"
            ),
        ),
        (
            "requirements.lock",
            ["fit", "more"],
            (
                "uv export --format requirements.txt --no-emit-project --no-default-groups "
                "--group fit --group more --output-file requirements.lock"
            ),
        ),
    ],
)
def test_a_missing_lock_is_named_with_the_command_that_writes_it(
    path: str, groups: list[str], command: str, tmp_path: Path
) -> None:
    with pytest.raises(HatchModelError) as caught:
        read_lock(
            PurePosixPath(path),
            tmp_path,
            key="tool.hatch.build.hooks.model.lock",
            project=canonicalize_name("small"),
            groups=groups,
        )

    assert str(caught.value) == (
        f"tool.hatch.build.hooks.model.lock is `{path}`, but there is no such file. Write the "
        f"lock: `{command}`; or remove the key."
    )
