"""Where the API listens: the socket's mode, files in the way, ports in use, the end."""

from __future__ import annotations

import os
import resource
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import anyio
import pytest
import structlog.testing
from aiohttp import web

from orchestrator.api.server import ServeError, serving
from orchestrator.config import default_socket
from tests.api.bench import SHOPS, TOKEN, bench, settings


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="f-") as name:
        yield Path(name)


def an_app() -> web.Application:
    return web.Application()


async def refusal(path: Path, **fields: object) -> str:
    """Why the API cannot be served there."""
    with pytest.raises(ServeError) as refused:
        async with serving(an_app(), settings(path, **fields)):
            pass
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("mode", "umask"), [("0660", 0o077), ("0600", 0), ("0666", 0o022)])
async def test_the_mode_is_the_configs_whatever_the_umask(folder: Path, mode: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        async with serving(an_app(), settings(folder / "s", socket_mode=mode)):
            found = (folder / "s").stat()
            assert stat.S_ISSOCK(found.st_mode)
            assert stat.S_IMODE(found.st_mode) == int(mode, 8)
    finally:
        os.umask(before)


async def test_the_socket_goes_when_the_daemon_does(folder: Path) -> None:
    async with serving(an_app(), settings(folder / "s")):
        pass
    assert not (folder / "s").exists()


async def test_a_missing_folder_is_made_for_its_owner(folder: Path) -> None:
    async with serving(an_app(), settings(folder / "run" / "s")):
        assert stat.S_IMODE((folder / "run").stat().st_mode) & 0o027 == 0


async def test_a_socket_that_a_dead_daemon_left_is_replaced(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))
    async with serving(an_app(), settings(folder / "s")):
        connector = aiohttp.UnixConnector(str(folder / "s"))
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://localhost/") as response:
            assert response.status == 404


async def test_a_living_daemons_socket_is_left_alone(folder: Path) -> None:
    async with serving(an_app(), settings(folder / "s")):
        assert "another process listens" in await refusal(folder / "s")
        assert (folder / "s").exists()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(folder / "s"))


async def test_a_process_that_is_too_busy_to_answer_is_left_alone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(folder / "s"))
        busy.listen(0)
        first.connect(str(folder / "s"))  # fills the queue that nobody takes from
        with socket.socket(socket.AF_UNIX) as second:
            second.setblocking(False)
            second.connect_ex(str(folder / "s"))
            assert "another process listens" in await refusal(folder / "s")


async def test_a_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    (folder / "s").write_text("precious")
    assert "is not a socket" in await refusal(folder / "s")
    assert (folder / "s").read_text() == "precious"
    (folder / "link").symlink_to(folder / "nowhere")
    assert "is not a socket" in await refusal(folder / "link")


async def test_a_socket_of_another_kind_is_left_alone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(folder / "s"))
        assert "cannot be asked" in await refusal(folder / "s")


async def test_a_folder_that_cannot_be_made_is_reported(folder: Path) -> None:
    (folder / "file").write_text("")
    assert "cannot be made" in await refusal(folder / "file" / "s")


async def test_no_folder_is_made_above_the_sockets_own(folder: Path) -> None:
    assert f"there is no directory {folder / 'nope'} for" in await refusal(folder / "nope" / "run" / "s")
    assert not (folder / "nope").exists()


async def test_no_folder_is_made_in_the_root() -> None:
    assert "there is no directory /fulfilld-is-not-here for" in await refusal(Path("/fulfilld-is-not-here/s"))


async def test_the_default_place_is_made_with_all_that_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    assert default_socket() == folder / "run" / "fulfilld" / "fulfilld.sock"
    async with serving(an_app(), settings(default_socket())):
        assert default_socket().is_socket()


async def test_a_path_that_is_too_long_is_reported(folder: Path) -> None:
    api = settings(folder / "s").model_copy(update={"socket": folder / ("ż" * 60)})
    with pytest.raises(ServeError, match="longer than 107 bytes"):
        async with serving(an_app(), api):
            pass


async def test_a_socket_that_another_daemon_has_made_meanwhile_stays(folder: Path) -> None:
    async with serving(an_app(), settings(folder / "s")):
        (folder / "s").unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(folder / "s"))
    assert (folder / "s").exists()


async def test_a_socket_that_cannot_be_made_anew_for_want_of_descriptors_is_waited_for(folder: Path) -> None:
    async with serving(an_app(), settings(folder / "s")) as served:
        (folder / "s").unlink()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            with structlog.testing.capture_logs() as logs:
                await served.door.check()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert [(each["event"], "too many open files" in each["detail"]) for each in logs] == [
            ("api.socket_lost", True)
        ]
        await served.door.check()
        assert (folder / "s").is_socket()


async def test_a_port_in_use_is_reported_and_leaves_nothing_behind(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        reported = await refusal(folder / "s", tcp={"port": port, "token": TOKEN})
        assert reported == f"127.0.0.1:{port} is in use by another program; set another api.tcp.port"
    assert not (folder / "s").exists()


async def test_streams_do_not_hold_the_end_up() -> None:
    async with anyio.create_task_group() as group, bench() as b:
        started = [anyio.Event() for _ in range(3)]

        async def follow(begun: anyio.Event) -> None:
            headers = {"Accept": "text/event-stream"}
            connector = aiohttp.UnixConnector(str(b.served.socket))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get("http://localhost/v1/events", headers=headers) as response,
            ):
                await response.content.readline()
                begun.set()
                await response.content.read()

        for begun in started:
            group.start_soon(follow, begun)
        for begun in started:
            await begun.wait()
        # leaving the block ends the server: were a stream to hold it up, the test would run into its time limit
        group.cancel_scope.deadline = anyio.current_time() + 60
    assert not group.cancel_scope.cancelled_caught


def test_all_of_it_works_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> tuple[int, list[str], bool]:
        async with bench() as b:
            got = await b.get("/v1/shops")
            names = [shop["name"] for shop in got.json()["shops"]]
        return got.status, names, b.served.socket.exists()

    assert anyio.run(main, backend_options={"loop_factory": uvloop.new_event_loop}) == (200, list(SHOPS), False)
