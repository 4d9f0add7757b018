"""The number in a daemon's row of `writers`, by which it finds out whether a group was committed that nobody answered.

Groups move it by one and connections by much more: a connection may break before it hears of its own move, and the next
one still sees how many groups were committed.
"""

from __future__ import annotations

from typing import Final

from storage.postgres.connection import DIALECT, SETTINGS, Connection

CONNECTED: Final = 1 << 32
"""How far a connection moves it."""

_REGISTER: Final = (
    f"INSERT INTO writers (name, token, began_at) VALUES (%s, {CONNECTED}, {DIALECT.now_ms})"  # noqa: S608
    f" ON CONFLICT (name) DO UPDATE SET token = writers.token + {CONNECTED}, began_at = excluded.began_at"
    " RETURNING token"
)


def register(connection: Connection, name: str) -> int:
    """A token that no transaction of before has. Raises psycopg.errors.LockNotAvailable while one of the same name is
    not over."""
    with connection.transaction():
        connection.execute(f"SELECT {SETTINGS}".encode())
        ((token,),) = connection.execute(_REGISTER, (name,)).fetchall()
    found: int = token
    return found


def has_moved(before: int, token: int) -> bool:
    """Whether a token is one that connections, and at most one group, have moved since it was known."""
    return token - before >= CONNECTED and (token - before) % CONNECTED <= 1
