"""Browsers that are logged in, where several nodes have to know of them (0033_sessions.sql)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.rows import Columns
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class KeptSession:
    """One browser. `digest`: of the secret in its cookie; `csrf`: what its page adds to changes; `ends_at`: Unix
    milliseconds."""

    digest: str
    csrf: str
    ends_at: int


_SESSION = Columns(KeptSession)


def keep_session(tx: Transaction, session: KeptSession, now_ms: int, most: int) -> None:
    """Keeps a session. Those that have ended go, and of more than `most` those that end first."""
    tx.execute("DELETE FROM sessions WHERE ends_at <= ?", (now_ms,))
    tx.execute(
        "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions ORDER BY ends_at DESC, digest"
        " LIMIT ? OFFSET ?)",
        (most, most - 1),
    )
    sql = "INSERT INTO sessions (digest, csrf, ends_at) VALUES (?, ?, ?)"
    tx.execute(sql, (session.digest, session.csrf, session.ends_at))


def find_sessions(tx: Transaction, digests: Sequence[str]) -> list[KeptSession]:
    """Those of the sessions that are kept."""
    marks = ", ".join("?" * len(digests))
    rows = tx.query(f"SELECT {_SESSION.sql} FROM sessions WHERE digest IN ({marks})", digests) if digests else []  # noqa: S608
    return list(map(_SESSION.read, rows))


def forget_session(tx: Transaction, digest: str) -> None:
    """The session has ended."""
    tx.execute("DELETE FROM sessions WHERE digest = ?", (digest,))
