"""Two PostgreSQL servers, of which one takes over from the other, with all that was committed or without the newest."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from orchestrator.testing import postgres

_PATIENCE_SECONDS: Final = 60.0


class Pair:
    """A server and its replica; a link leads to the one that is to be worked on."""

    def __init__(self, folder: Path, *, is_synchronous: bool = False) -> None:
        tools = postgres.programs()
        assert tools is not None
        self.folder, self.primary = folder, postgres.Server(tools)
        self.url = self.primary.database()
        self.name = postgres.name_of(self.url)
        self.replica = postgres.Server(tools, self.primary)
        self._lead(self.primary)
        if is_synchronous:
            self.wait_for_replica(True)

    def through(self) -> str:
        return f"postgresql://fulfilld@/{self.name}?{urlencode({'host': self.folder})}"

    def wait_for_replica(self, is_synchronous: bool) -> None:
        """Commits wait for it from now on, or do not."""
        names, state = ("*", "sync") if is_synchronous else ("", "async")
        with self.primary.asked("postgres") as server:
            server.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'".encode())
            server.execute("SELECT pg_reload_conf()")
            query = "SELECT 1 FROM pg_stat_replication WHERE sync_state = %s"
            _until(lambda: server.execute(query, (state,)).fetchone() is not None)

    def caught_up(self) -> None:
        """The replica has all that was committed so far."""
        with self.primary.asked("postgres") as one, self.replica.asked("postgres") as two:
            ((position,),) = one.execute("SELECT pg_current_wal_lsn()").fetchall()
            _until(
                lambda: two.execute("SELECT 1 WHERE pg_last_wal_replay_lsn() >= %s", (position,)).fetchone() is not None
            )

    def lag(self) -> None:
        """Nothing more comes to the replica, though it has it all so far."""
        self.caught_up()
        with self.replica.asked("postgres") as server:
            server.execute("ALTER SYSTEM SET primary_conninfo = ''")
            server.execute("SELECT pg_reload_conf()")
            _until(lambda: server.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchone() is None)

    def fail_over(self) -> None:
        """The server ends without a word, and its replica takes over."""
        self.primary.end()
        self.replica.promote()
        self._lead(self.replica)

    def stop(self) -> None:
        self.primary.stop()
        self.replica.stop()

    def _lead(self, server: postgres.Server) -> None:
        link = self.folder / ".s.PGSQL.5432"
        link.unlink(missing_ok=True)
        link.symlink_to(server.folder / ".s.PGSQL.5432")


def _until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at, "the replica does not come"
        time.sleep(0.01)


@pytest.fixture
def pairs() -> Iterator[Callable[..., Pair]]:
    postgres.server()  # skips where there is none
    made: list[Pair] = []
    with tempfile.TemporaryDirectory(prefix="pair-") as folder:
        Path(folder).chmod(0o755)

        def make(**how: bool) -> Pair:
            made.append(Pair(Path(folder), **how))
            return made[-1]

        yield make
        for pair in made:
            pair.stop()
