"""The real daemon as a process: started, killed, started again, spoken to over its socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.to_thread

from orchestrator.sandbox.server import Sandbox
from tests.support.engines import storage_section

QUICK: dict[str, Any] = {
    "limits": {"concurrency": 8, "rate_per_second": 10_000, "burst": 10_000, "window": {"calls": 0}},
    "retry": {"attempts": 40, "base_seconds": 0.02, "max_seconds": 0.2},
    "circuit": {"failures": 1000, "cooldown_seconds": 0.1},
    "poll": {"interval_seconds": 3600, "after_step_seconds": None},
}
_ANSWERED = aiohttp.ClientTimeout(total=90)  # longer than any call here asks to wait
_GONE = (OSError, aiohttp.ClientError, TimeoutError)


class Unreachable(Exception):
    """The daemon died before it answered."""


class DaemonProcess:
    """One store and config; at most one process at a time.

    `storage`: the section of its config. `program`: how Python runs it.
    `variables`: what its environment has beside ours.
    """

    storage: Mapping[str, Any]
    program: Sequence[str] = ("-m", "orchestrator")
    variables: Mapping[str, str] = {}
    patience_seconds = 120.0
    """How long a machine that others use, too, may take until it is ready, has ended, or has written to its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = storage_section(folder)
        self.socket = folder / "fulfilld.sock"
        self.errors = folder / "stderr.txt"
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, sandbox: Sandbox, platform: str = "selldone", **changes: Any) -> str:
        """Writes a config with the sandbox's shop of one platform; answers the shop's name."""
        config = sandbox.config()
        shops: dict[str, Any] = config["shops"]
        name, shop = next((n, s) for n, s in shops.items() if s["platform"] == platform)
        config["shops"] = {name: {**shop, **QUICK, **changes}}
        config["storage"] = dict(self.storage)
        config["log"] = {"level": "warning"}
        (self.folder / "config.json").write_text(json.dumps(config))
        return name

    def start(self, crash: str | None = None, *options: str, config: str = "config.json") -> subprocess.Popen[bytes]:
        """Starts the daemon, armed with a crash point or not."""
        environment = {key: value for key, value in os.environ.items() if key != "FULFILLD_CRASH"}
        environment |= self.variables
        if crash is not None:
            environment["FULFILLD_CRASH"] = crash
        command = [sys.executable, *self.program, "--config", str(self.folder / config), "run", *options]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(command, env=environment, stderr=errors, stdout=errors)
        self.starts += 1
        return self.process

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no cleanup of any kind."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(self.patience_seconds)

    async def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.exited()

    async def exited(self) -> int:
        """Waits for the end of the process; its exit code (negative: the signal)."""
        assert self.process is not None
        return await anyio.to_thread.run_sync(self.process.wait, self.patience_seconds, abandon_on_cancel=True)

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One call over the socket: status and JSON. Raises Unreachable when the daemon is gone."""
        connector = aiohttp.UnixConnector(str(self.socket))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=_ANSWERED) as session,
                session.request(method, f"http://localhost{path}", json=body, headers=headers) as response,
            ):
                return response.status, await response.json(content_type=None)
        except _GONE as error:
            raise Unreachable from error

    def _listens(self) -> bool:
        """Whether a call is worth its while."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True

    async def logged(self, words: str, times: int = 1) -> str:
        """Waits until the log has words, so many times; answers its whole lines. It says so there and nowhere else, and
        not before what it is about has happened: the log is written beside the work."""
        with anyio.fail_after(self.patience_seconds):
            while True:
                lines, end, _ = self.errors.read_text().rpartition("\n")  # the last line may be under way
                if lines.count(words) >= times:
                    return lines + end
                await anyio.sleep(0.02)

    async def ready(self) -> None:
        """Waits until the daemon is ready. Raises Unreachable when it dies first."""
        with anyio.fail_after(self.patience_seconds):
            while self.is_running:
                try:
                    if self._listens() and (await self.call("GET", "/v1/ready"))[0] == 200:
                        return
                except Unreachable:
                    pass
                await anyio.sleep(0.02)  # nothing reports the start of a process
        raise Unreachable


@asynccontextmanager
async def daemon_process(folder: Path) -> AsyncIterator[DaemonProcess]:
    """A daemon that does not outlive the test. However often it was killed, no start found a wrong count."""
    daemon = DaemonProcess(folder)
    try:
        yield daemon
    finally:
        if daemon.is_running:
            daemon.kill()
    if daemon.errors.exists():
        assert b"counts.corrected" not in daemon.errors.read_bytes()
