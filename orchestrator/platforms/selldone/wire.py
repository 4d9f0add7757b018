"""Selldone's JSON as we read it: pages of orders and single orders (selldone.md §3, §4).

An order is kept as the very bytes that came. So a page is not parsed as one value: its `orders` array is walked element
by element, each read where it stands, and the text from its first to its last character is its payload. Money and ids
pass through no float on the way into the store, and one element that makes no sense takes no other with it.

Reading is lenient but for what we decide on: `id`, `delivery_state`, `status`, `updated_at`, `items[].id`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from orchestrator.platforms.client import Age, Seen, UnreadableItem
from orchestrator.platforms.content import digest
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.json_text import Broken, member_text, members, read_value
from orchestrator.platforms.selldone.content import APART, content_of
from orchestrator.platforms.selldone.delivery import paths_of
from orchestrator.platforms.selldone.returns import returns_fact
from orchestrator.platforms.selldone.withdrawal import withdrawal_fact
from statemachines.items import decimal_of
from statemachines.target import Json
from statemachines.withdrawal import WITHDRAWN

PAYMENT = {"Payed": "paid", "COD": "invoice", "Reserved": "unpaid", "Open": "unpaid"}
"""Our word for a payment status; every other one is `unknown` (selldone.md §5.1)."""
RELEASED = frozenset({"Payed", "COD"})
"""Statuses of the orders that the ERP is handed (selldone.md §5.1)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class SenselessOrder(ValueError):
    """An order is not what the facts say; the message names the field."""


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of the list, in sequence: what could be read and what not.

    `ids` holds the ids of all rows that tell theirs, `rows` counts every row, `total` is the platform's count over all
    pages (None where it tells none). `refusal` holds the answer's members when its `error` is truthy, else None.
    """

    orders: tuple[Seen, ...]
    unreadable: tuple[UnreadableItem, ...] = ()
    ids: tuple[str, ...] = ()
    rows: int = 0
    total: int | None = None
    refusal: dict[str, Json] | None = None


def read_listing(body: bytes) -> Listing:
    """The orders of a list's answer. Raises Unreadable if the whole makes no sense or has no `orders`."""
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        answer, rows = members(text, "orders")
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    if answer.get("error"):
        return Listing((), refusal=answer)
    if rows is None:
        raise Unreadable("the list has no orders", body)
    orders: list[Seen] = []
    unreadable: list[UnreadableItem] = []
    ids: list[str] = []
    for value, raw in rows:
        try:
            seen = read_order(value, _encode(raw))
        except SenselessOrder as error:
            order_id = _id_or_none(value)
            unreadable.append(UnreadableItem(order_id, str(error), raw.encode("utf-8", "surrogateescape")))
            ids += [order_id] if order_id is not None else []
        else:
            orders.append(seen)
            ids.append(seen.id)
    return Listing(tuple(orders), tuple(unreadable), tuple(ids), len(rows), _count(answer.get("total")))


def read_single(body: bytes) -> Seen | dict[str, Json]:
    """The order of a single order's answer: bare, in `basket` or in `order` (selldone.md §10).

    The payload is the order's own text without the envelope. An answer whose `error` is truthy is given back as its
    members. Raises Unreadable if it makes no sense.
    """
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        answer = read_value(text)
        if not isinstance(answer, dict):
            raise SenselessOrder("it is no JSON object")
        if "delivery_state" in answer:
            return read_order(answer, _encode(text.strip()))
        if answer.get("error"):
            return answer
        for name in ("basket", "order"):
            if isinstance(answer.get(name), dict):
                return read_order(answer[name], _encode(member_text(text, name)))
        raise SenselessOrder("it holds no order")
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the order cannot be read: {error}", body) from error


def read_order(order: Json, payload: bytes) -> Seen:
    """One order, read from its parsed JSON; `payload` are its bytes. Raises SenselessOrder.

    `reference` is what a person calls the order: its label, else a guest's code, else its id.
    """
    if isinstance(order, Broken):
        raise SenselessOrder(f"it is no JSON: {order.error}")
    if not isinstance(order, dict):
        raise SenselessOrder("it is no JSON object")
    order_id = _id(order.get("id"), "id")
    status = _word(order.get("status"), "status")
    content = content_of(order)
    info = order.get("delivery_info")
    tracking = info if isinstance(info, dict) else {}
    facts: dict[str, Json] = {
        "status": status,
        "reject": _text(order.get("reject")),
        "reject_at": _text(order.get("reject_at")),
        "items": _item_ids(order.get("items")),
        "counts": _item_counts(order.get("items")),
        "delivery_info": paths_of(info),
        "tracking_code": _text(tracking.get("tracking_code")),
        "tracking_url": _text(tracking.get("tracking_url")),
        "type": _text(order.get("type")),
    }
    if (withdrawn := withdrawal_fact(order)) is not None:
        facts[WITHDRAWN] = withdrawn
    if (returns := returns_fact(order)) is not None:
        facts["returns"] = returns
    return Seen(
        id=order_id,
        reference=_text(order.get("label")) or _text(order.get("code")) or order_id,
        state=_word(order.get("delivery_state"), "delivery_state"),
        payment=PAYMENT.get(status, "unknown"),
        facts=facts,
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=_instant_ms(order.get("updated_at")),
        is_released=status in RELEASED and facts["type"] in (None, "PHYSICAL"),  # the list has no others (§1, §3)
        content=content,
        apart=APART,
        age=_age(order, status),
    )


def _age(order: dict[str, Json], status: str) -> Age:
    """An order is made when it is checked out, not when its basket was begun (selldone.md §4); canceled and received
    orders are over (§5.2)."""
    ordered_at = _optional_ms(order.get("reserved_at"))
    if ordered_at is None:
        ordered_at = _optional_ms(order.get("created_at"))
    return Age(ordered_at, is_over=status == "Canceled" or order.get("delivery_state") == "ToCustomer")


def _optional_ms(value: Json) -> int | None:
    try:
        return _instant_ms(value)
    except (SenselessOrder, OverflowError):
        return None


def order_number(text: str) -> int | None:
    """The number that a Selldone id is, None if the text is no such id."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= 20:
        return int(text)
    return None


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise SenselessOrder("it is not UTF-8") from None


def _id(value: Json, field: str) -> str:
    """A positive integer, never by way of a float; PHP may write it as a string."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if order_number(text) is None:
        raise SenselessOrder(f"{field} is no positive integer")
    return text


def _id_or_none(order: Json) -> str | None:
    if not isinstance(order, dict):
        return None
    try:
        return _id(order.get("id"), "id")
    except SenselessOrder:
        return None


def _item_ids(items: Json) -> list[str]:
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise SenselessOrder("items is no list of objects")
    return [_id(item.get("id"), f"items[{n}].id") for n, item in enumerate(items)]


def _item_counts(items: Json) -> dict[str, Json]:
    """How many of each item, as text, since a count may be fractional (selldone.md §4.2); None where none is told."""
    return {str(item["id"]): _count_text(item.get("count")) for item in items or ()}


def _count_text(value: Json) -> str | None:
    is_told = isinstance(value, int | float | str | Decimal) and not isinstance(value, bool)
    return str(value) if is_told and decimal_of(value) is not None else None


def _word(value: Json, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SenselessOrder(f"{field} is no text")
    return _storable(value)


def _text(value: Json) -> str | None:
    """A text or number that may be missing, as text; what is neither counts as missing."""
    if isinstance(value, str) and value.strip():
        return _storable(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _storable(text: str) -> str:
    """Half a surrogate pair, which JSON can write, is no character that a database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _instant_ms(value: Json) -> int:
    """ISO 8601, UTC where it names no zone (selldone.md §4), in Unix milliseconds."""
    if not isinstance(value, str):
        raise SenselessOrder("updated_at is no text")
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise SenselessOrder("updated_at is no date") from None
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH) // _MS


def _count(value: Json) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
