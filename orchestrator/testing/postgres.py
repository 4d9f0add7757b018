"""A PostgreSQL server for tests: one a process, made when it is first asked for, gone when the process is. Others, and
replicas of them, live as long as who made them wants.

It keeps nothing in the case of a power failure (`fsync=off`), and confirms as it does in earnest otherwise. Each store
gets a database of its own.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

import anyio
import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier

from storage.engines import open_store

_START_SECONDS: Final = 60.0
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "panic",
}
_TEMPLATE: Final = "template_store"
_UNTIL_PARENT_ENDS: Final = '"$@" & read _; "$STOP" stop -D "$FOLDER/data" -m immediate; wait; rm -rf "$FOLDER"'
"""However the parent ends, its end of the pipe is closed then."""


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; Debian has them beside the path. None where there is none."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (found := shutil.which("initdb")) is not None:
        places.insert(0, Path(found).resolve().parent)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def name_of(url: str) -> str:
    """The database that a URL of such a server names."""
    return url.partition("@/")[2].partition("?")[0]


class Server:
    """A cluster of its own on a socket in a temporary folder. `primary`: it is a replica of that one, as it is now and
    will be."""

    def __init__(self, tools: Path, primary: Server | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fulfilld-pg-"))
        self._data = self.folder / "data"
        self._tools = tools
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._names = (f"t{number}" for number in count())
        self._made: list[str] = []
        self._has_template = False
        where = ("-D", str(self._data), "--no-sync")
        if primary is None:
            self.call("initdb", *where, "-A", "trust", "-U", "fulfilld", "-E", "UTF8", "--locale", "C.UTF-8")
        else:
            self.call("pg_basebackup", *where, "-h", str(primary.folder), "-U", "fulfilld", "-R", "-c", "fast")
        self._process = self._served()

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://fulfilld@/{database}?host={self.folder}"

    def database(self, template: str = "template1") -> str:
        """The URL of a new database, empty unless another one is its template."""
        name = next(self._names)
        self._ask(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        self._made.append(name)
        return self.url(name)

    def store(self) -> str:
        """The URL of a new, empty store. Its tables are there: copying them takes half as long as making them."""
        if not self._has_template:
            self._ask(SQL("CREATE DATABASE {}").format(Identifier(_TEMPLATE)))
            with ThreadPoolExecutor(1) as elsewhere:  # whoever asks may be in an event loop
                elsewhere.submit(anyio.run, _made, self.url(_TEMPLATE)).result()
            self._has_template = True
        return self.database(_TEMPLATE)

    def forget(self) -> None:
        """Drops what was made so far."""
        while self._made:
            self.forget_last()

    def forget_last(self) -> None:
        """Drops the one that was made last."""
        self._ask(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(self._made.pop())))

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody can connect, and whoever was connected is not any more."""
        place, aside = self.folder / ".s.PGSQL.5432", self.folder / "aside"
        with self.asked("postgres") as connection:
            place.rename(aside)
            try:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                yield
            finally:
                aside.rename(place)

    def crash(self) -> None:
        """One of its processes is killed, so it ends all and starts again from its log."""
        with suppress(psycopg.OperationalError), self.asked("postgres") as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            connection.execute("SELECT 1")

    def restart(self) -> None:
        """Ends it at once, without a word to anybody, and starts it again from its log."""
        self.call("pg_ctl", "restart", "-D", str(self._data), "-m", "immediate", "-w", "-l", os.devnull)

    def end(self) -> None:
        """Ends it at once and for good; its files stay until `stop`."""
        self.call("pg_ctl", "stop", "-D", str(self._data), "-m", "immediate", "-w")

    def promote(self) -> None:
        """Makes a replica one that is written to."""
        self.call("pg_ctl", "promote", "-D", str(self._data), "-w")

    @contextmanager
    def asked(self, database: str) -> Iterator[psycopg.Connection]:
        """A connection to a database, past the store."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection

    def call(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs, as the user who runs the server."""
        command: Sequence[str] = [str(self._tools / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._account)  # noqa: S603

    def stop(self) -> None:
        """Ends the server at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_START_SECONDS)

    def _served(self) -> subprocess.Popen[bytes]:
        settings = [text for name, value in _SETTINGS.items() for text in ("-c", f"{name}={value}")]
        serve = [str(self._tools / "postgres"), "-D", str(self._data), "-k", str(self.folder), *settings]
        process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _UNTIL_PARENT_ENDS, "sh", *serve],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "FOLDER": str(self.folder), "STOP": str(self._tools / "pg_ctl")},
            **self._account,
        )
        give_up_at = time.monotonic() + _START_SECONDS
        while self._is_silent():
            if time.monotonic() > give_up_at or process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.02)
        return process

    def _is_silent(self) -> bool:
        try:
            psycopg.connect(self.url("postgres")).close()
        except psycopg.Error:
            return True
        return False

    def _ask(self, sql: Composed) -> None:
        with self.asked("postgres") as connection:
            connection.execute(sql)


async def _made(url: str) -> None:
    async with open_store(url, 0):
        """To open it once makes its tables."""


@cache
def server() -> Server:
    """The server of this process. Skips the test where PostgreSQL is not installed, but fails in CI."""
    tools = programs()
    if tools is None:
        message = "PostgreSQL is not installed (Debian: apt-get install postgresql): nothing on it is tried here"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    found = Server(tools)
    atexit.register(found.stop)
    return found
