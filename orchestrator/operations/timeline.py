"""The story of one order: its events, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from storage.events import EventFilter, list_events
from storage.records import Event
from storage.transaction import Transaction

_PAGE = 1000


def order_events(tx: Transaction, shop: str, order: str) -> Iterator[Event]:
    """Every event of an order, read page by page; use it up inside the transaction."""
    wanted, after = EventFilter(shop=shop, order=order), 0
    while True:
        page = list_events(tx, after, _PAGE, wanted)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].cursor


def newest_events(tx: Transaction, shop: str, order: str, limit: int) -> list[Event]:
    """The newest `limit` events of an order, oldest first."""
    return list(deque(order_events(tx, shop, order), maxlen=limit))
