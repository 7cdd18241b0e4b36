"""Which installed distributions a set of imported files belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import FakeEnvironment
from packaging.utils import canonicalize_name

from hatch_model.installed import Distribution, imported_names, imported_strangers


def installed(name: str, location: Path, *record: str, direct_url: str = "") -> Distribution:
    return Distribution(
        name=canonicalize_name(name),
        raw_version="1.0",
        location=str(location),
        read_record=lambda: "".join(f"{line}\n" for line in record),
        raw_direct_url=direct_url,
    )


def editable(folder: Path, location: Path, *, is_editable: str = "true") -> Distribution:
    url = f'{{"url": "{folder.as_uri()}", "dir_info": {{"editable": {is_editable}}}}}'
    return installed("editable", location, "editable.pth,,", direct_url=url)


def strangers(
    environment: list[Distribution], *imported: Path, known: tuple[str, ...] = ()
) -> list[str]:
    names = set(map(canonicalize_name, known))
    tops = {"a", "b", "c", "known", "lib"}
    return [*imported_strangers({*map(str, imported)}, FakeEnvironment(environment), names, tops)]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "venv" / "lib" / "site-packages"


def test_the_owners_of_imported_files_are_named_in_order(site: Path) -> None:
    environment = [
        installed("b", site, "b/__init__.py,sha256=x,3", "b/core.py,,"),
        installed("a", site, "a.py,,", "a-1.0.dist-info/METADATA,,"),
        installed("c", site, "c/__init__.py,,"),
        installed("known", site, "known.py,,"),
    ]
    imported = [site / "b" / "core.py", site / "a.py", site / "known.py"]

    assert strangers(environment, *imported, known=("Known",)) == ["a", "b"]


def test_a_file_of_the_same_name_in_another_folder_is_not_owned(site: Path, tmp_path: Path) -> None:
    environment = [installed("a", site, "a.py,,", "lib/a.py,,")]

    assert strangers(environment, tmp_path / "a.py", tmp_path / "lib" / "a.py") == []
    assert strangers(environment, Path(f"{site}-too", "a.py")) == []


def test_files_of_nobody_and_an_empty_record_name_nobody(site: Path) -> None:
    assert strangers([installed("a", site)], site / "a.py") == []


def test_a_distribution_in_a_second_folder_owns_what_is_there(site: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    environment = [installed("a", site, "a.py,,"), installed("b", second, "a.py,,")]

    assert strangers(environment, second / "a.py") == ["b"]


def test_an_editable_install_owns_its_folder(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sources of it"
    module = folder / "src" / "editable" / "core.py"

    assert strangers([editable(folder, site)], module) == ["editable"]
    assert strangers([editable(folder, site)], Path(f"{folder}2", "core.py")) == []
    assert strangers([editable(folder, site, is_editable="false")], module) == []


def test_an_environment_inside_an_editable_folder_is_another_matter(
    site: Path, tmp_path: Path
) -> None:
    environment = [editable(tmp_path, site), installed("a", site, "a.py,,")]

    assert strangers(environment, site / "a.py") == ["a"]


def test_a_broken_direct_url_of_any_package_does_not_matter(site: Path) -> None:
    environment = [installed("broken", site, direct_url="{"), installed("a", site, "a.py,,")]

    assert strangers(environment, site / "a.py") == ["a"]


def test_what_only_a_library_imports_is_its_own_business(site: Path) -> None:
    environment = [installed("a", site, "a.py,,"), installed("b", site, "b.py,,")]
    imported = {str(site / "a.py"), str(site / "b.py")}

    assert imported_strangers(imported, FakeEnvironment(environment), (), {"b"}) == ["b"]


def test_a_module_says_what_it_imports_wherever_that_stands(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import a.b, c as d\nfrom e.f import g\nfrom . import h\nfrom .i import j\n"
        "def load():\n    import k\n",
        "utf-8",
    )
    broken = tmp_path / "broken.py"
    broken.write_text("import (", "utf-8")

    assert imported_names(map(str, [module, broken, tmp_path / "absent.py"])) == {
        "a",
        "c",
        "e",
        "k",
    }
