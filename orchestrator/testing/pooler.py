"""PgBouncer in transaction mode before the server of the tests: one a process, gone when the process is.

It gives each transaction another session of the server in turn, so whatever relies on the one before fails at once.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from orchestrator.testing import postgres

_SETTINGS: Final[Mapping[str, str]] = {
    "pool_mode": "transaction",
    "server_round_robin": "1",
    "server_idle_timeout": "1",
    "default_pool_size": "6",
    "max_client_conn": "200",
    "auth_type": "trust",
    "listen_addr": "",
    "logfile": "/dev/null",
}
_START_SECONDS: Final = 30.0
_UNTIL_PARENT_ENDS: Final = '"$@" & pooler=$!; read _; kill -9 $pooler; rm -rf "$FOLDER"'


class Pooler:
    """PgBouncer on a socket in a temporary folder, before a server."""

    def __init__(self, program: str, server: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fulfilld-pool-"))
        account: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        users, config = self.folder / "users", self.folder / "pgbouncer.ini"
        users.write_text('"fulfilld" ""\n')
        lines = [f"{name} = {value}" for name, value in _SETTINGS.items()]
        where = [f"unix_socket_dir = {self.folder}", f"auth_file = {users}", "listen_port = 5432"]
        text = ["[databases]", f"* = host={server}", "[pgbouncer]", *lines, *where]
        config.write_text("\n".join(text) + "\n")
        self._process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _UNTIL_PARENT_ENDS, "sh", program, "-q", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "FOLDER": str(self.folder)},
            **account,
        )
        give_up_at = time.monotonic() + _START_SECONDS
        while self._is_silent():
            if time.monotonic() > give_up_at or self._process.poll() is not None:
                raise RuntimeError("PgBouncer did not start")
            time.sleep(0.02)

    def before(self, url: str) -> str:
        """The URL of a database of the server by way of the pooler."""
        return f"{url.partition('?')[0]}?host={self.folder}"

    def stop(self) -> None:
        """Ends it at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_START_SECONDS)

    def _is_silent(self) -> bool:
        try:
            psycopg.connect(f"postgresql://fulfilld@/postgres?host={self.folder}").close()
        except psycopg.Error:
            return True
        return False


def pgbouncer() -> str:
    """The program. Skips the test where it is not installed, but fails in CI."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        message = "PgBouncer is not installed (Debian: apt-get install pgbouncer): nothing by way of it is tried here"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return program


@cache
def pooler() -> Pooler:
    """The pooler of this process. Skips the test as `pgbouncer` and `postgres.server` do."""
    server = postgres.server()
    found = Pooler(pgbouncer(), server.folder)
    atexit.register(found.stop)
    return found
