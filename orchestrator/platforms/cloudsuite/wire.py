"""CloudSuite's JSON as we read it: pages of summaries, single orders (cloudsuite.md §3, §4).

The body of a single order is not published, so reading is lenient but for what we decide on: `id`, `state`,
`modified_date`, `order_lines[].id` and `order_lines[].erp_line_number`. An order is kept as the very bytes that came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from orchestrator.platforms.base.listing import single_of
from orchestrator.platforms.client import Age, OrderSnapshot, UnreadableItem
from orchestrator.platforms.cloudsuite.content import APART, content_of
from orchestrator.platforms.content import digest, text
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.field_map import FieldMap
from orchestrator.platforms.fields import (
    InvalidOrder,
    date_of,
    id_of,
    id_or_none,
    instant_ms,
    member_or_none,
    object_of,
    of_one_order,
    optional_ms,
    quantity,
    required_text,
    shown,
)
from orchestrator.platforms.json_text import decoded, encoded, members
from statemachines.target import Json

PAYMENT = {"closed_success": "paid", "paid": "paid", "account": "invoice"}
"""Our word for a payment status that releases an order; every other one is unpaid, or unknown where payments are not
checked (cloudsuite.md §5.2)."""

_OVER = frozenset({"done", "cancel"})


@dataclass(frozen=True, slots=True)
class Row:
    """A summary: too thin to be an order, enough to know whether it changed. `modified` is the platform's own text;
    `created` and `ordered` are its `create_date` and `order_date`, whatever stands there."""

    id: str
    state: str
    modified: str
    created: Json = None
    ordered: Json = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of the list. `next`: path and query of the next page; `count`: the platform's, over all pages."""

    rows: tuple[Row, ...]
    unreadable: tuple[UnreadableItem, ...]
    next: str | None
    count: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """Every row's id, or its text where that cannot be read."""
        return (*(row.id for row in self.rows), *(item.id or repr(item.payload) for item in self.unreadable))


@dataclass(frozen=True, slots=True)
class Reading:
    """How a shop's orders are read: the zone of dates without one, whether payments are checked, and where what is
    not documented stands."""

    zone: ZoneInfo
    checks_payment: bool
    fields: FieldMap


def read_listing(body: bytes) -> Listing:
    """The rows of a list's answer. Raises Unreadable if the answer as a whole is invalid or has no `results`."""
    try:
        answer, found = members(decoded(body), "results")
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    if found is None:
        raise Unreadable("the list has no results", body)
    rows: list[Row] = []
    unreadable: list[UnreadableItem] = []
    for value, raw in found:
        try:
            rows.append(_row(value))
        except InvalidOrder as error:
            order_id = id_or_none(member_or_none(value, raw, "id"))
            unreadable.append(UnreadableItem(order_id, str(error), encoded(raw)))
    following, count = answer.get("next"), answer.get("count")
    is_count = isinstance(count, int) and not isinstance(count, bool)
    return Listing(
        tuple(rows),
        tuple(unreadable),
        following if isinstance(following, str) and following else None,
        count if is_count else None,
    )


def read_single(body: bytes, reading: Reading) -> OrderSnapshot:
    """The order of a single order's answer. Raises Unreadable if it is invalid."""
    return single_of(body, lambda value, payload: read_order(value, payload, reading))


@of_one_order
def read_order(value: Json, payload: bytes, reading: Reading) -> OrderSnapshot:
    """One order, read from its parsed JSON; `payload` are its bytes. Raises InvalidOrder."""
    order = object_of(value)
    order_id = id_of(order.get("id"), "id")
    status = text(order.get("payment_status"))
    is_offline = order.get("offline") is True
    facts: dict[str, Json] = {
        "payment_status": status,
        "is_offline": is_offline,
        "erp_order_number": text(order.get("erp_order_number")),
        "lines": _lines(order.get("order_lines")),
    }
    if "shipment_state" not in order:
        facts["hides_shipment"] = True
    content = content_of(order, reading.fields)
    unsettled = "unpaid" if reading.checks_payment and not is_offline else "unknown"
    state = composite_state(order)
    return OrderSnapshot(
        id=order_id,
        reference=text(order.get("reference")) or order_id,
        state=state,
        payment=PAYMENT.get(status or "", unsettled),
        facts=facts,
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=instant_ms(order.get("modified_date"), "modified_date", reading.zone),
        age=age_of(state, order.get("create_date"), order.get("order_date"), reading.zone),
        content=content,
        apart=APART,
    )


def composite_state(order: dict[str, Json]) -> str:
    """`state`, or `sent` where the shipment is sent while the order is in processing; an offline order may be sent
    without having been in processing (cloudsuite.md §5.3). Raises InvalidOrder."""
    state = required_text(order.get("state"), "state")
    is_underway = state == "processing" or (state == "confirmed" and order.get("offline") is True)
    return "sent" if is_underway and order.get("shipment_state") == "sent" else state


def age_of(state: str, created: Json, ordered: Json, zone: ZoneInfo) -> Age:
    """How old an order is: made when it was created, or on its sale date where that is later, for a quotation of last
    year that is ordered today is an order of today. A sale date counts as its last moment, so that no order of the day
    is taken for older (cloudsuite.md §3)."""
    moment, sale = _date_or_none(created), _date_or_none(ordered)
    if sale is not None and (moment is None or sale.date() > moment.date()):
        moment = sale.replace(hour=23, minute=59, second=59, microsecond=999_000)
    made = None if moment is None else optional_ms(moment.isoformat(), zone)
    return Age(made, is_over=state in _OVER)


def _date_or_none(value: Json) -> datetime | None:
    try:
        return date_of(value, "")
    except InvalidOrder:
        return None


@of_one_order
def _row(value: Json) -> Row:
    row = object_of(value)
    modified = row.get("modified_date")
    date_of(modified, "modified_date")
    return Row(
        id_of(row.get("id"), "id"),
        required_text(row.get("state"), "state"),
        str(modified),
        row.get("create_date"),
        row.get("order_date"),
    )


def _lines(lines: Json) -> dict[str, Json]:
    """What steps need of each line, by its id."""
    if lines is None:
        return {}
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise InvalidOrder("order_lines is not a list of objects")
    found: dict[str, Json] = {}
    for n, line in enumerate(lines):
        product = line.get("product")
        found[id_of(line.get("id"), f"order_lines[{n}].id")] = {
            "erp": _erp_line(line.get("erp_line_number"), n),
            "part": text(product.get("key")) if isinstance(product, dict) else None,
            "quantity": quantity(line.get("quantity")),
        }
    return found


def _erp_line(value: Json, n: int) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    raise InvalidOrder(f"order_lines[{n}].erp_line_number is not a whole number: {shown(value)}")
