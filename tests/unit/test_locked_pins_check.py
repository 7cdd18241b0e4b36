"""Whether lock, requirements and what is installed agree, and what is said where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_up import LINUX, Installed, distribution, roots
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_model.errors import HatchModelError
from hatch_model.lock import Coverage, Lock, LockedPackage, read_requirements
from hatch_model.locked_pins import check_beside_build_tools, check_installed, check_up_to_date

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_model.installed import Distribution

_ANYWHERE = Coverage()
_LINUX_3_12 = Coverage(
    requires_python=SpecifierSet(">=3.12"), environments=[Marker("sys_platform == 'linux'")]
)


def _lock(*lines: str, coverage: Coverage | None = None) -> Lock:
    return Lock(
        path="a.lock",
        renewal="renew a.lock",
        packages=read_requirements("a.lock", "\n".join(lines)),
        coverage=coverage,
    )


def _check(lock: Lock, *required: str) -> None:
    check_up_to_date(lock, roots(*required), LINUX, project=canonicalize_name("small"))


class TestRequirements:
    @pytest.mark.parametrize("coverage", [None, _ANYWHERE])
    @pytest.mark.parametrize(
        ("lines", "required"),
        [
            (["anchor==1.2"], "Anchor>=1,<2"),
            (["anchor==1.2rc1"], "anchor"),
            (["torch==2.5.1+cpu"], "torch==2.5.1"),
            ([], "small[extra]"),
            (["tool==1 ; sys_platform == 'win32'"], "tool ; sys_platform == 'win32'"),
            (
                ["numpy==1.26 ; python_version < '3.12'", "numpy==2.3 ; python_version >= '3.12'"],
                "numpy",
            ),
            (["numpy==2.3 ; python_version >= '3.12'"], "numpy>=2 ; python_version >= '3.12'"),
        ],
    )
    def test_what_the_lock_satisfies_is_in_order(
        self, lines: list[str], required: str, coverage: Coverage | None
    ) -> None:
        _check(_lock(*lines, coverage=coverage), required)

    @pytest.mark.parametrize("coverage", [None, _ANYWHERE])
    @pytest.mark.parametrize(
        ("lines", "required", "held"),
        [
            (["anchor==1.2"], "anchor>=1.3", "holds 1.2"),
            (["anchor==1.2"], "chain", "does not hold it"),
            # The only one is for another platform.
            (["tool==1 ; sys_platform == 'win32'"], "tool", "does not hold it"),
            # What is locked for here would do.
            (
                ["numpy==1.26 ; python_version < '3.12'", "numpy==2.3 ; python_version >= '3.12'"],
                "numpy>=2",
                "holds 1.26",
            ),
            (["tool==1 ; sys_platform == 'win32'"], "tool>=2; os_name == 'nt'", "holds 1"),
        ],
    )
    def test_what_it_does_not_is_named_with_the_way_out(
        self, lines: list[str], required: str, held: str, coverage: Coverage | None
    ) -> None:
        with pytest.raises(HatchModelError) as caught:
            _check(_lock(*lines, coverage=coverage), "small", required)

        state = "older than the requirements" if "holds" in held else "incomplete"
        assert str(caught.value) == (
            f"`a.lock` is {state}: model.dependencies[1] asks for `{roots(required)[0].requirement}`, "
            f"and the lock {held}. Renew it: `renew a.lock`."
        )

    def test_a_lock_for_every_platform_must_have_what_another_needs(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            _check(_lock("anchor==1.2", coverage=_ANYWHERE), "tool ; sys_platform == 'win32'")

        assert str(caught.value) == (
            "`a.lock` is incomplete: model.dependencies[0] asks for "
            '`tool; sys_platform == "win32"`, and the lock does not hold it. Renew it: '
            "`renew a.lock`."
        )

    @pytest.mark.parametrize(
        ("required", "coverage"),
        [
            # Whether a requirements file is meant for other platforms, nobody can tell.
            ("tool ; sys_platform == 'win32'", None),
            ("tool ; sys_platform == 'win32'", _LINUX_3_12),
            ("tomli ; python_version < '3.11'", _LINUX_3_12),
            ("tomli ; python_version < '3.11'", Coverage(requires_python=SpecifierSet(">=3.11"))),
        ],
    )
    def test_a_lock_for_some_platforms_need_not(
        self, required: str, coverage: Coverage | None
    ) -> None:
        _check(_lock("anchor==1.2", coverage=coverage), required)

    @pytest.mark.parametrize(
        ("coverage", "text"),
        [
            (Coverage(requires_python=SpecifierSet(">=3.13")), "Python >=3.13, any platform"),
            (
                Coverage(
                    environments=[
                        Marker("sys_platform == 'darwin'"),
                        Marker("sys_platform == 'win32'"),
                    ]
                ),
                'any Python, sys_platform == "darwin" or sys_platform == "win32"',
            ),
        ],
    )
    def test_a_lock_that_is_not_for_here_is_refused(self, coverage: Coverage, text: str) -> None:
        with pytest.raises(HatchModelError) as caught:
            _check(_lock("anchor==1.2", coverage=coverage), "anchor")

        assert str(caught.value) == (
            f"`a.lock` is for {text}, but this is Python 3.12.1 on linux. Build where the lock is "
            "for, or widen what it is for and renew it: `renew a.lock`."
        )


class TestPathsOnThisMachine:
    @staticmethod
    def _lock(path: Path, marker: str = "sys_platform == 'linux'") -> Lock:
        package = LockedPackage(
            name=canonicalize_name("lib"),
            version=None,
            marker=Marker(marker),
            address={"url": path.as_uri(), "archive_info": {"hashes": {"sha256": "ab"}}},
        )
        return Lock(path="uv.lock", renewal="uv lock", packages=[package])

    def test_one_that_exists_can_be_installed(self, tmp_path: Path) -> None:
        (tmp_path / "a wheel.whl").touch()

        (line,) = self._lock(tmp_path / "a wheel.whl").requirements(LINUX)
        assert Requirement(line).url == f"{(tmp_path / 'a wheel.whl').as_uri()}#sha256=ab"

    def test_one_for_another_platform_may_be_missing(self, tmp_path: Path) -> None:
        lock = self._lock(tmp_path / "lib.whl", "sys_platform == 'win32'")

        assert lock.requirements(LINUX) == []

    def test_one_that_stayed_behind_is_named_with_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(HatchModelError) as caught:
            self._lock(tmp_path / "lib.whl").requirements(LINUX)

        assert str(caught.value) == (
            f"`uv.lock` takes lib from {(tmp_path / 'lib.whl').as_uri()}#sha256=ab, which does not "
            "exist. An sdist does not contain what is outside of the project: build the wheel from "
            "the source tree, as with `python -m build --wheel`, or lock lib from an index or a "
            "repository."
        )


class TestBesideBuildTools:
    """They are in the environment that the lock is installed to."""

    TOOLS = Installed(
        [
            distribution("hatch-model==0.1.0", "joblib>=1.3", "tomli>=2; python_version<'3.11'"),
            distribution("hatchling==1.33", "packaging>=24.2"),
        ]
    )

    def test_versions_that_suit_them_are_in_order(self) -> None:
        check_beside_build_tools(
            _lock("joblib==1.3", "packaging==26.0", "tomli==1.0"), self.TOOLS, LINUX
        )

    @pytest.mark.parametrize(
        ("line", "held", "required"),
        [
            ("joblib==1.2.0", "joblib 1.2.0, but hatch-model", "joblib>=1.3"),
            ("packaging==23.0", "packaging 23.0, but hatchling", "packaging>=24.2"),
        ],
    )
    def test_a_version_that_is_too_old_for_them_is_named(
        self, line: str, held: str, required: str
    ) -> None:
        with pytest.raises(HatchModelError) as caught:
            check_beside_build_tools(_lock(line), self.TOOLS, LINUX)

        assert str(caught.value) == (
            f"`a.lock` holds {held} requires `{required}` in the same environment. Lock a version "
            f"that fits both: add `{required}` to the requirements, and renew the lock: "
            "`renew a.lock`."
        )


_HASHED = f"lib==1.5 --hash=sha256:{'a' * 64} --hash=sha512:{'b' * 128}"


def _archive(**hashes: str) -> dict[str, Any]:
    return {"url": "file:///lib-1.5-py3-none-any.whl", "archive_info": {"hashes": hashes}}


class TestInstalled:
    """An active environment, without isolation, against the lock."""

    def test_the_first_five_packages_that_differ_are_named(self) -> None:
        lock = _lock(
            *(f"package-{number}==1.{number}" for number in range(7)),
            "same==1.0",
            "elsewhere==1.0 ; sys_platform == 'win32'",
        )
        installed = [
            distribution("package-0==1.0.1"),
            *(distribution(f"package-{number}==2.0") for number in range(2, 7)),
            distribution("same==1"),
            distribution("another==1"),
        ]

        with pytest.raises(HatchModelError) as caught:
            check_installed(lock, Installed(installed), LINUX)

        assert str(caught.value) == (
            "the training environment is not what `a.lock` says:\n"
            "  package-0: locked 1.0, found 1.0.1\n"
            "  package-1: locked 1.1, found nothing\n"
            "  package-2: locked 1.2, found 2.0\n"
            "  package-3: locked 1.3, found 2.0\n"
            "  package-4: locked 1.4, found 2.0\n"
            "  and 2 more\n"
            "Build with isolation, so that the frontend installs it, or install the lock first."
        )

    @pytest.mark.parametrize(
        ("direct_url", "found"),
        [
            (
                {"url": "file:///src/lib", "dir_info": {"editable": True}},
                "1.5 as editable at file:///src/lib",
            ),
            ({"url": "file:///src/lib", "dir_info": {}}, "1.5 from a folder at file:///src/lib"),
            (
                {
                    "url": "https://example.org/lib",
                    "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                },
                "1.5 from git at https://example.org/lib@c0ffee",
            ),
        ],
    )
    def test_what_did_not_come_from_an_index_differs_from_what_does(
        self, direct_url: dict[str, Any], found: str
    ) -> None:
        with pytest.raises(HatchModelError) as caught:
            check_installed(
                _lock("lib==1.5"),
                Installed([distribution("lib==1.5", direct_url=direct_url)]),
                LINUX,
            )

        assert f"\n  lib: locked 1.5, found {found}\n" in str(caught.value)

    @pytest.mark.parametrize(
        ("address", "direct_url", "found"),
        [
            (
                {
                    "url": "https://example.org/lib",
                    "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                },
                {
                    "url": "https://example.org/lib",
                    "vcs_info": {"vcs": "git", "commit_id": "decaf"},
                },
                "1.5 from git at https://example.org/lib@decaf",
            ),
            (
                {
                    "url": "https://example.org/lib",
                    "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                },
                None,
                "1.5",
            ),
            (
                {"url": "file:///src/lib", "dir_info": {}},
                _archive(),
                "1.5 from the archive file:///lib-1.5-py3-none-any.whl",
            ),
        ],
    )
    def test_it_must_come_from_where_the_lock_takes_it(
        self, address: dict[str, Any], direct_url: dict[str, Any] | None, found: str
    ) -> None:
        lock = self._lock_of(address)

        with pytest.raises(HatchModelError) as caught:
            check_installed(
                lock, Installed([distribution("lib==1.5", direct_url=direct_url)]), LINUX
            )

        (package,) = lock.packages
        told = f"\n  lib: locked 1.5 from {package.reference}, found {found or 'nothing'}\n"
        assert told in str(caught.value)

    @pytest.mark.parametrize(
        ("address", "direct_url"),
        [
            (
                {
                    "url": "https://example.org/lib",
                    "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                },
                {
                    "url": "https://example.org/lib.git",
                    "vcs_info": {
                        "vcs": "git",
                        "requested_revision": "main",
                        "commit_id": "c0ffee",
                    },
                },
            ),
            (
                {"url": "file:///src/lib", "dir_info": {}},
                {"url": "file:///src/lib", "dir_info": {"editable": True}},
            ),
            (_archive(sha256="a" * 64), _archive(sha256="a" * 64)),
        ],
    )
    def test_what_comes_from_there_is_in_order(
        self, address: dict[str, Any], direct_url: dict[str, Any]
    ) -> None:
        check_installed(
            self._lock_of(address),
            Installed([distribution("lib==1.5", direct_url=direct_url)]),
            LINUX,
        )

    @staticmethod
    def _lock_of(address: dict[str, Any]) -> Lock:
        package = LockedPackage(
            name=canonicalize_name("lib"), version=Version("1.5"), address=address
        )
        return Lock(path="a.lock", renewal="renew a.lock", packages=[package])

    @pytest.mark.parametrize(
        ("line", "direct_url"),
        [
            (_HASHED, None),
            (_HASHED, _archive(sha256="A" * 64)),
            (_HASHED, _archive(sha256="a" * 64, sha512="c" * 128)),
            # Nothing to compare: another algorithm, none at all, none in the lock.
            (_HASHED, _archive(md5="c" * 32)),
            (_HASHED, _archive()),
            ("lib==1.5", _archive(sha256="c" * 64)),
        ],
    )
    def test_an_archive_with_a_locked_hash_is_in_order(
        self, line: str, direct_url: dict[str, Any] | None
    ) -> None:
        self._check(line, distribution("lib==1.5", direct_url=direct_url))

    @pytest.mark.parametrize(
        "direct_url",
        [
            _archive(sha256="c" * 64, md5="d" * 32),
            {
                "url": "file:///lib-1.5-py3-none-any.whl",
                "archive_info": {"hash": f"sha256={'c' * 64}"},
            },
        ],
    )
    def test_an_archive_with_another_is_refused(self, direct_url: dict[str, Any]) -> None:
        with pytest.raises(HatchModelError) as caught:
            self._check(_HASHED, distribution("lib==1.5", direct_url=direct_url))

        assert str(caught.value) == (
            f"lib was installed from an archive with sha256:{'c' * 64}, which is none of those that "
            "`a.lock` allows. Install what is locked."
        )

    @staticmethod
    def _check(line: str, installed: Distribution) -> None:
        check_installed(_lock(line), Installed([installed]), LINUX)
