"""Targets: a queue for each order, first in, first out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from storage.damage import damage_problem, salvaged
from storage.order_columns import dump_problem, load_problem, step_names
from storage.records import Json, PlanEntry, Target, TargetStatus, changed
from storage.rows import Columns, DamagedRow
from storage.text import dump_json, load_array, load_object
from storage.transaction import Row, Transaction

_INSERT = (
    "INSERT INTO targets (id, shop, order_id, state, milestone, status, request, plan, steps_done, unused,"
    " idempotency_key, request_hash, submitted_at, finished_at, problem)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class NewTarget(NamedTuple):
    """A target to be added (its `seq` is ignored); `key` is its idempotency key, `request_hash` the body it came
    with."""

    target: Target
    key: str | None
    request_hash: str | None


def insert_targets(tx: Transaction, new: Sequence[NewTarget]) -> list[Target]:
    """Adds targets in one statement; returns them with their `seq`."""
    seqs = tx.insert_many(_INSERT, [_new_row(each) for each in new])
    for target, _, _ in new:
        if target.finished_at is None:
            tx.moves.target(target.shop, 1)
    return [changed(target, seq=seq) for seq, (target, _, _) in zip(seqs, new, strict=True)]


def insert_target(tx: Transaction, target: Target, key: str | None, request_hash: str | None) -> Target:
    """Adds one target, as `insert_targets` does."""
    return insert_targets(tx, [NewTarget(target, key, request_hash)])[0]


def _new_row(new: NewTarget) -> Row:
    target = new.target
    return (
        target.id,
        target.shop,
        target.order,
        target.state,
        target.milestone,
        target.status.value,
        dump_json(target.request),
        _dump_plan(target.plan),
        target.steps_done,
        _dump_names(target.unused),
        new.key,
        new.request_hash,
        target.submitted_at,
        target.finished_at,
        dump_problem(target.problem),
    )


SAVE_PROGRESS = "UPDATE targets SET status = ?, steps_done = ? WHERE seq = ?"
"""Writes a `progress_row`."""

SAVE_TARGET = (
    "UPDATE targets SET status = ?, plan = ?, steps_done = ?, unused = ?, finished_at = ?, problem = ? WHERE seq = ?"
)
"""Writes a `target_row`."""

_SAVE_PENDING = f"{SAVE_TARGET} AND finished_at IS NULL"  # how often it did says how many were pending


def progress_row(target: Target) -> Row:
    """How far a target is, for SAVE_PROGRESS: all that a finished step changes of it."""
    return (target.status._value_, target.steps_done, target.seq)


def target_row(target: Target) -> Row:
    """What can change of a target, for SAVE_TARGET."""
    return (
        target.status.value,
        _dump_plan(target.plan),
        target.steps_done,
        _dump_names(target.unused),
        target.finished_at,
        dump_problem(target.problem),
        target.seq,
    )


def save_progress(tx: Transaction, target: Target) -> None:
    """Writes only how far a target is."""
    tx.execute(SAVE_PROGRESS, progress_row(target))


def save_target(tx: Transaction, target: Target) -> None:
    """Writes what can change of a target."""
    write_target(tx, target.shop, target_row(target))


def write_target(tx: Transaction, shop: str, row: Row) -> None:
    """Writes a `target_row` of a shop; what pends is counted."""
    was_pending = tx.execute(_SAVE_PENDING, row) > 0
    if not was_pending:
        tx.execute(SAVE_TARGET, row)
    tx.moves.target(shop, _pends(row) - was_pending)


def write_pending_targets(tx: Transaction, rows: Sequence[tuple[str, Row]]) -> bool:
    """Writes each `target_row`, beside its shop, in one statement. False: one at least had ended before, and what was
    written of the others has to be undone."""
    if tx.execute_many(_SAVE_PENDING, [row for _, row in rows]) != len(rows):
        return False
    for shop, row in rows:
        tx.moves.target(shop, _pends(row) - 1)
    return True


def _pends(row: Row) -> bool:
    return row[4] is None


def read_target(row: Row) -> Target:
    """The target of a row. Raises DamagedRow."""
    return _TARGET.read(row)


def show_target(row: Row) -> Target:
    """As `read_target`, to be shown only: a damaged one as far as it can be read, with a problem that says so."""
    try:
        return read_target(row)
    except DamagedRow:
        stand_ins = {"status": TargetStatus.BLOCKED, "request": {}, "plan": (), "unused": ()}
        _, target_id, shop, order, *_ = row
        target, damages = salvaged(_TARGET, row, "target.damaged", stand_ins, shop=shop, order=order, target=target_id)
        target.problem = target.problem or damage_problem(damages, target.submitted_at)
        return target


def get_target(tx: Transaction, target: str, read: Callable[[Row], Target] = read_target) -> Target | None:
    """One target by its id; `read`: or `show_target`. Raises DamagedRow."""
    rows = tx.query(f"SELECT {_TARGET.sql} FROM targets WHERE id = ?", (target,))  # noqa: S608
    return read(rows[0]) if rows else None


def target_by_key(tx: Transaction, key: str) -> tuple[Target, str] | None:
    """The target that was submitted with an idempotency key, and the hash of the body it came with."""
    return targets_by_keys(tx, [key]).get(key)


def targets_by_keys(tx: Transaction, keys: Sequence[str]) -> dict[str, tuple[Target, str]]:
    """As `target_by_key`, of several keys; by key, those that were used."""
    if not keys:
        return {}
    marks = ", ".join("?" * len(keys))
    rows = tx.query(
        f"SELECT {_TARGET.sql}, idempotency_key, request_hash FROM targets WHERE idempotency_key IN ({marks})",  # noqa: S608
        keys,
    )
    return {row[-2]: (_TARGET.read(row[:-2]), row[-1]) for row in rows}


def pending_targets(
    tx: Transaction, shop: str, order: str, read: Callable[[Row], Target] = read_target
) -> list[Target]:
    """The order's targets that have not ended, first in first; `read`: or `show_target`. Raises DamagedRow."""
    rows = tx.query(
        f"SELECT {_TARGET.sql} FROM targets WHERE shop = ? AND order_id = ? AND finished_at IS NULL ORDER BY seq",  # noqa: S608
        (shop, order),
    )
    return [read(row) for row in rows]


def pending_targets_of(
    tx: Transaction, shop: str, orders: list[str], read: Callable[[Row], Target] = read_target
) -> dict[str, list[Target]]:
    """The pending targets of several orders of a shop, in one query; `read`: or `show_target`. Raises DamagedRow."""
    marks = ", ".join("?" * len(orders))
    rows = tx.query(
        f"SELECT {_TARGET.sql} FROM targets WHERE shop = ? AND order_id IN ({marks})"  # noqa: S608
        " AND finished_at IS NULL ORDER BY seq",
        (shop, *orders),
    )
    found: dict[str, list[Target]] = {}
    for target in map(read, rows):
        found.setdefault(target.order, []).append(target)
    return found


def pending_targets_among(
    tx: Transaction, places: Sequence[tuple[str, str]], read: Callable[[Row], Target] = read_target
) -> dict[tuple[str, str], list[Target]]:
    """As `pending_targets_of`, of orders by their shops and ids."""
    if not places:
        return {}
    marks = ", ".join(["(?, ?)"] * len(places))
    rows = tx.query(
        f"WITH wanted (of_shop, of_order) AS (VALUES {marks}) SELECT {_TARGET.sql} FROM wanted JOIN targets"  # noqa: S608
        " ON shop = of_shop AND order_id = of_order WHERE finished_at IS NULL ORDER BY seq",
        [name for place in places for name in place],
    )
    found: dict[tuple[str, str], list[Target]] = {}
    for target in map(read, rows):
        found.setdefault((target.shop, target.order), []).append(target)
    return found


def list_targets(tx: Transaction, shop: str, order: str) -> list[Target]:
    """All targets of an order, ended ones too, to be shown (`show_target`)."""
    sql = f"SELECT {_TARGET.sql} FROM targets WHERE shop = ? AND order_id = ? ORDER BY seq"  # noqa: S608
    return [show_target(row) for row in tx.query(sql, (shop, order))]


def _dump_plan(plan: tuple[PlanEntry, ...]) -> str:
    return f"[{','.join(map(_dump_entry, plan))}]"


def _dump_entry(entry: PlanEntry) -> str:
    names = step_names(entry.step, entry.source, entry.to)
    return f"[{names},{dump_json(entry.unused)},{dump_json(entry.is_taken)}]" if entry.unused else f"[{names}]"


def _dump_names(names: tuple[str, ...]) -> str:
    return dump_json(names) if names else "[]"


def _entry(fields: list[Json]) -> PlanEntry:
    step, source, to, *rest = fields
    return PlanEntry(step, source, to, tuple(rest[0]), rest[1]) if rest else PlanEntry(step, source, to)


@lru_cache(maxsize=4096)
def _load_plan(text: str) -> tuple[PlanEntry, ...]:
    """There are few texts of plans: a machine has few ways."""
    return tuple(_entry(fields) for fields in load_array(text))


@lru_cache(maxsize=1024)
def _load_names(text: str) -> tuple[str, ...]:
    return tuple(load_array(text))


_TARGET = Columns(
    Target,
    named={"order": "order_id"},
    readers={
        "status": TargetStatus,
        "request": load_object,
        "plan": _load_plan,
        "unused": _load_names,
        "problem": load_problem,
    },
)
