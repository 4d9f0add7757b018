"""Returns of a simulated Shopify shop: asked for, approved, processed, closed, and what the buyer gets in exchange.

Facts: shopify.md §5, §6 (Return), webhook bodies as in the samples `webhook_returns_*`. REQUESTED becomes OPEN or
DECLINED; OPEN becomes CLOSED and back, or CANCELED as long as nothing was processed; processing leaves it OPEN. Goods
in exchange are lines of the order, with a fulfilment order of their own, once they were processed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orchestrator.sandbox.shopify.paging import connection

Json: TypeAlias = Any

_SHARING = ("REQUESTED", "OPEN", "CLOSED")  # states in which nobody else can ask for the same pieces
_BAD_STATE = "Return status is invalid."
_BAD_QUANTITY = "Return line item has an invalid quantity."


class BadReturn(ValueError):
    """What Shopify does not do with a return; the message is its own."""


@dataclass(slots=True, eq=False)
class ReturnedLine:
    """Pieces of an order line that come back, and how many of them were processed."""

    id: int
    line: int
    quantity: int
    processed: int = 0


@dataclass(slots=True, eq=False)
class ExchangedLine:
    """Pieces that the buyer gets in exchange, and how many of them are lines of the order by now."""

    id: int
    quantity: int
    processed: int = 0


@dataclass(slots=True, eq=False)
class Return:
    """One return. `closed`: Unix ms."""

    id: int
    name: str
    lines: list[ReturnedLine]
    exchanges: list[ExchangedLine] = field(default_factory=list)
    status: str = "REQUESTED"
    closed: int | None = None

    def move(self, to: str, *sources: str) -> bool:
        """Changes the status; False where it is that already. Raises BadReturn from any other than `sources`."""
        if self.status == to:
            return False
        if self.status not in sources:
            raise BadReturn(_BAD_STATE)
        if to == "CANCELED" and self._is_processed():
            raise BadReturn(_BAD_STATE)
        self.status = to
        return True

    def _is_processed(self) -> bool:
        return any(each.processed for each in self.lines) or any(each.processed for each in self.exchanges)

    def process(self, quantities: Mapping[int, int] | None) -> int:
        """Confirms what came back, by order line (None: all of it), and all that goes out in exchange; answers how many
        pieces of that are new. Raises BadReturn."""
        if self.status != "OPEN":
            raise BadReturn(_BAD_STATE)
        for line in quantities or ():
            left = sum(each.quantity - each.processed for each in self.lines if each.line == line)
            if not 0 < (quantities or {})[line] <= left:
                raise BadReturn(_BAD_QUANTITY)
        for each in self.lines:
            wanted = each.quantity if quantities is None else quantities.get(each.line, 0) + each.processed
            each.processed = min(each.quantity, wanted)
        fresh = sum(each.quantity - each.processed for each in self.exchanges)
        for exchange in self.exchanges:
            exchange.processed = exchange.quantity
        return fresh


def taken(returns: Iterable[Return]) -> dict[int, int]:
    """How many pieces of each order line are in returns that nobody declined or took back."""
    counts: dict[int, int] = {}
    for each in returns:
        if each.status in _SHARING:
            for row in each.lines:
                counts[row.line] = counts.get(row.line, 0) + row.quantity
    return counts


def returnable(
    shipped: Mapping[int, int], returns: Iterable[Return], asked: Mapping[int, int] | None
) -> dict[int, int]:
    """The pieces of a new return by order line; `asked` None: all that can be returned. Raises BadReturn."""
    in_returns = taken(returns)
    free = {line: count - in_returns.get(line, 0) for line, count in shipped.items()}
    wanted = {line: count for line, count in free.items() if count > 0} if asked is None else dict(asked)
    if not wanted or any(not 0 < count <= free.get(line, 0) for line, count in wanted.items()):
        raise BadReturn(_BAD_QUANTITY)
    return wanted


def return_status(returns: Iterable[Return]) -> str:
    """`Order.returnStatus` (shopify.md §6)."""
    statuses = {each.status for each in returns}
    display = (("REQUESTED", "RETURN_REQUESTED"), ("OPEN", "IN_PROGRESS"), ("CLOSED", "RETURNED"))
    return next((shown for status, shown in display if status in statuses), "NO_RETURN")


def return_node(each: Return) -> dict[str, Json]:
    """A return as GraphQL has it."""
    lines = [(row.id, _line_node(row)) for row in each.lines]
    exchanges = [(row.id, _exchange_node(row)) for row in each.exchanges]
    return {
        "id": f"gid://shopify/Return/{each.id}",
        "name": each.name,
        "status": each.status,
        "totalQuantity": sum(row.quantity for row in each.lines),
        "returnLineItems": connection(lines),
        "exchangeLineItems": connection(exchanges),
    }


def return_body(topic: str, each: Return, order: int) -> Json:
    """Of `returns/*`: which member names the order differs from topic to topic, and two name none (samples)."""
    if topic == "returns/process":
        return {}
    body: dict[str, Json] = {"admin_graphql_api_id": f"gid://shopify/Return/{each.id}"}
    if topic == "returns/update":
        return {**body, "return_line_items": {"removals": []}}
    body |= {"id": each.id, "status": each.status.lower()}
    if topic in ("returns/request", "returns/approve", "returns/decline"):
        return {**body, "order": {"id": order, "admin_graphql_api_id": f"gid://shopify/Order/{order}"}}
    return {**body, "order_id": order}


def _line_node(row: ReturnedLine) -> dict[str, Json]:
    return {
        "__typename": "ReturnLineItem",
        "id": f"gid://shopify/ReturnLineItem/{row.id}",
        "quantity": row.quantity,
        "processedQuantity": row.processed,
        "unprocessedQuantity": row.quantity - row.processed,
        "fulfillmentLineItem": {"lineItem": {"id": f"gid://shopify/LineItem/{row.line}"}},
    }


def _exchange_node(row: ExchangedLine) -> dict[str, Json]:
    return {
        "id": f"gid://shopify/ExchangeLineItem/{row.id}",
        "quantity": row.quantity,
        "processedQuantity": row.processed,
        "unprocessedQuantity": row.quantity - row.processed,
    }
