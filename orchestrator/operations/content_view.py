"""The content of an order as the outside sees it: whole, and with how far it can be relied on right now."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.clock import rfc3339
from orchestrator.decisions.content_parcels import with_recorded
from orchestrator.decisions.draft import recorded_parcels
from orchestrator.platforms.completion import completed, payment_status_of
from orchestrator.platforms.content_document import Content
from storage.payloads import get_kept
from storage.records import Kept, Order, changed
from storage.transaction import Transaction


def content_view(order: Order, kept: Kept | None) -> Content | None:
    """The content as the platform showed it last, with the parcels that targets reported; None for an order that an
    older version kept, until it is read: that had no content, or one in which null and some amounts meant something
    else (`Kept.is_exact`).

    It is stale when a step of ours ended since, when nothing but a webhook showed the order yet, and while a read has
    to show what became of it.
    """
    if kept is None or kept.content is None or not kept.is_exact:
        return None
    shown = with_recorded(kept.content, recorded_parcels(order))
    whole = completed(shown)
    read_at = _read_at(order, kept)
    is_stale = order.is_provisional or order.observed_at == 0 or order.moved_at > read_at
    return {**whole, "read_at": rfc3339(read_at), "stale": is_stale}


def _read_at(order: Order, kept: Kept) -> int:
    """When the platform last showed this content: an observation that shows nothing else is not kept anew. Of one that
    a webhook brought it is when that came."""
    if order.is_provisional or not kept.read_at:
        return kept.received_at
    return kept.read_at if order.gone_at is not None else max(kept.read_at, order.observed_at)


def with_payment_status(tx: Transaction, orders: Iterable[Order]) -> list[Order]:
    """The orders with the payment status that an older version kept in their content alone."""
    return [order if order.payment_status is not None else _with_status(tx, order) for order in orders]


def _with_status(tx: Transaction, order: Order) -> Order:
    kept = get_kept(tx, order.shop, order.id)
    status = None if kept is None or kept.content is None else payment_status_of(kept.content)
    return changed(order, payment_status=status or "unknown")
