"""The status page: the daemon, its shops, what needs a person, what is delivered. Pure: JSON in, page out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.cli.blocks import Cell, Grid, Line, Page, Tone, grid, line
from orchestrator.cli.nodes_page import nodes_blocks
from orchestrator.cli.pages import Json, problem_cell
from orchestrator.cli.standstill import SILENT_REMEDY, access_remedy, no_orders
from orchestrator.cli.times import ago, ahead, few, seconds_text
from orchestrator.operations.remedies import remedy

_CIRCUIT_REMEDY = "`fulfilld doctor` asks the platform, `fulfilld resume {shop}` tries at once"
_SYNC_REMEDY = "if it stays, `fulfilld doctor` says more"
_NOT_HERE = "waits for the lease of a daemon before, or to be started again after a fault; the log says which"
_COUNTED = ("queued", "running", "retrying", "waiting")
_FEW = 5  # orders that need a person are looked at one by one
_MANY = 10  # and so many are still seen with the rest of the page


def status_page(dump: Json) -> Page:
    """The status dump: daemon, totals, shops, what needs a person."""
    daemon, totals, now = dump["daemon"], dump["totals"], dump.get("at")
    situations = totals.get("by_situation", {})
    counts = ", ".join(f"{number} {name}" for name, number in situations.items() if number)
    draining = [Cell("  shutting down", "bad")] if daemon.get("draining") else []
    page: list[Line | Grid] = [
        line(Cell(f"fulfilld {daemon['version']}", "strong"), f" on {_node(daemon)}", *draining),
        line(f"since {daemon['started_at']}, store {_storage(daemon['storage'])}", hang=2),
        line(
            f"{_several(totals['orders'], 'order')}{f' ({counts})' if counts else ''}, "
            f"{_several(totals['targets_pending'], 'target')} pending",
            hang=2,
        ),
        *_many_needy(dump),
        line(),
    ]
    page += _shops(dump) if dump["shops"] else [line("no shops; add one to the config")]
    page += nodes_blocks(dump)
    page += _denied(dump["shops"])
    page += _not_sent(dump["shops"])
    if attention := dump.get("attention"):
        rows = [
            (entry["shop"], entry["order"], Cell(*problem_cell(entry["problem"])))
            for entry in sorted(attention, key=_place)
        ]
        page += [line(), line(Cell("These orders need a person:", "bad")), grid(("SHOP", "ORDER", "PROBLEM"), rows)]
        page += _not_listed(dump)
        page += _what_helps(attention)
    if delivery := dump.get("delivery"):
        lags = [
            (
                d["name"],
                str(d["lag_events"]),
                seconds_text(d["lag_seconds"]),
                Cell("paused" if d.get("paused") else d.get("last_error") or "", "bad"),
            )
            for d in delivery
        ]
        page += [line(), grid(("DELIVERY", "LAG EVENTS", "LAG", "LAST ERROR"), lags, right=(1, 2))]
        page += [
            line(f"What helps: `fulfilld delivery resume {each['name']}` sends what waits", hang=2)
            for each in delivery
            if each.get("paused")
        ]
    if consumers := dump.get("consumers"):
        pulls = [
            (each["name"], str(each["lag_events"]), seconds_text(each["lag_seconds"]), ago(each["last_seen_at"], now))
            for each in consumers
        ]
        page += [line(), grid(("CONSUMER", "LAG EVENTS", "LAG", "LAST SEEN"), pulls, right=(1, 2))]
    return page


def _node(daemon: Json) -> str:
    """A node's name begins with its host and process."""
    node, pid = daemon["node"], daemon["pid"]
    return node if f":{pid}" in node else f"{node}, process {pid}"


def _many_needy(dump: Json) -> list[Line]:
    """Above all tables, where the orders that need a person are a long list."""
    number = len(dump.get("attention") or ()) + sum(_left_out(dump))
    if number <= _MANY:
        return []
    return [line(Cell(f"{number} orders need a person", "bad"), ": `fulfilld causes` shows them by cause", hang=2)]


def _left_out(dump: Json) -> tuple[int, int]:
    """How many blocked orders the dump does not list, and how many that the ERP asks about: it lists some of each."""
    listed = dump.get("attention") or ()
    blocked = sum(1 for entry in listed if (entry.get("problem") or {}).get("type") != "attention")
    asked = sum(1 for entry in listed if entry.get("attention"))
    all_blocked = int(dump["totals"].get("by_situation", {}).get("blocked", 0))
    all_asked = sum(int(shop.get("attention") or 0) for shop in dump["shops"])
    return max(0, all_blocked - blocked), max(0, all_asked - asked)


def _not_listed(dump: Json) -> list[Line]:
    blocked, asked = _left_out(dump)
    texts = [f"… and {blocked} more: `fulfilld orders --situation blocked`"] if blocked else []
    texts += [f"… and {asked} more about which the ERP asks for a person"] if asked else []
    return [line(text, hang=2) for text in texts]


def _place(entry: Json) -> tuple[str, int, str]:
    """By shop, then by id; ids are mostly numbers, and a longer one is a higher one."""
    return entry["shop"], len(entry["order"]), entry["order"]


def _what_helps(attention: Sequence[Json]) -> list[Line | Grid]:
    """What to do, once for each type of problem, with the commands for the first order that has it."""
    firsts: dict[str, Json] = {}
    for entry in attention:
        firsts.setdefault(entry["problem"]["type"], entry)
    rows = [(type_, remedy(type_, entry["shop"], entry["order"])) for type_, entry in firsts.items()]
    page: list[Line | Grid] = [line(), grid(("PROBLEM", "WHAT HELPS"), rows, wraps=(1,))]
    if len(attention) > _FEW:
        page.append(line("`fulfilld causes` shows them by cause, with a command for all of each", hang=2))
    return page


def _shops(dump: Json) -> list[Line | Grid]:
    """The shops, and below them once what several have to say."""
    now, seen = dump.get("at"), {node["name"]: node.get("seen_seconds") for node in dump.get("nodes") or ()}
    works = [(shop, _work(shop, now, seen.get(shop.get("holder")))) for shop in dump["shops"]]
    whys: dict[tuple[str, str], list[str]] = {}
    for shop, work in works:
        whys.setdefault((work.detail, work.remedy), []).append(shop["name"])
    shared = {why: names for why, names in whys.items() if any(why) and len(names) > 1}
    brief = [(s, replace(w, detail="", remedy="") if (w.detail, w.remedy) in shared else w) for s, w in works]
    page: list[Line | Grid] = [_shop_grid(brief, now)]
    if shared:
        rows = [(few(names), _Work("", "bad", *why).why("SHOP")) for why, names in shared.items()]
        page += [line(), grid(("SHOPS", "WHY"), rows, wraps=(0, 1))]
    return page


def _shop_grid(works: Sequence[tuple[Json, _Work]], now: str | None) -> Grid:
    holds = any(_on_hold(shop) for shop, _ in works)
    rows = [
        (
            shop["name"],
            shop["platform"],
            work.in_full(shop["name"]),
            ago(shop.get("last_sync_at"), now),
            *(str(shop.get(name, 0)) for name in _COUNTED),
            Cell(str(shop["blocked"]), "bad" if shop["blocked"] else "plain"),
            *([Cell(str(_on_hold(shop)), "bad" if _on_hold(shop) else "plain")] if holds else []),
            seconds_text(shop.get("oldest_pending_seconds")),
            _by_state(shop),
        )
        for shop, work in works
    ]
    counted = (*(name.upper() for name in _COUNTED), "BLOCKED", *(["HELD"] if holds else []), "OLDEST")
    headers = ("SHOP", "PLATFORM", "WORK", "LAST SYNC", *counted, "ORDERS")
    return grid(
        headers, rows, range(4, 4 + len(counted)), wraps=(2, len(headers) - 1), narrow=_shops_narrowly(works, now)
    )


def _shops_narrowly(works: Sequence[tuple[Json, _Work]], now: str | None) -> list[Line | Grid]:
    """The shops in three short tables: how each does, why one does not, where its orders are."""
    page: list[Line | Grid] = [_work_grid(works, now)]
    if reasons := [(shop["name"], why) for shop, work in works if (why := work.why(shop["name"])).text]:
        page += [line(), grid(("SHOP", "WHY"), reasons)]
    if orders := [(shop["name"], text) for shop, _ in works if (text := _by_state(shop))]:
        page += [line(), grid(("SHOP", "ORDERS"), orders)]
    return page


def _work_grid(works: Sequence[tuple[Json, _Work]], now: str | None) -> Grid:
    """How each shop does and what is pending there: in one table, in two where there is not the room, at worst in
    words. A column for each count that is not 0 everywhere."""
    heads = ("SHOP", "WORK", "LAST SYNC")
    firsts = [(shop["name"], Cell(work.status, work.tone), ago(shop.get("last_sync_at"), now)) for shop, work in works]
    counts = [_counts(shop) for shop, _ in works]
    names = [name for name in (*_COUNTED, "blocked", "held") if any(each[name] for each in counts)]
    if not names:
        return grid(heads, firsts)
    pending: list[tuple[str | Cell, ...]] = [
        (*(_count(each[name], name) for name in names), seconds_text(shop.get("oldest_pending_seconds")))
        for each, (shop, _) in zip(counts, works, strict=True)
    ]
    columns = (*(name.upper() for name in names), "OLDEST")
    busy = [(row[0], numbers) for row, numbers, each in zip(firsts, pending, counts, strict=True) if any(each.values())]
    in_words = grid(("SHOP", "PENDING"), [(shop["name"], _waiting(shop)) for shop, _ in works if _waiting(shop)])
    apart = grid(
        ("SHOP", *columns),
        [(name, *numbers) for name, numbers in busy],
        range(1, 1 + len(columns)),
        wraps=(),
        narrow=[in_words],
    )
    return grid(
        (*heads, *columns),
        [(*row, *numbers) for row, numbers in zip(firsts, pending, strict=True)],
        range(3, 3 + len(columns)),
        wraps=(),
        narrow=[grid(heads, firsts), line(), apart],
    )


def _counts(shop: Json) -> dict[str, int]:
    """How many orders are not at rest, by what they do."""
    return {name: int(shop.get(name) or 0) for name in (*_COUNTED, "blocked")} | {"held": _on_hold(shop)}


def _count(number: int, name: str) -> Cell:
    return Cell(str(number or ""), "bad" if number and name in ("blocked", "held") else "plain")


def _by_state(shop: Json) -> str:
    texts = [f"{state} {number}" for state, number in shop["by_state"].items() if number]
    texts += [f"{left_out} left out as history"] if (left_out := shop.get("skipped")) else []
    texts += [f"{aside} cannot be read"] if (aside := shop.get("rejected")) else []
    return ", ".join(texts) or no_orders(shop)


def _waiting(shop: Json) -> str:
    """How many orders are not at rest, and since when the oldest."""
    counts = [f"{number} {name}" for name, number in _counts(shop).items() if number]
    oldest = seconds_text(shop.get("oldest_pending_seconds"))
    return ", ".join([*counts, *([f"oldest {oldest}"] if oldest else [])])


def _on_hold(shop: Json) -> int:
    """How many orders a person holds: few ever, so the table has a column only where there are some. The shop's own
    `held` says who works for it."""
    return int((shop.get("by_situation") or {}).get("held", 0))


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _denied(shops: Iterable[Json]) -> list[Line | Grid]:
    """What to do about shops whose credentials their platform does not accept."""
    denied = [shop for shop in shops if shop.get("paused") and shop.get("paused_by") == "access_denied"]
    if not denied:
        return []
    whys: dict[str, list[str]] = {}
    for shop in denied:
        why = shop.get("paused_reason") or "the platform does not accept the credentials"
        whys.setdefault(why, []).append(shop["name"])
    return [
        line(),
        line(Cell("These shops were denied access:", "bad")),
        grid(("SHOP", "WHY"), [(few(names), Cell(why, "bad")) for why, names in whys.items()]),
        line(f"What helps: {access_remedy(denied[0]['name'] if len(denied) == 1 else 'SHOP')}"),
    ]


def _not_sent(shops: Iterable[Json]) -> list[Line | Grid]:
    """Webhooks that platforms should send and do not: changes then arrive with the next sync, not at once."""
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
    """Whether a shop is worked for: its status, why, what helps with {shop} for the shop's name, and when it goes
    on."""

    status: str
    tone: Tone
    detail: str = ""
    remedy: str = ""
    again: str = ""

    def why(self, shop: str) -> Cell:
        parts = (self.detail, self.again, self.remedy.format(shop=shop))
        return Cell("; ".join(part for part in parts if part), self.tone)

    def in_full(self, shop: str) -> Cell:
        why = self.why(shop).text
        return Cell(f"{self.status}: {why}" if why else self.status, self.tone)


def _work(shop: Json, now: str | None, seen_seconds: float | None) -> _Work:
    """Whether a shop is worked for, and if not, why not. `now`: when that is so; `seen_seconds`: how long ago its node
    said that it lives."""
    if not shop.get("configured", True):
        return _Work("not configured", "bad", "its targets wait: put it back into the config, or cancel them")
    if shop.get("paused") and shop.get("paused_by") == "access_denied":
        return _Work("access denied", "bad")
    if shop.get("paused") and shop.get("paused_by") == "restore":
        return _Work(
            "restored", "bad", shop.get("paused_reason") or "", "check what is pending, then `fulfilld resume {shop}`"
        )
    if shop.get("paused") and shop.get("paused_by") == "another_account":
        remedy = "fix the config, or `fulfilld resume {shop}`"
        return _Work("another account", "bad", shop.get("paused_reason") or "", remedy)
    if shop.get("paused"):
        return _Work("paused", "bad", shop.get("paused_reason") or "", "`fulfilld resume {shop}` ends it")
    if not shop.get("held", True) and not shop.get("holder"):
        return _Work("elsewhere", "dim", _NOT_HERE)
    if shop.get("holder_silent"):
        seen = f"its node {shop['holder']} was last seen {seconds_text(seen_seconds)} ago"
        return _Work("node silent", "bad", seen, SILENT_REMEDY)
    if shop["circuit"] != "closed":
        return _Work(f"circuit {shop['circuit'].replace('_', ' ')}", "bad", *_sync_error(shop, _CIRCUIT_REMEDY, now))
    if wait := shop.get("wait"):
        until = f" until {wait['until']}" if wait.get("until") else ""
        return _Work("waits", "busy", f"{wait['reason']}{until}")
    if shop.get("last_sync_error"):
        return _Work("sync failed", "bad", *_sync_error(shop, _SYNC_REMEDY, now))
    return _Work("ok", "good")


def _sync_error(shop: Json, remedy: str, now: str | None) -> tuple[str, str, str]:
    """Why the last sync failed (nothing if it did not), what helps, and when the next one is, which makes up for it."""
    if not (error := shop.get("last_sync_error")):
        return "", remedy, ""
    return error, remedy, f"tried again {ahead(at, now)}" if (at := shop.get("next_sync_at")) else ""


def _storage(storage: Any) -> str:
    return str(storage.get("url") or storage.get("engine") or "") if isinstance(storage, Mapping) else str(storage)
