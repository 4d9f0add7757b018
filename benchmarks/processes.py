"""The processes of a benchmark: sandbox, daemon, and how it is asked. Each lives as long as its block."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import anyio

ROOT = Path(__file__).parents[1]
NDJSON = {"Content-Type": "application/x-ndjson"}


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts; `options` as those of `subprocess.Popen`."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox. `config`: what it offers for the daemon; `control`: the root of its HTTP calls."""

    pid: int
    config: Mapping[str, Any]
    control: str


@contextmanager
def sandbox(*options: str) -> Iterator[Sandbox]:
    """A sandbox in a process of its own, with the options of `benchmarks.sandbox`."""
    command = [sys.executable, "-m", "benchmarks.sandbox", *options]
    with started(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        config = json.loads(process.stdout.readline())
        control = next(iter(config["shops"].values()))["base_url"].rsplit("/", 1)[0]
        yield Sandbox(process.pid, config, control)


@dataclass(frozen=True)
class Daemon:
    """A running daemon, in a folder of its own."""

    pid: int
    folder: Path
    socket: Path

    @property
    def store(self) -> Path:
        """The store's main file."""
        return self.folder / "fulfilld.db"

    def api(self) -> Api:
        """A client of its socket, to be entered."""
        return Api(self.socket)


@contextmanager
def daemon(
    folder: Path,
    config: Mapping[str, Any],
    *,
    checkout: Path = ROOT,
    module: str = "orchestrator",
    before: list[str] | None = None,
) -> Iterator[Daemon]:
    """A daemon with this config, ready to be asked. `checkout`: whose code it runs; `module`: what runs it; `before`: a
    command that runs the command."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"log": {"level": "error"}, **config}))
    command = [*(before or []), sys.executable, "-m", module, "--config", str(folder / "config.json"), "run"]
    with ExitStack() as stack:
        process = stack.enter_context(started(command, cwd=checkout))
        running = Daemon(process.pid, folder, folder / config["api"]["socket"])
        anyio.run(until_ready, running.socket)
        yield running


class Api:
    """The socket API of a daemon, as a client uses it. Calls raise AssertionError on any answer but success."""

    def __init__(self, socket: Path) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(total=900)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def text(self, method: str, path: str, **options: Any) -> str:
        """The body of the answer; `options` as those of aiohttp's `request`."""
        async with self._session.request(method, f"http://localhost{path}", **options) as response:
            body = await response.text()
            assert response.status < 300, (response.status, body[:500])
            return body

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """The body of the answer as JSON."""
        return json.loads(await self.text(method, path, **options))

    async def submit(self, lines: list[dict[str, Any]]) -> list[str]:
        """Submits targets in one bulk call; their ids, in the order of the lines."""
        body = "".join(json.dumps(line) + "\n" for line in lines)
        answers = (await self.text("POST", "/v1/targets", data=body, headers=NDJSON)).splitlines()
        assert len(answers) == len(lines), answers[-1:]
        return [json.loads(answer)["target"]["id"] for answer in answers]

    async def metrics(self) -> dict[str, float]:
        """The sum of each metric over its labels, by its name."""
        sums: dict[str, float] = {}
        for line in (await self.text("GET", "/metrics")).splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                sums[name] = sums.get(name, 0.0) + float(value)
        return sums


async def until_ready(socket: Path) -> None:
    """Returns once the daemon at this socket is ready; TimeoutError after a minute."""
    with anyio.fail_after(60):
        while True:
            try:
                async with Api(socket) as api:
                    await api.text("GET", "/v1/ready")
                    return
            except (OSError, aiohttp.ClientError, AssertionError):
                await anyio.sleep(0.02)


async def ledger(control: str, step: str) -> list[dict[str, Any]]:
    """The calls of one step that the sandbox has seen; AssertionError if one was a repeat or out of turn."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{control}/_sandbox/ledger", params={"step": step}) as response,
    ):
        found = await response.json()
    calls: list[dict[str, Any]] = found["calls"]
    wrong = [call for call in calls if call["is_repeat"] or call["is_overlapping"] or not call["in_sequence"]]
    assert not wrong, wrong[:3]
    return calls


async def steps(control: str) -> list[dict[str, Any]]:
    """The calls of all steps that the sandbox has seen; AssertionError as `ledger`."""
    return [call for step in ("confirm", "prepare", "send", "deliver") for call in await ledger(control, step)]
