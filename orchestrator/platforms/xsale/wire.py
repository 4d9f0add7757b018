"""xSale's JSON as we read it: lists, single orders (xsale.md §3, §4).

An order is kept as the very bytes that came, `Items` (what was bought) and `OrderItemArticles` (what leaves the
warehouse) as they stand. Most member names are assumptions, so reading is lenient but for what we decide on: `Id` and
the status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestrator.platforms.client import Age, OrderSnapshot, UnreadableItem
from orchestrator.platforms.content import digest, text
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.field_map import FieldMap
from orchestrator.platforms.fields import (
    InvalidOrder,
    member_or_none,
    object_of,
    of_one_order,
    payload_of,
    quantity,
    shown,
)
from orchestrator.platforms.json_text import (
    Broken,
    decoded,
    elements,
    encoded,
    member_text,
    members,
    outline,
    read_value,
)
from orchestrator.platforms.xsale.content import APART, content_of
from orchestrator.platforms.xsale.options import Payment
from orchestrator.platforms.xsale.statuses import StatusRef, StatusTable, unified, whole
from statemachines.target import Json

LIST_NAMES = ("Items", "items", "data", "Data", "results", "Results", "orders", "Orders", "statuses", "Statuses")
"""Members that may hold the rows of a list in an envelope (xsale.md §3)."""
_SINGLE_NAMES = ("order", "Order", "data", "Data", "result", "Result", "item", "Item")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a shop's orders are to be read. `names`: the statuses of its machine, `ends` those of them that end an order;
    `envelope`: the member that is looked into first for the rows of a list."""

    fields: FieldMap
    payments: Mapping[str, Payment]
    names: tuple[str, ...]
    envelope: str = "auto"
    ends: tuple[str, ...] = ()

    def payment(self, order: Mapping[str, Json]) -> str:
        """Our word for the order's payment status; every one that is not named is `unknown`."""
        word = self.fields.get(order, "payment")
        wanted = unified(word).casefold() if isinstance(word, str) else None
        return next((mine for theirs, mine in self.payments.items() if theirs.casefold() == wanted), "unknown")


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of the list: what could be read and what not. `names` distinguishes every row: its id, or its text
    where that cannot be read; `unexplained` are the statuses that the table does not have like that."""

    orders: tuple[OrderSnapshot, ...]
    unreadable: tuple[UnreadableItem, ...]
    names: tuple[str, ...]
    unexplained: frozenset[StatusRef]


def read_listing(body: bytes, reading: Reading, table: StatusTable) -> Listing:
    """The orders of a list's answer. Raises Unreadable if the answer as a whole is invalid."""
    orders: list[OrderSnapshot] = []
    unreadable: list[UnreadableItem] = []
    names: list[str] = []
    unexplained: set[StatusRef] = set()
    rows = read_rows(body, reading.envelope)
    for value, raw in rows:
        order_id = whole(member_or_none(value, raw, "Id"))
        names.append(raw if order_id is None else str(order_id))
        try:
            snapshot = read_order(value, payload_of(raw), reading, table)
        except InvalidOrder as error:
            unreadable.append(UnreadableItem(None if order_id is None else str(order_id), str(error), encoded(raw)))
        else:
            orders.append(snapshot)
            if not table.explains(ref := status_of(value)):
                unexplained.add(ref)
    return Listing(tuple(orders), tuple(unreadable), tuple(names), frozenset(unexplained))


def read_single(body: bytes, reading: Reading, table: StatusTable) -> tuple[OrderSnapshot, StatusRef]:
    """The order of a single order's answer, bare or in an envelope, and its status. Raises Unreadable.

    The payload is the order's own text without the envelope.
    """
    answer = decoded(body)
    try:
        order = read_value(answer)
        raw = answer.strip()
        if isinstance(order, dict) and "Id" not in order:
            name = next((name for name in _SINGLE_NAMES if isinstance(order.get(name), dict)), None)
            if name is None:
                raise InvalidOrder("it holds no order")
            order, raw = order[name], member_text(answer, name)
        return read_order(order, payload_of(raw), reading, table), status_of(order)
    except ValueError as error:
        raise Unreadable(f"the order cannot be read: {error}", body) from error


def read_rows(body: bytes, envelope: str) -> list[tuple[Json, str]]:
    """The rows of a list with their own text: a bare array, or the member that holds them. Raises Unreadable."""
    answer = decoded(body)
    try:
        start = len(answer) - len(answer.lstrip())
        if answer[start : start + 1] == "[":
            rows, end = elements(answer, start)
            if answer[end:].strip():
                raise ValueError("more follows the list")
            return rows
        found = members(answer.strip(), _rows_name(outline(answer.strip()), envelope))[1]
        assert found is not None
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    return found


def _rows_name(answer: Mapping[str, Json], envelope: str) -> str:
    """The member that holds the rows. An order has `Items` too: what has an `Id` itself is not an envelope."""
    if isinstance(answer.get(envelope), list):
        return envelope
    if "Id" in answer:
        raise ValueError("it is one object, not a list")
    for name in LIST_NAMES:
        rows = answer.get(name)
        if isinstance(rows, list) and (not rows or any(_may_be_order(row) for row in rows)):
            return name
    raise ValueError("it holds no rows")


def _may_be_order(row: Json) -> bool:
    return isinstance(row, Broken) or (isinstance(row, dict) and "Id" in row)


@of_one_order
def read_order(value: Json, payload: bytes, reading: Reading, table: StatusTable) -> OrderSnapshot:
    """One order, read from its parsed JSON; `payload` are its bytes. Raises InvalidOrder."""
    order = object_of(value)
    order_id = whole(order.get("Id"))
    if order_id is None:
        raise InvalidOrder(f"Id is not a positive whole number: {shown(order.get('Id'))}")
    for name in ("Items", "OrderItemArticles"):
        if order.get(name) is not None and not isinstance(order[name], list):
            raise InvalidOrder(f"{name} is not a list: {shown(order[name])}")
    reference, payment = text(reading.fields.get(order, "reference")), reading.payment(order)
    content = content_of(order, reading.fields, payment=payment)
    state = table.name_of(status_of(order))
    return OrderSnapshot(
        id=str(order_id),
        reference=reference or str(order_id),
        state=state,
        payment=payment,
        facts={
            "statuses": table.of_machine(reading.names),
            "lines": _lines(order.get("Items"), content.get("lines", [])),
        },
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=None,  # xSale gives no change time (xsale.md §3)
        age=Age(ordered_at(order.get("PurchaseDate")), is_over=state in reading.ends),
        content=content,
        apart=APART,
    )


def ordered_at(purchased: Json) -> int | None:
    """`PurchaseDate` in Unix milliseconds: a day, or an instant that may name no zone (xsale.md §4). UTC is meant then,
    and a day counts as its last moment: an order of a day must not be taken for older than that."""
    if not isinstance(purchased, str):
        return None
    try:
        at = datetime.fromisoformat(purchased.strip())
        if len(purchased.strip()) <= len("2026-01-31"):
            at += timedelta(days=1, milliseconds=-1)
        return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None


def status_of(order: Json) -> StatusRef:
    """`StatusId` and `StatusName`, or `Status` as object, number or name (xsale.md §4). Raises InvalidOrder."""
    if not isinstance(order, dict):
        raise InvalidOrder("it is not a JSON object")
    status = order.get("Status")
    inner: Mapping[str, Json] = status if isinstance(status, dict) else {}
    status_id = whole(order.get("StatusId")) or whole(inner.get("Id")) or whole(status)
    names = (order.get("StatusName"), inner.get("Name"), None if whole(status) else status)
    name = next((text(name) for name in names if isinstance(name, str) and name.strip()), None)
    if status_id is None and name is None:
        raise InvalidOrder("it gives no status")
    return StatusRef(status_id, None if name is None else unified(name))


def _lines(items: Json, lines: list[Json]) -> dict[str, Json]:
    """How many of each position, by its id as content gives it (`lines`); none where one of them has no id."""
    if len(items or ()) > len(lines) or any(line.get("id") is None for line in lines):
        return {}
    return {line["id"]: quantity(line.get("quantity")) for line in lines}
