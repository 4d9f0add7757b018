"""Jobs: what was asked for in bulk, and the orders that each has not come to yet.

A job's orders are selected once, when it is asked for. They wait in pieces of one shop each; whoever carries a piece
out takes its orders from it in the transaction that changes them, so that a death in between does nothing twice and
leaves nothing out, and so does a second node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from storage.damage import salvaged
from storage.records import Json
from storage.rows import Columns, DamagedRow
from storage.text import dump_json, load_array, load_object
from storage.transaction import Row, Transaction

PIECE: Final = 100
"""So many orders are in a piece at most."""

_AT_ONCE = 500

JobStatus: TypeAlias = Literal["running", "done", "failed", "cancelled"]
"""Where a job is. `failed`: it could not go on; `cancelled`: a person ended it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `wanted` is the filter that selected its `orders`; `done` and `refused` count what became of them.
    `refusals`: why, by type, each with `count` and the `detail` of one `order` of one `shop`."""

    id: str
    action: str
    wanted: dict[str, Json]
    reason: str | None
    asked_by: str
    status: JobStatus
    orders: int
    done: int
    refused: int
    refusals: dict[str, dict[str, Json]]
    started_at: int
    ended_at: int | None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Orders of one shop that a job has not come to yet, by id."""

    seq: int
    job: str
    shop: str
    orders: list[str]


def _load_refusals(text: str) -> dict[str, dict[str, Json]]:
    found = load_object(text)
    for each in found.values():
        if [type(each[name]) for name in ("count", "detail", "shop")] != [int, str, str]:
            raise ValueError("a refusal has a count, a detail and a shop")
    return found


_JOB = Columns(Job, readers={"wanted": load_object, "refusals": _load_refusals})
_PIECE = Columns(Piece, readers={"orders": load_array})


def add_job(tx: Transaction, job: Job, orders: Sequence[tuple[str, str]]) -> None:
    """Adds a job (its `seq` is ignored) with its orders, each a shop and an id, in their sequence."""
    tx.insert(
        "INSERT INTO jobs (id, action, wanted, reason, asked_by, status, orders, done, refused, refusals, started_at,"
        " ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.id,
            job.action,
            dump_json(job.wanted),
            job.reason,
            job.asked_by,
            job.status,
            job.orders,
            job.done,
            job.refused,
            dump_json(job.refusals),
            job.started_at,
            job.ended_at,
        ),
    )
    by_shop: dict[str, list[str]] = {}
    for shop, order in orders:
        by_shop.setdefault(shop, []).append(order)
    rows = [
        (job.id, shop, dump_json(of_shop[at : at + PIECE]))
        for shop, of_shop in by_shop.items()
        for at in range(0, len(of_shop), PIECE)
    ]
    if rows:
        tx.insert_many("INSERT INTO job_pieces (job, shop, orders) VALUES (?, ?, ?)", rows)


def read_job(row: Row) -> Job:
    """A row as what a job is carried out by. Raises DamagedRow."""
    return _JOB.read(row)


def show_job(row: Row) -> Job:
    """As `read_job`, to be shown and ended only: a damaged one as far as it can be read."""
    try:
        return _JOB.read(row)
    except DamagedRow:
        return salvaged(_JOB, row, "job.damaged", {"wanted": {}, "refusals": {}}, job=row[0])[0]


def get_job(tx: Transaction, job: str, read: Callable[[Row], Job] = show_job) -> Job | None:
    """One job, None if there is none; `read`: or `read_job`, which raises DamagedRow."""
    rows = tx.query(f"SELECT {_JOB.sql} FROM jobs WHERE id = ?", (job,))  # noqa: S608
    return read(rows[0]) if rows else None


def job_action(tx: Transaction, job: str) -> str | None:
    """What a job does, None if there is no such job."""
    rows = tx.query("SELECT action FROM jobs WHERE id = ?", (job,))
    return rows[0][0] if rows else None


def list_jobs(tx: Transaction, before: int, limit: int) -> list[Job]:
    """Jobs with `seq` below `before` (0: all), newest first, to be shown (`show_job`)."""
    where, values = ("WHERE seq < ?", [before]) if before else ("", [])
    rows = tx.query(f"SELECT {_JOB.sql} FROM jobs {where} ORDER BY seq DESC LIMIT ?", [*values, limit])  # noqa: S608
    return [show_job(row) for row in rows]


def shops_with_pieces(tx: Transaction) -> list[str]:
    """The shops of which orders wait for a job."""
    return [row[0] for row in tx.query("SELECT shop FROM job_pieces GROUP BY shop ORDER BY min(seq)")]


def jobs_of_shop(tx: Transaction, shop: str) -> list[tuple[str, int]]:
    """The jobs that orders of the shop wait for, oldest first, each with the piece that waits longest."""
    sql = "SELECT job, min(seq) FROM job_pieces WHERE shop = ? GROUP BY job ORDER BY min(seq)"
    return [(row[0], row[1]) for row in tx.query(sql, (shop,))]


def get_piece(tx: Transaction, piece: int) -> Piece | None:
    """One piece, None where nothing of it is left. Raises DamagedRow."""
    rows = tx.query(f"SELECT {_PIECE.sql} FROM job_pieces WHERE seq = ?", (piece,))  # noqa: S608
    return _PIECE.read(rows[0]) if rows else None


def next_piece(tx: Transaction, shop: str) -> Piece | None:
    """The shop's orders that wait longest for a job, None where none do. Raises DamagedRow."""
    waiting = jobs_of_shop(tx, shop)
    return get_piece(tx, waiting[0][1]) if waiting else None


def take_orders(tx: Transaction, piece: int, most: int) -> list[str]:
    """Takes so many orders from a piece; none where another node, or whoever cancelled the job, came first. Raises
    DamagedRow."""
    sql = f"SELECT {_PIECE.sql} FROM job_pieces WHERE seq = ?{tx.dialect.row_take}"  # noqa: S608
    rows = tx.query(sql, (piece,))
    if not rows:
        return []
    orders = _PIECE.read(rows[0]).orders
    if left := orders[most:]:
        tx.execute("UPDATE job_pieces SET orders = ? WHERE seq = ?", (dump_json(left), piece))
    else:
        tx.execute("DELETE FROM job_pieces WHERE seq = ?", (piece,))
    return orders[:most]


def keep_operated(tx: Transaction, job: str, shop: str, orders: Sequence[str]) -> None:
    """Keeps which orders of a shop a job had go on, for `count_blocked_again`."""
    if orders:
        tx.execute("INSERT INTO job_orders (job, shop, orders) VALUES (?, ?, ?)", (job, shop, dump_json(list(orders))))


def count_blocked_again(tx: Transaction, job: str) -> int:
    """How many of the orders that a job had go on are blocked now. A damaged row counts none."""
    by_shop: dict[str, list[str]] = {}
    for shop, text in tx.query("SELECT shop, orders FROM job_orders WHERE job = ?", (job,)):
        with suppress(ValueError):
            by_shop.setdefault(shop, []).extend(load_array(text))
    return sum(
        _count_blocked(tx, shop, orders[at : at + _AT_ONCE])
        for shop, orders in by_shop.items()
        for at in range(0, len(orders), _AT_ONCE)
    )


def _count_blocked(tx: Transaction, shop: str, orders: Sequence[str]) -> int:
    marks = ", ".join("?" * len(orders))
    sql = f"SELECT count(*) FROM orders WHERE shop = ? AND id IN ({marks}) AND situation = 'blocked'"  # noqa: S608
    found: int = tx.query(sql, (shop, *orders))[0][0]
    return found


def note_progress(tx: Transaction, job: str, done: int, refusals: Mapping[str, Mapping[str, Json]], now: int) -> None:
    """Adds to what became of a job's orders; a job that came to all of them is done. Reasons that cannot be read any
    more give way to these."""
    refused = sum(each["count"] for each in refusals.values())
    sql = "UPDATE jobs SET done = done + ?, refused = refused + ? WHERE id = ?"
    if not tx.execute(sql, (done, refused, job)):  # first, so that nobody else writes the row before we are through
        return
    if refusals:
        known = get_job(tx, job)
        assert known is not None
        merged = dict(known.refusals)
        for type_, each in refusals.items():
            before = merged.get(type_)
            merged[type_] = {**each} if before is None else {**before, "count": before["count"] + each["count"]}
        tx.execute("UPDATE jobs SET refusals = ? WHERE id = ?", (dump_json(merged), job))
    all_of_them = "status = 'running' AND done + refused >= orders"
    tx.execute(f"UPDATE jobs SET status = 'done', ended_at = ? WHERE id = ? AND {all_of_them}", (now, job))  # noqa: S608


def end_job(tx: Transaction, job: str, status: JobStatus, now: int) -> bool:
    """Ends a job before it came to all of its orders. False: it had ended, or there is no such job."""
    tx.execute("DELETE FROM job_pieces WHERE job = ?", (job,))  # first, as `take_orders` does: nobody waits in a circle
    sql = "UPDATE jobs SET status = ?, ended_at = ? WHERE id = ? AND status = 'running'"
    return tx.execute(sql, (status, now, job)) > 0


def end_all_jobs(tx: Transaction, status: JobStatus, now: int) -> None:
    """Ends every job that has not ended."""
    for (job,) in tx.query("SELECT id FROM jobs WHERE ended_at IS NULL"):
        end_job(tx, job, status, now)


def fail_job(tx: Transaction, job: str, shop: str, detail: str, now: int) -> None:
    """Ends a job that cannot go on with a shop's orders: what it did not come to is refused."""
    left = tx.query("SELECT orders - done - refused FROM jobs WHERE id = ?", (job,))
    if end_job(tx, job, "failed", now):
        note_progress(tx, job, 0, {"internal-error": {"count": left[0][0], "detail": detail, "shop": shop}}, now)
