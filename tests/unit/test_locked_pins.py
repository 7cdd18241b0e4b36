"""From a lock and what was installed from it to the pins of the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_up import LINUX, Installed, distribution, roots
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from hatch_model.errors import HatchModelError
from hatch_model.lock import Lock, LockedPackage, read_requirements
from hatch_model.locked_pins import pin_locked
from hatch_model.settings import PinPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from hatch_model.installed import Distribution
    from hatch_model.pins import Pins

_GIT: dict[str, Any] = {
    "url": "https://example.org/lib",
    "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
}
_FOLDER: dict[str, Any] = {"url": "file:///src/lib", "dir_info": {}}


def _lock(
    *lines: str,
    runtime: Sequence[str] | None = None,
    overrides: dict[NormalizedName, list[str]] | None = None,
) -> Lock:
    return Lock(
        overrides=overrides or {},
        path="a.lock",
        renewal="renew a.lock",
        packages=read_requirements("a.lock", "\n".join(lines)),
        runtime=None if runtime is None else read_requirements("a.lock", "\n".join(runtime)),
    )


def _pins(
    lock: Lock,
    required: Sequence[str],
    installed: Sequence[Distribution],
    *,
    groups: Sequence[str] = (),
    claimed: str = ">=3.10",
    **policy: Any,
) -> list[str]:
    return list(_pinned(lock, required, installed, groups=groups, claimed=claimed, **policy).lines)


def _pinned(
    lock: Lock,
    required: Sequence[str],
    installed: Sequence[Distribution],
    *,
    groups: Sequence[str] = (),
    claimed: str = ">=3.10",
    **policy: Any,
) -> Pins:
    return pin_locked(
        roots(*required),
        roots(*groups, key="groups.fit"),
        Installed(installed),
        lock,
        PinPolicy(key="model", **policy),
        project=canonicalize_name("small"),
        markers=LINUX,
        claimed=SpecifierSet(claimed),
    )


def test_what_another_platform_needs_is_pinned_with_all_that_it_needs_in_turn() -> None:
    lock = _lock(
        "anchor==1.2",
        "colorama==0.4.6 ; sys_platform == 'win32'",
        "ansi==3.0 ; sys_platform == 'win32'",
        "chain==2.0",
    )

    pins = _pins(
        lock,
        ["anchor>=1", "colorama ; sys_platform == 'win32'"],
        [distribution("anchor==1.2", "chain>=2"), distribution("chain==2.0")],
    )

    assert pins == [
        "anchor==1.2",
        'ansi==3.0; sys_platform == "win32"',
        "chain==2.0",
        'colorama==0.4.6; sys_platform == "win32"',
    ]


def test_every_fork_of_the_lock_is_pinned_under_its_own_condition() -> None:
    lock = _lock(
        "numpy==1.26.4 ; python_full_version < '3.12'",
        "numpy==2.3.1 ; python_full_version >= '3.12'",
    )

    pins = _pins(lock, ["numpy>=1.26"], [distribution("numpy==2.3.1")])

    assert pins == [
        'numpy==1.26.4; python_full_version < "3.12"',
        'numpy==2.3.1; python_full_version >= "3.12"',
    ]


@pytest.mark.parametrize(
    ("local_versions", "expected"),
    [
        ("strip", ["torch", 'torch==2.5.1; sys_platform == "darwin" or sys_platform == "linux"']),
        (
            "keep",
            [
                "torch",
                'torch==2.5.1+cpu; sys_platform == "linux"',
                'torch==2.5.1; sys_platform == "darwin"',
            ],
        ),
    ],
)
def test_local_versions_are_written_as_the_policy_says(
    local_versions: str, expected: list[str]
) -> None:
    lock = _lock(
        "torch==2.5.1+cpu ; sys_platform == 'linux'", "torch==2.5.1 ; sys_platform == 'darwin'"
    )

    pins = _pins(lock, ["torch"], [distribution("torch==2.5.1+cpu")], local_versions=local_versions)

    assert pins == expected


def test_forks_that_come_to_the_same_everywhere_need_no_condition() -> None:
    lock = _lock(
        "torch==2.5.1+cpu ; sys_platform == 'linux'", "torch==2.5.1 ; sys_platform != 'linux'"
    )

    assert _pins(lock, ["torch"], [distribution("torch==2.5.1+cpu")]) == ["torch==2.5.1"]


def test_extras_bring_what_they_need() -> None:
    lock = _lock("server==0.30", "fast==1.0", "loop==2.0 ; sys_platform != 'win32'", "unasked==1")

    pins = _pins(
        lock,
        ["server[standard]"],
        [
            distribution(
                "server==0.30",
                "fast>=1; extra == 'standard'",
                "loop; sys_platform != 'win32' and extra == 'standard'",
                "unasked; extra == 'other'",
                extras=["standard", "other"],
            ),
            distribution("fast==1.0"),
            distribution("loop==2.0"),
            distribution("unasked==1"),
        ],
    )

    assert pins == ["fast==1.0", 'loop==2.0; sys_platform != "win32"', "server==0.30"]


def test_direct_pins_keep_extras_and_the_conditions_of_the_requirements() -> None:
    lock = _lock(
        "server==0.30",
        "fast==1.0",
        "colorama==0.4.6",
        "numpy==1.26.4 ; python_full_version < '3.12'",
        "numpy==2.3.1 ; python_full_version >= '3.12'",
    )

    pins = _pins(
        lock,
        [
            "server[Standard]>=0.3",
            "server",
            "colorama ; sys_platform == 'win32'",
            "numpy<2 ; python_version < '3.12'",
            "numpy>=2 ; python_full_version >= '3.12'",
        ],
        [
            distribution("server==0.30", "fast; extra == 'standard'", extras=["standard"]),
            distribution("fast==1.0", "colorama"),
            distribution("colorama==0.4.6"),
            distribution("numpy==2.3.1"),
        ],
        pins="direct",
    )

    assert pins == [
        'colorama==0.4.6; sys_platform == "win32"',
        'numpy==1.26.4; python_full_version < "3.12" and python_version < "3.12"',
        'numpy==2.3.1; python_full_version >= "3.12"',
        "server==0.30",
        "server[standard]==0.30",
    ]


def test_what_the_lock_was_not_made_for_stays_as_it_was_declared() -> None:
    required = ["anchor>=1", "colorama>=0.4 ; sys_platform == 'win32'"]

    pins = pin_locked(
        roots(*required),
        [],
        Installed([distribution("anchor==1.2")]),
        _lock("anchor==1.2"),
        PinPolicy(key="model"),
        project=canonicalize_name("small"),
        markers=LINUX,
        claimed=SpecifierSet(),
    )

    assert list(pins.lines) == ["anchor==1.2", 'colorama>=0.4; sys_platform == "win32"']
    assert list(pins.unlocked) == ['colorama>=0.4; sys_platform == "win32"']


@pytest.mark.parametrize(
    ("marker", "claimed", "is_declared"),
    [
        ("sys_platform == 'linux'", ">=3.10", True),
        ("python_version == '3.12'", ">=3.12", True),
        ("python_version == '3.12'", "==3.12.*", False),
        ("python_version >= '3.10' and python_version < '4.0'", ">=3.10", False),
        ("python_version >= '3.10' and python_version < '4.0'", ">=3.9", True),
        ("python_version < '3.14'", "<3.14", False),
    ],
)
def test_what_is_locked_for_some_environments_is_required_as_declared_in_the_others(
    marker: str, claimed: str, *, is_declared: bool
) -> None:
    pins = _pins(
        _lock(f"anchor==1.2 ; {marker}", f"chain==2.0 ; {marker}"),
        ["anchor>=1"],
        [distribution("anchor==1.2", "chain>=2"), distribution("chain==2.0")],
        claimed=claimed,
    )

    expected = ["anchor==1.2", *(["anchor>=1"] if is_declared else []), "chain==2.0"]
    assert [pin.partition(";")[0] for pin in pins] == expected


class TestTrainingsOwnPackages:
    """What only training needs is installed from the lock, and never pinned."""

    def test_they_are_left_out(self) -> None:
        lock = _lock("anchor==1.2", "tool==3.0", "toolbox==1.0", "leftover==0.1")

        pins = _pins(
            lock,
            ["anchor"],
            [
                distribution("anchor==1.2"),
                distribution("tool==3.0", "toolbox"),
                distribution("toolbox==1.0"),
                distribution("leftover==0.1"),
            ],
            groups=["tool"],
        )

        assert pins == ["anchor==1.2"]

    def test_they_are_left_out_where_only_other_platforms_need_them(self) -> None:
        lock = _lock(
            "anchor==1.2",
            "tool==3.0",
            "wintool==1.0 ; sys_platform == 'win32'",
            "wincolor==1.0 ; sys_platform == 'win32'",
        )

        pins = _pins(
            lock,
            ["anchor"],
            [distribution("anchor==1.2"), distribution("tool==3.0", "wincolor; os_name == 'nt'")],
            groups=["tool", "wintool ; sys_platform == 'win32'"],
        )

        assert pins == ["anchor==1.2"]

    def test_one_that_the_model_needs_elsewhere_is_pinned_for_there(self) -> None:
        lock = _lock("anchor==1.2", "colorama==0.4.6", "tqdm==4.67")

        pins = _pins(
            lock,
            ["anchor", "tqdm ; sys_platform == 'darwin'"],
            [
                distribution("anchor==1.2", "colorama; sys_platform == 'win32'"),
                distribution("colorama==0.4.6"),
                distribution("tqdm==4.67"),
            ],
            groups=["colorama", "tqdm"],
        )

        assert pins == [
            "anchor==1.2",
            'colorama==0.4.6; sys_platform == "win32"',
            'tqdm==4.67; sys_platform == "darwin"',
        ]

    def test_no_pin_is_missing_where_it_cannot_be_told_who_needs_it(self) -> None:
        lock = _lock(
            "winthing==1.0 ; sys_platform == 'win32'",
            "wincolor==1.0 ; sys_platform == 'win32'",
            "tool==3.0",
        )

        pins = _pins(
            lock,
            ["winthing ; sys_platform == 'win32'"],
            [distribution("tool==3.0", "wincolor; os_name == 'nt'")],
            groups=["tool"],
        )

        assert pins == [
            'wincolor==1.0; sys_platform == "win32"',
            'winthing==1.0; sys_platform == "win32"',
        ]

    def test_a_lock_that_tells_them_apart_is_believed(self) -> None:
        lock = _lock(
            "winthing==1.0 ; sys_platform == 'win32'",
            "wincolor==1.0 ; sys_platform == 'win32'",
            "anchor==1.2",
            "tool==3.0",
            runtime=[
                "winthing==1.0 ; sys_platform == 'win32'",
                "anchor==1.2 ; python_full_version < '3.13'",
                "removed==1.0",
            ],
        )

        pins = _pins(
            lock,
            ["winthing ; sys_platform == 'win32'", "anchor ; python_full_version < '3.13'"],
            [distribution("anchor==1.2"), distribution("tool==3.0", "anchor")],
            groups=["tool"],
        )

        # Nothing asks for `removed` any more.
        assert pins == [
            'anchor==1.2; python_full_version < "3.13"',
            'winthing==1.0; sys_platform == "win32"',
        ]


class TestDirectReferences:
    """What the lock takes from elsewhere than an index."""

    @staticmethod
    def _pins(policy: str, address: dict[str, Any], version: str | None = "1.5") -> list[str]:
        (locked,) = read_requirements("a.lock", "lib==1.5")
        lock = Lock(
            path="a.lock",
            renewal="renew a.lock",
            packages=[
                LockedPackage(
                    name=locked.name,
                    version=locked.version if version else None,
                    address=address,
                )
            ],
        )
        installed = [distribution("lib==1.5", direct_url=address)]
        return _pins(lock, ["lib"], installed, direct_references=policy)

    def test_they_are_refused_by_default(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            self._pins("error", _GIT)

        assert str(caught.value) == (
            "lib 1.5 was installed from git+https://example.org/lib@c0ffee, as the lock says, so "
            "others could not install the wheel from an index. Install it from an index, or set "
            'model.direct-references to "url" (pin the address) or "version" (pin the version, '
            "which an index must then have)."
        )

    def test_their_address_is_pinned(self) -> None:
        (line,) = self._pins("url", _GIT)
        assert Requirement(line).url == "git+https://example.org/lib@c0ffee"

    def test_an_address_on_this_machine_is_refused(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            self._pins("url", _FOLDER)

        assert str(caught.value) == (
            "lib 1.5 was installed from file:///src/lib, as the lock says, an address that is only "
            "valid on this machine. Install it from an index or a repository, or set "
            'model.direct-references to "version" (pin the version, which an index must then have).'
        )

    @pytest.mark.parametrize("address", [_GIT, _FOLDER])
    @pytest.mark.parametrize("version", ["1.5", None])
    def test_their_version_is_pinned_even_where_only_the_environment_knows_it(
        self, version: str | None, address: dict[str, Any]
    ) -> None:
        assert self._pins("version", address, version) == ["lib==1.5"]

    def test_a_version_that_nobody_knows_cannot_be_pinned(self) -> None:
        (locked,) = read_requirements("a.lock", "lib==1.5 ; sys_platform == 'win32'")
        package = LockedPackage(name=locked.name, version=None, marker=locked.marker, address=_GIT)
        lock = Lock(path="a.lock", renewal="renew a.lock", packages=[package])

        with pytest.raises(HatchModelError) as caught:
            _pins(lock, ["lib ; sys_platform == 'win32'"], [], direct_references="version")

        assert str(caught.value) == (
            "`a.lock` holds lib for other platforms, from git+https://example.org/lib@c0ffee, "
            "without a version that could be pinned. Give lib a version that is not dynamic, or "
            'set model.direct-references to "url".'
        )


class TestOverrides:
    """A decision of the project about what others require, and its own requirements."""

    @pytest.mark.parametrize(
        "override",
        ["anchor==1.2", "Anchor>=1,<1.3", "anchor==1.2; python_version >= '3'"],
    )
    def test_a_requirement_of_the_project_gives_way(self, override: str) -> None:
        lock = _lock("anchor==1.2", overrides={canonicalize_name("anchor"): [override]})

        pins = _pinned(lock, ["anchor>=1.3"], [distribution("anchor==1.2")])

        assert pins.lines == ("anchor==1.2",)
        assert pins.contradicted == ()

    def test_what_a_package_requires_gives_way_and_is_told(self) -> None:
        lock = _lock(
            "anchor==1.2", "chain==1.0", overrides={canonicalize_name("chain"): ["chain<2"]}
        )
        installed = [distribution("anchor==1.2", "chain>=2"), distribution("chain==1.0")]

        pins = _pinned(lock, ["anchor"], installed)

        assert pins.lines == ("anchor==1.2", "chain==1.0")
        assert pins.contradicted == (("anchor 1.2", "chain>=2"),)

    def test_what_is_overridden_away_is_neither_pinned_nor_missed(self) -> None:
        never = {canonicalize_name("chain"): ["chain; python_version < '0'"]}
        installed = [distribution("anchor==1.2", "chain>=2")]

        pins = _pinned(_lock("anchor==1.2", overrides=never), ["anchor"], installed)

        assert pins.lines == ("anchor==1.2",)
        assert pins.contradicted == (("anchor 1.2", "chain>=2"),)

    def test_what_is_excluded_and_installed_nevertheless_is_told(self) -> None:
        never = {canonicalize_name("chain"): ["chain; python_version < '0'"]}
        installed = [distribution("anchor==1.2", "chain>=2"), distribution("chain==2.0")]

        pins = _pinned(_lock("anchor==1.2", overrides=never), ["anchor"], installed)

        assert pins.lines == ("anchor==1.2",)
        assert pins.contradicted == (("anchor 1.2", "chain>=2"),)

    def test_one_for_other_platforms_leaves_the_requirement_here(self) -> None:
        elsewhere = {
            canonicalize_name("chain"): [
                "chain==1.0; sys_platform == 'win32'",
                "chain>=2; sys_platform != 'win32'",
            ]
        }
        lock = _lock(
            "anchor==1.2",
            "chain==1.0 ; sys_platform == 'win32'",
            "chain==2.0 ; sys_platform != 'win32'",
            overrides=elsewhere,
        )
        installed = [distribution("anchor==1.2", "chain>=2"), distribution("chain==2.0")]

        pins = _pinned(lock, ["anchor"], installed)

        assert pins.lines == (
            "anchor==1.2",
            'chain==1.0; sys_platform == "win32"',
            'chain==2.0; sys_platform != "win32"',
        )

    def test_a_lock_that_does_not_hold_what_the_override_says_is_old(self) -> None:
        lock = _lock("anchor==1.2", overrides={canonicalize_name("anchor"): ["anchor==1.1"]})

        with pytest.raises(HatchModelError) as caught:
            _pins(lock, ["anchor>=1.2"], [distribution("anchor==1.2")])

        assert str(caught.value) == (
            "`a.lock` is older than the requirements: tool.uv.override-dependencies asks for "
            "`anchor==1.1`, and the lock holds 1.2. Renew it: `renew a.lock`."
        )


class TestIncompleteLocks:
    """Something that is needed is not locked, though it may well be installed."""

    def test_a_requirement_of_a_locked_package_is_missing(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            _pins(
                _lock("anchor==1.2"),
                ["anchor"],
                [distribution("anchor==1.2", "chain>=2"), distribution("chain==2.0")],
            )

        assert str(caught.value) == (
            "`a.lock` is incomplete: anchor 1.2 asks for `chain>=2`, and the lock "
            "does not hold it. Renew it: `renew a.lock`."
        )

    def test_what_a_new_extra_brings_is_missing(self) -> None:
        installed = [distribution("server==0.30", "fast; extra == 'std'", extras=["std"])]

        with pytest.raises(HatchModelError) as caught:
            _pins(_lock("server==0.30"), ["server[std]"], installed)

        assert str(caught.value) == (
            "`a.lock` is incomplete: server 0.30 asks for "
            '`fast; extra == "std"`, and the lock does not hold it. Renew it: `renew a.lock`.'
        )

    def test_a_locked_version_is_not_what_another_locked_package_takes(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            _pins(
                _lock("anchor==1.2", "chain==1.0"),
                ["anchor"],
                [distribution("anchor==1.2", "chain>=2"), distribution("chain==1.0")],
            )

        assert str(caught.value) == (
            "`a.lock` is older than the requirements: anchor 1.2 asks for `chain>=2`, and the lock "
            "holds 1.0. Renew it: `renew a.lock`."
        )

    def test_an_extra_that_the_locked_version_does_not_have(self) -> None:
        with pytest.raises(HatchModelError) as caught:
            _pins(_lock("server==0.30"), ["server[std]"], [distribution("server==0.30")])

        assert str(caught.value) == (
            "model.dependencies[0] asks for `server[std]`, but server 0.30 has no extra `std`; it "
            "has no extras at all."
        )
