"""The demo's processes and files: a sandbox, a daemon and a receiver, all ended whatever happens."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Self
from urllib.parse import urlsplit

from orchestrator.cli.client import Client
from orchestrator.cli.demo.receiver import Receiver
from orchestrator.cli.failures import Failure
from orchestrator.cli.place import Address
from orchestrator.platforms.platform import Platform
from orchestrator.platforms.webhooks import SignedWebhooks
from orchestrator.registry import PLATFORMS

FAULTS = ("drop_after=0.03", "error_before=0.03", "webhook_twice=0.1")
"""What goes wrong in the demo: some calls take effect but lose their answer, some fail, some webhooks come twice. Which
ones is the same in every run."""

_LATENCY_MS = 20  # so that there is something to watch
_RARELY_SECONDS = 3600  # polls of the shop that pushes: what arrives there, arrives by webhook
_START_SECONDS = 20.0
_END_SECONDS = 8.0
_LOOK_SECONDS = 0.05
_PORTS = range(20_000, 32_000)  # that the system gives to nobody between the choice and the start of the daemon
_LAST_LINES = 5


class Stage:
    """A sandbox and a daemon in `directory`; entered when both are ready, left when both have ended.

    `config` is the daemon's, `client` talks to it, `dashboard` is the link to its page (it works once),
    `receiver` gets what it delivers. Raises Failure with the last lines of the log when one of them does not start.
    """

    def __init__(self, directory: Path, orders: int) -> None:
        self.directory = directory
        self.socket = directory / "fulfilld.sock"
        self.client = Client(Address("the demo", socket=self.socket))
        self.config: dict[str, Any] = {}
        self.dashboard = ""
        self.receiver = Receiver()
        self._orders = orders
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._page: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.receiver.open()
        try:
            self._start_sandbox()
            self._start_daemon()
            self._start_page()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes: politely, the sandbox last, and by force when they take too long or one insists."""
        for process in (self._page, self._daemon, self._sandbox):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.receiver.close()

    @property
    def sandbox(self) -> Client:
        """Talks to the sandbox's own API."""
        return Client(Address("the sandbox", url=self.sandbox_url))

    @property
    def pushing_shop(self) -> str:
        """The first shop whose platform sends signed webhooks."""
        shops: list[str] = list(self.config["shops"])
        return next(name for name in shops if isinstance(self._platform(name).webhooks, SignedWebhooks))

    @property
    def pushing_platform(self) -> Platform:
        """The platform of `pushing_shop`."""
        return self._platform(self.pushing_shop)

    def _platform(self, shop: str) -> Platform:
        return PLATFORMS[self.config["shops"][shop]["platform"]]

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox's own API is."""
        shop = next(iter(self.config["shops"].values()))
        parts = urlsplit(shop["base_url"])
        return f"{parts.scheme}://{parts.netloc}"

    def _start_sandbox(self) -> None:
        faults = [part for fault in FAULTS for part in ("--fault", fault)]
        arguments = ["sandbox", "--orders", str(self._orders), "--latency", str(_LATENCY_MS), *faults]
        self._sandbox = process = self._spawn(arguments, "sandbox.log", stdout=subprocess.PIPE)
        self.config = json.loads(self._first_line(process, "sandbox"))

    def _start_daemon(self) -> None:
        self._write("token", secrets.token_urlsafe(24))
        self._write("delivery-secret", self.receiver.secret)
        tcp = {"host": "127.0.0.1", "port": _free_port(), "token": {"file": "token"}}
        self.config["api"] = {"socket": self.socket.name, "tcp": tcp}
        listener = _free_port()
        self.config["webhooks"] = {"port": listener, "public_url": f"http://127.0.0.1:{listener}"}
        self.config["delivery"] = {
            "orders_url": f"{self.receiver.url}/orders",
            "products_url": f"{self.receiver.url}/products",
            "secret": {"file": "delivery-secret"},
        }
        self.config["shops"][self.pushing_shop]["poll"] = {"interval_seconds": _RARELY_SECONDS}
        self.config |= {"drain_seconds": 5, "log": {"format": "text", "level": "info"}}
        self._write("config.json", json.dumps(self.config, indent=2))
        arguments = ["--config", str(self.directory / "config.json"), "run"]
        self._daemon = process = self._spawn(arguments, "daemon.log", stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise self._not_started("daemon", "daemon.log")
            time.sleep(_LOOK_SECONDS)

    def _start_page(self) -> None:
        arguments = ["--socket", str(self.socket), "dashboard"]
        self._page = process = self._spawn(arguments, "dashboard.log", stdout=subprocess.PIPE)
        self.dashboard = self._first_line(process, "dashboard").decode().strip()

    def _first_line(self, process: subprocess.Popen[bytes], name: str) -> bytes:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        announced = process.stdout.readline() if ready else b""
        if not announced:
            raise self._not_started(name, f"{name}.log")
        return announced

    def _is_ready(self) -> bool:
        try:
            return self.client.get("/v1/ready").status == 200
        except Failure:
            return False

    def _spawn(self, arguments: list[str], log: str, *, stdout: int) -> subprocess.Popen[bytes]:
        # Whatever points our own commands at another daemon must not reach these two. A session of their own: Ctrl-C
        # is for us, and we end them in good order.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FULFILLD_")}
        environ.pop("NOTIFY_SOCKET", None)
        command = [sys.executable, "-m", "orchestrator", *arguments]
        with (self.directory / log).open("wb") as stderr:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environ, start_new_session=True
            )

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text + "\n", encoding="utf-8")

    def _not_started(self, name: str, log: str) -> Failure:
        lines = (self.directory / log).read_text(encoding="utf-8", errors="replace").splitlines()
        return Failure(f"the demo's {name} did not start", details=lines[-_LAST_LINES:])


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """While the block lasts, SIGTERM and SIGHUP end it as Ctrl-C does, so that its cleanup runs."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
