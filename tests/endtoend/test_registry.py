"""An index of models as uv and pip use it, over HTTP and from the disk."""

from __future__ import annotations

import hashlib
import random
import re
import signal
import subprocess
import sys
import time
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

import pytest
from checkout import CHECKOUT
from indexes import relay, served
from models import run
from registries import model_wheel
from support import interpreter_of, make_wheel

from hatch_model.index.folder import Index

if TYPE_CHECKING:
    import io
    from pathlib import Path

    from support import Surroundings

pytestmark = pytest.mark.frontend

INSTALLERS = ("uv", "pip")
_WEIGHTS = 3_000_000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three versions, of which the first is the newest that goes with `anchor` 1."""
    folder = tmp_path_factory.mktemp("registry")
    weights = random.Random(0).randbytes(_WEIGHTS // 2).hex()
    wheels = [
        model_wheel(folder, version=f"{version}.0", requires=[f"anchor=={anchor}"], weights=weights)
        for version, anchor in ((1, "1.0"), (2, "2.0"), (3, "2.0"))
    ]
    wheels += [make_wheel(folder, "anchor", version) for version in ("1.0", "2.0")]
    Index(folder / "index", now=lambda: "2026-01-01T00:00:00Z").add(wheels)
    return folder / "index"


def _environment(surroundings: Surroundings, name: str = "app") -> Path:
    folder = surroundings.index.folder.parent / name
    surroundings.make_environment(folder)
    return folder


def _install(
    surroundings: Surroundings, installer: str, environment: Path, address: str, *arguments: str
) -> str:
    """Install with *installer* from the index at *address* alone, and give what it prints."""
    python = interpreter_of(environment)
    command = {
        "uv": ["uv", "pip", "install", "--python", str(python), "--default-index", address],
        "pip": [sys.executable, "-m", "pip", "--python", str(python), "install", "-i", address],
    }[installer]
    return surroundings.run(
        *command,
        *arguments,
        cwd=environment,
        UV_OFFLINE="0",
        UV_FIND_LINKS="",
        UV_NO_CACHE="1",
        PIP_NO_INDEX="0",
        PIP_FIND_LINKS="",
        PIP_NO_CACHE_DIR="1",
    ).stdout


def _installed(environment: Path) -> set[str]:
    return {each.name for each in environment.rglob("*.dist-info")}


def _bytes_of(sent: dict[str, int]) -> tuple[int, list[str]]:
    """Give how much was fetched apart from wheels, and which wheels were."""
    wheels = [
        path.rpartition("/")[2] for path, size in sent.items() if path.endswith(".whl") and size
    ]
    return sum(size for path, size in sent.items() if not path.endswith(".whl")), sorted(wheels)


@pytest.mark.parametrize("installer", INSTALLERS)
def test_only_the_metadata_of_versions_that_are_not_taken_is_fetched(
    installer: str, registry: Path, surroundings: Surroundings
) -> None:
    environment, sent = _environment(surroundings), dict[str, int]()

    with served(registry) as address, relay(address, sent) as relayed:
        _install(
            surroundings, installer, environment, f"{relayed}/simple/", "iris-model", "anchor<2"
        )

    assert {"iris_model-1.0.dist-info", "anchor-1.0.dist-info"} <= _installed(environment)
    others, wheels = _bytes_of(sent)
    assert wheels == ["anchor-1.0-py3-none-any.whl", "iris_model-1.0-py3-none-any.whl"]
    # docs/registry.md says so.
    said = re.search(r"\| this index \| ([\d.]+) kB, no wheel \|", _DOCS)
    assert said is not None
    assert others == pytest.approx(float(said[1]) * 1000, rel=0.25)


_DOCS = (CHECKOUT / "docs/registry.md").read_text("utf-8")


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_folder_without_metadata_costs_every_wheel(
    installer: str, registry: Path, surroundings: Surroundings
) -> None:
    environment, sent = _environment(surroundings), dict[str, int]()

    with served(registry) as address, relay(address, sent) as relayed:
        _install(
            surroundings, installer, environment, f"{relayed}/files/", "iris-model", "anchor<2"
        )

    _, wheels = _bytes_of(sent)
    assert [name for name in wheels if name.startswith("iris")] == [
        f"iris_model-{version}.0-py3-none-any.whl" for version in (1, 2, 3)
    ]


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_yanked_version_is_skipped_unless_it_is_asked_for(
    installer: str, tmp_path: Path, surroundings: Surroundings
) -> None:
    folder = tmp_path / "index"
    wheels = [model_wheel(tmp_path, version=each, requires=[]) for each in ("1.0", "2.0")]
    run("index", "add", folder, *wheels)
    run("index", "yank", folder, "iris-model", "2.0", "--reason", "the labels were wrong")

    ranged, exact = (_environment(surroundings, name) for name in ("ranged", "exact"))
    with served(folder) as address:
        _install(surroundings, installer, ranged, f"{address}/simple/", "iris-model>=1")
        told = _install(surroundings, installer, exact, f"{address}/simple/", "iris-model==2.0")
    assert "iris_model-1.0.dist-info" in _installed(ranged)
    assert "iris_model-2.0.dist-info" in _installed(exact)
    assert "the labels were wrong" in told


@pytest.mark.parametrize("installer", INSTALLERS)
def test_an_index_on_the_disk_is_used_without_a_server(
    installer: str, registry: Path, surroundings: Surroundings
) -> None:
    environment = _environment(surroundings)

    _install(
        surroundings, installer, environment, f"{registry.as_uri()}/simple/", "iris-model==3.0"
    )
    assert {"iris_model-3.0.dist-info", "anchor-2.0.dist-info"} <= _installed(environment)


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_folder_that_was_served_by_hand_keeps_its_addresses(
    installer: str, tmp_path: Path, surroundings: Surroundings
) -> None:
    folder = tmp_path / "served"
    model_wheel(folder / "iris-model", version="1.0", requires=[])
    model_wheel(folder, "other-model", version="1.0", requires=[])
    assert run("index", "update", folder).code == 0

    environment = _environment(surroundings)
    with served(folder) as address:
        _install(surroundings, installer, environment, f"{address}/", "iris-model")
        links = ["--no-index", "--find-links", f"{address}/"]
        _install(surroundings, installer, environment, f"{address}/simple/", *links, "other-model")
    assert {"iris_model-1.0.dist-info", "other_model-1.0.dist-info"} <= _installed(environment)


class _Negotiating(SimpleHTTPRequestHandler):
    """Serves the JSON pages to whoever accepts them, as the docs have nginx do."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        if self.path.endswith("/") and "simple.v1+json" in self.headers.get("Accept", ""):
            self.path += "index.json"
        return super().send_head()

    def guess_type(self, path: object) -> str:
        if str(path).endswith("index.json"):
            return "application/vnd.pypi.simple.v1+json"
        return super().guess_type(str(path))

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_server_that_negotiates_serves_the_same_as_json(
    installer: str, registry: Path, surroundings: Surroundings
) -> None:
    environment, sent = _environment(surroundings), dict[str, int]()

    with served(registry, _Negotiating) as address, relay(address, sent) as relayed:
        _install(
            surroundings, installer, environment, f"{relayed}/simple/", "iris-model", "anchor<2"
        )
    assert "iris_model-1.0.dist-info" in _installed(environment)
    assert _bytes_of(sent)[1] == ["anchor-1.0-py3-none-any.whl", "iris_model-1.0-py3-none-any.whl"]


def test_a_lock_has_sizes_and_dates_and_may_leave_out_newer_versions(
    registry: Path, tmp_path: Path, surroundings: Surroundings
) -> None:
    project = tmp_path / "app"
    project.mkdir()
    with served(registry) as address:
        (project / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.10"\n'
            'dependencies = ["iris-model"]\n'
            f'[[tool.uv.index]]\nurl = "{address}/simple/"\ndefault = true\n'
        )
        lock = partial(
            surroundings.run, "uv", "lock", cwd=project, UV_OFFLINE="0", UV_FIND_LINKS=""
        )
        lock()
        locked = (project / "uv.lock").read_text()
        assert re.search(
            r'iris_model-3\.0-py3-none-any\.whl", hash = "sha256:\w+", size = \d+', locked
        )
        assert 'upload-time = "2026-01-01T00:00:00Z"' in locked
        (project / "uv.lock").unlink()
        refused = lock("--exclude-newer", "2025-12-31T00:00:00Z", check=False)
    assert refused.returncode
    assert "2025-12-31" in refused.stdout


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append({name: value or "" for name, value in attrs})


def _check_links(folder: Path) -> int:
    """Check that everything which installers find is there, and give the number of archives."""
    count = 0
    for page in folder.glob("simple/*/index.html"):
        links = _Links()
        links.feed(page.read_text())
        for link in links.found:
            path, _, digest = link["href"].partition("#sha256=")
            archive = page.parent / unquote(path)
            metadata = archive.with_name(f"{archive.name}.metadata")
            assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest
            said = link["data-core-metadata"].removeprefix("sha256=")
            assert hashlib.sha256(metadata.read_bytes()).hexdigest() == said
            count += 1
    return count


def test_an_index_survives_whatever_kills_the_command(tmp_path: Path) -> None:
    folder, chance = tmp_path / "index", random.Random(7)
    weights = random.Random(0).randbytes(4_000_000).hex()
    command = [sys.executable, "-m", "hatch_model", "index"]
    since = time.monotonic()
    subprocess.run(
        [*command, "add", folder, model_wheel(tmp_path, version="0", weights=weights)], check=True
    )
    duration = time.monotonic() - since

    for version in range(1, 13):
        wheel = model_wheel(tmp_path, version=str(version), weights=weights)
        process = subprocess.Popen([*command, "add", folder, wheel], stdout=subprocess.DEVNULL)
        time.sleep(duration * chance.uniform(0.5, 1.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert _check_links(folder) >= 1
    wheels = [*tmp_path.glob("*.whl")]
    subprocess.run([*command, "update", folder], check=True, stdout=subprocess.DEVNULL)
    there = _check_links(folder)
    assert there == len([*folder.rglob("*.whl")])
    subprocess.run([*command, "add", folder, *wheels], check=True, stdout=subprocess.DEVNULL)
    assert _check_links(folder) == len(wheels)
    assert not [*folder.rglob("*.partial")] and not [*folder.glob(".hatch-model-*")]
