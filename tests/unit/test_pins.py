"""From the closure to the lines of Requires-Dist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from environments import MODEL, WINDOWS, FakeEnvironment, distribution, pinned, roots
from packaging.markers import default_environment
from packaging.requirements import Requirement

from hatch_model.errors import BrokenDistributionError, HatchModelError, printable
from hatch_model.pins import (
    contradictions,
    in_extra,
    is_in_extra,
    marker_environment,
    pin,
    same_lines,
)
from hatch_model.settings import PinPolicy, declared_lines

if TYPE_CHECKING:
    from typing import Literal

COMMIT = "7c1f0e5b2a9d4c3e8f6a1b0d9c8e7f6a5b4c3d2e"


def test_every_line_is_sorted_normalized_and_valid() -> None:
    lines = pinned(
        ["Zope.Interface>=5", "a"],
        [
            distribution("zope-interface", "7.0", "B_b; sys_platform != 'win32'"),
            distribution("a", "1.0", "b.b; python_version >= '3.9'"),
            distribution("b-b", "1.0"),
        ],
    )

    assert lines == [
        "a==1.0",
        'b-b==1.0; python_version >= "3.9" or sys_platform != "win32"',
        "zope-interface==7.0",
    ]
    assert [str(Requirement(line)) for line in lines] == lines


@pytest.mark.parametrize(
    ("installed", "stripped", "kept"),
    [
        ("1.0", "1.0", "1.0"),
        ("1", "1", "1"),
        ("2024.1.0", "2024.1.0", "2024.1.0"),
        ("1!2.0", "1!2.0", "1!2.0"),
        ("1.0rc1", "1.0rc1", "1.0rc1"),
        ("1.0-RC.1", "1.0rc1", "1.0rc1"),
        ("1.0a2.dev3", "1.0a2.dev3", "1.0a2.dev3"),
        ("0.3.dev0", "0.3.dev0", "0.3.dev0"),
        ("1.0.post2", "1.0.post2", "1.0.post2"),
        ("1.0-1", "1.0.post1", "1.0.post1"),
        ("v1.0", "1.0", "1.0"),
        ("2.5.1+cu124", "2.5.1", "2.5.1+cu124"),
        ("2.5.1+CU.124-x", "2.5.1", "2.5.1+cu.124.x"),
        ("1!2.0rc1.post3.dev4+g1a2b", "1!2.0rc1.post3.dev4", "1!2.0rc1.post3.dev4+g1a2b"),
    ],
)
def test_versions_round_trip(installed: str, stripped: str, kept: str) -> None:
    here = [distribution("a", installed)]

    assert pinned(["a"], here) == [f"a=={stripped}"]
    assert pinned(["a"], here, PinPolicy(local_versions="keep")) == [f"a=={kept}"]
    for line in (f"a=={stripped}", f"a=={kept}"):
        assert Requirement(line).specifier.contains(here[0].version, prereleases=True)


@pytest.mark.parametrize(
    ("declared", "line"),
    [
        ("a>=1,<2; sys_platform == 'win32'", 'a<2,>=1; sys_platform == "win32"'),
        ("A.b[X_y]; python_version < '3'", 'A.b[X_y]; python_version < "3"'),
        (
            "a @ https://h.example/a.whl ; sys_platform == 'win32'",
            str(Requirement("a @ https://h.example/a.whl ; sys_platform == 'win32'")),
        ),
    ],
)
@pytest.mark.parametrize("pins", ["all", "direct"])
def test_a_requirement_whose_marker_is_false_here_stays_as_it_was_declared(
    declared: str, line: str, pins: Literal["all", "direct"]
) -> None:
    installed = [distribution("a", "0.1"), distribution("b")]

    assert pinned([declared, "b"], installed, PinPolicy(pins=pins)) == sorted([line, "b==1.0"])


def test_a_requirement_may_be_declared_once_for_every_platform() -> None:
    declared = ["a>=2; sys_platform == 'linux'", "a<2; sys_platform == 'win32'"]

    assert pinned(declared, [distribution("a", "2.1")]) == [
        'a<2; sys_platform == "win32"',
        'a==2.1; sys_platform == "linux"',
    ]
    assert pinned(declared, [distribution("a", "1.9")], markers=WINDOWS) == [
        'a==1.9; sys_platform == "win32"',
        'a>=2; sys_platform == "linux"',
    ]


_SERVER = distribution(
    *("server", "1.2"),
    *("click", 'loop; extra == "standard"', 'tls; extra == "tls"'),
    *('colors; sys_platform == "win32" and extra == "standard"',),
    extras=["standard", "tls"],
)
_AROUND_SERVER = [_SERVER, *map(distribution, ("click", "loop", "tls", "colors", "a"))]


@pytest.mark.parametrize(
    ("declared", "lines"),
    [
        (["server"], ["click==1.0", "server==1.2"]),
        (["server[Standard]"], ["click==1.0", "loop==1.0", "server[standard]==1.2"]),
        (
            ["server[tls]", "server[standard]", "server"],
            ["click==1.0", "loop==1.0", "server[standard,tls]==1.2", "tls==1.0"],
        ),
        (
            # An extra that is asked for less often than the rest.
            ["server", "server[standard,tls]; python_version < '3.13'"],
            [
                "click==1.0",
                'loop==1.0; python_version < "3.13"',
                "server==1.2",
                'server[standard,tls]==1.2; python_version < "3.13"',
                'tls==1.0; python_version < "3.13"',
            ],
        ),
        (
            # An extra that is asked for elsewhere only.
            ["server", "server[standard]; sys_platform == 'win32'"],
            ["click==1.0", "server==1.2", 'server[standard]; sys_platform == "win32"'],
        ),
    ],
)
def test_an_extra_stays_on_its_line_and_its_closure_is_pinned(
    declared: list[str], lines: list[str]
) -> None:
    assert pinned(declared, _AROUND_SERVER) == sorted(lines)


def test_an_extra_that_a_dependency_asks_for_is_only_in_the_closure() -> None:
    installed = [distribution("api", "1.0", "server[standard]"), *_AROUND_SERVER]

    assert pinned(["api"], installed) == ["api==1.0", "click==1.0", "loop==1.0", "server==1.2"]


@pytest.mark.parametrize(
    ("line", "in_metadata"),
    [
        ("numpy==2.5.5", "numpy==2.5.5; extra == 'pinned'"),
        (
            'far==1 ; python_version < "3.12" or sys_platform == "x"',
            'far==1; (python_version < "3.12" or sys_platform == "x") and extra == \'pinned\'',
        ),
        ("own @ https://x.test/a;b.zip", "own @ https://x.test/a;b.zip ; extra == 'pinned'"),
        (
            'own @ https://x.test/a.zip ; os_name == "nt"',
            'own @ https://x.test/a.zip ; (os_name == "nt") and extra == "pinned"',
        ),
        ("web[standard]==1", "web[standard]==1; extra == 'pinned'"),
    ],
)
def test_a_pin_in_the_extra_is_as_hatchling_writes_it(line: str, in_metadata: str) -> None:
    assert same_lines([in_extra(line)], [in_metadata])
    assert is_in_extra(in_metadata)
    assert not is_in_extra(line)
    assert not is_in_extra(in_metadata, "other")


def test_direct_pins_are_of_what_is_declared() -> None:
    installed = [distribution("b", "1.0", "a; os_name == 'posix'"), *_AROUND_SERVER]
    policy = PinPolicy(pins="direct")

    assert pinned(["b", "server[standard]"], installed, policy) == [
        "b==1.0",
        "server[standard]==1.2",
    ]
    # Declared and needed by another: the declaration says when.
    assert pinned(["b", "a; python_version < '3.13'"], installed, policy) == [
        'a==1.0; python_version < "3.13"',
        "b==1.0",
    ]


def test_direct_pins_ask_for_the_whole_closure_all_the_same() -> None:
    with pytest.raises(HatchModelError):
        pinned(["a"], [distribution("a", "1.0", "b")], PinPolicy(pins="direct"))


def test_lines_do_not_depend_on_the_order_of_what_is_declared_or_installed() -> None:
    declared = ["a[x,y]", "c; sys_platform == 'linux'", "d; sys_platform == 'win32'", "b"]
    installed = [
        distribution("a", "1.0", 'c; extra == "x"', 'e<2; extra == "y"', extras=["x", "y"]),
        distribution("b", "1.0", "e; python_version < '3.14'", "c; os_name == 'posix'"),
        distribution("c", "1.0", "b", "e; os_name == 'nt'"),
        distribution("e", "1.5"),
    ]

    one = pinned(declared, installed)

    assert one == pinned(declared[::-1], installed[::-1])
    assert one == [
        "a[x,y]==1.0",
        "b==1.0",
        "c==1.0",
        'd; sys_platform == "win32"',
        "e==1.5",
    ]


_VCS = {"url": "https://me:secret@h.example/a.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
_ARCHIVE = {
    "url": "https://me:secret@h.example/a.whl",
    "archive_info": {"hashes": {"sha256": "0a1b"}},
}
_LOCAL_VCS = {"url": "file:///srv/a", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
_LOCAL_ARCHIVE = {"url": "file:///srv/a.whl", "archive_info": {}}
_FOLDER = {"url": "file:///srv/a", "dir_info": {}}
_EDITABLE = {"url": "file:///srv/a", "dir_info": {"editable": True}}


@pytest.mark.parametrize(
    ("direct_url", "origin"),
    [
        (_VCS, "from git at https://h.example/a.git"),
        (_ARCHIVE, "from the archive https://h.example/a.whl"),
    ],
)
def test_what_is_not_from_an_index_is_an_error_by_default(
    direct_url: dict[str, Any], origin: str
) -> None:
    with pytest.raises(HatchModelError) as caught:
        pinned(
            ["b"], [distribution("b", "1.0", "a"), distribution("a", "1.2", direct_url=direct_url)]
        )

    assert str(caught.value) == (
        f"a 1.2 was installed {origin}, so others could not install the wheel from an index. "
        f"Install it from an index, or set tool.hatch.metadata.hooks.model.direct-references to "
        f'"url" (pin the address) or "version" (pin the version, which an index must then have).'
    )


@pytest.mark.parametrize(
    ("direct_url", "line"),
    [
        (_VCS, f"a[x]@ git+https://h.example/a.git@{COMMIT} ; python_version < '3.13'"),
        (_ARCHIVE, "a[x]@ https://h.example/a.whl#sha256=0a1b ; python_version < '3.13'"),
    ],
)
def test_the_address_is_pinned_where_the_policy_is_url(
    direct_url: dict[str, Any], line: str
) -> None:
    installed = [distribution("a", "1.2", direct_url=direct_url, extras=["x"])]
    policy = PinPolicy(direct_references="url")

    assert pinned(["a[x]; python_version < '3.13'"], installed, policy) == [str(Requirement(line))]


def test_an_address_with_a_query_is_not_written_into_a_wheel() -> None:
    archive = {"url": "https://h.example/a.whl?token=secret", "archive_info": {}}

    with pytest.raises(HatchModelError) as caught:
        pinned(
            ["a"],
            [distribution("a", "1.2", direct_url=archive)],
            PinPolicy(direct_references="url", key="hooks.model"),
        )

    assert printable(str(caught.value)) == (
        "a 1.2 was installed from the archive https://h.example/a.whl?…, an address with a query, "
        "which may be a secret and would be in the wheel. Install it from an address without one, "
        'or set hooks.model.direct-references to "version" (pin the version, which an index must '
        "then have)."
    )


@pytest.mark.parametrize(
    ("direct_url", "origin"),
    [
        (_LOCAL_VCS, "from git at file:///srv/a"),
        (_LOCAL_ARCHIVE, "from the archive file:///srv/a.whl"),
        (_FOLDER, "from a folder at file:///srv/a"),
        (_EDITABLE, "as editable at file:///srv/a"),
    ],
)
@pytest.mark.parametrize("direct_references", ["error", "url"])
def test_an_address_of_this_machine_is_an_error_and_its_version_the_way_out(
    direct_references: Any, direct_url: dict[str, Any], origin: str
) -> None:
    policy = PinPolicy(direct_references=direct_references, key="hooks.model")
    with pytest.raises(HatchModelError) as caught:
        pinned(["a"], [distribution("a", "1.2", direct_url=direct_url)], policy)

    assert str(caught.value) == (
        f"a 1.2 was installed {origin}, an address that is only valid on this machine. Install it "
        f'from an index or a repository, or set hooks.model.direct-references to "version" (pin '
        f"the version, which an index must then have)."
    )


@pytest.mark.parametrize(
    "direct_url", [_VCS, _ARCHIVE, _LOCAL_VCS, _LOCAL_ARCHIVE, _FOLDER, _EDITABLE]
)
def test_the_version_is_pinned_where_the_policy_is_version(direct_url: dict[str, Any]) -> None:
    installed = [distribution("a", "1.2.dev3+g7c1f", direct_url=direct_url)]

    assert pinned(["a"], installed, PinPolicy(direct_references="version")) == ["a==1.2.dev3"]


def test_direct_pins_do_not_ask_where_the_rest_came_from() -> None:
    installed = [distribution("a", "1.0", "b"), distribution("b", direct_url=_EDITABLE)]

    assert pinned(["a"], installed, PinPolicy(pins="direct")) == ["a==1.0"]


def test_a_broken_direct_url_is_an_error() -> None:
    with pytest.raises(BrokenDistributionError) as caught:
        pinned(["a"], [distribution("a", direct_url={"url": "https://me:secret@h.example"})])

    assert str(caught.value) == (
        "the installed a says `direct_url.json: …`, which is not valid. Install another release of "
        "it, or tell its maintainers."
    )


def test_markers_are_this_interpreters_by_default() -> None:
    environment = FakeEnvironment([distribution("a")])
    here = default_environment()["python_full_version"]

    pins = pin(
        roots(f"a; python_full_version == '{here}'", f"b; python_full_version != '{here}'"),
        environment,
        PinPolicy(),
        project=MODEL,
    )

    assert marker_environment() == dict(default_environment())
    assert pins.lines == (
        f'a==1.0; python_full_version == "{here}"',
        f'b; python_full_version != "{here}"',
    )


def test_declared_lines_are_what_was_declared() -> None:
    assert declared_lines(roots("B.b>=1", "a[x]; os_name == 'nt'")) == [
        "B.b>=1",
        'a[x]; os_name == "nt"',
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([], [], True),
        (["a==1", "b==2"], ["b==2", "a==1"], True),
        (["a==1"], ["a==2"], False),
        (["a==1"], ["a==1", "b==1"], False),
        (["a==1"], ["a==1; os_name == 'nt'"], False),
        (["a==1"], ["a[x]==1"], False),
        (["a @ https://h.example/a"], ["a @ https://h.example/b"], False),
        # What hatchling makes of lines.
        (['a==1; os_name == "nt"'], ["a==1; os_name == 'nt'"], True),
        (["A_a.b[X_y,b]>=1.0RC1,<2"], ["a-a-b[b,x-y]<2,>=1.0rc1"], True),
        (["A>=1", "a>=1"], ["a>=1"], True),
        (["a @ https://h.example/A#x"], ["a@ https://h.example/A#x"], True),
    ],
)
def test_lines_are_compared_by_their_meaning(
    one: list[str],
    other: list[str],
    same: bool,  # noqa: FBT001
) -> None:
    assert same_lines(one, other) is same
    assert same_lines(other, one) is same


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("joblib<1.5", "joblib==1.6"),
        ("Job-Lib!=1.6", "job.lib==1.6"),
        ("joblib<1.5", "joblib[fast]==1.6; python_version < '3.12'"),
        ("joblib<1.5; sys_platform == 'win32'", "joblib==1.6; python_version < '3.12'"),
    ],
)
def test_an_extra_that_contradicts_a_pin_is_found(requirement: str, pin: str) -> None:
    optional = {"fine": ["joblib>=1", "other<1"], "viz": ["plots", requirement]}

    (found,) = contradictions(optional, ["numpy==2.0", pin])

    assert found[0] == "viz"
    assert same_lines([found[1], found[2]], [requirement, pin])


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("joblib<2", "joblib==1.6"),
        ("joblib", "joblib==1.6rc1"),
        ("joblib>=1.6", "joblib==1.6+local"),
        ("joblib<1.5; python_version >= '3.12'", "joblib==1.6; python_version < '3.12'"),
        ("joblib<1.5", "joblib @ https://example.org/joblib.zip"),
        ("joblib<1.5", "joblib>=1; sys_platform == 'win32'"),
    ],
)
def test_an_extra_that_a_pin_leaves_room_for_is_fine(requirement: str, pin: str) -> None:
    assert list(contradictions({"viz": [requirement]}, [pin])) == []
