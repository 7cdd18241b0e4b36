"""Package indexes on loopback: folders that are served over HTTP, real servers, and a relay."""

from __future__ import annotations

import hashlib
import http.client
import shlex
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support import Index


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = _Silent) -> Iterator[str]:
    """Serve *folder* over HTTP on loopback, and give the address."""
    with _running(partial(handler, directory=str(folder))) as address:
        yield address


@contextmanager
def _running(
    handler: type[BaseHTTPRequestHandler] | partial[SimpleHTTPRequestHandler],
) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_simple_index(index: Index) -> Path:
    """Write the pages of a PEP 503 index for what is in *index*, and give the folder to serve."""
    for wheel in index.folder.glob("*.whl"):
        page = index.folder / "simple" / wheel.name.partition("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with page.open("a", encoding="utf-8") as file:
            file.write(f'<a href="../../{wheel.name}#sha256={digest}">{wheel.name}</a>\n')
    simple = index.folder / "simple"
    names = sorted(path.parent.name for path in simple.glob("*/index.html"))
    links = "".join(f'<a href="{name}/">{name}</a>\n' for name in names)
    (simple / "index.html").write_text(links, "utf-8")
    return index.folder


@contextmanager
def relay(address: str, sent: dict[str, int]) -> Iterator[str]:
    """Pass requests on to *address*, and add up in *sent* how many bytes go out for each path."""
    netloc = urlsplit(address).netloc

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection = http.client.HTTPConnection(netloc)
            connection.request(self.command, self.path, headers=dict(self.headers))
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            sent[self.path] = sent.get(self.path, 0) + len(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with _running(Relay) as relayed:
        yield relayed


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port


@contextmanager
def running(
    command: str, port: int, *, cwd: Path, environment: Mapping[str, str]
) -> Iterator[None]:
    """Run a server that will listen on *port*, and stop it at the end, whatever happens."""
    log = cwd / "log.txt"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            shlex.split(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while not _answers(f"http://127.0.0.1:{port}/"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def ask(address: str, **headers: str) -> tuple[int, str, str]:
    """Give the status, the content type and the text of what is at *address*."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc)
    try:
        connection.request("GET", url.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        return answer.status, answer.getheader("Content-Type", ""), body
    finally:
        connection.close()


def _answers(address: str) -> bool:
    try:
        ask(address)
    except OSError:
        return False
    return True


def torch_links() -> Path:
    """Give the folder of a CPU build of PyTorch for this Python, if pip is configured to look into one."""
    command = (sys.executable, "-m", "pip", "config", "get", "global.find-links")
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    found = [Path(each) for each in said if [*Path(each).glob(f"torch-*+cpu-{tag}-*.whl")]]
    if not found:
        pytest.skip("pip is configured to find no CPU build of PyTorch for this Python")
    return found[0]
