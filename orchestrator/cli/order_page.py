"""One order: where it is, what holds it up and what helps, its lines, targets and past. Pure: JSON in, page out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.cli.blocks import Cell, Grid, Line, Page, grid, line
from orchestrator.cli.pages import SITUATIONS, Json, item_text, problem_cell, state_text, timeline_grid, wait_text
from orchestrator.cli.standstill import is_blocked_too, of_order
from orchestrator.cli.target_page import target_page
from orchestrator.operations.remedies import remedy

_LABEL = 11
"""How wide the labels at the beginning of a line are."""


def order_page(order: Json) -> Page:
    """One order with what holds it up, its lines, the plans of its pending targets, and its timeline."""
    situation = order["situation"]
    reference = f" ({order['reference']})" if order.get("reference") else ""
    since = f"{order['imported_at']}, updated {order['updated_at']}, version {order['version']}"
    page: list[Line | Grid] = [
        line(Cell(f"{order['shop']} {order['id']}", "strong"), f"{reference} on {order['platform']}"),
        _fact("state", Cell(state_text(order), "strong"), _elsewhere(order), *_allowed(order)),
        _fact("situation", Cell(situation, SITUATIONS.get(situation, "plain")), *_beside(order), wait_text(order)),
        _fact("payment", _payment(order)),
        *_returns(order),
        *_parcels(order),
        _fact("imported", since),
        *_troubles(order),
        *_lines(order.get("content")),
    ]
    for target in order.get("targets") or ():
        page += [line(), *target_page(target)]
    if timeline := order.get("timeline"):
        page += [line(), timeline_grid(timeline)]
    return page


def _fact(label: str, *cells: str | Cell) -> Line:
    return line(f"{label:<{_LABEL}}", *cells, hang=_LABEL)


def _beside(order: Json) -> list[str | Cell]:
    """That a held order is blocked as well, which a release does not end."""
    return [", and ", Cell("blocked", "bad")] if is_blocked_too(order) else []


def _troubles(order: Json) -> list[Line]:
    """What holds the order up or asks for a person, each with what helps."""
    page = []
    if order.get("withdrawn"):
        at = order.get("withdrawn_at")
        page.append(_fact("withdrawn", Cell("by the buyer", "bad"), f" at {at}" if at else ", no time is known"))
    if problem := order.get("problem"):
        since = f" since {problem['since']}" if problem.get("since") else ""
        page.append(_fact("problem", Cell(*problem_cell(problem)), since))
        page.append(_fact("what helps", remedy(problem["type"], order["shop"], order["id"])))
    if attention := order.get("attention"):
        why = Cell(attention["reason"] or "without a reason", "bad")
        page.append(_fact("attention", why, f" since {attention['since']}"))
        page.append(_fact("what helps", remedy("attention", order["shop"], order["id"])))
    if order.get("held_at"):
        why = Cell(order.get("held_reason") or "without a reason", "bad")
        page.append(_fact("held", why, f" since {order['held_at']}"))
    if (found := of_order(order)) is not None:
        page.append(_fact("what helps", found.remedy))
    return page


def _lines(content: Json | None) -> list[Line | Grid]:
    """What was ordered, with what it costs; nothing where the platform was not read yet."""
    if not content or not (lines := content.get("lines")):
        return []
    rows = [
        (
            each["id"] or "",
            each.get("sku") or "",
            each.get("name") or "",
            _quantity(each),
            _price(each.get("unit_price")),
        )
        for each in lines
    ]
    currency = content.get("currency") or ""
    total = _price((content.get("totals") or {}).get("total"))
    heads = ("LINE", "SKU", "NAME", "QUANTITY", f"PRICE {currency}".rstrip())
    page: list[Line | Grid] = [line(), grid(heads, rows, right=(3, 4), wraps=(1, 2))]
    return [*page, line(f"total {total} {currency}".rstrip())] if total else page


def _quantity(row: Json) -> str:
    """How many, and how many of them are still to be shipped where that differs."""
    quantity, left = row.get("quantity"), row.get("open")
    return f"{quantity or ''}" if left in (None, quantity) else f"{quantity}, {left} open"


def _price(price: Any) -> str:
    """A price as buyers see it: with tax where that is known, else as it is stated, else without; "" for none."""
    if not isinstance(price, Mapping):
        return str(price or "")
    if (shown := price.get("gross") or price.get("stated")) is not None:
        return str(shown)
    return f"{price['net']} net" if price.get("net") is not None else ""


def _payment(order: Json) -> str:
    """The finer word too, where it says more."""
    coarse, fine = order["payment"], order.get("payment_status")
    return coarse if fine in (None, coarse, "unknown") else f"{coarse} ({fine})"


def _returns(order: Json) -> list[Line]:
    """A line for each return: where it stands, and of which lines how much."""
    rows: list[Line] = []
    for each in order.get("returns") or ():
        lines = ", ".join(item_text(row) for row in each["lines"])
        cells = (Cell(each["state"], "strong"), f" {each['id']}", f": {lines}" if lines else "")
        rows.append(_fact("" if rows else "returns", *cells))
    return rows


def _parcels(order: Json) -> list[Line]:
    """A line for each parcel that targets reported: its codes, what is in it, whether it arrived."""
    rows: list[Line] = []
    for each in order.get("parcels") or ():
        lines = ", ".join(item_text(row) if row["quantity"] else f"{row['id']} in full" for row in each["lines"])
        codes = f" ({', '.join(each['tracking'])})" if each["tracking"] else ""
        end = ", came back" if each["returned"] else ", arrived" if each["delivered_at"] else ""
        cells = (Cell(each["number"], "strong"), codes, f": {lines}" if lines else "", end)
        rows.append(_fact("" if rows else "parcels", *cells))
    return rows


def _elsewhere(order: Json) -> str:
    """What the platform shows where our state is ours alone."""
    shown = order.get("platform_state")
    return f", on the platform {shown}" if shown and shown != order["state"] else ""


def _allowed(order: Json) -> list[Cell]:
    allowed = order.get("allowed")
    return [Cell(f"  one step away: {', '.join(allowed)}", "dim")] if allowed else []
