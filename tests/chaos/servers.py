"""PostgreSQL under the nodes of a run: one server that is written to, one that follows it, and a way from each node to
each of them. What fails here is the database, and the network before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread
from anyio.abc import ByteStream

from orchestrator.testing.postgres import Server, programs
from storage.counts import wrong_counts
from storage.moves import Moves
from storage.postgres.connection import PostgresTransaction
from tests.support.ways import Way, serving, to_socket

LEASE_SECONDS: Final = 5
SECRET_KEY: Final = "chaos-key-4f1c9d2e8b7a6053c1e2f3a4b5c6d7e8"
"""What platforms' tokens are encrypted with in the database."""
_DATABASE: Final = "t0"
_AUDIT: Final = """
CREATE SCHEMA audit;
CREATE TABLE audit.leases (n BIGINT GENERATED ALWAYS AS IDENTITY, at_ms BIGINT, shop TEXT, holder TEXT, epoch BIGINT);
INSERT INTO audit.leases (at_ms, shop, holder, epoch) SELECT 0, name, lease_holder, lease_epoch FROM shops;
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.leases (at_ms, shop, holder, epoch)
    VALUES (extract(epoch FROM clock_timestamp()) * 1000, NEW.name, NEW.lease_holder, NEW.lease_epoch);
  RETURN NULL;
END $$;
CREATE TRIGGER note_new AFTER INSERT ON shops FOR EACH ROW EXECUTE FUNCTION audit.note();
CREATE TRIGGER note AFTER UPDATE ON shops FOR EACH ROW
  WHEN ((OLD.lease_holder, OLD.lease_epoch) IS DISTINCT FROM (NEW.lease_holder, NEW.lease_epoch))
  EXECUTE FUNCTION audit.note();
"""


class Lease(NamedTuple):
    """Who had a shop from when on (Unix milliseconds, by the database's clock); `holder` None: nobody."""

    at_ms: int
    shop: str
    holder: str | None
    epoch: int


class Servers:
    """Two places for servers. The one at `_writer` is written to, the other one is its replica, which has whatever was
    confirmed."""

    def __init__(self, nodes: int) -> None:
        tools = programs()
        if tools is None:
            raise RuntimeError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._tools = tools
        self._places: list[Server | None] = [Server(tools), None]
        self._writer = 0
        self.ways = [[Way(self._leads_to(place)) for place in range(2)] for _ in range(nodes)]
        """By node, to each place."""

    def storage(self, node: int) -> dict[str, Any]:
        """The section `storage` of a node's config."""
        hosts = ",".join(f"127.0.0.1:{way.port}" for way in self.ways[node])
        url = f"postgresql://fulfilld@{hosts}/{_DATABASE}"
        return {"url": url, "lease_seconds": LEASE_SECONDS, "secret_key": SECRET_KEY}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What the server answers that is written to."""
        with self.writer.asked(_DATABASE) as connection:
            return connection.execute(sql.encode()).fetchall()

    def audit(self) -> None:
        """Notes from now on who has which shop; to be called once the store is there."""
        with self.writer.asked(_DATABASE) as connection:
            connection.execute(_AUDIT)

    def leases(self) -> list[Lease]:
        """Who had which shop, from the first to the last."""
        return [Lease(*row) for row in self.ask("SELECT at_ms, shop, holder, epoch FROM audit.leases ORDER BY n")]

    def holders(self) -> list[Lease]:
        """Who has which shop now."""
        return [Lease(*row) for row in self.ask("SELECT 0, name, lease_holder, lease_epoch FROM shops")]

    def wrong_counts(self) -> Moves:
        """By how much what is counted is off."""
        with self.writer.asked(_DATABASE) as connection:
            return wrong_counts(PostgresTransaction(connection, {}))

    def dumped(self) -> bytes:
        """Everything that is in the database."""
        file = self.writer.folder / "dump.sql"
        self.writer.call("pg_dump", "-h", str(self.writer.folder), "-U", "fulfilld", "-f", str(file), _DATABASE)
        return file.read_bytes()

    @property
    def writer(self) -> Server:
        """The server that is written to."""
        server = self._places[self._writer]
        assert server is not None
        return server

    async def restart(self) -> None:
        """The server is killed, and starts again."""
        await anyio.to_thread.run_sync(self.writer.restart)

    async def fail_over(self) -> None:
        """The server is killed for good, and its replica takes over; then that one gets a replica."""
        lost, self._writer = self._writer, 1 - self._writer
        before = self._places[lost]
        assert before is not None
        await anyio.to_thread.run_sync(before.end)
        await anyio.to_thread.run_sync(self.writer.promote)
        self._places[lost] = None
        await anyio.to_thread.run_sync(before.stop)
        await self._follow()

    async def _follow(self) -> None:
        """Makes a replica of the writer, without which nothing is confirmed from then on."""
        replica = await anyio.to_thread.run_sync(Server, self._tools, self.writer)
        self._places[1 - self._writer] = replica
        await anyio.to_thread.run_sync(
            self._tell, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )

    def _tell(self, *statements: str) -> None:
        with self.writer.asked("postgres") as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _leads_to(self, place: int) -> Any:
        async def connect() -> ByteStream:
            server = self._places[place]
            if server is None:
                raise ConnectionRefusedError
            return await to_socket(server.folder / ".s.PGSQL.5432")

        return connect

    def stop(self) -> None:
        """Ends all servers."""
        for server in self._places:
            if server is not None:
                server.stop()

    async def begin(self) -> None:
        """Makes the database and the replica."""
        await anyio.to_thread.run_sync(self.writer.database)
        # A replica whose server was restarted asks for it again at once.
        await anyio.to_thread.run_sync(self._tell, "ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms'")
        await self._follow()


@asynccontextmanager
async def running_servers(nodes: int) -> AsyncIterator[Servers]:
    """Servers for so many nodes, for as long as the block lasts."""
    servers = await anyio.to_thread.run_sync(Servers, nodes)
    try:
        await servers.begin()
        async with serving(*(way for ways in servers.ways for way in ways)):
            yield servers
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(servers.stop)


def open_all(ways: Sequence[Way]) -> None:
    """Whatever they were."""
    for way in ways:
        way.open()
