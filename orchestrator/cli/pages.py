"""What the API's JSON looks like for people. Pure: JSON in, pages out; times are shown as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from orchestrator.cli.blocks import Cell, Grid, Line, Page, Tone, clean, grid, line
from orchestrator.cli.standstill import is_blocked_too

Json = Mapping[str, Any]

SITUATIONS: dict[str, Tone] = {
    "idle": "dim",
    "queued": "plain",
    "running": "busy",
    "retrying": "busy",
    "waiting": "busy",
    "blocked": "bad",
    "held": "bad",
}
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
            state_text(order),
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


def causes_page(found: Json) -> Page:
    """Why orders wait for a person."""
    page: list[Line | Grid] = []
    for each in found["causes"]:
        where = f" at {each['step']}" if each["step"] else ""
        shops = ", ".join(f"{shop} {count}" for shop, count in each["shops"].items())
        page += [
            line(Cell(f"{each['count']:>6}  {each['title']}{where}: {each['detail']}", "bad"), hang=8),
            line(f"{shops}; since {each['since']}", indent=8),
            line(Cell(f"{each['cause']}: {each['remedy']}", "dim"), indent=8),
        ]
    if found["left_out"]:
        page.append(line(f"and {found['left_out']} more causes: --limit shows more"))
    return page or [line("no order waits for a person")]


def jobs_page(jobs: Sequence[Json]) -> Page:
    """What was asked for in bulk."""
    rows = [
        (
            each["id"],
            each["action"],
            each["status"],
            f"{each['done']}/{each['count']}",
            str(each["refused"]),
            filter_text(each),
            each["started_at"],
            asked_text(each),
        )
        for each in jobs
    ]
    heads = ("JOB", "ACTION", "STATUS", "DONE", "REFUSED", "ORDERS", "STARTED", "BY")
    narrow: list[Line | Grid] = []
    for job, action, status, done, refused, wanted, started, by in rows:
        narrow += [
            line(f"{job} {action} {status} {done}, {refused} refused"),
            line(wanted, indent=2),
            line(f"{started} {by}", indent=2),
        ]
    return [grid(heads, rows, right=(3, 4), narrow=narrow)] if rows else [line("nothing was asked for in bulk")]


def filter_text(job: Json) -> str:
    """What selected a job's orders."""
    return clean(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in job["filter"].items()))


def asked_text(job: Json) -> str:
    """Who asked for a job, and why."""
    return clean(f"{job['by']}{': ' + job['reason'] if job['reason'] else ''}")


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
        hang=9,
    )


def brief(order: Json) -> Line:
    """An order in one sentence, after something was done to it."""
    situation = order["situation"]
    tone = SITUATIONS.get(situation, "plain")
    return line(f"{order['shop']} {order['id']} is at {state_text(order)}, ", Cell(situation, tone), wait_text(order))


def _situation(order: Json) -> Cell:
    return Cell(order["situation"], SITUATIONS.get(order["situation"], "plain"))


def _listed_situation(order: Json) -> Cell:
    """The situation in a list, with what else people must know of the order."""
    more = [", blocked"] if is_blocked_too(order) else []
    more += [", withdrawn"] if order.get("withdrawn") else []
    return Cell(f"{order['situation']}{''.join(more)}", "bad") if more else _situation(order)


def _minute(stamp: str) -> str:
    return f"{stamp[:10]} {stamp[11:16]}Z"


def state_text(thing: Json) -> str:
    """A native state with its milestone where that says more."""
    state, milestone = thing["state"], thing.get("milestone")
    return f"{state} ({milestone})" if milestone and milestone.casefold() != state.casefold() else str(state)


def _pending(order: Json) -> str:
    states = [target["state"] for target in order.get("targets") or ()]
    return " → ".join(states)


def wait_text(order: Json) -> str:
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
    if isinstance(steps := data.get("steps"), list):
        data["steps"] = [f"{step} ×{count}" if (count := len([*same])) > 1 else step for step, same in groupby(steps)]
    parts += [f"{name}={_value(value)}" for name, value in data.items() if value not in (None, [], {})]
    text = " ".join(parts)
    return text if len(text) <= _LONGEST_DATA else text[: _LONGEST_DATA - 1] + "…"


def item_text(line: Json) -> str:
    """A line of an order with how many of it."""
    return f"{line['id']} ×{line['quantity']}" if line.get("quantity") else str(line["id"])


def _value(value: Any, separator: str = ",") -> str:
    """A value of an event's data; `separator`: between the elements of a list."""
    match value:
        case bool():
            return str(value).lower()
        case Mapping() if "id" in value:
            return item_text(value)
        case Mapping() if title := value.get("title") or value.get("type"):
            return str(title)
        case Mapping():
            members = (f"{name}: {_value(each, ' + ')}" for name, each in value.items())
            return f"({', '.join(members)})"
        case list():
            return separator.join(_value(each, " + ") for each in value)
    return str(value)
