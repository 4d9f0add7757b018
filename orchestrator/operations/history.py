"""What was done over time, as the outside sees it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from orchestrator.clock import rfc3339
from orchestrator.operations import documents
from storage.activity import HOUR_MS, MINUTE_MS, WHOLE, Point, list_activity
from storage.transaction import Transaction

Span: TypeAlias = Literal["minute", "hour"]
_SPANS_MS: Final[dict[Span, int]] = {"minute": MINUTE_MS, "hour": HOUR_MS}


def history(tx: Transaction, shop: str | None, step: Span, since_ms: int, until_ms: int) -> documents.History:
    """What a shop, or all together (None), did in each minute or hour from that of `since_ms` on and before
    `until_ms`."""
    span_ms = _SPANS_MS[step]
    points = list_activity(tx, span_ms, WHOLE if shop is None else shop, since_ms - since_ms % span_ms, until_ms)
    return {"step": step, "shop": shop, "points": list(map(_view, points))}


def _view(point: Point) -> documents.HistoryPoint:
    done = point.done
    return {
        "at": rfc3339(point.at),
        "steps_done": done.steps_done,
        "steps_failed": done.steps_failed,
        "orders_imported": done.orders_imported,
        "calls": done.calls,
        "oldest_pending_seconds": done.oldest_pending_ms / 1000,
    }
