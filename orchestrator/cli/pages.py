"""What the API's JSON looks like for people. Pure: JSON in, pages out; times are shown as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.cli.blocks import Cell, Grid, Line, Page, Tone, grid, line
from orchestrator.cli.standstill import Standstill
from orchestrator.operations.remedies import remedy

Json = Mapping[str, Any]

_SITUATIONS: dict[str, Tone] = {
    "idle": "dim",
    "queued": "plain",
    "running": "busy",
    "retrying": "busy",
    "waiting": "busy",
    "blocked": "bad",
    "held": "bad",
}
_TARGETS: dict[str, Tone] = {
    "queued": "plain",
    "running": "busy",
    "blocked": "bad",
    "reached": "good",
    "failed": "bad",
    "cancelled": "dim",
}
_STEPS: dict[str, tuple[str, Tone]] = {"done": ("done", "good"), "now": ("now", "busy"), "next": ("next", "dim")}
_EVENTS: dict[str, Tone] = {
    "order.blocked": "bad",
    "step.failed": "bad",
    "read.failed": "bad",
    "target.failed": "bad",
    "sync.failed": "bad",
    "shop.access_denied": "bad",
    "import.rejected": "bad",
    "target.reached": "good",
    "step.done": "good",
}
_LONGEST_DATA = 160


def orders_page(orders: Sequence[Json]) -> Page:
    """A list of orders."""
    rows = [
        (
            order["shop"],
            order["id"],
            order.get("reference") or "",
            _state(order),
            _listed_situation(order),
            _pending(order),
            order["updated_at"],
        )
        for order in orders
    ]
    headers = ("SHOP", "ORDER", "REFERENCE", "STATE", "SITUATION", "TARGET", "UPDATED")
    return [grid(headers, rows, wraps=(3, 5), narrow=_orders_narrowly(orders))]


def _orders_narrowly(orders: Sequence[Json]) -> Page:
    """The orders in less room. Their references, where they have some, are what people know them by: rather than these,
    the times go."""
    rows = [
        (
            order["shop"],
            order["id"],
            order.get("reference") or "",
            order["state"],
            _listed_situation(order),
            _pending(order),
            _minute(order["updated_at"]),
        )
        for order in orders
    ]
    headers = ("SHOP", "ORDER", "REFERENCE", "STATE", "SITUATION", "TARGET", "UPDATED")
    if not any(order.get("reference") for order in orders):
        return [grid(headers[:2] + headers[3:], (row[:2] + row[3:] for row in rows), wraps=(2, 4))]
    least = grid(headers[:-1], (row[:-1] for row in rows), wraps=(3, 5))
    return [grid(headers, rows, wraps=(3, 5), narrow=[least])]


def _payment(order: Json) -> str:
    """The finer word too, where it says more."""
    coarse, fine = order["payment"], order.get("payment_status")
    return coarse if fine in (None, coarse, "unknown") else f"{coarse} ({fine})"


def order_page(order: Json) -> Page:
    """One order with what holds it up, the plans of its pending targets, and its timeline."""
    situation = order["situation"]
    reference = f" ({order['reference']})" if order.get("reference") else ""
    page: list[Line | Grid] = [
        line(Cell(f"{order['shop']} {order['id']}", "strong"), f"{reference} on {order['platform']}"),
        line("state      ", Cell(_state(order), "strong"), _elsewhere(order), *_allowed(order)),
        line("situation  ", Cell(situation, _SITUATIONS.get(situation, "plain")), _wait(order)),
        line(f"payment    {_payment(order)}"),
        *_returns(order),
        *_parcels(order),
        line(f"imported   {order['imported_at']}, updated {order['updated_at']}, version {order['version']}"),
    ]
    if order.get("withdrawn"):
        at = order.get("withdrawn_at")
        page.append(line("withdrawn  ", Cell("by the buyer", "bad"), f" at {at}" if at else ", no time is known"))
    if problem := order.get("problem"):
        text, tone = problem_cell(problem)
        page.append(line("problem    ", Cell(text, tone), f" since {problem['since']}" if problem.get("since") else ""))
        page.append(line(f"what helps {remedy(problem['type'], order['shop'], order['id'])}"))
    if attention := order.get("attention"):
        why = Cell(attention["reason"] or "without a reason", "bad")
        page.append(line("attention  ", why, f" since {attention['since']}"))
        page.append(line(f"what helps {remedy('attention', order['shop'], order['id'])}"))
    if order.get("held_at"):
        page.append(
            line(
                "held       ", Cell(order.get("held_reason") or "without a reason", "bad"), f" since {order['held_at']}"
            )
        )
    for target in order.get("targets") or ():
        page += [line(), *target_page(target)]
    if timeline := order.get("timeline"):
        page += [line(), timeline_grid(timeline)]
    return page


def _returns(order: Json) -> list[Line]:
    """A line for each return: where it stands, and of which lines how much."""
    rows: list[Line] = []
    for each in order.get("returns") or ():
        lines = ", ".join(_item(row) for row in each["lines"])
        label = "returns    " if not rows else " " * 11
        rows.append(line(label, Cell(each["state"], "strong"), f" {each['id']}", f": {lines}" if lines else ""))
    return rows


def _parcels(order: Json) -> list[Line]:
    """A line for each parcel that targets reported: its codes, what is in it, whether it arrived."""
    rows: list[Line] = []
    for each in order.get("parcels") or ():
        lines = ", ".join(_item(row) if row["quantity"] else f"{row['id']} in full" for row in each["lines"])
        codes = f" ({', '.join(each['tracking'])})" if each["tracking"] else ""
        end = ", came back" if each["returned"] else ", arrived" if each["delivered_at"] else ""
        label = "parcels    " if not rows else " " * 11
        rows.append(line(label, Cell(each["number"], "strong"), codes, f": {lines}" if lines else "", end))
    return rows


def target_page(target: Json) -> Page:
    """One target with its plan."""
    status = target["status"]
    page: list[Line | Grid] = [
        line(
            f"target {target['id']}: {_state(target)}, ",
            Cell(status, _TARGETS.get(status, "plain")),
            f", submitted {target['submitted_at']}",
            f", finished {target['finished_at']}" if target.get("finished_at") else "",
        ),
        *plan_lines(target.get("plan") or ()),
    ]
    if unused := target.get("unused"):
        page.append(line(f"not used by this platform: {', '.join(unused)}", indent=2))
    if problem := target.get("problem"):
        page.append(line(Cell(*problem_cell(problem)), indent=2))
    return page


def standstill_line(found: Standstill) -> Line:
    """What a target waits for that does not end by itself, and what ends it; below the target."""
    return line(Cell(found.text, "bad"), f" - {found.remedy}", indent=2)


def preview_page(preview: Json) -> Page:
    """What a dry run answered."""
    steps = preview.get("plan") or ()
    page: list[Line | Grid] = [
        line(
            f"plan to {_state(preview)}:" if steps else f"{_state(preview)} is reached already, nothing would be done"
        ),
        *plan_lines(steps),
    ]
    if unused := preview.get("unused"):
        page.append(line(f"not used by this platform: {', '.join(unused)}", indent=2))
    return page


def plan_lines(plan: Iterable[Json]) -> list[Line]:
    """The steps of a plan, a line each."""
    lines = []
    for number, step in enumerate(plan, 1):
        word, tone = _STEPS.get(step.get("status", ""), (str(step.get("status", "")), "plain"))
        way = step["from"] if step["from"] == step["to"] else f"{step['from']} → {step['to']}"
        lines.append(line(f"{number}. ", Cell(f"{word:<5}", tone), f"{step['step']:<16} {way}", indent=2))
    return lines


def timeline_grid(events: Iterable[Json]) -> Grid:
    """Events of one order; on a narrow terminal two lines each, so that times and words stay whole."""
    rows = [
        (Cell(event["at"], "dim"), Cell(event["type"], _EVENTS.get(event["type"], "plain")), _data(event))
        for event in events
    ]
    narrow: list[Line | Grid] = []
    for at, event, what in rows:
        narrow += [line(at, "  ", event), *([line(what, indent=2)] if what else [])]
    return grid(("AT", "EVENT", "WHAT"), rows, narrow=narrow)


def event_line(event: Json) -> Line:
    """One event of the feed on a line of its own, columns as wide as they usually are."""
    where = " ".join(str(part) for part in (event.get("shop"), event.get("order")) if part)
    tone = _EVENTS.get(event["type"], "plain")
    return line(
        f"{event['cursor']:>7}  ",
        Cell(event["at"], "dim"),
        "  ",
        Cell(f"{event['type']:<18}", tone),
        f"  {where:<20}  ",
        _data(event),
    )


def brief(order: Json) -> Line:
    """An order in one sentence, after something was done to it."""
    situation = order["situation"]
    tone = _SITUATIONS.get(situation, "plain")
    return line(f"{order['shop']} {order['id']} is at {_state(order)}, ", Cell(situation, tone), _wait(order))


def _situation(order: Json) -> Cell:
    return Cell(order["situation"], _SITUATIONS.get(order["situation"], "plain"))


def _listed_situation(order: Json) -> Cell:
    """The situation in a list, with what else people must know of the order."""
    if not order.get("withdrawn"):
        return _situation(order)
    return Cell(f"{order['situation']}, withdrawn", "bad")


def _minute(stamp: str) -> str:
    return f"{stamp[:10]} {stamp[11:16]}Z"


def _state(thing: Json) -> str:
    """A native state with its milestone where that says more."""
    state, milestone = thing["state"], thing.get("milestone")
    return f"{state} ({milestone})" if milestone and milestone.casefold() != state.casefold() else str(state)


def _pending(order: Json) -> str:
    states = [target["state"] for target in order.get("targets") or ()]
    return " → ".join(states)


def _elsewhere(order: Json) -> str:
    """What the platform shows where our state is ours alone."""
    shown = order.get("platform_state")
    return f", on the platform {shown}" if shown and shown != order["state"] else ""


def _allowed(order: Json) -> list[Cell]:
    allowed = order.get("allowed")
    return [Cell(f"  one step away: {', '.join(allowed)}", "dim")] if allowed else []


def _wait(order: Json) -> str:
    parts = []
    if wait := order.get("wait"):
        parts.append(f" for {wait['reason']}")
        if wait.get("until"):
            parts.append(f" until {wait['until']}")
        if wait.get("detail"):
            parts.append(f": {wait['detail']}")
    elif order.get("next_attempt_at"):
        parts.append(f", attempt {order['attempts'] + 1} at {order['next_attempt_at']}")
    return "".join(parts)


def problem_cell(problem: Json) -> tuple[str, Tone]:
    title, detail, step = problem.get("title") or problem["type"], problem.get("detail"), problem.get("step")
    return f"{title}{f' at {step}' if step else ''}{f': {detail}' if detail else ''}", "bad"


def _data(event: Json) -> str:
    """What an event says beside its type: the step first, then the rest as name=value."""
    data = dict(event.get("data") or {})
    data.pop("payload", None)
    parts = []
    if step := data.pop("step", None):
        way = (data.pop("from", None), data.pop("to", None))
        parts.append(f"{step} {way[0]} → {way[1]}" if way[0] and way[1] and way[0] != way[1] else str(step))
    parts += [f"{name}={_value(value)}" for name, value in data.items() if value not in (None, [], {})]
    text = " ".join(parts)
    return text if len(text) <= _LONGEST_DATA else text[: _LONGEST_DATA - 1] + "…"


def _item(line: Json) -> str:
    """A line of an order with how many of it."""
    return f"{line['id']} ×{line['quantity']}" if line.get("quantity") else str(line["id"])


def _value(value: Any, separator: str = ",") -> str:
    """A value of an event's data; `separator`: between the elements of a list."""
    match value:
        case bool():
            return str(value).lower()
        case Mapping() if "id" in value:
            return _item(value)
        case Mapping() if title := value.get("title") or value.get("type"):
            return str(title)
        case Mapping():
            members = (f"{name}: {_value(each, ' + ')}" for name, each in value.items())
            return f"({', '.join(members)})"
        case list():
            return separator.join(_value(each, " + ") for each in value)
    return str(value)
