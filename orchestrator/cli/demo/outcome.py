"""What came of the demo: where the orders are, what the receiver got, what the platforms saw."""

from __future__ import annotations

import sys
import time
from collections import Counter

from orchestrator.cli.blocks import Cell, Tone, grid, line, show
from orchestrator.cli.client import Client
from orchestrator.cli.demo.erp import Submitted, events_of, troubles_of
from orchestrator.cli.demo.receiver import Mailbox, Receiver, pretty

_DELIVERY_SECONDS = 20.0
_LOOK_SECONDS = 0.1
_DELIVERED = ("order", "fulfillment", "product")


def print_scenes(client: Client, submitted: list[Submitted]) -> bool:
    """A line for each scene: how many of its orders are where they should be. Returns whether all are."""
    arrived: Counter[tuple[str, str]] = Counter()
    orders: Counter[tuple[str, str]] = Counter()
    troubles: list[str] = []
    for entry in submitted:
        key = (entry.shop, entry.scene.title)
        orders[key] += 1
        found = troubles_of(client, entry)
        troubles += [f"{entry.shop} {entry.order} ({entry.scene.title}): {trouble}" for trouble in found]
        arrived[key] += not found
    rows = [
        (shop, title, str(count), Cell(str(arrived[shop, title]), "good" if arrived[shop, title] == count else "bad"))
        for (shop, title), count in orders.items()
    ]
    say("")
    show([grid(("SHOP", "SCENE", "ORDERS", "AS THEY SHOULD"), rows, right=(2, 3))])
    refusals = next((entry.refusals for entry in submitted if entry.refusals), [])
    if refusals:
        say("")
        show([line("refused, as it should be:"), *(line(text, indent=2) for text in refusals)])
    if troubles:
        say("")
        show([line(Cell("not as it should be:", "bad")), *(line(text, indent=2) for text in troubles)])
    return not troubles


def print_deliveries(client: Client, receiver: Receiver) -> bool:
    """What the receiver got. Returns whether it got every event that is its own, genuine and in order."""
    box = receiver.mailbox
    published, got = _counted(client, box)
    kinds = sorted(published)
    is_complete = got == published and not box.forged and not box.out_of_order()
    say("")
    say(f"what the daemon delivered to the ERP's receiver at {receiver.url}, signed; for example:")
    for kind in ("product.updated", "fulfillment.created"):
        example = next((each for each in box.events if each.event["type"] == kind), None)
        if example is not None:
            show([line(f"POST {example.path}  {pretty(example)}", indent=2)])
    rows = [
        (name, str(published[name]), Cell(str(got[name]), "good" if got[name] == published[name] else "bad"))
        for name in kinds
    ]
    show([grid(("EVENT", "IN THE FEED", "DELIVERED"), rows, right=(1, 2))])
    say(
        f"{len(box.deferred)} of them the receiver answered 503 at first, on purpose, and they came again; "
        f"{box.repeats} came twice, forged: {box.forged}, out of order: {box.out_of_order()}"
    )
    return is_complete


def _counted(client: Client, box: Mailbox) -> tuple[Counter[str], Counter[str]]:
    """How many events of each type the feed has and how many came, once it is the same or time is over: webhooks that
    come late lead to events to the very end."""
    deadline = time.monotonic() + _DELIVERY_SECONDS
    while True:
        types = (event["type"] for event in events_of(client))
        published = Counter(name for name in types if name.partition(".")[0] in _DELIVERED)
        got = box.by_type()
        if got == published or time.monotonic() > deadline:
            return published, got
        time.sleep(_LOOK_SECONDS)


def print_ledger(client: Client, sandbox: Client) -> bool:
    """What the platforms saw. Returns whether nothing happened twice or out of turn there."""
    summary = sandbox.get("/_sandbox/summary").json()
    faults = ", ".join(f"{number} {name}" for name, number in summary["by_fault"].items()) or "none"
    twice, astray = summary["repeated_effects"], summary["out_of_sequence"]
    refused = summary["repeats_after_effect"] - twice
    tone: Tone = "bad" if twice or astray else "good"
    found = sum(event["data"].get("how") == "found_done" for event in events_of(client, type="step.done"))
    say("")
    say(f"the platforms took {summary['calls']} calls, {summary['effects']} had an effect; faults: {faults}")
    say(f"{found} steps lost their answer and were found done by reading the order again")
    if refused:
        again = "1 despatch" if refused == 1 else f"{refused} despatches"
        say(f"{again} went out again under the same number: the platform refused it, for the first had arrived")
    show([line(Cell(f"done twice: {twice}, out of turn: {astray}", tone))])
    return not twice and not astray


def say(text: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
