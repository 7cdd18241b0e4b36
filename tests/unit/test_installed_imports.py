"""Which installed distributions a set of imported files belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import FakeEnvironment
from packaging.utils import canonicalize_name

from hatch_model.installed import (
    Distribution,
    imported_copies,
    imported_names,
    imported_strangers,
)


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


def test_what_is_imported_by_its_name_as_a_text_is_imported(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import importlib as il\nfrom importlib import import_module\n"
        "il.import_module('a.b')\nimport_module('c', None)\n__import__('d')\n"
        "import_module('.e', 'small')\nimport_module(name)\nimport_module('')\nload('f')\n",
        "utf-8",
    )

    assert imported_names([str(module)]) == {"importlib", "a", "c", "d"}


def test_what_only_type_checkers_import_is_not_imported(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "import typing\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import pandas\nelse:\n    import joblib\n"
        "if typing.TYPE_CHECKING:\n    from numpy import ndarray\n",
        "utf-8",
    )

    assert imported_names([str(module)]) == {"typing", "joblib"}


class TestCopies:
    """Modules of pinned distributions that were imported from anywhere else."""

    @pytest.fixture
    def pinned(self, site: Path) -> list[Distribution]:
        (site / "six.py").parent.mkdir(parents=True)
        (site / "six.py").touch()
        for package in ("yaml", "google", "tests"):
            (site / package).mkdir()
        return [
            installed("six", site, "six.py,,", "six-1.0.dist-info/METADATA,,"),
            installed("yaml", site, "yaml/__init__.py,,", "tests/__init__.py,,"),
            installed("protobuf", site, "google/protobuf/__init__.py,,"),
        ]

    @staticmethod
    def _found(pinned: list[Distribution], **imported: Path) -> list[tuple[str, str]]:
        files = {module: str(file) for module, file in imported.items()}
        return [(each.name, module) for each, module, _ in imported_copies(files, pinned)]

    def test_a_copy_in_another_folder_is_found(
        self, pinned: list[Distribution], tmp_path: Path
    ) -> None:
        found = self._found(
            pinned, yaml=tmp_path / "src" / "yaml" / "__init__.py", six=tmp_path / "src" / "six.py"
        )

        assert found == [("six", "six"), ("yaml", "yaml")]

    def test_what_is_imported_from_where_it_is_installed_is_none(
        self, pinned: list[Distribution], site: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "link").symlink_to(site, target_is_directory=True)

        assert not self._found(
            pinned, yaml=site / "yaml" / "__init__.py", six=tmp_path / "link" / "six.py"
        )

    def test_modules_that_no_pinned_distribution_has_are_none(
        self, pinned: list[Distribution], site: Path, tmp_path: Path
    ) -> None:
        (site / "own").mkdir()  # of another distribution

        assert not self._found(pinned, own=tmp_path / "own.py", model=tmp_path / "model.py")

    def test_tests_that_a_distribution_ships_by_mistake_are_none(
        self, pinned: list[Distribution], tmp_path: Path
    ) -> None:
        assert not self._found(pinned, tests=tmp_path / "tests" / "__init__.py")

    def test_an_egg_info_hides_no_copy(
        self, pinned: list[Distribution], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        egg = Distribution(name=canonicalize_name("egg"), raw_version="1.0")
        monkeypatch.chdir(tmp_path)

        assert self._found([egg, *pinned], six=tmp_path / "six.py") == [("six", "six")]

    def test_a_namespace_package_of_pkgutil_is_none(
        self, pinned: list[Distribution], tmp_path: Path
    ) -> None:
        file = tmp_path / "yaml" / "__init__.py"
        file.parent.mkdir()
        file.write_text(
            "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n", "utf-8"
        )

        assert not self._found(pinned, yaml=file)

    def test_an_editable_distribution_is_where_its_sources_are(
        self, site: Path, tmp_path: Path
    ) -> None:
        distribution = editable(tmp_path / "editable", site)

        assert not self._found([distribution], lib=tmp_path / "editable" / "src" / "lib.py")
