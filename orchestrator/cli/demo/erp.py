"""The demo as an ERP: submits the scenes' targets over the socket, and checks afterwards what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.cli.client import Client, segment
from orchestrator.cli.demo.script import REACHED, Item, Scene, items_of
from orchestrator.cli.failures import Refusal


@dataclass(slots=True)
class Submitted:
    """What was asked for one order: target ids in sequence, and refusals that came as expected or not."""

    shop: str
    order: str
    scene: Scene
    targets: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)


def submit(client: Client, shop: str, order: str, scene: Scene) -> Submitted:
    """Submits a scene's targets at once; the daemon keeps them in sequence."""
    entry = Submitted(shop, order, scene)
    items: list[Item] = []
    if any(act.needs_items for act in scene.acts):
        items = items_of(client.get(order_path(shop, order), {"include": "payload"}).json().get("payload"))
    for number, act in enumerate(scene.acts):
        key = {"Idempotency-Key": f"demo-{shop}-{order}-{number}"}
        try:
            target = client.post(order_path(shop, order) + "/targets", act.body(order, items), headers=key).json()
        except Refusal as refusal:
            notes = entry.refusals if refusal.slug == act.expected else entry.surprises
            notes.append(f"{act.state}: {refusal.status} {refusal.slug}, {refusal.problem.get('detail', '')}")
            continue
        entry.targets.append(target["id"])
        if act.expected != REACHED:
            entry.surprises.append(f"{act.state} was accepted, expected was {act.expected}")
    return entry


def troubles_of(client: Client, entry: Submitted) -> list[str]:
    """What differs from the scene's end; empty when nothing does."""
    troubles = list(entry.surprises)
    for target in entry.targets:
        found = client.get(f"/v1/targets/{segment(target)}").json()
        if found["status"] != REACHED:
            problem = found.get("problem") or {}
            troubles.append(f"{found['state']} is {found['status']} {problem.get('detail', '')}".rstrip())
    order = client.get(order_path(entry.shop, entry.order)).json()
    if order["milestone"] != entry.scene.final_state:
        troubles.append(f"the order is at {order['state']}, not {entry.scene.final_state}")
    return troubles


def orders_of(client: Client, shop: str) -> list[Any]:
    """All orders of a shop."""
    found: list[Any] = []
    after: str | None = None
    while True:
        page = client.get("/v1/orders", {"shop": shop, "limit": 1000, "after": after}).json()
        found += page["orders"]
        after = page["next"]
        if after is None:
            return found


def order_path(shop: str, order: str) -> str:
    """The API's path of an order."""
    return f"/v1/shops/{segment(shop)}/orders/{segment(order)}"


def events_of(client: Client, **wanted: str) -> Iterator[Any]:
    """Every event of the feed that is wanted (`type`, `shop`, `order`), oldest first."""
    cursor = 0
    while True:
        page = client.get("/v1/events", {**wanted, "after": cursor, "limit": 1000}).json()
        yield from page["events"]
        if page["next"] == cursor:
            return
        cursor = page["next"]
