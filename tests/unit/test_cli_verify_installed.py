"""What `verify` finds in an installation: damage, other versions, and a check that tells otherwise."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from models import (
    FILES,
    INFO,
    MAIN,
    MODEL_JSON,
    RECORD,
    WEIGHTS,
    Ran,
    install,
    make_model,
    run,
)
from support import make_wheel

from hatch_model.cli.verify import same_result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FINE = Ran("", "small 0.1.0: nothing differs\n", 0)


def _found(*lines: str) -> Ran:
    count = f"{len(lines)} difference{'' if len(lines) == 1 else 's'}"
    return Ran("".join(f"{line}\n" for line in lines), f"small 0.1.0: {count}\n", 1)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this Python, and each that it starts, imports from."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    return site


@pytest.fixture
def installed(site: Path, tmp_path: Path) -> Path:
    """The folder that `small`, and what it needs, is installed in."""
    install(make_wheel(tmp_path, "anchor", "1.2"), site)
    return install(make_model(tmp_path), site)


def _install(site: Path, *changes: Callable[[dict[str, Any]], object], **options: Any) -> None:
    install(make_wheel(site.parent, "anchor", "1.2"), site)
    install(make_model(site.parent, *changes, **options), site)


def test_nothing_differs_in_what_was_installed(installed: Path) -> None:
    assert run("verify", "small") == _FINE
    assert run("verify", "Small", "--json").json == {
        "name": "small",
        "version": "0.1.0",
        "kind": "installed",
        "recorded": True,
        "checked": True,
        "differences": [],
    }
    assert not list(installed.rglob("__pycache__"))


# Files


def _exchange(path: str, content: str) -> Callable[[Path], object]:
    def exchange(site: Path) -> None:
        (site / path).write_text(content, "utf-8", newline="\n")

    return exchange


_DAMAGED: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a byte of the artifact": (
        _exchange(WEIGHTS, "0.4\n"),
        [f"{WEIGHTS}: its content is not what RECORD says"],
    ),
    "the artifact's end": (
        _exchange(WEIGHTS, "0."),
        [f"{WEIGHTS}: 2 bytes, but RECORD says 4"],
    ),
    "the artifact": (
        lambda site: (site / WEIGHTS).unlink(),
        [f"{WEIGHTS}: missing"],
    ),
    "a module": (
        lambda site: (site / MAIN).unlink(),
        [f"{MAIN}: missing"],
    ),
    "a file more": (
        _exchange("small/data/more.txt", ""),
        ["small/data/more.txt: not listed in RECORD"],
    ),
    "bytecode that would be imported": (
        _exchange("small/more.pyc", ""),
        ["small/more.pyc: not listed in RECORD"],
    ),
    "metadata more": (
        _exchange(f"{INFO}/entry_points.txt", ""),
        [f"{INFO}/entry_points.txt: not listed in RECORD"],
    ),
    "the record": (
        lambda site: (site / MODEL_JSON).write_bytes(
            (site / MODEL_JSON).read_bytes().replace(b'"metrics"', b'"Metrics"')
        ),
        [
            f"{MODEL_JSON}: its content is not what RECORD says",
            f"{MODEL_JSON}: it: 'metrics' is a required property",
        ],
    ),
    "no RECORD": (
        lambda site: (site / RECORD).unlink(),
        [
            "there is no RECORD, so nothing vouches for the files",
            f"{WEIGHTS}: an artifact of model.json that RECORD does not list",
            "small/__init__.py: a source of model.json that RECORD does not list",
            f"{MAIN}: a source of model.json that RECORD does not list",
        ],
    ),
}


# Leaves a file beside the site that it is installed in.
_WRITING = """\
from pathlib import Path

def check():
    Path(__file__).parents[2].joinpath("written").touch()
    return [0.5, "setosa", 3]
"""


@pytest.mark.parametrize(("damage", "lines"), _DAMAGED.values(), ids=_DAMAGED)
def test_damage_to_an_installation_is_listed_and_the_check_not_run(
    damage: Callable[[Path], object], lines: list[str], site: Path
) -> None:
    _install(site, files={**FILES, MAIN: _WRITING})
    written = site.parent / "written"
    assert run("verify", "small") == _FINE
    assert written.exists()
    written.unlink()
    damage(site)

    assert run("verify", "small") == _found(*lines)
    assert not written.exists()


def test_what_installers_and_python_add_is_no_difference(installed: Path) -> None:
    for path in (
        "small/__pycache__/main.cpython-312.pyc",
        "small/data/__pycache__/other.cpython-312.pyc",
    ):
        (installed / path).parent.mkdir()
        (installed / path).touch()
    rows = [
        f"{INFO}/INSTALLER,,",
        "../bin/small,sha256=abc,3",
        "small/__pycache__/main.cpython-312.pyc,,",
        "small/__pycache__/main.cpython-310.pyc,,",
    ]
    with (installed / RECORD).open("a", encoding="utf-8") as record:
        record.write("".join(f"{row}\n" for row in rows[1:]))

    assert run("verify", "small") == _FINE


def test_files_of_other_distributions_in_a_shared_folder_are_not_the_models(site: Path) -> None:
    files = {
        "acme/models/__init__.py": "",
        "acme/models/main.py": FILES[MAIN],
        "acme/models/data/weights.txt": "0.5\n",
    }
    _install(site, lambda record: record.update(check=None), files=files)
    install(make_wheel(site.parent, "acme-other", "1", files={"acme/other.py": ""}), site)
    assert run("verify", "small") == _FINE

    (site / "acme" / "models" / "data" / "more.txt").touch()
    assert run("verify", "small") == _found("acme/models/data/more.txt: not listed in RECORD")


def test_a_folder_that_is_shared_in_spite_of_its_init_is_held_to_all_that_share_it(
    site: Path,
) -> None:
    _install(site)
    install(make_wheel(site.parent, "small-other", "1", files={"small/other.py": ""}), site)
    assert run("verify", "small") == _FINE

    (site / "small" / "more.py").touch()
    assert run("verify", "small") == _found("small/more.py: not listed in RECORD")


def test_what_an_interrupted_uninstallation_left_is_not_looked_into(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rest" / INFO).mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "rest")

    assert run("verify", "small") == _FINE
    assert installed.exists()


@pytest.mark.parametrize("name", ["smaller", "", "small/main", "./small", "/", "dist/small.whl"])
def test_what_is_neither_a_file_nor_installed_is_not_found(
    name: str, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert installed.exists()
    for command in (["inspect", name], ["verify", name], ["diff", "small", name]):
        assert run(*command) == Ran(
            "",
            f"hatch-model: error: `{name}` is neither a file nor the name of something that is "
            f"installed here.\n",
            1,
        )


def test_metadata_that_is_no_text_is_told_in_one_line(installed: Path) -> None:
    (installed / INFO / "METADATA").write_bytes(b"\xff")

    assert run("inspect", "small") == Ran(
        "",
        "hatch-model: error: `small` cannot be read: 'utf-8' codec can't decode byte 0xff in "
        "position 0: invalid start byte\n",
        1,
    )


# What is installed beside it


_ADDRESS = "anchor @ https://example.org/anchor-1.2.zip"


@pytest.mark.parametrize(
    ("requires", "environment", "lines"),
    [
        (["anchor==1.2"], {"anchor": "1.2"}, []),
        (
            ["anchor==1.2"],
            {"anchor": "1.3"},
            ["anchor: required as `anchor==1.2`, but 1.3 is installed"],
        ),
        (["anchor==1.2"], {}, ["anchor: required as `anchor==1.2`, but not installed"]),
        (["torch==2.5.1"], {"torch": "2.5.1+cu124"}, []),
        (
            ["torch==2.5.1+cpu"],
            {"torch": "2.5.1+cu124"},
            ["torch: required as `torch==2.5.1+cpu`, but 2.5.1+cu124 is installed"],
        ),
        (
            ["anchor==1.2"],
            {"anchor": "of 2004"},
            ["anchor: required as `anchor==1.2`, but of 2004 is installed"],
        ),
        (["anchor==1.2 ; sys_platform == 'beos'"], {}, []),
        (["anchor==1.2 ; extra == 'plots'"], {}, []),
        (
            ["anchor==1.2 ; python_version >= '3'"],
            {},
            ["anchor: required as `anchor==1.2 ; python_version >= '3'`, but not installed"],
        ),
        ([_ADDRESS], {"anchor": "1.2"}, []),
        (
            [_ADDRESS],
            {"anchor": "1.3"},
            [f"anchor: required as `{_ADDRESS}`, but 1.3 is installed"],
        ),
    ],
)
def test_pins_are_held_to_what_is_installed(
    requires: list[str], environment: dict[str, str], lines: list[str], site: Path, tmp_path: Path
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["pins"] = [line for line in requires if "extra" not in line]
        record["environment"] = [{"name": "anchor", "version": "1.2", "use": "runtime"}]

    for name, version in environment.items():
        install(make_wheel(tmp_path, name, version), site)
    install(make_model(tmp_path, change, requires=requires), site)

    ran = run("verify", "small")
    assert ran.out.splitlines() == lines
    assert ran.code == (1 if lines else 0)


def test_a_requirement_of_another_tool_that_nothing_can_read_is_a_difference(
    site: Path, tmp_path: Path
) -> None:
    install(make_wheel(tmp_path, "old", "1", requires=["anchor (>dev)"]), site)

    assert run("verify", "old") == Ran(
        "`anchor (>dev)` is no requirement that could be looked for\n", "old 1: 1 difference\n", 1
    )
    assert run("inspect", "old").code == 0
    assert run("diff", "old", "old") == Ran("nothing differs\n", "", 0)


# The check


def _returning(result: str) -> dict[str, str]:
    return {**FILES, MAIN: f"def check():\n    return {result}\n"}


@pytest.mark.parametrize(
    ("result", "options"),
    [
        ("[0.5 + 4e-7, 'setosa', 3]", []),
        ("(0.5, 'setosa', 3.0)", []),
        ("[0.51, 'setosa', 3]", ["--tolerance", "0.1"]),
    ],
)
def test_a_check_that_returns_the_same_passes(result: str, options: list[str], site: Path) -> None:
    _install(site, files=_returning(result))

    assert run("verify", "small", *options) == _FINE


_THEN = '[0.5, "setosa", 3] when the model was made'


@pytest.mark.parametrize(
    ("result", "options", "line"),
    [
        (
            "[0.50001, 'setosa', 3]",
            [],
            f'small.main:check returned [0.50001, "setosa", 3], but {_THEN}',
        ),
        (
            "[0.5000001, 'setosa', 3]",
            ["--tolerance", "0"],
            f'small.main:check returned [0.5000001, "setosa", 3], but {_THEN}',
        ),
        ("None", [], f"small.main:check returned null, but {_THEN}"),
        ("object()", [], f"small.main:check returned what JSON cannot hold, but {_THEN}"),
        (
            "1 / 0",
            [],
            (
                "the wheel does not pass its check: small.main:check raised ZeroDivisionError: "
                "division by zero"
            ),
        ),
        (
            "__import__('os')._exit(3)",
            [],
            (
                "the wheel does not pass its check: the process that ran small.main:check ended "
                "with exit code 3."
            ),
        ),
    ],
)
def test_a_check_that_does_something_else_is_a_difference(
    result: str, options: list[str], line: str, site: Path
) -> None:
    _install(site, files=_returning(result))

    ran = run("verify", "small", *options)
    assert ran.out == f"{line}\n"
    assert ran.err.endswith("small 0.1.0: 1 difference\n")
    assert ran.code == 1


def test_what_a_check_prints_does_not_come_between_the_json(site: Path) -> None:
    files = {**FILES, MAIN: "def check():\n    print('checking')\n    return [0.5, 'setosa', 3]\n"}
    _install(site, files=files)

    ran = run("verify", "--json", "small")
    assert ran.json["differences"] == []
    assert ran.err == "checking\n"


def test_a_result_that_was_not_recorded_is_not_compared(site: Path) -> None:
    _install(site, lambda record: record["check"].pop("result"), files=_returning("object()"))

    assert run("verify", "small") == _FINE


def test_a_model_without_a_check_is_not_called(site: Path) -> None:
    _install(site, lambda record: record.update(check=None), files=_returning("1 / 0"))

    assert run("verify", "small") == _FINE
    assert run("verify", "small", "--json").json["checked"] is False


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.1 + 0.2, 0.3, True),
        (1e9, 1e9 + 1, True),
        (1e9, 1e9 + 1e5, False),
        (1e-9, 0.0, True),
        (1, 1.0, True),
        (1000000, 1000001, False),
        (10**400, 1.0, False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        (None, 0, False),
        ("a", "a", True),
        ("1", 1, False),
        ([1.0], [1.0, 2.0], False),
        ({"a": [1.0]}, {"a": [1.0 + 1e-9]}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
    ],
)
def test_results_are_compared_by_value_and_floats_nearly(
    one: Any, other: Any, *, same: bool
) -> None:
    assert same_result(one, other, 1e-6) is same
    assert same_result(other, one, 1e-6) is same


# Other Pythons


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("no-such-python", "No such file or directory"),
        ("false", "it did not run a script"),
        ("echo", "it did not run a script"),
        (".", "No such file or directory"),
    ],
)
def test_a_python_that_does_not_work_is_told_in_one_line(
    command: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    shown = "bin/python" if command == "." else command
    assert run("verify", "small", "--python", command) == Ran(
        "", f"hatch-model: error: `{shown}` is not a working Python interpreter: {reason}\n", 1
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the Python is a shell script")
def test_a_python_that_prints_at_its_start_is_understood(installed: Path, tmp_path: Path) -> None:
    python = tmp_path / "noisy"
    python.write_text(f'#!/bin/sh\necho welcome\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)

    assert installed.exists()
    assert run("verify", "small", "--python", python) == _FINE


def test_a_relative_path_to_a_python_is_one_from_here(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder = os.path.dirname(sys.executable)  # noqa: PTH120 - not resolved
    monkeypatch.chdir(bin_folder)

    assert installed.exists()
    assert run("verify", "small", "--python", f"./{os.path.basename(sys.executable)}") == _FINE  # noqa: PTH119


def test_a_folder_of_packages_is_one_for_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `--target` fills it; the check must find its packages, wherever it runs."""
    layer = tmp_path / "layer"
    layer.mkdir()
    install(make_wheel(tmp_path, "anchor", "1.2"), layer)
    install(make_model(tmp_path), layer)
    monkeypatch.chdir(tmp_path)

    assert run("verify", "small", "--python", "layer") == _FINE
    (layer / WEIGHTS).write_text("0.4\n", "utf-8")
    assert run("verify", "small", "--python", layer) == _found(
        f"{WEIGHTS}: its content is not what RECORD says"
    )
