"""Models on package indexes: what docs/other-indexes.md tells you to type, and what comes of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from checkout import CHECKOUT, online
from filelock import FileLock
from indexes import ask, free_port, make_simple_index, relay, running, served
from models import run
from support import Index, ModelProject, Surroundings, interpreter_of, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    Serving = Callable[..., AbstractContextManager["Server"]]

pytestmark = [
    pytest.mark.network,  # the servers are installed from a package index, and all else is here
    pytest.mark.skipif(os.name == "nt", reason="the page's commands are written for bash"),
]

PAGE = (CHECKOUT / "docs/other-indexes.md").read_text("utf-8")
PASSWORD, ROOT_PASSWORD = "made-up", "made-up-too"
PYPISERVER, DEVPI, PLAIN_DEVPI = "pypiserver", "devpi", "devpi without `--enable-core-metadata`"
PINS = {"anchor": "1.2", "chain": "2.0"}
WHEEL = "small-0.1.0-py3-none-any.whl"
SIZE = 500_000
SERVED = "## What an index should serve"
JSON = "application/vnd.pypi.simple.v1+json"

TABLE = """
train = "small.main:train"
check = "small.main:check"
"""
MAIN = f"""
import random
from pathlib import Path

FILE = Path(__file__).parent / "data" / "weights.bin"

def train(output_dir: Path) -> dict[str, float]:
    (output_dir / "weights.bin").write_bytes(random.Random(0).randbytes({SIZE}))
    return {{"accuracy": 0.75}}

def check() -> int:
    return FILE.read_bytes()[0]
"""
STRANGER_SAYS = "a stranger wrote this"
STRANGER = f"print({STRANGER_SAYS!r})\n"
# Whatever is configured elsewhere is not what is tested.
CLIENT = {
    "UV_NO_CACHE": "1",
    "UV_NO_SYSTEM_CONFIG": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "NETRC": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "TWINE_NON_INTERACTIVE": "1",
}


def section(heading: str) -> str:
    """Give what stands in the page between *heading* and the next one of any level."""
    _, _, rest = PAGE.partition(f"\n{heading}\n")
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(language: str, heading: str) -> list[str]:
    """Give the code in *language* under *heading*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Server:
    """An index that runs as the page says."""

    name: str
    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self._addresses[0]

    @property
    def publish_url(self) -> str:
        return self._addresses[1]

    @property
    def _addresses(self) -> list[str]:
        row = rf"^\| {self.name.partition(' ')[0]} \| `(\S+)` \| `(\S+)` \|$"
        ((url, publish_url),) = re.findall(row, section("## Publish"), re.MULTILINE)
        return [re.sub(r":\d+/", f":{self.port}/", each) for each in (url, publish_url)]

    def here(self, text: str) -> str:
        """Give the page's *text* with this server, and `small`, in place of its examples."""
        return (
            text.replace("http://127.0.0.1:8080/simple/", self.url)
            .replace("http://127.0.0.1:8080/", self.publish_url)
            .replace("acme-iris", "small")
        )

    def page(self, name: str, **headers: str) -> tuple[int, str, str]:
        return ask(f"{self.url}{name}/", **headers)

    def files(self, name: str = "small") -> dict[str, str]:
        """Give the address of each file on the page of a project, by its name."""
        page = f"{self.url}{name}/"
        addresses = [urldefrag(urljoin(page, each["href"])).url for each in self.links(name)]
        return {each.rpartition("/")[2]: each for each in addresses}

    def links(self, name: str) -> list[dict[str, str]]:
        """Give the attributes of each link on the page of a project."""
        links = Links()
        links.feed(self.page(name)[2])
        return links.found


class Links(HTMLParser):
    """Reads the attributes of the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append({name: value or "" for name, value in attrs})


class OnLoopback(Surroundings):
    """The same, where a folder stands for PyPI, and where nothing else is found."""

    def variables(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in super().variables().items()
            if name not in {"UV_OFFLINE", "UV_FIND_LINKS", "PIP_NO_INDEX", "PIP_FIND_LINKS"}
        }
        return {
            **kept,
            **CLIENT,
            "XDG_CONFIG_HOME": str(self.temporary),
            **self.environment,
        }


@pytest.fixture(scope="module")
def dists(shared_folder: Path, build_tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist of `small` 0.1.0 and 0.2.0, each in a folder of that name."""
    folder = tmp_path_factory.mktemp("built")
    index = Index(folder / "index")
    make_wheel(index.folder, "anchor", "1.2", requires=["chain>=2"])
    make_wheel(index.folder, "chain", "2.0")
    surroundings = Surroundings(
        index=index,
        temporary=folder / "tmp",
        find_links=[build_tools, index.folder],
        caches=shared_folder / "caches",
    )
    project = ModelProject.copy("small", folder / "small")
    project.replace("pyproject.toml", ('\ntrain = "small.main:train"\n', TABLE))
    project.write("src/small/main.py", MAIN)
    project.build(surroundings, "uv build", out=folder / "0.1.0")
    project.replace("pyproject.toml", ('version = "0.1.0"', 'version = "0.2.0"'))
    project.build(surroundings, "uv build", out=folder / "0.2.0")
    return folder


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Stands for PyPI: it has what `small` requires, newer releases of that, and a stranger's `small`."""
    index = Index(tmp_path_factory.mktemp("public") / "index")
    for version in ("1.2", "1.3"):
        make_wheel(index.folder, "anchor", version, requires=["chain>=2"])
    for version in ("2.0", "2.1"):
        make_wheel(index.folder, "chain", version)
    make_wheel(index.folder, "small", "9.0", files={"small/__init__.py": STRANGER})
    same = make_wheel(index.folder, "small", "0.1.0", files={"small/__init__.py": STRANGER})
    same.rename(same.with_name("small-0.1.0-1-py3-none-any.whl"))
    with served(make_simple_index(index)) as address:
        yield f"{address}/simple/"


@pytest.fixture(scope="module")
def programs(shared_folder: Path) -> dict[str, str]:
    """Variables with which the page's commands install servers to where this run finds them."""
    tools = shared_folder / "index-servers"
    tools.mkdir(exist_ok=True)
    path = [tools / "bin", Path(sys.executable).parent, os.environ["PATH"]]  # twine is ours
    return {
        **online(shared_folder / "caches"),
        "UV_PYTHON": sys.executable,
        "UV_TOOL_DIR": str(tools / "environments"),
        "UV_TOOL_BIN_DIR": str(tools / "bin"),
        "PATH": os.pathsep.join(map(str, path)),
        "NO_PROXY": "127.0.0.1",
        "PASSWORD": PASSWORD,
        "ROOT_PASSWORD": ROOT_PASSWORD,
    }


@pytest.fixture(scope="module")
def serving(public: str, programs: dict[str, str]) -> Serving:
    """Sets up servers as the page says, and runs them."""
    return partial(_serving, public=public, environment=programs)


@contextmanager
def _serving(
    name: str, folder: Path, *changes: tuple[str, str], public: str, environment: dict[str, str]
) -> Iterator[Server]:
    """Serve *name* from *folder*, apart from *changes* as the page says."""
    folder.mkdir()
    set_up, start, *create = blocks("bash", f"### {name.partition(' ')[0]}")
    environment = {**environment, "DEVPI_CLIENTDIR": str(folder / "client")}
    server = Server(name, free_port(), environment)
    with FileLock(f"{environment['UV_TOOL_DIR']}.lock"):
        done = bash(set_up, cwd=folder, environment=environment)
    if "client error (Connect)" in done.stdout:
        pytest.skip(f"no network to install {name}: {done.stdout}")
    assert done.returncode == 0, done.stdout
    if name == PYPISERVER:
        start = f"{start.strip()} --fallback-url {public}"
    for old, new in changes:
        assert old in start
        start = start.replace(old, new)
    start = re.sub(r"--port \d+", f"--port {server.port}", start)
    with running(start, server.port, cwd=folder, environment=environment):
        for commands in create:
            there = re.sub(r":\d+$", f":{server.port}", commands, flags=re.MULTILINE)
            there += f"devpi index root/pypi mirror_url={public}\n"
            done = bash(there, cwd=folder, environment=environment)
            assert done.returncode == 0, done.stdout
        yield server


def bash(
    commands: str, *, cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=cwd,
        env=environment,
        check=False,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="module", params=[PYPISERVER, DEVPI])
def server(
    request: pytest.FixtureRequest,
    dists: Path,
    serving: Serving,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """Each server, with `small` 0.1.0 published by uv and 0.2.0 by twine, as the page says."""
    folder = tmp_path_factory.mktemp("index")
    with serving(request.param, folder / "server") as server:
        publish(server, "uv", dists / "0.1.0", folder / "with-uv")
        publish(server, "twine", dists / "0.2.0", folder / "with-twine")
        yield server


def publish(server: Server, tool: str, dist: Path, project: Path) -> None:
    """Upload what is in *dist*, with the commands that the page has for *tool*, which must succeed."""
    done = try_to_publish(server, tool, dist, project)
    assert done.returncode == 0, done.stdout


def try_to_publish(
    server: Server, tool: str, dist: Path, project: Path, *, password: str | None = PASSWORD
) -> subprocess.CompletedProcess[str]:
    (settings,) = blocks("toml", "## Publish")
    with_uv, with_twine = blocks("bash", "## Publish")
    credentials, *_, upload = (with_uv if tool == "uv" else with_twine).splitlines()
    shutil.copytree(dist, project / "dist")
    (project / "pyproject.toml").write_text(server.here(settings), "utf-8")
    return bash(
        server.here(upload if password is None else f"{credentials}\n{upload}"),
        cwd=project,
        environment={**server.environment, **CLIENT, "PASSWORD": password or ""},
    )


@pytest.fixture
def client(surroundings: Surroundings, public: str, tmp_path: Path) -> OnLoopback:
    """Surroundings of somebody who installs models."""
    return OnLoopback(
        index=Index(tmp_path / "no-index"),
        temporary=tmp_path / "tmp-of-client",
        find_links=[],
        caches=surroundings.caches,
        environment={"UV_DEFAULT_INDEX": public, "PIP_INDEX_URL": public},
    )


# Uploading


@pytest.mark.parametrize("tool", ["uv", "twine"])
def test_an_upload_without_the_right_password_is_refused(
    tool: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "dist").mkdir()
    make_wheel(tmp_path / "dist", "refused", "1.0")

    without = try_to_publish(server, tool, tmp_path / "dist", tmp_path / "one", password=None)
    wrong = try_to_publish(server, tool, tmp_path / "dist", tmp_path / "two", password="wrong")

    status = {PYPISERVER: "403 Forbidden", DEVPI: "401 Unauthorized"}[server.name]
    missing, refused = {
        "uv": (
            f"Missing credentials for: {server.publish_url}",
            f"Server returned status code {status}.",
        ),
        "twine": (
            "NonInteractive: Credential not found for username.",
            f"HTTPError: {status} from {server.publish_url}",
        ),
    }[tool]
    assert (without.returncode != 0, missing in without.stdout) == (True, True), without.stdout
    assert (wrong.returncode != 0, refused in wrong.stdout) == (True, True), wrong.stdout
    assert server.files("refused") == {}


def test_wheel_and_sdist_of_a_model_are_on_the_page_of_its_project(
    server: Server, dists: Path
) -> None:
    archives = [*dists.glob("0.?.0/*.whl"), *dists.glob("0.?.0/*.tar.gz")]

    assert sorted(server.files()) == sorted(path.name for path in archives)
    assert len(archives) == 4


def test_an_interrupted_upload_can_be_repeated(server: Server, dists: Path, tmp_path: Path) -> None:
    publish(server, "uv", dists / "0.1.0", tmp_path / "again")


# Installing


def install(installer: str, client: Surroundings, python: Path, server: Server, what: str) -> None:
    command = {
        "uv": ("uv", "pip", "install", "--python", python, "--default-index"),
        "pip": (sys.executable, "-m", "pip", "--python", python, "install", "--index-url"),
    }[installer]
    client.run(*command, server.url, what, cwd=client.temporary)


def installed(client: Surroundings, python: Path) -> dict[str, str]:
    """Give what is in an environment, and make sure that `small` is not a stranger's."""
    listed = client.run(
        *("uv", "pip", "list", "--quiet", "--format", "json", "--python", python),
        cwd=client.temporary,
    )
    return {each["name"]: each["version"] for each in json.loads(listed.stdout)}


def is_a_strangers(client: Surroundings, python: Path) -> bool:
    return (
        STRANGER_SAYS
        in client.run(python, "-c", "import small", cwd=client.temporary, check=False).stdout
    )


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_a_published_model_is_installed_with_its_pins_and_predicts_as_when_it_was_made(
    version: str, installer: str, server: Server, client: OnLoopback, tmp_path: Path
) -> None:
    python = client.make_environment(tmp_path / "fresh")

    install(installer, client, python, server, f"small=={version}")

    assert installed(client, python) == {**PINS, "small": version}
    ran = run("verify", "small", "--json", "--python", python)
    assert (ran.json["differences"], ran.json["checked"]) == ([], True)


# What an index serves


@pytest.mark.parametrize("name", [PYPISERVER, DEVPI, PLAIN_DEVPI])
def test_the_page_tells_what_each_index_serves_and_what_installers_download(
    name: str, dists: Path, serving: Serving, client: OnLoopback, tmp_path: Path
) -> None:
    lines = [line for line in section(SERVED).splitlines() if line.count("|") == 5]
    head, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    at = head.index(name)
    changes = [(" --enable-core-metadata", "")] if name == PLAIN_DEVPI else []

    with serving(name, tmp_path / "server", *changes) as server:
        publish(server, "uv", dists / "0.1.0", tmp_path / "project")
        served = {
            **pages(server, dists / "0.1.0" / WHEEL),
            "to learn the pins, uv downloads": download(server, client, "uv"),
            "to learn the pins, pip downloads": download(server, client, "pip"),
            "uv finds it with `--exclude-newer`": finds_with_a_date(server, client),
            "another file under a released name": overwrite(server, tmp_path),
            "largest file": largest(server),
        }

    assert {row[1]: row[at] for row in rows} == served


def pages(server: Server, wheel: Path) -> dict[str, str]:
    """Give the rows of the table about pages and files."""
    link = next(each for each in server.links("small") if WHEEL in each["href"])
    _, kind, text = server.page("small", Accept=JSON)
    files = json.loads(text)["files"] if kind == JSON else []
    fields = {field for file in files for field in file}
    address = server.files()[WHEEL]
    status, _, metadata = ask(f"{address}.metadata")
    pins = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    part, _, _ = ask(address, Range="bytes=0-9")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    program = "pypi-server run" if server.name == PYPISERVER else "devpi"
    usage = bash(f"{program} --help", cwd=wheel.parent, environment=server.environment).stdout
    answers = {
        "JSON pages (PEP 691)": kind == JSON,
        "metadata files (PEP 658)": "data-core-metadata" in link
        and (status, pins) == (200, [f"Requires-Dist: {each}=={PINS[each]}" for each in PINS]),
        "SHA-256 of files": link["href"].endswith(f"#sha256={digest}"),
        "`requires-python`": link.get("data-requires-python") == ">=3.10",
        "size and upload time (PEP 700)": {"size", "upload-time"} <= fields,
        "yanking of releases (PEP 592)": "yank" in usage,
        "ranges of files": part == 206,
    }
    return {row: "yes" if answer else "no" for row, answer in answers.items()}


def download(server: Server, client: Surroundings, installer: str) -> str:
    """Say what of the wheel *installer* downloads when it only has to know what that requires."""
    sent: dict[str, int] = {}
    with relay(server.url, sent) as relayed:
        url = f"{relayed}{urlsplit(server.url).path}"
        command = {
            "uv": ("uv", "pip", "compile", "--default-index", url, "requirements.in"),
            "pip": (
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
                *("--index-url", url, "--requirement", "requirements.in"),
            ),
        }[installer]
        (client.temporary / "requirements.in").write_text("small==0.1.0", "utf-8")
        said = client.run(*command, cwd=client.temporary).stdout
    assert "anchor" in said and "chain" in said
    wheel, metadata = (
        sum(size for path, size in sent.items() if path.endswith(end))
        for end in (WHEEL, f"{WHEEL}.metadata")
    )
    if not wheel:
        return "the metadata" if metadata else "nothing"
    return "the wheel" if wheel > SIZE else "part of the wheel"


def finds_with_a_date(server: Server, client: Surroundings) -> str:
    """Say whether uv finds the model among the releases up to a day that is far in the future."""
    command = ("uv", "pip", "compile", "--default-index", server.url, "requirements.in")
    date = ("--exclude-newer", "2100-01-01")
    done = client.run(*command, *date, cwd=client.temporary, check=False)
    return "yes" if done.returncode == 0 else "no"


@pytest.mark.parametrize("exempt", [True, False])
def test_a_model_without_upload_time_is_found_once_it_is_exempt_from_exclude_newer(
    exempt: bool,  # noqa: FBT001
    server: Server,
    client: OnLoopback,
    tmp_path: Path,
) -> None:
    app = make_app(server, tmp_path / "app")
    (setting,) = re.findall(r"`(exclude-newer-package = .+)`", section(SERVED))
    names = "small = false, anchor = false, chain = false" if exempt else "chain = false"
    with (app / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tool.uv]\n{server.here(setting).replace('small = false', names)}\n")
    client.environment["UV_EXCLUDE_NEWER"] = "2100-01-01"

    said = sync(client, app, check=exempt)

    assert ("is missing an upload date" in said) == (not exempt)
    assert (app / "uv.lock").exists() == exempt


def overwrite(server: Server, tmp_path: Path) -> str:
    """Say what becomes of another file of the name of one that is published."""
    (tmp_path / "other").mkdir()
    make_wheel(tmp_path / "other", "small", "0.1.0")
    _, _, before = server.page("small")
    done = try_to_publish(server, "twine", tmp_path / "other", tmp_path / "overwriting")
    same = server.page("small")[2] == before
    return "refused" if same and done.returncode else "replaces it"


def largest(server: Server) -> str:
    """Say how large an upload may claim to be."""
    size = 1 << 30
    return "1 GiB" if not may_send(server, size) and may_send(server, size - 1) else "no limit"


def may_send(server: Server, size: int) -> bool:
    """Whether the server would take an upload of *size* bytes, of which only the header is sent."""
    url = urlsplit(server.publish_url)
    user = base64.b64encode(f"ci:{PASSWORD}".encode()).decode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Basic {user}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return b" 413 " not in answer.readline()


# Credentials


def make_app(server: Server, folder: Path, *, explicit: bool = True) -> Path:
    """Write an app that requires `small`, with the settings that the page has for uv."""
    (settings,) = blocks("toml", "### uv")
    if not explicit:
        settings = settings.replace("explicit = true\n", "")
    project = '[project]\nname = "app"\nversion = "1"\ndependencies = ["small"]\n'
    python = f'requires-python = ">={sys.version_info.major}.{sys.version_info.minor}"\n\n'
    folder.mkdir()
    (folder / "pyproject.toml").write_text(project + python + server.here(settings), "utf-8")
    return folder


def sync(client: Surroundings, app: Path, *, check: bool = True) -> str:
    return client.run("uv", "sync", "--python", sys.executable, cwd=app, check=check).stdout


@pytest.fixture
def closed(dists: Path, serving: Serving, tmp_path: Path) -> Iterator[Server]:
    """pypiserver, with a password for downloads, too."""
    (option,) = re.findall(r"`(--authenticate update,\S+)`", section("### pypiserver"))
    change = ("--authenticate update", option)
    with serving(PYPISERVER, tmp_path / "server", change) as server:
        publish(server, "twine", dists / "0.1.0", tmp_path / "project")
        yield server


def test_uv_installs_with_credentials_from_variables_and_writes_them_nowhere(
    closed: Server, client: OnLoopback, tmp_path: Path
) -> None:
    app = make_app(closed, tmp_path / "app")

    refused = sync(client, app, check=False)
    assert "401 Unauthorized" in refused

    user, password = re.findall(r"UV_INDEX_\w+", section("## Credentials"))
    client.environment.update({user: "ci", password: PASSWORD})
    sync(client, app)
    assert installed(client, interpreter_of(app / ".venv")) == {**PINS, "small": "0.1.0"}
    lock = (app / "uv.lock").read_text("utf-8")
    assert f'source = {{ registry = "{closed.url}" }}' in lock
    assert PASSWORD not in lock


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_installers_read_credentials_from_netrc(
    installer: str, closed: Server, client: OnLoopback, tmp_path: Path
) -> None:
    (netrc,) = blocks("text", "## Credentials")
    (tmp_path / "netrc").write_text(netrc.replace("…", PASSWORD), "utf-8")
    client.environment["NETRC"] = str(tmp_path / "netrc")
    python = client.make_environment(tmp_path / "fresh")

    install(installer, client, python, closed, "small")

    assert installed(client, python) == {**PINS, "small": "0.1.0"}


# Dependency confusion


@pytest.mark.parametrize("requirement", ["small", "small==0.1.0"])
def test_pip_takes_a_strangers_package_where_the_index_is_an_extra_one(
    requirement: str, server: Server, client: OnLoopback, tmp_path: Path
) -> None:
    python = client.make_environment(tmp_path / "fresh")

    pip = (sys.executable, "-m", "pip", "--python", python, "install")
    client.run(*pip, "--extra-index-url", server.url, requirement, cwd=tmp_path)

    assert is_a_strangers(client, python)


@pytest.mark.parametrize("strategy", ["first-index", "unsafe-best-match"])
def test_uv_takes_a_strangers_package_only_with_an_unsafe_strategy(
    strategy: str, server: Server, client: OnLoopback, tmp_path: Path
) -> None:
    python = client.make_environment(tmp_path / "fresh")

    uv = ("uv", "pip", "install", "--python", python, "--index", server.url)
    client.run(*uv, "--index-strategy", strategy, "small", cwd=tmp_path)

    assert is_a_strangers(client, python) == (strategy == "unsafe-best-match")


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "first index"])
def test_the_settings_of_the_page_have_uv_take_a_private_model_from_its_index(
    explicit: bool,  # noqa: FBT001
    server: Server,
    client: OnLoopback,
    tmp_path: Path,
) -> None:
    app = make_app(server, tmp_path / "app", explicit=explicit)

    sync(client, app)

    python = interpreter_of(app / ".venv")
    assert installed(client, python) == {**PINS, "small": "0.2.0"}
    assert not is_a_strangers(client, python)


@pytest.mark.parametrize(
    ("at", "version"), [(0, "0.2.0"), (1, "0.1.0"), (2, "0.2.0")], ids=["index", "file", "hashes"]
)
def test_the_commands_of_the_page_have_pip_take_a_private_model_from_its_index(
    at: int, version: str, server: Server, client: OnLoopback, tmp_path: Path
) -> None:
    app = make_app(server, tmp_path / "app")
    python = client.make_environment(tmp_path / "fresh")
    address = server.files()[WHEEL]
    (digest,) = re.findall(rf"{WHEEL}(#sha256=\w+)", server.page("small")[2])
    file = f"small @ {address}{digest}"
    commands = re.sub(r"acme-iris @ [^\"]+", file, blocks("bash", "### pip")[at])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    client.run(*("bash", "-euc", server.here(commands)), cwd=app, PATH=path, PIP_PYTHON=str(python))

    assert installed(client, python) == {**PINS, "small": version}
    assert not is_a_strangers(client, python)
