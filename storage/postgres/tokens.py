"""The rows of platforms' tokens. Tokens are fetched once in hours, so each call has a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg

from storage.postgres.connection import SETTINGS, Connection, connect
from storage.postgres.failures import unavailable
from storage.tokens import KeptTokens
from storage.transaction import Row

TABLE: Final = (
    'CREATE TABLE IF NOT EXISTS kept_tokens (shop TEXT COLLATE "C" PRIMARY KEY, sealed BYTEA,'
    ' version BIGINT NOT NULL DEFAULT 0, claimed_by TEXT COLLATE "C", claimed_until TIMESTAMPTZ)'
)
_CLAIM: Final = (
    "INSERT INTO kept_tokens (shop, claimed_by, claimed_until) VALUES (%s, %s, now() + make_interval(secs => %s))"
    " ON CONFLICT (shop) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until"
    " WHERE kept_tokens.claimed_by IS NULL OR kept_tokens.claimed_by = excluded.claimed_by"
    " OR kept_tokens.claimed_until < now() RETURNING 1"
)
_RELEASE: Final = "UPDATE kept_tokens SET claimed_by = NULL WHERE shop = %s AND claimed_by = %s"
_READ: Final = "SELECT sealed, version FROM kept_tokens WHERE shop = %s AND sealed IS NOT NULL"
_REPLACE: Final = (
    "INSERT INTO kept_tokens AS kept (shop, sealed, version) VALUES (%s, %s, 1)"
    " ON CONFLICT (shop) DO UPDATE SET sealed = excluded.sealed, version = kept.version + 1"
    " WHERE kept.version = %s RETURNING 1"
)
_SHOPS: Final = "SELECT shop FROM kept_tokens WHERE sealed IS NOT NULL ORDER BY shop"


class PostgresTokens:
    """As `TokenRows`. `where`: the URL that may be shown."""

    def __init__(self, options: Mapping[str, str], where: str) -> None:
        self._options, self._where = options, where

    @property
    def where(self) -> str:
        """As `TokenRows.where`."""
        return self._where

    def claim(self, shop: str, claimant: str, seconds: float) -> bool:
        """As `TokenRows.claim`."""
        return bool(self._ask("writing", _CLAIM, (shop, claimant, float(seconds))))

    def release(self, shop: str, claimant: str) -> None:
        """As `TokenRows.release`."""
        with self._connected("writing") as connection:
            connection.execute(_RELEASE, (shop, claimant))

    def read(self, shop: str) -> KeptTokens | None:
        """As `TokenRows.read`."""
        found = self._ask("reading", _READ, (shop,))
        return KeptTokens(bytes(found[0][0]), found[0][1]) if found else None

    def replace(self, shop: str, sealed: bytes, version: int) -> bool:
        """As `TokenRows.replace`."""
        return bool(self._ask("writing", _REPLACE, (shop, sealed, version)))

    def shops(self) -> list[str]:
        """As `TokenRows.shops`."""
        return [shop for (shop,) in self._ask("reading", _SHOPS, ())]

    def _ask(self, doing: str, sql: str, values: Sequence[object]) -> list[Row]:
        with self._connected(doing) as connection, connection.transaction():
            if doing == "writing":  # what a platform gave once must outlive a power failure
                connection.execute(f"SELECT {SETTINGS}".encode())
            return connection.execute(sql.encode(), values).fetchall()

    @contextmanager
    def _connected(self, doing: str) -> Iterator[Connection]:
        try:
            with connect(self._options) as connection:
                yield connection
        except psycopg.Error as error:
            raise unavailable(doing, self._where, error) from error
