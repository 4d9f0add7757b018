"""etcd, two PostgreSQL nodes under Patroni and two daemons on this machine, by one command:

    make cluster FOLDER=/srv/cluster CONFIG=config.json
    python -m deploy.patroni.cluster FOLDER CONFIG   where psycopg is installed

FOLDER keeps their data and logs. CONFIG is one of the daemon's, with absolute paths; its store, its sockets and its
listeners are replaced. All listen on loopback alone. Debian has what it needs: `apt-get install etcd-server patroni
postgresql`. As root it runs what may not be root's as `postgres`, which has to reach FOLDER. It shows how the parts
fit; three machines, of which two may have a server and a daemon, are what makes it safe.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from orchestrator.config.source import parse

HERE: Final = Path(__file__).parent
DAEMONS: Final = ("one", "two")
SERVERS: Final = ("a", "b")
_PORTS: Final = {"etcd": 0, "etcd peers": 1, "a": 2, "b": 3, "a rest": 4, "b rest": 5}
_OF_ONE_DAEMON: Final = {"monitoring", "status_file", "webhooks"}
_PATIENCE_SECONDS: Final = 120.0
_LOG_LINES: Final = 20


class Cluster:
    """The parts by their names: `etcd`, `a` and `b` (Patroni with its PostgreSQL), `one` and `two` (daemons).

    `config`: the daemons', without storage. `first_port`: six from it on are taken.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], first_port: int = 17400) -> None:
        self.folder, self._config, self._first_port = folder, config, first_port
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._account = _unprivileged()
        if self._account:
            os.chown(folder, self._account["user"], self._account["group"])
        self._passwords = self._kept_passwords()

    def port(self, name: str) -> int:
        """Where a part listens."""
        return self._first_port + _PORTS[name]

    def socket(self, daemon: str) -> Path:
        """Where a daemon is asked."""
        return self.folder / daemon / "fulfilld.sock"

    @property
    def url(self) -> str:
        """The store's URL: both servers, of which the primary is taken."""
        hosts = ",".join(f"127.0.0.1:{self.port(name)}" for name in SERVERS)
        return f"postgresql://fulfilld:{self._passwords['fulfilld']}@{hosts}/fulfilld"

    def up(self) -> None:
        """Starts all of it, and returns once both servers work and both daemons are ready."""
        self._prepare()
        for name in ("etcd", *SERVERS):
            self.start(name)
        self._until("one server is the primary and the other one follows it", self.is_whole)
        self._make_database()
        for name in DAEMONS:
            self.start(name)
        self._until("both daemons are ready", lambda: all(self.is_ready(name) for name in DAEMONS))

    def down(self) -> None:
        """Ends all of it, in the order in which they need each other."""
        for name in (*DAEMONS, *sorted(SERVERS, key=lambda name: name == self.primary()), "etcd"):
            if (process := self._running.pop(name, None)) is not None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()

    def start(self, name: str) -> None:
        """Starts one part, or starts it again."""
        command, variables, account = self._program(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603
                command,
                stdout=log,
                stderr=log,
                env=os.environ | variables,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us alone: `down` ends them in their order
                **account,
            )

    def kill(self, name: str) -> None:
        """SIGKILL for one part; of a server, Patroni and every process of PostgreSQL."""
        ours = [self._running[name].pid, *(self._processes_of(name) if name in SERVERS else [])]
        for pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._running[name].wait()
        until(f"{name} is gone", lambda: not any(map(lives, ours)))

    def primary(self) -> str | None:
        """The server that takes writes, as its Patroni says; None while there is none."""
        return next((name for name in SERVERS if self._asks(name, "/primary")), None)

    def is_whole(self) -> bool:
        """Whether one server is the primary and the other one confirms its commits."""
        if self.primary() is None:
            return False
        try:
            with self._asked() as connection:
                found = connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchall()
        except psycopg.OperationalError:
            return False
        return bool(found)

    def is_ready(self, daemon: str) -> bool:
        """Whether a daemon takes whatever it is given."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(5)
            try:
                asked.connect(str(self.socket(daemon)))
                asked.sendall(b"GET /v1/ready HTTP/1.0\r\n\r\n")
                return b" 200 " in asked.recv(64)
            except OSError:
                return False

    def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        """As `until`, for as long as all that was started runs. Raises SystemExit with the end of the log otherwise."""

        def looked() -> bool:
            for name, process in self._running.items():
                if process.poll() is not None:
                    log = self.folder / f"{name}.log"
                    end = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:])
                    raise SystemExit(f"{end}\n{name} has ended with {process.returncode}; above is the end of {log}")
            return is_so()

        until(what, looked)

    def _asks(self, name: str, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port(f'{name} rest')}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _processes_of(self, name: str) -> list[int]:
        """The postmaster and its children."""
        try:
            postmaster = int((self.folder / name / "postmaster.pid").read_text("utf-8").split()[0])
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text("utf-8")
        except (OSError, IndexError):
            return []
        return [postmaster, *map(int, children.split())]

    def _program(self, name: str) -> tuple[list[str], dict[str, str], dict[str, Any]]:
        """A part's command, its environment beside ours, and as whom it runs."""
        if name == "etcd":
            clients, peers = (f"http://127.0.0.1:{self.port(each)}" for each in ("etcd", "etcd peers"))
            options = {
                "name": "etcd",
                "data-dir": str(self.folder / "etcd"),
                "listen-client-urls": clients,
                "advertise-client-urls": clients,
                "listen-peer-urls": peers,
                "initial-advertise-peer-urls": peers,
                "initial-cluster": f"etcd={peers}",
                "log-level": "error",
            }
            return [_found("etcd"), *(f"--{key}={value}" for key, value in options.items())], {}, self._account
        if name in SERVERS:
            return [_found("patroni"), str(self.folder / "patroni.yml")], self._variables_of(name), self._account
        (self.folder / name).mkdir(exist_ok=True)
        key = {"secret_key": self._passwords["secret key"]}
        storage = {**key, **self._config.get("storage", {}), "url": self.url}
        own = {"storage": storage, "api": {"socket": str(self.socket(name))}}
        kept = {key: value for key, value in self._config.items() if key not in _OF_ONE_DAEMON}
        path = self.folder / name / "config.json"
        path.touch(0o600)
        path.write_text(json.dumps({**kept, **own}), "utf-8")
        state = {"STATE_DIRECTORY": str(self.folder / name)}
        return [sys.executable, "-m", "orchestrator", "--config", str(path), "run"], state, {}

    def _variables_of(self, name: str) -> dict[str, str]:
        address, rest = f"127.0.0.1:{self.port(name)}", f"127.0.0.1:{self.port(f'{name} rest')}"
        return {
            "PATRONI_NAME": name,
            "PATRONI_ETCD3_HOSTS": f"127.0.0.1:{self.port('etcd')}",
            "PATRONI_RESTAPI_LISTEN": rest,
            "PATRONI_RESTAPI_CONNECT_ADDRESS": rest,
            "PATRONI_POSTGRESQL_LISTEN": address,
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": address,
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.folder / name),
            "PATRONI_POSTGRESQL_BIN_DIR": str(_tools()),
            "PATRONI_POSTGRESQL_PGPASS": str(self.folder / f"{name}.pgpass"),
            "PATRONI_SUPERUSER_USERNAME": "postgres",
            "PATRONI_SUPERUSER_PASSWORD": self._passwords["postgres"],
            "PATRONI_REPLICATION_USERNAME": "replicator",
            "PATRONI_REPLICATION_PASSWORD": self._passwords["replicator"],
        }

    def _asked(self) -> psycopg.Connection:
        """A connection to the primary that may do everything."""
        hosts = ",".join(f"127.0.0.1:{self.port(name)}" for name in SERVERS)
        url = f"postgresql://postgres:{self._passwords['postgres']}@{hosts}/postgres?target_session_attrs=read-write"
        return psycopg.connect(url, autocommit=True)

    def _make_database(self) -> None:
        """The daemon's user and database, where they are not there yet."""
        with self._asked() as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'fulfilld'").fetchone():
                password = Literal(self._passwords["fulfilld"])
                connection.execute(SQL("CREATE ROLE fulfilld LOGIN PASSWORD {}").format(password))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'fulfilld'").fetchone():
                connection.execute(SQL("CREATE DATABASE fulfilld OWNER {}").format(Identifier("fulfilld")))

    def _prepare(self) -> None:
        """Patroni's settings are where it can read them, which those of a clone may not be. Raises SystemExit where the
        folder is closed to it as well."""
        # a child of another user looks: what it may do says more than any mode
        looked = subprocess.run(["test", "-w", str(self.folder)], check=False, **self._account)  # noqa: S603, S607
        if looked.returncode:
            raise SystemExit(
                f"{self.folder}: PostgreSQL, which runs as `postgres` where you are root, cannot write there, or a"
                " folder above it is closed to others; choose another FOLDER, such as /srv/cluster"
            )
        shutil.copy(HERE / "patroni.yml", self.folder)

    def _kept_passwords(self) -> dict[str, str]:
        path = self.folder / "passwords.json"
        if not path.exists():
            path.touch(0o600)
            names = ("postgres", "replicator", "fulfilld", "secret key")
            path.write_text(json.dumps({name: secrets.token_hex(16) for name in names}), "utf-8")
        found: dict[str, str] = json.loads(path.read_text("utf-8"))
        return found


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster is up within the block, and down behind it."""
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def until(what: str, is_so: Callable[[], bool]) -> float:
    """Waits until something is so, and answers for how many seconds. Raises TimeoutError after two minutes."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise TimeoutError(f"after {_PATIENCE_SECONDS:.0f} seconds it is not so that {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def lives(pid: int) -> bool:
    """Whether a process runs. One that has ended and that nobody waits for does not: in some containers it stays."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _unprivileged() -> dict[str, Any]:
    """As whom PostgreSQL runs where we are root: it refuses to be."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        raise SystemExit("there is no user `postgres`; Debian: apt-get install postgresql") from None
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise SystemExit(f"{program} is not installed; Debian: apt-get install etcd-server patroni postgresql")
    return path


def _tools() -> Path:
    """PostgreSQL's programs, which Debian has beside the path."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return places[-1].parent if places else Path(_found("postgres")).resolve().parent


def main() -> None:
    """Runs it until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--first-port", type=int, default=17400)
    given = parser.parse_args()
    config = parse(given.config.read_text("utf-8"), str(given.config))
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt), running(Cluster(given.folder.resolve(), config, given.first_port)) as cluster:
        for name in DAEMONS:
            print(f"{name}: fulfilld --socket {cluster.socket(name)} status")
        signal.pause()


if __name__ == "__main__":
    main()
