"""The invariants: what actors, platforms and readers saw, held against each other at rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.sandbox.ledger import Call
from tests.chaos.calm import Rest
from tests.chaos.erp import Book
from tests.chaos.readers import Feed
from tests.chaos.world import SHOPS, Finding, Ref, World

_ENDS = {"target.reached": "reached", "target.failed": "failed", "target.cancelled": "cancelled"}
_CANCELLED = {"Canceled", "cancel", "Anulowane", "CANCELLED", "cancelled"}
_IN_PLACE = {"edit", "pay"}
"""Edits that leave an order where it is. What people moved on or ended before anybody saw it is history to us, and not
imported (docs/configure.md, docs/guarantees.md)."""
_SHOWN_BY_REFUSAL = {"send_despatch", "prepare_pickup"}
"""Steps that no read shows: after a lost answer they are sent again, and the platform refuses what it has already."""
_Event = dict[str, Any]


def judge(world: World, book: Book, feed: Feed, rest: Rest) -> Iterator[Finding]:
    """Every broken invariant that shows at rest."""
    yield from effects(world)
    yield from cancelled(world, book, rest)
    yield from claims(world, rest)
    yield from targets(book, rest)
    yield from imports(world, rest)
    yield from readers(feed, rest)
    yield from pushes(world, rest)
    yield from counts(rest)
    yield from jobs(rest)


def jobs(rest: Rest) -> Iterator[Finding]:
    """No order is operated twice by one job."""
    times = Counter((e["data"]["job"], e["shop"], e["order"]) for e in rest.events if e["type"] == "order.operated")
    for (job, shop, order), count in times.items():
        if count > 1:
            yield Finding("a job operates an order once", f"{shop}/{order} {count} times by {job}")


def effects(world: World) -> Iterator[Finding]:
    """No effect twice, none out of turn, never two steps of an order at the same time."""
    ledger = world.sandbox.ledger
    for call in ledger.repeats_after_effect():
        if call.order is not None and (call.took_effect or call.step not in _SHOWN_BY_REFUSAL):
            yield Finding("no step is sent again once it took effect", _described(world, call))
    for call in ledger.out_of_sequence():
        if call.order is not None and Ref(world.names[call.platform, call.shop], call.order) not in world.edits:
            yield Finding("no step is out of turn where nobody else moved the order", _described(world, call))
    for call in ledger.overlapping():
        if not _answers_late(world, call):
            yield Finding("one step of an order at a time", _described(world, call))


def _answers_late(world: World, call: Call) -> bool:
    """Whether the call beside it had taken effect long ago and kept its answer back until its caller had given up."""
    return any(each.fault == "stall_after" for each in world.sandbox.ledger.calls(call.order) if each.n < call.n)


def _described(world: World, call: Call) -> str:
    ref = Ref(world.names[call.platform, call.shop], call.order or "")
    steps = [
        f"{each.n} {each.step}{'!' if each.took_effect else ''} {each.fault or ''} {each.status}"
        for each in world.sandbox.ledger.calls(ref.order)
        if (each.platform, each.shop) == (call.platform, call.shop)
    ]
    edits = [f"{each.action} (after call {each.calls})" for each in world.edits.get(ref, [])]
    return f"{ref.shop}/{ref.order} call {call.n} {call.step} {call.sent}\n    calls: {steps}\n    people: {edits}"


def cancelled(world: World, book: Book, rest: Rest) -> Iterator[Finding]:
    """What a person cancelled is not moved on: not by a target that came later (with `fresh_seconds` 0 the order is
    read before its first step), and by none once the feed has said that it is cancelled."""
    first_wish: dict[Ref, int] = {}
    for each in book.wanted:
        first_wish.setdefault(each.ref, each.calls)
    for ref, edits in world.edits.items():
        if [each.action for each in edits].count("cancel") != 1 or edits[-1].action != "cancel":
            continue
        at = edits[-1].calls
        late = [call for call in world.effects(ref) if call.n > at and first_wish.get(ref, 0) > at]
        for call in late:
            yield Finding("what was cancelled before it was wanted is left alone", _described(world, call))
    for ref, events in _by_order(rest.events).items():
        is_cancelled = False
        for event in events:
            if event["type"] == "order.drifted":
                is_cancelled = event["data"]["to"] in _CANCELLED
            elif event["type"] == "step.started" and is_cancelled:
                yield Finding("no step begins once we know of the cancellation", f"{ref}: {event}")


def claims(world: World, rest: Rest) -> Iterator[Finding]:
    """What the feed says was called took effect at the platform, as often as it says."""
    for ref, events in _by_order(rest.events).items():
        said = Counter(
            event["data"]["step"]
            for event in events
            if event["type"] == "step.done" and event["data"]["how"] in ("called", "found_done")
        )
        did = Counter(call.step for call in world.sandbox.ledger.calls(ref.order) if call.took_effect)
        del said["record"]
        for step, times in (said - did).items():
            if ref not in world.edits:
                yield Finding(
                    "no step is recorded as done that was not", f"{ref} {step}: {times} more than took effect"
                )


def targets(book: Book, rest: Rest) -> Iterator[Finding]:
    """Each accepted target is in the feed once, ends once, or waits with a reason that can be seen."""
    submitted = Counter(event["target"] for event in rest.events if event["type"] == "target.submitted")
    ends: dict[str, list[str]] = defaultdict(list)
    for event in rest.events:
        if event["type"] in _ENDS:
            ends[event["target"]].append(_ENDS[event["type"]])
    orders = {Ref(order["shop"], order["id"]): order for order in rest.orders}
    mine = {each.target: each for each in book.wanted if each.target is not None}
    if len(mine) != sum(each.target is not None for each in book.wanted):
        yield Finding("each key has a target of its own", "two keys were answered with the same target")
    for target in submitted.keys() - mine.keys():
        yield Finding("no target that nobody wanted", str(target))
    for target, wish in mine.items():
        now = rest.targets[target]
        if submitted[target] != 1:
            yield Finding("each accepted target is in the feed once", f"{target} {submitted[target]} times")
        if ends[target] != ([now["status"]] if now["status"] in _ENDS.values() else []):
            yield Finding(
                "each target ends once, as the feed says", f"{target} is {now['status']}, in the feed {ends[target]}"
            )
        if now["status"] == "blocked" and not now["problem"]:
            yield Finding("what is blocked says why", f"{target}: {now}")
        if now["status"] in ("queued", "running"):
            order = orders[wish.ref]
            if not (order["wait"] or order["problem"] or order["situation"] == "held"):
                yield Finding("each target ends or waits for a reason", f"{target} {now['status']}: {order}")


def imports(world: World, rest: Rest) -> Iterator[Finding]:
    """Every order of every platform is here, as it is there, and what cannot be read is set aside."""
    for missed in rest.missed:
        yield Finding("no change of an open order is missed", missed)
    known = {Ref(order["shop"], order["id"]) for order in rest.orders}
    imported = Counter(Ref(e["shop"], e["order"]) for e in rest.events if e["type"] == "order.imported")
    for shop in SHOPS:
        for order in world.orders(shop):
            ref = Ref(shop, order)
            if ref in world.garbage:
                if not any(order in str(each["payload"]) and each["shop"] == shop for each in rest.rejected):
                    yield Finding("what cannot be read is set aside", f"{ref}")
            elif ref not in known and any(edit.action not in _IN_PLACE for edit in world.edits.get(ref, [])):
                continue
            elif ref not in known or imported[ref] != 1:
                yield Finding("every order is imported, once", f"{ref} known={ref in known} imported={imported[ref]}")


def readers(feed: Feed, rest: Rest) -> Iterator[Finding]:
    """The feed is gapless, and every reader saw all of it up to where it is, in order."""
    cursors = [event["cursor"] for event in rest.events]
    if cursors != list(range(1, len(cursors) + 1)):
        gaps = [each for before, each in zip([0, *cursors], cursors, strict=False) if each != before + 1]
        yield Finding("the feed is gapless", f"first gaps before {gaps[:5]}")
    now = {event["cursor"]: event for event in rest.events}
    for cursor, event in feed.events.items():
        if now.get(cursor) != event:
            yield Finding("what was read once stays in the feed", f"{event} is now {now.get(cursor)}")
    for reader, seen in feed.read.items():
        if "repeats" in reader:
            seen = sorted(set(seen))
        if seen != list(range(1, len(seen) + 1)):
            wrong = next(each for n, each in enumerate(seen, 1) if each != n)
            yield Finding("a reader misses nothing and sees nothing twice", f"{reader}: wrong from {wrong} on")


def pushes(world: World, rest: Rest) -> Iterator[Finding]:
    """Every event was taken by the receiver, the first time in the order of its order; a message is always the same."""
    taken: dict[int, _Event] = {}
    last: dict[tuple[str, str], int] = {}
    for each in world.receiver.taken:
        event = {**each.body, "data": {n: v for n, v in each.body["data"].items() if n != "payload"}}
        if each.cursor in taken:
            continue
        taken[each.cursor] = event
        ordering_key = event["shop"], event["order"] or ""
        if event["cursor"] < last.get(ordering_key, 0) and event["order"] is not None:
            yield Finding(
                "pushes keep the order of each order", f"{ordering_key}: {event['cursor']} after {last[ordering_key]}"
            )
        last[ordering_key] = event["cursor"]
    for event in rest.events:
        if event["type"].partition(".")[0] in ("order", "fulfillment"):
            got = taken.get(event["cursor"])
            if got is None:
                yield Finding("every event is pushed", str(event))
            elif got["type"] != event["type"] or got["order"] != event["order"]:
                yield Finding("what is pushed is what the feed says", f"{got} for {event}")


def counts(rest: Rest) -> Iterator[Finding]:
    """The status dump is what one counts by hand."""
    totals = rest.status["totals"]
    situations = Counter(order["situation"] for order in rest.orders)
    if totals["orders"] != len(rest.orders):
        yield Finding("the status counts right", f"orders: {totals['orders']}, counted {len(rest.orders)}")
    shown = {name: count for name, count in totals["by_situation"].items() if count}
    if shown != dict(situations):
        yield Finding("the status counts right", f"by_situation: {shown}, counted {dict(situations)}")
    for shop in rest.status["shops"]:
        states = Counter(order["state"] for order in rest.orders if order["shop"] == shop["name"])
        shown = {name: count for name, count in shop["by_state"].items() if count}
        if shown != dict(states):
            yield Finding("the status counts right", f"{shop['name']} by_state: {shown}, counted {dict(states)}")
    pending = sum(len(order["targets"]) for order in rest.orders)
    if totals["targets_pending"] != pending:
        yield Finding("the status counts right", f"targets_pending: {totals['targets_pending']}, counted {pending}")


def _by_order(events: Iterable[_Event]) -> dict[Ref, list[_Event]]:
    found: dict[Ref, list[_Event]] = defaultdict(list)
    for event in events:
        if event["order"] is not None:
            found[Ref(event["shop"], event["order"])].append(event)
    return found
