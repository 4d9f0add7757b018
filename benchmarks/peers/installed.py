"""Which peers are there (`make peers` installs them), and how each is run. What is missing is said in one line."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.processes import ROOT, started

ENVIRONMENT = ROOT / ".venv" / "peers"
PYTHON = ENVIRONMENT / "bin" / "python"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Peer:
    """A peer. `module`: its program beside this file; `server`: what it needs to run beside the program."""

    name: str
    title: str
    module: str
    package: str
    server: Literal["sqlite", "postgres", "restate"]

    def missing(self) -> str | None:
        """Why it cannot be measured here, and what brings it; None where it can."""
        if not PYTHON.is_file() or not _has(self.package):
            return f"{self.title}: {self.package} is not in .venv/peers; `make peers` installs it"
        if self.server == "postgres" and postgres_tools() is None:
            return f"{self.title}: PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if self.server == "restate" and _restate() is None:
            return f"{self.title}: restate-server is not in .venv/peers; `make peers` installs it with npm"
        return None

    @contextmanager
    def running(self, folder: Path, base: str, token: str) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Its program, with pipes, and the ids of all its processes."""
        with ExitStack() as stack:
            pids: tuple[int, ...] = ()
            match self.server:
                case "sqlite":
                    arguments = [f"sqlite:///{folder / self.module}.sqlite"]
                case "postgres":
                    server, url = stack.enter_context(running_postgres(folder))
                    arguments, pids = [url], (server,)
                case "restate":
                    server, admin, ingress = stack.enter_context(_running_restate(folder))
                    arguments, pids = [admin, ingress], (server,)
            command = [str(PYTHON), "-m", "benchmarks.peers.launch", self.module, base, token, *arguments]
            pipes = {
                "stdin": subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "env": {**os.environ, "PYTHONPATH": str(ROOT)},
            }
            process = stack.enter_context(started(command, cwd=folder, **pipes))
            yield process, (process.pid, *pids)
            process.stdin.close()  # type: ignore[union-attr]
            process.wait(_START_SECONDS)


PEERS = (
    Peer("restate", "Restate", "restate_peer", "restate", "restate"),
    Peer("dbos_postgres", "DBOS on PostgreSQL", "dbos_peer", "dbos", "postgres"),
    Peer("dbos_sqlite", "DBOS on SQLite", "dbos_peer", "dbos", "sqlite"),
    Peer("procrastinate", "Procrastinate", "procrastinate_peer", "procrastinate", "postgres"),
)


def _has(package: str) -> bool:
    found = subprocess.run([PYTHON, "-c", f"import {package}, aiohttp, uvloop"], capture_output=True, check=False)
    return found.returncode == 0


def versions() -> dict[str, str]:
    """Versions of the peers that are installed, by package."""
    found = {}
    if PYTHON.is_file():
        code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
        done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
        installed = {name.lower(): version for name, version in json.loads(done.stdout).items()}
        found = {name: installed[name] for name in ("dbos", "restate-sdk", "procrastinate") if name in installed}
    if (server := _restate()) is not None:
        found["restate-server"] = _version(server)
    if (tools := postgres_tools()) is not None:
        found["postgresql"] = _version(tools / "postgres")
    return found


def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return next(word for word in done.stdout.split() if word[0].isdigit())


def _restate() -> Path | None:
    return next(iter(ENVIRONMENT.glob("node_modules/@restatedev/restate-server-*/bin/restate-server")), None)


def postgres_tools() -> Path | None:
    """The folder with `initdb` and `postgres`. Debian has them beside the path."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if (found := shutil.which("initdb")) is not None:
        places.insert(0, Path(found).resolve().parent)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


@contextmanager
def running_postgres(folder: Path) -> Iterator[tuple[int, str]]:
    """A new cluster on a socket of its own, as PostgreSQL is by default (fsync on). It refuses to run as root."""
    tools = postgres_tools()
    assert tools is not None
    place = folder / "postgres"
    place.mkdir()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(place, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": place}
    initdb = [str(tools / "initdb"), "-D", str(place / "data"), "-A", "trust", "-U", "peer"]
    subprocess.run(initdb, check=True, **quiet, **user)
    serve = [str(tools / "postgres"), "-D", str(place / "data"), "-k", str(place), "-c", "listen_addresses="]
    with started(serve, **quiet, **user) as server:
        ask = [str(tools / "psql"), "-h", str(place), "-U", "peer", "postgres", "-c", "CREATE DATABASE work"]
        _until(lambda: subprocess.run(ask, check=False, **quiet).returncode == 0, "PostgreSQL")
        yield server.pid, f"postgresql://peer@/work?host={place}"


@contextmanager
def _running_restate(folder: Path) -> Iterator[tuple[int, str, str]]:
    """A new node, as Restate is by default, but on free ports of loopback and without telemetry."""
    program = _restate()
    assert program is not None
    admin, ingress, node = (f"127.0.0.1:{_free_port()}" for _ in range(3))
    environment = {
        **os.environ,
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_ADMIN__BIND_ADDRESS": admin,
        "RESTATE_INGRESS__BIND_ADDRESS": ingress,
        "RESTATE_BIND_ADDRESS": node,
        "RESTATE_LOG_FILTER": "error",
    }
    serve = [str(program), "--no-logo", "--listen-mode", "tcp", "--base-dir", str(folder / "restate")]
    # It complains that it cannot ask for its newest release; no setting keeps it from asking.
    with started(serve, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        _until(lambda: _answers(f"http://{admin}/health") and _answers(f"http://{ingress}/restate/health"), "Restate")
        yield server.pid, f"http://{admin}", f"http://{ingress}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(is_there: Any, what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not start within {_START_SECONDS:.0f} seconds")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
