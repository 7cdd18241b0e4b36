"""docs/command-line.md against what the commands take and print."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest
from checkout import CHECKOUT
from models import make_model, run, stand_in_for_uv
from support import make_sdist, make_wheel

from hatch_model.cli.commands import hatch_model
from hatch_model.cli.reproduce import EXIT_CODES
from hatch_model.store import Store

if TYPE_CHECKING:
    from pathlib import Path

_REFERENCE = (CHECKOUT / "docs" / "command-line.md").read_text("utf-8")
_MODEL_COMMANDS = ["inspect", "verify", "diff"]


def _commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Give the commands of *group* and of the groups in it by what is typed for them."""
    found = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found.update(_commands(command, f"{prefix}{name} "))
        else:
            found[prefix + name] = command
    return found


def _section(command: str) -> str:
    _, _, rest = _REFERENCE.partition(f"\n## `hatch-model {command}")
    return rest.partition("\n## ")[0]


def _table(command: str, heading: str) -> dict[str, str]:
    """Give the table under *heading* in the section of *command*: each row's name and meaning."""
    _, _, rest = _section(command).partition(f"\n| {heading} |")
    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", rest.partition("\n\n")[0], re.MULTILINE)
    return {name.partition(" ")[0]: meaning for name, meaning in rows}


def test_the_reference_has_every_command_with_its_arguments_and_options() -> None:
    headings = re.findall(r"^## `hatch-model ([a-z ]+\b)", _REFERENCE, re.MULTILINE)
    commands = _commands(hatch_model)
    assert sorted(commands) == sorted(heading.strip() for heading in headings)
    for name, command in commands.items():
        arguments = [each for each in command.params if isinstance(each, click.Argument)]
        options = [each.opts[0] for each in command.params if isinstance(each, click.Option)]

        expected = "".join(f" {each.metavar or str(each.name).upper()}" for each in arguments)
        assert _section(name).partition("`")[0] == expected
        assert sorted(_table(name, "option")) == sorted(options)


@pytest.mark.parametrize("command", ["verify", "reproduce"])
def test_the_reference_has_the_default_tolerance(command: str) -> None:
    (tolerance,) = (
        each for each in hatch_model.commands[command].params if each.name == "tolerance"
    )

    assert f"{tolerance.default} by default" in _table(command, "option")["--tolerance"]


@pytest.mark.parametrize("command", _MODEL_COMMANDS)
def test_the_keys_of_the_reference_are_printed_with_a_record_or_without(
    command: str, tmp_path: Path
) -> None:
    wheel, foreign = make_model(tmp_path / "dist"), make_wheel(tmp_path, "foreign", "1")

    for model in (wheel, foreign):
        models = [model, wheel] if command == "diff" else [model]
        printed = run(command, "--json", *models).json
        assert sorted(printed) == sorted(_table(command, "key"))


def test_what_only_a_record_tells_is_null_without_one(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "small", "0.1.0")
    told = ["name", "version", "kind", "requires_python", "tags", "requires", "files"]
    assert f"everything but {_listed(told)}." in " ".join(_section("inspect").split())
    for model in (sdist, make_wheel(tmp_path, "foreign", "1", requires_python=">=3.10")):
        printed = run("inspect", "--json", model).json
        assert {key for key, value in printed.items() if value is None} == (
            printed.keys() - set(told) | ({"requires_python"} if model == sdist else set())
        )


def _listed(names: list[str]) -> str:
    *first, last = (f"`{name}`" for name in names)
    return f"{', '.join(first)} and {last}"


@pytest.mark.parametrize("key", ["built_by", "check", "python", "platform", "git", "files"])
def test_the_members_of_an_object_are_in_the_reference(key: str, tmp_path: Path) -> None:
    printed = run("inspect", "--json", make_model(tmp_path)).json

    documented = re.findall(r"`(\w+)`", _table("inspect", "key")[key])
    assert printed[key].keys() <= set(documented)


@pytest.mark.parametrize("key", ["environment", "inputs", "sources", "artifacts", "report"])
def test_the_members_of_a_list_are_in_the_reference(key: str, tmp_path: Path) -> None:
    model = make_model(tmp_path, report={"plot.svg": "<svg/>"})
    printed = run("inspect", "--json", model).json
    meanings = _table("inspect", "key")

    meaning = meanings["inputs"] if meanings[key] == "the same" else meanings[key]
    assert printed[key][0].keys() <= set(re.findall(r"`(\w+)`", meaning))


def test_the_names_of_a_diffs_summary_are_in_the_reference(tmp_path: Path) -> None:
    one = make_model(tmp_path / "one")
    other = make_wheel(tmp_path, "other", "2", requires_python=">=3.10")

    summary = run("diff", "--json", one, other).json["summary"]
    assert sorted(summary) == sorted(re.findall(r"`([\w ]+)`", _table("diff", "key")["summary"]))


def test_the_keys_of_the_stores_list_are_in_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCH_MODEL_CACHE_DIR", str(tmp_path))
    with Store(tmp_path, 1 << 20).claim("f" * 64) as claim:
        claim.keep({}, {}, {})

    printed = run("cache", "list", "--json").json
    keys = _table("cache list", "key")
    assert sorted(printed) == sorted(keys)
    assert sorted(printed["models"][0]) == sorted(re.findall(r"`(\w+)`", keys["models"]))


def test_the_verdicts_of_reproduce_are_in_the_reference_with_their_exit_codes() -> None:
    assert [*_table("reproduce", "verdict")] == [*EXIT_CODES]
    _, _, codes = _REFERENCE.partition("\n## Exit codes\n")
    for verdict, code in EXIT_CODES.items():
        assert re.search(rf"^\| {code} \| .*for `reproduce`, {verdict} \|$", codes, re.MULTILINE)
    assert _table("reproduce", "key")["verdict"].replace(" or ", ", ") == ", ".join(
        f'`"{verdict}"`' for verdict in EXIT_CODES
    )


def test_what_reproduce_prints_is_in_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, sdist = make_model(tmp_path / "rebuilt"), make_sdist(tmp_path, "small", "0.1.0")
    stand_in_for_uv(tmp_path, monkeypatch)

    printed = run("reproduce", "--json", wheel, sdist).json
    assert sorted(printed) == sorted(_table("reproduce", "key"))
    rows = _section("reproduce").partition("\n| section |")[2].splitlines()[2:]
    sections = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows if row))
    assert sorted(printed["differences"]) == sorted(sections)
