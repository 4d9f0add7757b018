"""Which daemon a command talks to, and what it says when there is none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from aiohttp import web

from orchestrator.cli.client import Client
from orchestrator.cli.failures import Failure
from orchestrator.cli.place import Address, Place
from tests.cli.fake import FakeDaemon, Run, a_status

HERE = Path("here.sock")


def place(config: Path | None = None, socket: Path | None = None, url: str | None = None, **environ: str) -> Place:
    return Place(config, socket, url, environ)


def config_with_socket(directory: Path, name: str = "config.json") -> Path:
    path = directory / name
    shop = {"platform": "selldone", "shop_id": 1, "token": {"env": "NOBODY_SETS_THIS"}}
    path.write_text(json.dumps({"api": {"socket": "mine.sock"}, "shops": {"acme": shop}}))
    return path


def test_an_option_wins_over_the_environment_and_the_config(alone: Path) -> None:
    config_with_socket(alone)
    assert place(socket=HERE, FULFILLD_SOCKET="other.sock").address() == Address("--socket", socket=HERE)
    found = place(url="http://127.0.0.1:1", FULFILLD_SOCKET="other.sock", FULFILLD_TOKEN="t").address()
    assert (found.url, found.token) == ("http://127.0.0.1:1", "t")


def test_the_environment_wins_over_the_config(alone: Path) -> None:
    config = config_with_socket(alone)
    assert place(config, FULFILLD_SOCKET="e.sock").address().socket == Path("e.sock")
    assert place(config, FULFILLD_URL="http://127.0.0.1:1").address().url == "http://127.0.0.1:1"


def test_a_config_names_the_socket_though_its_secrets_are_unset(alone: Path) -> None:
    config = config_with_socket(alone, "other.json")
    assert place(config).address().socket == alone / "mine.sock"


def test_config_json_here_is_found_without_being_named(alone: Path) -> None:
    config_with_socket(alone)
    assert place().address().socket == alone / "mine.sock"


def test_the_default_path_comes_last(alone: Path) -> None:
    found = place().address()
    assert found.origin == "the default path"
    assert found.socket is not None
    assert found.socket.name == "fulfilld.sock"


def test_a_config_that_is_not_json_is_a_usage_error_with_its_place(run: Run, alone: Path) -> None:
    (alone / "config.json").write_text("{nonsense")
    result = run("status")
    assert result.exit_code == 2
    assert "config.json:1:2" in result.stderr


@pytest.mark.parametrize("command", [("run",), ("config", "check"), ("status",), ("backup", "copy.db")])
def test_a_config_that_is_not_there_is_reported_with_what_to_do(run: Run, command: tuple[str, ...]) -> None:
    result = run("--config", "nowhere.json", *command)
    assert result.exit_code == 2
    reported = " ".join(result.stderr.split())
    assert reported == (
        "fulfilld: there is no file nowhere.json - "
        "name a config with --config FILE; `fulfilld config example` prints a start"
    )


def test_a_socket_and_a_url_together_are_a_usage_error(run: Run) -> None:
    assert run("--socket", "a", "--url", "http://b", "status").exit_code == 2


@pytest.mark.parametrize("is_left_over", [False, True])
def test_no_daemon_is_exit_code_3_with_the_remedy(run: Run, alone: Path, is_left_over: bool) -> None:
    path = alone / "gone.sock"
    if is_left_over:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    result = run("--socket", str(path), "status")
    assert result.exit_code == 3
    assert str(path) in result.stderr
    assert "fulfilld run" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8440", "ftp://127.0.0.1", "http://", "http://h:port"])
def test_a_url_that_is_none_is_a_usage_error(run: Run, url: str) -> None:
    assert run("--url", url, "status").exit_code == 2


def test_a_server_without_http_is_not_a_daemon(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Failure) as caught:
            _call_and_answer(server, port, b"220 ftp ready\r\n")
    assert caught.value.code == 3


@pytest.mark.parametrize(
    ("status", "type_", "body"),
    [
        (404, "text/html", "<h1>Not Found</h1>"),
        (404, "application/json", '{"detail": "Not Found"}'),
        (200, "a/b", "hi"),
    ],
)
def test_a_server_that_is_another_is_reported_as_that(
    daemon: FakeDaemon, fulfilld: Run, status: int, type_: str, body: str
) -> None:
    async def other(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=type_)

    daemon.answers["GET", "/v1/status"] = other
    result = fulfilld("status")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"fulfilld: what answers at {daemon.socket} is not a fulfilld API")


def test_https_to_a_server_without_tls_is_answered_with_the_remedy(run: Run) -> None:
    with _plain_server() as port:
        result = run("--url", f"https://127.0.0.1:{port}", "status")
    assert result.exit_code == 3
    assert f"https://127.0.0.1:{port} does not use TLS - write http:// in place" in result.stderr
    assert "SSL:" not in result.stderr


def test_a_url_where_nobody_listens_is_not_answered_with_the_socket(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = run("--url", f"http://127.0.0.1:{unused.getsockname()[1]}", "status")
    assert result.exit_code == 3
    assert "check the URL" in result.stderr
    assert "--socket" not in result.stderr


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing for stderr."""


@contextmanager
def _plain_server() -> Iterator[int]:
    """An HTTP server on loopback; answers its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _call_and_answer(server: socket.socket, port: int, answer: bytes) -> None:
    """Calls the server, whose answer is ready before the call: the backlog holds the connection."""
    import threading

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        Client(Address("a test", url=f"http://127.0.0.1:{port}")).get("/v1/status")
    finally:
        thread.join()


def test_the_token_goes_into_the_header_and_nowhere_else(daemon: FakeDaemon) -> None:
    daemon.answers["GET", "/v1/status"] = a_status()
    address = Address("a test", socket=daemon.socket, token="s3cret")
    Client(address).get("/v1/status")
    assert daemon.calls[0][4]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(address)
    assert "s3cret" not in repr(place(FULFILLD_TOKEN="s3cret"))


def test_a_token_with_a_line_break_is_refused_without_being_shown(run: Run) -> None:
    result = run("--url", "http://127.0.0.1:9", "status", FULFILLD_TOKEN="s3cret\nX: y")
    assert result.exit_code == 2
    assert "s3cret" not in result.output
