"""The README against the code: options, messages, snippets, the transcript, links and commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from checkout import CHECKOUT, copy_checkout, online, output_of
from environments import LINUX, MODEL, FakeEnvironment, distribution
from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata, load_toml
from packaging.requirements import Requirement
from support import ModelProject, Wheel, interpreter, make_wheel, timeless

from hatch_model.closure import installed
from hatch_model.entry_point import object_reference
from hatch_model.errors import HatchModelError, Problem, SettingsError
from hatch_model.layout import source_files
from hatch_model.lock import Lock, read_lock, read_pylock, read_requirements
from hatch_model.locked_pins import check_installed, check_up_to_date
from hatch_model.parallel import Parallel
from hatch_model.pins import check_same_pins, refuse_reference
from hatch_model.settings import (
    HATCHLING_KEYS,
    PinPolicy,
    TrainingSettings,
    read_model_settings,
    read_settings,
    read_training_settings,
)
from hatch_model.tables import Root
from hatch_model.training import Request
from hatch_model.training import train as train_model
from hatch_model.uv import run_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support import Index, Surroundings

_README = (CHECKOUT / "README.md").read_text("utf-8")
_DOCUMENTS = {
    name: (CHECKOUT / name).read_text("utf-8")
    for name in (
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benchmarks/README.md",
        *sorted(path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("docs/*.md")),
        "example-project/README.md",
    )
}
_MODEL = "tool.hatch.metadata.hooks.model"
_TRAINING = "tool.hatch.build.hooks.model"


def _section(heading: str, document: str = "README.md") -> str:
    """Give what stands between *heading* and the next one of any level."""
    _, _, rest = _DOCUMENTS[document].partition(f"\n{heading}\n")
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def _blocks(language: str, text: str = _README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# Options


class _Option(NamedTuple):
    table: str
    key: str
    value: str
    default: str


_READERS: dict[str, Callable[..., Any]] = {
    _MODEL: read_model_settings,
    _TRAINING: read_training_settings,
}
_LEAST: dict[str, dict[str, Any]] = {
    _MODEL: {"dependencies": []},
    _TRAINING: {"train": "acme_iris.main:train"},
}
_NOT_OURS: dict[str, frozenset[str]] = {_MODEL: frozenset(), _TRAINING: HATCHLING_KEYS}
_OPTIONS = [
    _Option(table, *row)
    for table in _READERS
    for row in re.findall(
        r"^\| `(.+?)` \| (.+?) \| (.+?) \| .+ \|$",
        _section(f"## `[{table}]`", "docs/options.md"),
        re.MULTILINE,
    )
]


def _read(table: str, content: dict[str, Any]) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    return _READERS[table](table, content, {}, problems), problems


@pytest.mark.parametrize("table", _READERS)
def test_the_option_tables_list_every_key_and_no_other(table: str) -> None:
    _, (problem,) = _read(table, {**_LEAST[table], "?": 0})

    listed = [option.key for option in _OPTIONS if option.table == table]
    assert sorted(listed) == sorted(set(problem.known) - _NOT_OURS[table])


def test_the_table_of_the_record_has_what_its_schema_describes() -> None:
    schema = json.loads((CHECKOUT / "src/hatch_model/model.schema.json").read_text("utf-8"))

    def described(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
        for key, each in value.get("properties", {}).items():
            if "description" in each:
                yield f"{prefix}{key}", each["description"]
            yield from described(each, f"{prefix}{key}.")
            yield from described(each.get("items", {}), f"{prefix}{key}[].")

    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", _DOCUMENTS["docs/record.md"], re.MULTILINE)
    assert rows == [*described(schema)]
    assert {key for key, _ in rows if "." not in key} == {*schema["properties"]}


@pytest.mark.parametrize("option", _OPTIONS, ids=lambda option: option.key)
def test_the_option_tables_describe_values_as_messages_do(option: _Option) -> None:
    _, problems = _read(option.table, {option.key: 1.5})

    expected = {problem.expected for problem in problems if problem.found == 1.5}
    assert option.value.replace("`", "") in expected


@pytest.mark.parametrize(
    "option",
    [option for option in _OPTIONS if option.default.startswith("`") and " " not in option.default],
    ids=lambda option: option.key,
)
def test_a_default_in_the_option_tables_changes_nothing_when_written_out(option: _Option) -> None:
    default = json.loads(option.default.strip("`"))  # JSON and TOML spell these alike

    spelled_out, problems = _read(option.table, {**_LEAST[option.table], option.key: default})
    assert (spelled_out, problems) == _read(option.table, _LEAST[option.table])


def test_the_other_defaults_in_the_option_tables() -> None:
    others = {
        each.key: each.default
        for each in _OPTIONS
        if " " in each.default or "`" not in each.default
    }

    assert others == {
        "dependencies": "required, or the next",
        "dependency-group": "none",
        "optional-dependencies": "none",
        "requires-python": "none",
        "train": "required",
        "lock": "none",
        "inputs": "none",
        "check": "none",
        "predict": "none",
        "parallel": "none",
        "artifacts": "`data` beside the module of `train`, or in the package",
    }
    or_group = "an array of PEP 508 strings, or `dependency-group` with the name of a group"
    missing = [str(problem) for table in _READERS for problem in _read(table, {})[1]]
    assert missing == [
        f"{_MODEL}.dependencies: expected {or_group}; it is missing",
        f'{_TRAINING}.train: expected an object reference "package.module:function" or the path of a script such as "train.py"; it is missing',
    ]


# Messages


def _refused(tmp_path: Path, project: dict[str, Any], training: dict[str, Any]) -> HatchModelError:
    """Give what is said of the README's project with these tables in place of its own."""
    config = {
        "project": {"name": "acme-iris", "version": "0.1.0", **project},
        "tool": {
            "hatch": {
                "metadata": {"hooks": {"model": {"dependencies": ["scikit-learn"]}}},
                "build": {"hooks": {"model": {"train": "acme_iris.main:train", **training}}},
            }
        },
    }
    with pytest.raises(SettingsError) as refusal:
        read_settings(ProjectMetadata(str(tmp_path), None, config), needs_training=True)
    return refusal.value


@pytest.mark.skipif(os.name == "nt", reason="one of the messages is about SIGKILL")
def _failed(
    result: dict[str, Any] | None, *, returncode: int = 0, train: str = "acme_iris.main:train"
) -> HatchModelError:
    """Give what is said where the training process ends in *result*."""

    def run(command: Sequence[str], **_: Any) -> int:
        if result is not None:
            Path(command[-1], "result.json").write_text(json.dumps(result), "utf-8")
        return returncode

    with TemporaryDirectory() as folder:
        request = Request(
            key=_TRAINING,
            declared_in="dependency-groups.model",
            train=object_reference(train),
            arguments={},
            root=Path(folder),
            modules=(),
            python_path=(),
            artifacts_dir=Path(folder, "data"),
            environment={},
        )
        with pytest.raises(HatchModelError) as refusal:
            train_model(request, Path(folder), print, run)
    return refusal.value


def _refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> HatchModelError:
    with pytest.raises(HatchModelError) as refusal:
        call(*arguments, **options)
    return refusal.value


def _locked(*lines: str) -> Lock:
    packages = read_requirements("uv.lock", "\n".join(lines))
    return Lock(path="uv.lock", renewal="uv lock", packages=packages)


def _no_selection(root: Path) -> None:
    (root / "src" / "flowers").mkdir(parents=True)
    (root / "src" / "flowers" / "__init__.py").touch()
    (root / "pyproject.toml").write_text('[project]\nname = "acme-iris"\nversion = "1"\n', "utf-8")
    training = TrainingSettings(key=_TRAINING, train=object_reference("flowers:train"))
    source_files(WheelBuilder(str(root)), training)


def test_the_readme_quotes_messages_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", str(tmp_path / "absent"))
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "packaging.pylock", None)
    train = "acme_iris.main:train"
    produced = [
        _refused(tmp_path, {"dynamic": ["dependencies"]}, {"trian": train}),
        _refused(tmp_path, {}, {}),
        _refused(tmp_path, {"dependencies": ["scikit-learn"]}, {}),
        _refusal(_no_selection, tmp_path),
        _failed(
            {"outcome": "attribute-not-found", "attribute": "trian", "candidates": ["train"]},
            train="acme_iris.main:trian",
        ),
        _failed(
            {
                "outcome": "signature",
                "signature": "(trees)",
                "reason": "missing a required argument: 'trees'",
            }
        ),
        _refusal(Parallel(key=f"{_TRAINING}.parallel", backend="dask").address_in, {}),
        _failed(
            {"outcome": "raised", "exception": "ValueError: Input X contains NaN.", "modules": []}
        ),
        _failed(
            {
                "outcome": "raised",
                "exception": "ModuleNotFoundError: No module named 'pandas'",
                "modules": ["pandas"],
            }
        ),
        _failed({"outcome": "no-model", "value": "0.97", "in_tuple": True}),
        _failed(None, returncode=-9),
        (
            f"{train} returned no model and wrote nothing to `src/acme_iris/data`, so there is nothing to ship. "
            f"Return the model, take `output_dir` and write there, or set {_TRAINING}.artifacts to the "
            f"folder that it writes to."
        ),
        _failed({"outcome": "metric", "metric": "'accuracy'", "value": "nan", "in_model": False}),
        _failed(
            {
                "outcome": "unsavable",
                "type": "acme_iris.main.Model",
                "reason": "TypeError: cannot pickle 'generator' object",
            }
        ),
        _refusal(
            installed,
            FakeEnvironment([]),
            Requirement("pandas>=2.2"),
            "dependency-groups.model[1]",
        ),
        _refusal(
            refuse_reference,
            "tools",
            "1.0",
            "from git at https://example.org/tools.git",
            PinPolicy(key=_MODEL),
            is_local=False,
        ),
        _refusal(
            check_same_pins,
            ["numpy==2.5.4", "scipy==1.18.1"],
            ["numpy==2.5.5", "scipy==1.18.1"],
        ),
        (
            "the build hook is switched off by HATCH_BUILD_NO_HOOKS, so this wheel would contain "
            "no model. Switch it on again, or build only an sdist or an editable install this way."
        ),
        _refusal(
            read_lock,
            PurePosixPath("uv.lock"),
            tmp_path,
            key=f"{_TRAINING}.lock",
            project=MODEL,
            groups=(),
        ),
        _refusal(
            check_up_to_date,
            _locked("pandas==2.3.3"),
            [Root(text="pandas>=3", origin="dependency-groups.model[1]")],
            LINUX,
            project=MODEL,
        ),
        _refusal(
            check_installed,
            _locked("numpy==2.5.4", "pandas==3.1.1"),
            FakeEnvironment([distribution("numpy", "2.5.5")]),
            LINUX,
        ),
        _refusal(read_requirements, "requirements.lock", "a==1\nb==1\n-e .\n"),
        _refusal(run_uv, [], path="uv.lock", root=tmp_path),
        _refusal(read_pylock, "pylock.toml", tmp_path, ""),
    ]

    quoted = [
        block
        for block in _blocks("text", _DOCUMENTS["docs/messages.md"])
        if block.startswith("hatch-model: error:")
    ]
    assert quoted == [f"hatch-model: error: {error}\n" for error in produced]


def test_the_readme_quotes_warnings_as_they_are(
    iris: ModelProject, index: Index, surroundings: Surroundings
) -> None:
    minor = sys.version_info.minor
    claimed, supported = f">=3.{minor - 1}", f">=3.{minor}"
    make_wheel(index.folder, "numpy", "2.5.5", requires_python=supported, files=_NOTHING)
    make_wheel(index.folder, "scikit-learn", "9", requires=["numpy"], files=_SKLEARN)
    iris.replace("pyproject.toml", (f'"{_offline_python()}"', f'"{claimed}"'))
    iris.replace(
        "src/acme_iris/main.py",
        ("from sklearn.datasets", "import packaging.version\nfrom sklearn.datasets"),
        (
            "def train():",
            "def train(report_dir):\n    (report_dir / 'trees.svg').write_bytes(bytes(11 << 20))",
        ),
    )
    iris.write("src/acme_iris/data/old.joblib", "an earlier model")

    built = iris.build(surroundings)

    quoted = [
        block.replace(">=3.10", claimed).replace(">=3.12", supported)
        for block in _blocks("text", _DOCUMENTS["docs/messages.md"])
        if block.startswith("hatch-model: warning:")
    ]
    for block in quoted:
        assert block in built.output
    assert len(quoted) == built.output.count("hatch-model: warning:") == 5


# Snippets and transcript

_PINS = re.findall(r"^Requires-Dist: (\S+)==(\S+)$", _README, re.MULTILINE)
_NOTHING: dict[str, str] = {}  # joblib would take an empty numpy for a real one
# As much of scikit-learn as the README's training function uses.
_SKLEARN = {
    "sklearn/__init__.py": "",
    "sklearn/datasets.py": "def load_iris(**kwargs):\n    return [], []\n",
    "sklearn/ensemble.py": (
        "class RandomForestClassifier:\n"
        "    def __init__(self, random_state):\n"
        "        pass\n"
        "    def fit(self, flowers, species):\n"
        "        return self\n"
    ),
    "sklearn/model_selection.py": (
        "class Scores:\n"
        "    def mean(self):\n"
        "        return 0.97\n"
        "def cross_val_score(*args):\n"
        "    return Scores()\n"
    ),
}


def _offline_python() -> str:
    return f">=3.{sys.version_info.minor}"


@pytest.fixture
def iris(index: Index, tmp_path: Path) -> ModelProject:
    """The README's project, with made-up packages of the names and versions that it shows."""
    real = {"joblib", "cloudpickle"}  # hatch-model itself saves models with these
    for name, version in _PINS:
        if name not in {*real, "scikit-learn"}:
            make_wheel(index.folder, name, version, files=_NOTHING)
    others = [name for name, _ in _PINS if name not in {"scikit-learn", "pandas"}]
    make_wheel(index.folder, "cloudpickle", "0")
    make_wheel(index.folder, "scikit-learn", "1.9.1", requires=others, files=_SKLEARN)
    project = _write_iris(tmp_path / "acme-iris")
    project.replace("pyproject.toml", (">=3.12", _offline_python()))
    return project


def _write_iris(folder: Path) -> ModelProject:
    project = ModelProject(folder)
    project.write("pyproject.toml", _blocks("toml")[0])
    project.write("src/acme_iris/main.py", _blocks("python")[0])
    project.write("src/acme_iris/__init__.py", "")
    return project


def _without_versions(lines: str) -> str:
    return re.sub(r"==\S+", "==…", lines)


def _transcript() -> tuple[str, str]:
    """Give what the README shows of `uv build` and of the wheel's metadata."""
    build, metadata = re.split(r"^\$ .+\n", _blocks("console")[0], flags=re.MULTILINE)[1:]
    return build, metadata


def test_the_first_screen_is_what_a_build_of_it_prints_and_writes(
    iris: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    built = surroundings.run("uv", "build", "--python", sys.executable, cwd=iris.folder)
    wheel = Wheel(iris.folder / "dist" / "acme_iris-0.1.0-py3-none-any.whl")

    build, metadata = _transcript()
    assert timeless(built.stdout) == timeless(build)
    requires = "".join(f"Requires-Dist: {line}\n" for line in wheel.requires)
    assert _without_versions(requires) == _without_versions(metadata)
    assert wheel.files == [
        "acme_iris/__init__.py",
        "acme_iris/data/model.joblib",
        "acme_iris/main.py",
    ]

    python = surroundings.make_environment(tmp_path / "fresh", wheel.path)
    loading = _blocks("python")[1] + "print(type(load()).__name__)\n"
    loaded = surroundings.run(python, "-c", loading, cwd=tmp_path)
    assert loaded.stdout == "RandomForestClassifier\n"


@pytest.mark.network
def test_installers_refuse_a_wheel_for_another_python_as_the_readme_quotes(
    iris: ModelProject, surroundings: Surroundings, tmp_path: Path
) -> None:
    training_python, other_python = interpreter("3.12"), interpreter("3.13")
    hook = "[tool.hatch.build.hooks.model]"
    iris.replace("pyproject.toml", (hook, f'python = "minor"\n\n{hook}'))
    surroundings.run("uv", "build", "--wheel", "--python", training_python, cwd=iris.folder)
    wheel = iris.folder / "dist" / "acme_iris-0.1.0-cp312-none-any.whl"
    python = surroundings.make_environment(tmp_path / "other", base=other_python)
    surroundings.environment["COLUMNS"] = "1000"  # uv wraps its refusals
    pip = (sys.executable, "-m", "pip", "--python", python, "install", wheel)
    uv = ("uv", "pip", "install", "--quiet", "--python", python, wheel)

    refusals = [surroundings.run(*installer, cwd=tmp_path, check=False) for installer in (pip, uv)]

    by_pip, by_uv = _blocks("text", _DOCUMENTS["docs/locking.md"])
    assert [refusal.returncode for refusal in refusals] == [1, 1]
    assert refusals[0].stdout.splitlines()[-1] == by_pip.strip()
    assert refusals[1].stdout == by_uv


@pytest.mark.network
def test_the_first_screen_holds_with_the_packages_of_today(
    shared_folder: Path, build_tools: Path, tmp_path: Path
) -> None:
    project = _write_iris(tmp_path / "acme-iris")
    project.replace("pyproject.toml", (">=3.12", _offline_python()))
    variables = {**online(shared_folder), "UV_FIND_LINKS": str(build_tools)}

    said = _run("uv", "build", "--python", sys.executable, cwd=project.folder, variables=variables)

    assert timeless(said) == timeless(_transcript()[0])
    wheel = Wheel(project.folder / "dist" / "acme_iris-0.1.0-py3-none-any.whl")
    pinned = [requirement.partition("==")[0] for requirement in wheel.requires]
    assert {"joblib", "numpy", "pandas", "scikit-learn", "scipy"} <= set(pinned)


@pytest.mark.engine
@pytest.mark.skipif(os.name == "nt", reason="the commands name programs as POSIX systems do")
def test_a_build_runs_on_the_cluster_that_the_page_says_how_to_start(
    shared_folder: Path, build_tools: Path, tmp_path: Path
) -> None:
    page = _DOCUMENTS["docs/engines.md"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    project = _write_iris(tmp_path / "acme-iris")
    parallel = _blocks("toml", page)[0].splitlines()[2].replace("8786", port)
    train = 'train = "acme_iris.main:train"'
    project.replace(
        "pyproject.toml", (">=3.12", _offline_python()), (train, f"{train}\n{parallel}")
    )
    variables = {
        **online(shared_folder),
        "UV_FIND_LINKS": str(build_tools),
        "UV_PYTHON": sys.executable,
    }
    commands = [
        shlex.split(line.removeprefix("$ ").replace("8786", port))
        for line in _blocks("console", page)[0].splitlines()
    ]
    for command in commands[:2]:
        _run(*command, cwd=tmp_path, variables=variables)
    cluster = [
        subprocess.Popen(command, cwd=tmp_path, env=variables, start_new_session=True)
        for command in commands[2:]
    ]
    try:
        said = _run("uv", "build", cwd=project.folder, variables=variables)
    finally:
        for process in cluster:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    (quoted,) = (each for each in _blocks("text", page) if "training on Dask" in each)
    pattern = re.escape(quoted.replace("8786", port))
    for version in ("2026\\.8\\.0", "8787"):
        pattern = pattern.replace(version, r"[\d.]+")
    assert re.search(
        pattern.replace("2\\ workers,\\ 2\\ threads", r"\d workers?, \d threads?"), said
    )


@pytest.mark.network
def test_what_is_shown_of_the_example_is_what_the_command_line_prints(
    shared_folder: Path, tmp_path: Path
) -> None:
    project = copy_checkout(tmp_path / "checkout") / "example-project"
    for version, seed in (("0.1.0", "42"), ("0.2.0", "7")):
        path = project / "pyproject.toml"
        text = re.sub(
            r'^version = ".+"$',
            f'version = "{version}"',
            path.read_text("utf-8"),
            flags=re.MULTILINE,
        )
        path.write_text(re.sub(r"seed = \d+", f"seed = {seed}", text), "utf-8")
        build = ("uv", "build", "--wheel", "--python", sys.executable)
        _run(*build, cwd=project, variables=online(shared_folder))

    shown = [
        re.fullmatch(r"\$ hatch-model (.+)\n([\s\S]+)", block)
        for block in _blocks("console", _DOCUMENTS["docs/releasing.md"])
    ]
    printed = [
        _run(sys.executable, "-m", "hatch_model", *match[1].split(), cwd=project, variables={})
        for match in shown
        if match
    ]
    assert len(printed) == 2
    for match, output in zip(shown, printed, strict=True):
        assert match is not None
        assert _without_the_machine(output.strip()) == _without_the_machine(match[2].strip())


def _without_the_machine(output: str) -> str:
    """Leave out what depends on the Python, the platform and how well things compress."""
    for pattern in (r"CPython .+", r"[\d.]+ KiB", r"\b[0-9a-f]{12}\b"):
        output = re.sub(pattern, "…", output)
    return output


@pytest.mark.parametrize(
    "snippet", [block for text in _DOCUMENTS.values() for block in _blocks("toml", text)]
)
def test_toml_snippets_are_toml_and_model_projects_among_them_are_valid(
    snippet: str, tmp_path: Path
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(snippet, "utf-8")

    content = load_toml(str(file))

    if "project" in content:
        settings = read_settings(ProjectMetadata(str(tmp_path), None), needs_training=True)
        assert settings.training is not None


# Links


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_local_links_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", _DOCUMENTS[document])

    folder = (CHECKOUT / document).parent
    assert [target for target in targets if not (folder / target).exists()] == []


# Commands

_for_bash = pytest.mark.skipif(os.name == "nt", reason="the commands are written for bash")


@pytest.mark.network
@_for_bash
def test_a_checkout_serves_as_an_index_for_the_commands_of_all_pages(
    shared_folder: Path, tmp_path: Path
) -> None:
    setting_up = _blocks("bash", _section("## Use it"))[0].replace(
        "path/to/hatch-model", "checkout"
    )
    copy_checkout(tmp_path / "checkout")
    using = 'uvx --quiet "hatch-model[cli]" --version'

    said = _run(
        *("bash", "-euc", f"{setting_up}{using}"),
        cwd=tmp_path,
        variables={**online(shared_folder), "UV_PYTHON": sys.executable, "HOME": str(tmp_path)},
    )

    assert re.search(r"^hatch-model, version \S+$", said, re.MULTILINE)


@pytest.mark.network
@_for_bash
def test_the_first_command_ends_in_a_prediction(shared_folder: Path, tmp_path: Path) -> None:
    command, _ = _blocks("bash", _section("## Try it"))
    checkout = copy_checkout(tmp_path / "checkout")

    said = _run("bash", "-c", command, cwd=checkout, variables=online(shared_folder))

    assert said.splitlines()[-1] == "versicolor"


@pytest.mark.network
@_for_bash
def test_the_second_command_runs_the_tests(shared_folder: Path, tmp_path: Path) -> None:
    """All but running them, which is what is under way: it sets up and finds every test."""
    _, command = _blocks("bash", _section("## Try it"))
    checkout = copy_checkout(tmp_path / "checkout")
    variables = {**online(shared_folder), "PYTEST_ADDOPTS": "--collect-only -q"}

    said = _run("bash", "-c", command, cwd=checkout, variables=variables)

    assert "tests/endtoend/test_one_door.py::" in said
    assert re.search(r"\d+ tests? collected|\d+/\d+ tests collected", said)


def _run(*command: str, cwd: Path, variables: dict[str, str]) -> str:
    """Run *command*, which must succeed, and give what it said."""
    return output_of(*command, cwd=cwd, environment=variables)
