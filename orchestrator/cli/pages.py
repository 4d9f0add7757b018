"""What the API's JSON looks like for people. Pure: JSON in, pages out; times are shown as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.blocks import Cell, Grid, Line, Page, Tone, grid, line

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
    "target.failed": "bad",
    "sync.failed": "bad",
    "shop.access_denied": "bad",
    "import.rejected": "bad",
    "target.reached": "good",
    "step.done": "good",
}
_LONGEST_DATA = 160
_COUNTED = ("queued", "running", "retrying", "waiting")


def status_page(dump: Json) -> Page:
    """The status dump: daemon, totals, shops, what needs a person."""
    daemon, totals = dump["daemon"], dump["totals"]
    situations = totals.get("by_situation", {})
    counts = ", ".join(f"{number} {name}" for name, number in situations.items() if number)
    draining = [Cell("  shutting down", "bad")] if daemon.get("draining") else []
    page: list[Line | Grid] = [
        line(
            Cell(f"fulfilld {daemon['version']}", "strong"), f" on {daemon['node']}, process {daemon['pid']}", *draining
        ),
        line(f"since {daemon['started_at']}, store {_storage(daemon['storage'])}"),
        line(
            f"{totals['orders']} orders{f' ({counts})' if counts else ''}, {totals['targets_pending']} targets pending"
        ),
        line(),
    ]
    page.append(_shops(dump["shops"]) if dump["shops"] else line("no shops; add one to the config"))
    page += _denied(dump["shops"])
    page += _not_sent(dump["shops"])
    if attention := dump.get("attention"):
        rows = [(entry["shop"], entry["order"], Cell(*_problem(entry["problem"]))) for entry in attention]
        page += [line(), line(Cell("These orders need a person:", "bad")), grid(("SHOP", "ORDER", "PROBLEM"), rows)]
    if delivery := dump.get("delivery"):
        lags = [
            (
                d["name"],
                str(d["lag_events"]),
                _seconds(d["lag_seconds"]),
                Cell("paused" if d.get("paused") else d.get("last_error") or "", "bad"),
            )
            for d in delivery
        ]
        page += [line(), grid(("DELIVERY", "LAG EVENTS", "LAG", "LAST ERROR"), lags, right=(1, 2))]
    return page


def orders_page(orders: Sequence[Json]) -> Page:
    """A list of orders."""
    rows = [
        (
            order["shop"],
            order["id"],
            order.get("reference") or "",
            _state(order),
            _situation(order),
            _pending(order),
            order["updated_at"],
        )
        for order in orders
    ]
    short = [
        (order["shop"], order["id"], order["state"], _situation(order), _pending(order), _minute(order["updated_at"]))
        for order in orders
    ]
    narrow = grid(("SHOP", "ORDER", "STATE", "SITUATION", "TARGET", "UPDATED"), short, wraps=(2, 4))
    headers = ("SHOP", "ORDER", "REFERENCE", "STATE", "SITUATION", "TARGET", "UPDATED")
    return [grid(headers, rows, wraps=(3, 5), narrow=[narrow])]


def order_page(order: Json) -> Page:
    """One order with what holds it up, the plans of its pending targets, and its timeline."""
    situation = order["situation"]
    reference = f" ({order['reference']})" if order.get("reference") else ""
    page: list[Line | Grid] = [
        line(Cell(f"{order['shop']} {order['id']}", "strong"), f"{reference} on {order['platform']}"),
        line("state      ", Cell(_state(order), "strong"), _elsewhere(order), *_allowed(order)),
        line("situation  ", Cell(situation, _SITUATIONS.get(situation, "plain")), _wait(order)),
        line(f"payment    {order['payment']}"),
        line(f"imported   {order['imported_at']}, updated {order['updated_at']}, version {order['version']}"),
    ]
    if problem := order.get("problem"):
        text, tone = _problem(problem)
        page.append(line("problem    ", Cell(text, tone), f" since {problem['since']}" if problem.get("since") else ""))
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
        page.append(line(Cell(*_problem(problem)), indent=2))
    return page


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
    """Events of one order."""
    rows = [
        (Cell(event["at"], "dim"), Cell(event["type"], _EVENTS.get(event["type"], "plain")), _data(event))
        for event in events
    ]
    return grid(("AT", "EVENT", "WHAT"), rows)


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


def _shops(shops: Sequence[Json]) -> Grid:
    rows = [
        (
            shop["name"],
            shop["platform"],
            _work(shop).in_full(),
            _time_of_day(shop.get("last_sync_at")),
            *(str(shop.get(name, 0)) for name in _COUNTED),
            Cell(str(shop["blocked"]), "bad" if shop["blocked"] else "plain"),
            _seconds(shop.get("oldest_pending_seconds")),
            _by_state(shop),
        )
        for shop in shops
    ]
    counted = (*(name.upper() for name in _COUNTED), "BLOCKED", "OLDEST")
    headers = ("SHOP", "PLATFORM", "WORK", "LAST SYNC", *counted, "ORDERS")
    return grid(headers, rows, range(4, 4 + len(counted)), wraps=(2, len(headers) - 1), narrow=_shops_narrowly(shops))


def _shops_narrowly(shops: Iterable[Json]) -> list[Line | Grid]:
    """The shops in three short tables: how each does, why one does not, where its orders are."""
    works = [(shop, _work(shop)) for shop in shops]
    rows = [
        (shop["name"], Cell(work.word, work.tone), _time_of_day(shop.get("last_sync_at")), _waiting(shop))
        for shop, work in works
    ]
    page: list[Line | Grid] = [grid(("SHOP", "WORK", "LAST SYNC", "PENDING"), rows)]
    if reasons := [(shop["name"], Cell(work.detail, work.tone)) for shop, work in works if work.detail]:
        page += [line(), grid(("SHOP", "WHY"), reasons)]
    if orders := [(shop["name"], text) for shop, _ in works if (text := _by_state(shop))]:
        page += [line(), grid(("SHOP", "ORDERS"), orders)]
    return page


def _by_state(shop: Json) -> str:
    return ", ".join(f"{state} {number}" for state, number in shop["by_state"].items() if number)


def _waiting(shop: Json) -> str:
    """How many orders are not at rest, and since when the oldest."""
    counts = [f"{shop[name]} {name}" for name in (*_COUNTED, "blocked") if shop.get(name)]
    oldest = _seconds(shop.get("oldest_pending_seconds"))
    return ", ".join([*counts, *([f"oldest {oldest}"] if oldest else [])])


def _situation(order: Json) -> Cell:
    return Cell(order["situation"], _SITUATIONS.get(order["situation"], "plain"))


def _minute(stamp: str) -> str:
    return f"{stamp[:10]} {stamp[11:16]}Z"


def _time_of_day(stamp: str | None) -> str:
    """A sync is mostly seconds old: its time says enough, and leaves the table room on a narrow terminal."""
    return "never" if not stamp else f"{stamp[11:19]}Z"


def _denied(shops: Iterable[Json]) -> list[Line | Grid]:
    """What to do about shops whose credentials their platform does not accept."""
    denied = [shop for shop in shops if shop.get("paused") and shop.get("paused_by") == "access_denied"]
    if not denied:
        return []
    rows = [
        (
            shop["name"],
            Cell(shop.get("paused_reason") or "the platform does not accept the credentials", "bad"),
            f"mend the credentials and send SIGHUP, or `fulfilld resume {shop['name']}`",
        )
        for shop in denied
    ]
    return [
        line(),
        line(Cell("These shops were denied access:", "bad")),
        grid(("SHOP", "WHY", "WHAT HELPS"), rows, wraps=(1, 2)),
    ]


def _not_sent(shops: Iterable[Json]) -> list[Line | Grid]:
    """Webhooks that platforms should send and do not: news then comes with the next poll, not at once."""
    rows = []
    for shop in shops:
        webhooks = shop.get("webhooks") or {}
        if missing := list(webhooks.get("missing") or {}):
            rows.append((shop["name"], Cell(few(missing), "bad"), f"fulfilld webhooks {shop['name']}"))
    if not rows:
        return []
    return [
        line(),
        line(Cell("Webhooks that are not sent:", "bad")),
        grid(("SHOP", "TOPICS", "LOOK"), rows, wraps=(1,)),
    ]


@dataclass(frozen=True, slots=True)
class _Work:
    """Whether a shop is worked for: a word, and what else is to be said of it."""

    word: str
    tone: Tone
    detail: str = ""

    def in_full(self) -> Cell:
        return Cell(f"{self.word}: {self.detail}" if self.detail else self.word, self.tone)


def few(names: Sequence[str], count: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def _work(shop: Json) -> _Work:
    """Whether a shop is worked for, and if not, why not."""
    if shop.get("paused") and shop.get("paused_by") == "access_denied":
        return _Work("access denied", "bad")
    if shop.get("paused"):
        return _Work("paused", "bad", shop.get("paused_reason") or "")
    if not shop.get("held", True):
        return _Work("elsewhere", "dim")
    if shop["circuit"] != "closed":
        return _Work(f"circuit {shop['circuit'].replace('_', ' ')}", "bad")
    if wait := shop.get("wait"):
        until = f" until {wait['until']}" if wait.get("until") else ""
        return _Work("waits", "busy", f"{wait['reason']}{until}")
    if error := shop.get("last_sync_error"):
        return _Work("sync failed", "bad", f"{error}{_again(shop)}")
    return _Work("ok", "good")


def _again(shop: Json) -> str:
    """A sync that failed is no trouble by itself: the next one makes up for it."""
    return f"; tried again at {_time_of_day(at)}" if (at := shop.get("next_sync_at")) else ""


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


def _problem(problem: Json) -> tuple[str, Tone]:
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


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("title") or value.get("type") or ",".join(f"{k}:{v}" for k, v in value.items()))
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


def _storage(storage: Any) -> str:
    return str(storage.get("url") or storage.get("engine") or "") if isinstance(storage, Mapping) else str(storage)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
