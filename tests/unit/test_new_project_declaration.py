"""What projects declare, in the files that they declare it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hatch_model.errors import HatchModelError
from hatch_model.new_project.declaration import read_declaration, supported_python

if TYPE_CHECKING:
    from pathlib import Path


def test_setup_py_is_read_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "import setuptools\nraise SystemExit\nNEEDED = ['numpy>=1.2', 'pandas']\n"
        "setuptools.setup(name='acme', version=open('VERSION').read(), install_requires=NEEDED,\n"
        "    extras_require={'plots': ['seaborn']}, python_requires='>=3.8',\n"
        "    entry_points={'console_scripts': ['acme = acme.cli:main']})\n"
    )

    read = read_declaration(tmp_path)
    assert (read.name, read.version, read.requires_python) == ("acme", "", ">=3.8")
    assert read.requirements == {"numpy": "numpy>=1.2", "pandas": "pandas"}
    assert read.extras == {"plots": ["seaborn"]}
    assert read.scripts == {"acme": "acme.cli:main"}


def test_extension_modules_are_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "setup(name='acme', ext_modules=[Extension('a', ['a.c'])])\n"
    )

    with pytest.raises(HatchModelError, match=r"setup.py has `ext_modules`, which hatchling"):
        read_declaration(tmp_path)


def test_requirements_files_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "--index-url https://user:secret@example.org/simple\n-r base.txt\n-e .\n"
        "numpy==1.2 \\\n    --hash=sha256:abc  # why\n\nhttps://example.org/a.zip\n"
    )
    (tmp_path / "base.txt").write_text(
        "-r requirements.txt\nScikit_Learn>=1 ; python_version < '4'\n"
    )
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\npytest\n")

    read = read_declaration(tmp_path)
    assert read.requirements == {
        "scikit-learn": "Scikit_Learn>=1 ; python_version < '4'",
        "numpy": "numpy==1.2",
    }
    assert read.development == {"pytest": "pytest"}
    assert read.unread == [
        "`--index-url https://…@example.org/simple` in requirements.txt was left out",
        "`https://example.org/a.zip` in requirements.txt is not a requirement",
    ]


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("^1.2.3", "a>=1.2.3,<2"),
        ("^0.2.3", "a>=0.2.3,<0.3"),
        ("^0.0.3", "a>=0.0.3,<0.0.4"),
        ("^0", "a>=0,<1"),
        ("~1.2.3", "a>=1.2.3,<1.3"),
        ("~1", "a>=1,<2"),
        ("1.2", "a==1.2"),
        (">=1,<3", "a>=1,<3"),
        ("~=1.2", "a~=1.2"),
        ("*", "a"),
    ],
)
def test_versions_of_poetry_become_specifiers(version: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.poetry.dependencies]\na = '{version}'\n")

    assert read_declaration(tmp_path).requirements == {"a": line}


def test_tables_of_poetry_become_requirements(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.poetry.dependencies]\na = { version = '^1', extras = ['x', 'y'], markers = 'os_name == \"nt\"' }\n"
        "b = { version = '*', optional = true }\nc = { git = 'https://example.org/c.git' }\n"
    )

    read = read_declaration(tmp_path)
    assert read.requirements == {"a": 'a[x,y]>=1,<2; os_name == "nt"'}
    assert read.unread == ["tool.poetry has `c` without a version from an index"]


def test_setup_cfg_is_read(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nname = acme\nversion = attr: acme.version\n[options]\ninstall_requires =\n    numpy\n    pandas>=2\n"
    )

    read = read_declaration(tmp_path)
    assert (read.name, read.version) == ("acme", "")
    assert read.requirements == {"numpy": "numpy", "pandas": "pandas>=2"}


def test_a_malformed_pyproject_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")

    with pytest.raises(HatchModelError, match=r"pyproject.toml` cannot be read: Expected"):
        read_declaration(tmp_path)


@pytest.mark.parametrize(
    ("declared", "supported"),
    [
        ("", ">=3.10"),
        (">=3.6", ">=3.10"),
        (">=3.8,<3.13", ">=3.10,<3.13"),
        (">=3.11", ">=3.11"),
        ("==3.12.*", "==3.12.*"),
        ("three", ">=3.10"),
    ],
)
def test_pythons_are_those_that_hatch_model_supports(declared: str, supported: str) -> None:
    assert supported_python(declared) == supported


def test_files_of_windows_powershell_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy==2.1.3\n", "utf-16")
    (tmp_path / "README.md").write_text("# Mine\n", "utf-16")

    read = read_declaration(tmp_path)
    assert read.requirements == {"numpy": "numpy==2.1.3"}
    assert read.readme == ""
    assert read.unread == ["README.md is not in UTF-8, so the wheel's description leaves it out"]


def test_a_name_that_cannot_be_installed_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("sklearn==0.0\n")

    read = read_declaration(tmp_path)
    assert read.requirements == {"scikit-learn": "scikit-learn"}
    assert "so scikit-learn takes its place" in read.unread[0]


def test_a_pipfile_is_read(tmp_path: Path) -> None:
    (tmp_path / "Pipfile").write_text(
        '[packages]\nnumpy = "*"\nscipy = "==1.11.4"\nmine = {path = "."}\n'
        '[dev-packages]\npytest = ">=8"\n[requires]\npython_version = "3.11"\n'
    )

    read = read_declaration(tmp_path)
    assert read.requirements == {"numpy": "numpy", "scipy": "scipy==1.11.4"}
    assert read.development == {"pytest": "pytest>=8"}
    assert read.requires_python == ">=3.11"
    assert read.unread == ["Pipfile has `mine` without a version from an index"]


def test_extras_of_poetry_have_its_optional_dependencies(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.poetry.dependencies]\nnumpy = "*"\npandas = {version = "^2", optional = true}\n'
        '[tool.poetry.extras]\nframes = ["pandas"]\n'
    )

    read = read_declaration(tmp_path)
    assert read.requirements == {"numpy": "numpy"}
    assert read.extras == {"frames": ["pandas>=2,<3"]}
