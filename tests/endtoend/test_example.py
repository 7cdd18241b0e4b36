"""The example project: its README walked command by command, and its wheel taken apart."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import pytest
from checkout import CHECKOUT, copy_checkout, online
from filelock import FileLock
from hatchling.metadata.core import load_toml
from packaging.markers import Marker
from packaging.requirements import Requirement
from support import Wheel, interpreter, timeless

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the README is written for bash"),
]

_README = (CHECKOUT / "example-project" / "README.md").read_text("utf-8")
_WHEEL = "iris_model-0.1.0-py3-none-any.whl"


def _locked(lock: Path) -> list[str]:
    """Give the requirements of a requirements file, without their hashes."""
    return re.findall(r"^(\w.+) \\$", lock.read_text("utf-8"), re.MULTILINE)


def _for_python(version: str, requirements: Iterable[str]) -> list[str]:
    """Give those that are meant for Python *version* on this platform, without their markers."""
    python = {"python_version": version[:4], "python_full_version": version}
    return [
        line.partition(";")[0].rstrip()
        for line in requirements
        if (marker := Requirement(line).marker) is None or marker.evaluate(python)
    ]


def _here(requirements: Iterable[str]) -> list[str]:
    return _for_python(python_version(), requirements)


_LOCK = CHECKOUT / "example-project" / "requirements.lock"
# What training draws its plot with; numpy and the like are the model's as well.
_FOR_PLOTS = {
    *("contourpy", "cycler", "fonttools", "kiwisolver", "matplotlib", "packaging", "pillow"),
    "pyparsing",
}


def _pinned(requirements: Iterable[str]) -> list[str]:
    """Give those that the wheel requires, too."""
    return [line for line in requirements if Requirement(line).name not in _FOR_PLOTS]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _README, re.MULTILINE | re.DOTALL)


def _commands() -> list[str]:
    return [line for block in _blocks("bash") for line in block.splitlines()]


def _command(start: str) -> str:
    """Give the README's one command that is *start*, or else begins with it."""
    found = [command for command in _commands() if command.startswith(start)]
    (command,) = [each for each in found if each == start] or found
    return command


@dataclass(frozen=True)
class Walk:
    """The README's commands, all pasted into one bash session, and what each of them said."""

    folder: Path
    """The copy of example-project."""
    results: dict[str, dict[str, Any]]
    ports: list[int]

    def stdout(self, start: str) -> str:
        return str(self.results[_command(start)]["stdout"])

    def stderr(self, start: str) -> str:
        return str(self.results[_command(start)]["stderr"])

    @property
    def wheel(self) -> Wheel:
        return Wheel(self.folder / "dist" / _WHEEL)

    @property
    def registry(self) -> Path:
        return self.folder / "registry"


@pytest.fixture(scope="session")
def walk(shared_folder: Path) -> Walk:
    folder = shared_folder / "walk"
    with FileLock(f"{folder}.lock"):
        if not (folder / "ports.json").exists():
            ports = _free_ports(2)
            _paste(copy_checkout(folder) / "example-project", ports, online(shared_folder))
            (folder / "ports.json").write_text(json.dumps(ports), "utf-8")
    example = folder / "example-project"
    return Walk(
        folder=example,
        results={
            command: {
                part: (example / "pasted" / f"{number}.{part}").read_text("utf-8")
                for part in ("stdout", "stderr", "status")
            }
            for number, command in enumerate(_commands())
        },
        ports=json.loads((folder / "ports.json").read_text("utf-8")),
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _paste(folder: Path, ports: list[int], environment: dict[str, str]) -> None:
    """Run the README's commands in *folder*, and leave what each said in files in `pasted`."""
    (folder / "pasted").mkdir()
    lines = [
        f"{{ {command}\n}} > pasted/{number}.stdout 2> pasted/{number}.stderr\n"
        f"printf '%s' $? > pasted/{number}.status\n"
        for number, command in enumerate(_commands())
    ]
    script = folder / "pasted" / "script.bash"
    script.write_text("".join([*lines, "wait\n"]), "utf-8")
    registry_port, app_port = map(str, ports)
    session = subprocess.Popen(
        ["bash", script],
        cwd=folder,
        env={
            **environment,
            "REGISTRY_PORT": registry_port,
            "APP_PORT": app_port,
            "COLUMNS": "1000",  # uv wraps its refusals
        },
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert session.wait(timeout=600) == 0
    finally:
        # Whatever went wrong, no server outlives the test.
        _kill_session(session)


def _kill_session(session: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(session.pid, signal.SIGKILL)
    session.wait()


def test_every_command_of_the_readme_works_but_the_one_that_shows_a_refusal(walk: Walk) -> None:
    failed = {
        command: result["stderr"]
        for command, result in walk.results.items()
        if result["status"] != "0"
    }

    assert list(failed) == [_command("uv pip install --python-version 3.9")], failed


def test_the_build_says_what_the_readme_shows(walk: Walk) -> None:
    said = walk.stdout("uv build") + walk.stderr("uv build")
    assert timeless(said) == timeless(_blocks("text")[0])


def test_the_wheel_holds_the_code_and_the_model_and_nothing_of_the_serving_app(walk: Walk) -> None:
    assert walk.wheel.files == [
        "iris_model/__init__.py",
        "iris_model/data/model.joblib",
        "iris_model/prediction.py",
        "iris_model/training.py",
    ]


def test_the_sdist_holds_the_code_and_the_lock(walk: Walk) -> None:
    listed = subprocess.run(
        ["tar", "-tf", walk.folder / "dist" / "iris_model-0.1.0.tar.gz"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert sorted(listed.stdout.splitlines()) == [
        "iris_model-0.1.0/.gitignore",
        "iris_model-0.1.0/PKG-INFO",
        "iris_model-0.1.0/README.md",
        "iris_model-0.1.0/pyproject.toml",
        "iris_model-0.1.0/requirements.lock",
        "iris_model-0.1.0/src/iris_model/__init__.py",
        "iris_model-0.1.0/src/iris_model/prediction.py",
        "iris_model-0.1.0/src/iris_model/training.py",
    ]


def test_the_model_from_the_registry_predicts(walk: Walk) -> None:
    start = 'uv run --no-project --with iris-model --index "$registry" python -c "from iris_model'

    assert walk.stdout(start) == _blocks("text")[1] == "versicolor\n"


def test_the_pins_are_the_lines_of_the_lock_for_every_python(walk: Walk) -> None:
    locked = [str(Requirement(line)) for line in _pinned(_locked(_LOCK))]

    assert [str(Requirement(line)) for line in walk.wheel.requires] == locked
    assert walk.wheel.headers("Requires-Python") == [">=3.10"]


def test_the_lock_has_each_package_once_for_every_python() -> None:
    _check_lock(_LOCK)


def _check_lock(lock: Path) -> None:
    for version in ("3.10", "3.11", "3.12", "3.13", "3.14"):
        names = _names(_for_python(version, _locked(lock)))
        assert sorted(set(names)) == names
        assert {"numpy", "pandas", "scikit-learn", "scipy"} < set(names)


def test_the_command_for_newer_versions_writes_such_a_lock(
    shared_folder: Path, tmp_path: Path
) -> None:
    (command,) = re.findall(r"^`(uv export .+)`$", _README, re.MULTILINE)
    oldest = Path(interpreter("3.10")).parent
    variables = online(shared_folder)
    variables["PATH"] = f"{oldest}{os.pathsep}{variables['PATH']}"
    example = copy_checkout(tmp_path / "checkout") / "example-project"
    lock = example / _LOCK.name
    lock.unlink()

    _uv(*shlex.split(command)[1:], variables=variables, cwd=example)

    written, committed = lock.read_text("utf-8"), _LOCK.read_text("utf-8")
    assert written.splitlines()[:2] == committed.splitlines()[:2]
    _check_lock(lock)


def test_what_is_installed_says_the_pins_of_the_wheel(walk: Walk) -> None:
    start = 'uv run --no-project --with iris-model --index "$registry" python -c "from importlib'

    assert walk.stdout(start).splitlines() == walk.wheel.requires


def test_the_serving_app_predicts_over_http(walk: Walk) -> None:
    (shown,) = _blocks("json")

    answer = walk.stdout('curl --silent --retry 60 --retry-delay 1 --retry-connrefused "http')
    assert answer == shown.strip() == '{"species":"versicolor"}'


def test_the_lock_of_the_serving_app_holds_the_pins_of_the_model(walk: Walk) -> None:
    lock = load_toml(str(walk.folder / "serving-app" / "uv.lock"))
    (model,) = (package for package in lock["package"] if package["name"] == "iris-model")
    versions = {package["name"]: package.get("version") for package in lock["package"]}
    # Of a package that is locked more than once, each of those that need it says which one.
    needed = [
        f"{each['name']}=={each.get('version', versions[each['name']])}"
        for each in model["dependencies"]
        if "marker" not in each or Marker(each["marker"]).evaluate()
    ]

    assert needed == _here(walk.wheel.requires)
    assert model["source"] == {"registry": f"http://127.0.0.1:{walk.ports[0]}/simple/"}
    assert "hatch-model" not in versions


def _names(pins: list[str]) -> list[str]:
    return [Requirement(pin).name for pin in pins]


def test_a_python_that_is_too_old_is_refused_by_the_resolver(walk: Walk) -> None:
    said = walk.stderr("uv pip install --python-version 3.9")
    refusal = said[said.index("error:") : said.index("\nhint:")]

    assert refusal.rstrip() == _blocks("text")[2].rstrip()
    assert not any((walk.folder / "too-old").glob("*/"))


def test_the_registry_shows_both_versions_and_skips_the_yanked_one(walk: Walk) -> None:
    page = (walk.registry / "models/iris-model/index.html").read_text("utf-8")
    assert page.count('<circle class="point') == 4  # two metrics of two versions
    assert 'alt="Picture confusion.png"' in page
    simple = (walk.registry / "simple/iris-model/index.html").read_text("utf-8")
    assert re.findall(r'data-yanked="([^"]*)"', simple) == ["trained on last year&#39;s flowers"]
    assert sorted(path.name for path in (walk.registry / "files/iris-model").glob("*.whl")) == [
        _WHEEL,
        _WHEEL.replace("0.1.0", "0.2.0"),
    ]


def test_a_reviewer_sees_what_changed(walk: Walk) -> None:
    shown = walk.stdout('uvx --from "..[cli]" hatch-model diff')

    assert "accuracy  0.92              0.92              unchanged" in shown
    assert " better" in shown and "regularization  1.0" in shown


def test_the_servers_are_stopped(walk: Walk) -> None:
    for port in walk.ports:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0


@dataclass(frozen=True)
class WithoutIsolation:
    """The example's wheel, built in an environment that can be looked at afterwards."""

    wheel: Wheel
    frozen: list[str]
    """What `uv pip freeze` says of that environment."""


@pytest.fixture
def without_isolation(shared_folder: Path, tmp_path: Path) -> WithoutIsolation:
    checkout = copy_checkout(tmp_path / "checkout")
    python = _environment(
        tmp_path / "build-environment",
        *("hatchling", str(checkout), *_here(_locked(_LOCK))),
        variables=online(shared_folder),
    )
    _uv(
        *("build", "--wheel", "--no-build-isolation", "--python", str(python)),
        *("--out-dir", str(tmp_path / "dist"), str(checkout / "example-project")),
        variables=online(shared_folder),
    )
    frozen = _uv("pip", "freeze", "--python", str(python), variables=online(shared_folder))
    return WithoutIsolation(Wheel(tmp_path / "dist" / _WHEEL), frozen.splitlines())


def _environment(folder: Path, *requirements: str, variables: dict[str, str]) -> Path:
    """Make a virtual environment with *requirements* and give its interpreter."""
    _uv("venv", "--quiet", "--python", sys.executable, str(folder), variables=variables)
    python = folder / "bin" / "python"
    _uv("pip", "install", "--quiet", "--python", str(python), *requirements, variables=variables)
    return python


def _uv(*arguments: str, variables: dict[str, str], cwd: Path | None = None) -> str:
    completed = subprocess.run(
        ["uv", *arguments], env=variables, cwd=cwd, check=False, text=True, capture_output=True
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_the_pins_are_what_the_build_environment_holds_for_the_model(
    without_isolation: WithoutIsolation, shared_folder: Path, tmp_path: Path
) -> None:
    fresh = _environment(
        tmp_path / "fresh", str(without_isolation.wheel.path), variables=online(shared_folder)
    )
    installed = _uv("pip", "freeze", "--python", str(fresh), variables=online(shared_folder))
    *needed, model = sorted(
        installed.splitlines(), key=lambda line: (line.startswith("iris-model"), line)
    )

    assert _here(without_isolation.wheel.requires) == needed
    assert set(needed) < set(without_isolation.frozen)
    assert model.startswith("iris-model @ file://")
    assert {"numpy", "pandas", "scikit-learn", "scipy"} < set(_names(needed))
    assert not {"hatch-model", "hatchling", "pluggy"} & set(_names(needed))


def test_the_wheel_predicts_without_hatch_model(
    without_isolation: WithoutIsolation, shared_folder: Path, tmp_path: Path
) -> None:
    variables = online(shared_folder)
    fresh = _environment(tmp_path / "fresh", str(without_isolation.wheel.path), variables=variables)
    program = """if True:
        from importlib.util import find_spec
        from iris_model import predict
        print(find_spec("hatch_model"), find_spec("hatchling"))
        print(predict(5.1, 3.5, 1.4, 0.2))
        print(predict(6.1, 2.8, 4.7, 1.2))
        print(predict(6.3, 3.3, 6.0, 2.5))
    """
    predicted = subprocess.run(
        [fresh, "-c", program], cwd=tmp_path, env=variables, check=True, capture_output=True
    )

    assert predicted.stdout.decode() == "None None\nsetosa\nversicolor\nvirginica\n"


@pytest.mark.parametrize(
    ("checker", "verdict"),
    [
        (["twine", "check", "--strict"], f"Checking {_WHEEL}: PASSED\n"),
        (["check_wheel_contents"], f"{_WHEEL}: OK\n"),
    ],
)
def test_the_checkers_of_wheels_are_content(checker: list[str], verdict: str, walk: Walk) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", *checker, _WHEEL],
        cwd=walk.wheel.path.parent,
        env={**os.environ, "TERM": "dumb"},
        check=False,
        text=True,
        capture_output=True,
    )

    assert (checked.stdout + checked.stderr, checked.returncode) == (verdict, 0)
