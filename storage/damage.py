"""Rows that cannot be read (`rows.DamagedRow`), for those who only look: shown as far as they go, and logged.

One damaged order must not hold up those who read the list, the status or the feed. Whoever decides on an order reads it
strictly instead, and leaves a damaged one alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import structlog

from storage.records import Problem
from storage.rows import Columns, DamagedRow
from storage.transaction import Row

log = structlog.get_logger()

T = TypeVar("T")

REMEDY: Final = "check the disk; restore a backup of the store, or correct that column, and `fulfilld retry` the order"


def damage_problem(damages: Iterable[DamagedRow], since: int) -> Problem:
    """The problem of an order or target whose row is damaged."""
    detail = f"{'; '.join(map(str, damages))}: {REMEDY}"
    return Problem("attempts-exhausted", "The daemon cannot read the order", detail, None, since)


def salvaged(
    columns: Columns[T], row: Row, event: str, instead: Mapping[str, Any], **fields: object
) -> tuple[T, list[DamagedRow]]:
    """As `Columns.salvage`; the damage is logged as `event` with these fields."""
    record, damages = columns.salvage(row, instead)
    log.error(event, **fields, detail="; ".join(map(str, damages)), remedy=REMEDY)
    return record, damages
