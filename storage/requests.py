"""What a node asks of the one that works for a shop, and what that one answers (0027_requests.sql).

A request is carried out by the holder of the shop's lease, under the lease's epoch; where the shop passes to another
node before there is an answer, that one carries it out once more. So a kind of request has to be one that does no harm
when it is done twice, as a read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.retention import Duty, deleter, finder
from storage.rows import Columns
from storage.transaction import Transaction

_MOST_OF_SHOP = 64
_MOST = 1000  # read at once: those that are answered make room


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `is_awaited`: somebody waits for the answer. `epoch`: of the lease under which it was begun."""

    id: str
    shop: str
    kind: str
    order: str | None
    is_awaited: bool
    asked_at: int
    epoch: int | None = None
    answer: str | None = None


_REQUEST = Columns(Request, named={"order": "order_id"}, readers={"is_awaited": bool})


def add_request(tx: Transaction, request: Request) -> None:
    """Adds a request that nobody has begun."""
    tx.execute(
        "INSERT INTO requests (id, shop, kind, order_id, is_awaited, asked_at) VALUES (?, ?, ?, ?, ?, ?)",
        (request.id, request.shop, request.kind, request.order, int(request.is_awaited), request.asked_at),
    )


def open_requests(tx: Transaction, first: Sequence[str] = (), holder: str | None = None) -> list[Request]:
    """Requests without an answer, oldest first: of each shop the first few, and of many shops the first of each before
    the second of any, for those of one must not hide another's. `first`: kinds that come before all others of a shop.
    `holder`: of shops whose lease this node has alone."""
    marks = ", ".join("?" * len(first))
    turn = f"CASE WHEN kind IN ({marks}) THEN 0 ELSE 1 END, " if first else ""
    ours = "" if holder is None else " AND shop IN (SELECT name FROM shops WHERE lease_holder = ?)"
    sql = (
        f"SELECT {_REQUEST.sql} FROM"  # noqa: S608
        f" (SELECT *, row_number() OVER (PARTITION BY shop ORDER BY {turn}asked_at, id) AS nth"
        f" FROM requests WHERE answer IS NULL{ours}) AS numbered WHERE nth <= ? ORDER BY nth, asked_at, id LIMIT ?"
    )
    whose = () if holder is None else (holder,)
    found = [_REQUEST.read(row) for row in tx.query(sql, (*first, *whose, _MOST_OF_SHOP, _MOST))]
    return sorted(found, key=lambda request: (request.asked_at, request.id))


def get_requests(tx: Transaction, ids: Sequence[str]) -> dict[str, Request]:
    """Those of the requests that there are, by id."""
    marks = ", ".join("?" * len(ids))
    rows = tx.query(f"SELECT {_REQUEST.sql} FROM requests WHERE id IN ({marks})", ids) if ids else []  # noqa: S608
    return {found.id: found for found in map(_REQUEST.read, rows)}


def begin_request(tx: Transaction, request: str, epoch: int) -> bool:
    """A node whose lease has this epoch carries the request out; False: there is none any more, or it is answered. The
    transaction has fenced the shop."""
    return tx.execute("UPDATE requests SET epoch = ? WHERE id = ? AND answer IS NULL", (epoch, request)) > 0


def answer_request(tx: Transaction, request: str, answer: str) -> None:
    """Keeps the answer for whoever waits for it; a request that nobody waits for goes. The transaction has fenced the
    shop."""
    tx.execute("DELETE FROM requests WHERE id = ? AND is_awaited = 0", (request,))
    tx.execute("UPDATE requests SET answer = ? WHERE id = ? AND answer IS NULL", (answer, request))


def forget_request(tx: Transaction, request: str) -> None:
    """Whether it was carried out or not, nobody wants it any more."""
    tx.execute("DELETE FROM requests WHERE id = ?", (request,))


def leave_request(tx: Transaction, request: str) -> None:
    """Nobody waits for the answer any more; what is not carried out yet will be."""
    tx.execute("DELETE FROM requests WHERE id = ? AND answer IS NOT NULL", (request,))
    tx.execute("UPDATE requests SET is_awaited = 0 WHERE id = ?", (request,))


FORGOTTEN = Duty(
    "requests",
    finder("SELECT id FROM requests WHERE asked_at < ? LIMIT ?"),
    deleter("DELETE FROM requests WHERE id = ? AND asked_at < ?"),
)
"""Requests whose asker died, and those of a shop that nobody works for."""

KEPT_MS = 3_600_000
"""For how long a request is kept at most, in milliseconds."""
