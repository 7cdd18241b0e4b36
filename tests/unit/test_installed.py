"""What is installed, as the files on disk say."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_model.errors import BrokenDistributionError
from hatch_model.installed import Distribution, InstalledEnvironment


def write(folder: Path, path: str, *lines: str) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*lines, ""]), "utf-8")


def find(folder: Path, name: str) -> Distribution | None:
    return InstalledEnvironment([str(folder)]).find(canonicalize_name(name))


def found(folder: Path, name: str) -> Distribution:
    distribution = find(folder, name)
    assert distribution is not None
    return distribution


def test_a_wheel_is_read_from_its_dist_info(tmp_path: Path) -> None:
    info = "Odd.Name_x-1.2rc1.dist-info"
    write(
        *(tmp_path, f"{info}/METADATA"),
        *("Metadata-Version: 2.4", "Name: Odd.Name_x", "version: 1.2-RC1", "Summary: one; two: 3"),
        *("Requires-Python: >=3.9,", "        <4", "Provides-Extra: Very_Fast"),
        *("Requires-Dist: b>=1 ; python_version < '4'", 'Requires-Dist: c; extra == "Very_Fast"'),
        *("", "Requires-Dist: not-a-header"),
    )
    write(tmp_path, f"{info}/RECORD", "odd/__init__.py,,")
    write(tmp_path, f"{info}/direct_url.json", '{"url": "file:///srv/a", "dir_info": {}}')

    distribution = found(tmp_path, "odd-name-x")

    assert distribution.name == "odd-name-x"
    assert distribution.version == Version("1.2rc1")
    assert distribution.raw_version == "1.2-RC1"
    assert str(distribution.requires_python) == "<4,>=3.9"
    assert distribution.extras == {"very-fast"}
    assert list(map(str, distribution.requirements)) == ['b>=1; python_version < "4"']
    assert list(map(str, distribution.optional_requirements)) == ['c; extra == "very-fast"']
    assert distribution.direct_url == {"url": "file:///srv/a", "dir_info": {}}
    assert Path(distribution.location) == tmp_path
    assert distribution.read_record() == "odd/__init__.py,,\n"


def test_a_folded_licence_with_blank_lines_hides_nothing_that_follows(tmp_path: Path) -> None:
    write(
        *(tmp_path, "a-1.0.dist-info/METADATA"),
        *("Name: a", "Version: 1.0", "License: MIT", "        ", "        Permission is"),
        *("Summary: one\x0c\x0ctwo\u2028\x85three", "Requires-Dist: b"),
    )

    assert list(map(str, found(tmp_path, "a").requirements)) == ["b"]


@pytest.mark.parametrize("name", ["zope-interface", "Zope.Interface", "ZOPE__interface"])
@pytest.mark.parametrize(
    "info",
    [
        "zope.interface-7.0.dist-info",
        "Zope_Interface-7.0.dist-info",
        "zope_interface-7.0.dist-info",
    ],
)
def test_a_distribution_is_found_by_any_spelling_of_its_name(
    name: str, info: str, tmp_path: Path
) -> None:
    write(tmp_path, f"{info}/METADATA", "Name: zope.interface", "Version: 7.0")

    assert found(tmp_path, name).name == "zope-interface"


def test_the_first_on_the_path_is_the_one_that_imports_see(tmp_path: Path) -> None:
    for folder, version in (("first", "1.0"), ("second", "2.0")):
        write(
            tmp_path, f"{folder}/a-{version}.dist-info/METADATA", "Name: a", f"Version: {version}"
        )
    environment = InstalledEnvironment([str(tmp_path / each) for each in ("first", "second")])

    (only,) = environment

    assert only.raw_version == "1.0"
    assert environment.find(canonicalize_name("a")) is only


def test_what_is_not_installed_is_not_found(tmp_path: Path) -> None:
    write(tmp_path, "a_b-1.0.dist-info/METADATA", "Name: a-b", "Version: 1.0")

    assert find(tmp_path, "a") is None
    assert find(tmp_path / "nowhere", "a-b") is None


@pytest.mark.parametrize(
    "leftover",
    [
        "a-1.0.dist-info/RECORD",
        "a-1.0.dist-info/INSTALLER",
        "a-1.0.egg-info/SOURCES.txt",
        "a-1.0.dist-info/direct_url.json",
    ],
)
def test_what_an_interrupted_uninstallation_left_is_not_installed(
    leftover: str, tmp_path: Path
) -> None:
    write(tmp_path, leftover)

    assert find(tmp_path, "a") is None
    assert list(InstalledEnvironment([str(tmp_path)])) == []


@pytest.mark.parametrize("lines", [[], ["Name: a"], ["Version: 1.0"], ["Summary: nothing"]])
def test_metadata_that_was_cut_off_is_not_installed(lines: list[str], tmp_path: Path) -> None:
    write(tmp_path, "a-1.0.dist-info/METADATA", *lines)

    assert find(tmp_path, "a") is None


def test_a_leftover_does_not_hide_what_is_installed_behind_it(tmp_path: Path) -> None:
    write(tmp_path, "first/a-1.0.dist-info/RECORD")
    write(tmp_path, "second/a-2.0.dist-info/METADATA", "Name: a", "Version: 2.0")
    environment = InstalledEnvironment([str(tmp_path / each) for each in ("first", "second")])

    distribution = environment.find(canonicalize_name("a"))

    assert distribution is not None and distribution.raw_version == "2.0"
    assert list(environment) == [distribution]


def test_an_egg_info_folder_is_read(tmp_path: Path) -> None:
    info = "a_b-1.2.egg-info"
    write(
        *(tmp_path, f"{info}/PKG-INFO"),
        *("Name: a-b", "Version: 1.2", "Requires-Python: >=3.9", "Provides-Extra: fast"),
    )
    write(
        *(tmp_path, f"{info}/requires.txt", "c>=1", "", "[:python_version < '3.11']", "d"),
        *("", "[fast]", "e==2", "", "[fast:os_name == 'nt']", "f"),
    )

    distribution = found(tmp_path, "a-b")

    assert distribution.raw_version == "1.2"
    assert str(distribution.requires_python) == ">=3.9"
    assert distribution.extras == {"fast"}
    assert list(map(str, distribution.requirements)) == ["c>=1", 'd; python_version < "3.11"']
    assert list(map(str, distribution.optional_requirements)) == [
        'e==2; extra == "fast"',
        'f; os_name == "nt" and extra == "fast"',
    ]
    assert distribution.direct_url is None
    assert distribution.read_record() == ""


def test_an_egg_info_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a-1.2-py3.11.egg-info", "Metadata-Version: 1.1", "Name: a", "Version: 1.2")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution = found(tmp_path, "a")

    assert distribution == Distribution(name=canonicalize_name("a"), raw_version="1.2")
    assert str(distribution.requires_python) == ""


@pytest.mark.parametrize(
    ("header", "attribute", "message"),
    [
        ("Version: 1.x", "version", "Version: 1.x"),
        ("Requires-Dist: b (>=1", "requirements", "Requires-Dist: b (>=1"),
        (
            'Requires-Dist: b >> 1; extra == "x"',
            "optional_requirements",
            'Requires-Dist: b >> 1; extra == "x"',
        ),
    ],
)
def test_what_is_not_valid_is_an_error_where_it_is_needed(
    header: str, attribute: str, message: str, tmp_path: Path
) -> None:
    write(tmp_path, "a-1.0.dist-info/METADATA", "Name: a", header, "Version: 1.0")
    distribution = found(tmp_path, "a")

    with pytest.raises(BrokenDistributionError) as caught:
        getattr(distribution, attribute)

    assert str(caught.value) == (
        f"the installed a says `{message}`, which is not valid. Install another release of it, or "
        f"tell its maintainers."
    )


def test_a_direct_url_that_is_not_valid_is_an_error_where_it_is_needed(tmp_path: Path) -> None:
    write(tmp_path, "a-1.0.dist-info/METADATA", "Name: a", "Version: 1.0")
    write(tmp_path, "a-1.0.dist-info/direct_url.json", "{")
    (distribution,) = InstalledEnvironment([str(tmp_path)])

    with pytest.raises(BrokenDistributionError) as caught:
        _ = distribution.direct_url

    assert str(caught.value) == (
        "the installed a says `direct_url.json: …`, which is not valid. Install another release "
        "of it, or tell its maintainers."
    )


def test_only_requirements_that_may_hold_without_an_extra_are_parsed_for_none() -> None:
    distribution = Distribution(
        name=canonicalize_name("a"),
        raw_version="1.0",
        raw_requirements=("b", "not valid; extra == 'x'", "c; extra == 'x' or os_name == 'nt'"),
    )

    assert list(map(str, distribution.requirements)) == ["b", 'c; extra == "x" or os_name == "nt"']


def test_what_this_interpreter_imports_is_the_default() -> None:
    environment = InstalledEnvironment()

    distribution = environment.find(canonicalize_name("PyTest"))

    assert distribution is not None
    assert distribution.version == Version(pytest.__version__)
    assert distribution in list(environment)
