"""What psycopg's errors mean for the store, in words for people and without secrets: libpq never shows a password."""

from __future__ import annotations

import psycopg
from psycopg import Error, errors

from storage.errors import StoreUnavailable

__all__ = ["Error", "is_of_the_server", "is_passing", "refuses", "unavailable"]


_REFUSALS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "does not exist", "not permitted")


_FULL = ("too many clients", "too many connections", "remaining connection slots", "no more connections allowed")


def is_of_the_server(error: Exception) -> bool:
    """Whether an error says that the database or the way to it failed, not that the unit was wrong."""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError))


def is_passing(error: Exception) -> bool:
    """Whether the same transaction may well succeed at once: it stood in another one's way."""
    return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))


def refuses(error: Exception) -> bool:
    """Whether a server that was asked for a connection says that it never will give one. It has no codes for that
    then, and says the same in other words where its messages are in another language: that counts as being away."""
    return any(words in str(error) for words in _REFUSALS)


def unavailable(doing: str, where: str, error: BaseException) -> StoreUnavailable:
    """The store's error. `doing`: writing or reading; `where`: the URL that may be shown."""
    said = " ".join(str(error).split()) or type(error).__name__
    failure = StoreUnavailable(f"{doing} {where} failed: {said}; {_remedy(error)}")
    failure.__cause__ = error
    return failure


def _is_full(error: BaseException) -> bool:
    """Whether the server has no connection left; where it was asked for one there are no codes for that."""
    return isinstance(error, (errors.TooManyConnections, errors.ConfigurationLimitExceeded)) or any(
        words in str(error) for words in _FULL
    )


def _remedy(error: BaseException) -> str:
    match error:
        case errors.ReadOnlySqlTransaction():
            return "the server is a standby now; name all servers in storage.url, the daemon goes on with the primary"
        case psycopg.OperationalError() if _is_full(error):
            return "raise max_connections of the server, or end other connections; the daemon goes on by itself"
        case errors.DiskFull():
            return "free disk space on the server; the daemon goes on by itself"
        case errors.InsufficientPrivilege():
            return "grant it to the daemon's user"
        case psycopg.OperationalError() if refuses(error):
            return "correct user, password or database in storage.url"
        case errors.LockNotAvailable():
            return "end what has locked it (pg_stat_activity, pg_locks); the daemon goes on by itself"
        case _:
            return "look after the server and the way to it; the daemon goes on by itself"
