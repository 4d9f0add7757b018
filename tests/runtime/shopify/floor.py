"""Shopify's simulated shops at work, and what tests say of their orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.options import ShopifyOptions
from storage.payloads import get_kept
from storage.records import Order, Target
from tests.support.shopfloor import Shopfloor, shopfloor

SHOP = "shopy"
WHOLE, SPREAD = 0, 1  # places of orders: stocked at one location, at two
TRACKING = {"code": "1Z827WK74630", "url": "https://example.com/track/1Z827WK74630", "carrier": "UPS"}
CHANGES = {"report_progress", "fulfill", "update_tracking", "mark_delivered", "cancel"}


def shopify(orders: int = 2, **options: Any) -> Sandbox:
    settings = {name: options.pop(name) for name in list(options) if name in SandboxSettings.__dataclass_fields__}
    return Sandbox(SandboxSettings(orders=orders, options={"shopify": ShopifyOptions(**options)}, **settings))


@asynccontextmanager
async def floor_of(sandbox: Sandbox, folder: Path, **changes: Any) -> AsyncIterator[Shopfloor]:
    async with shopfloor(sandbox, folder, {"lost_answer_seconds": 0, **changes}, platform="shopify") as floor:
        yield floor


async def order_at(floor: Shopfloor, place: int) -> Order:
    return await floor.order(floor.sandbox.shopify.order_ids()[place], SHOP)


async def reach(floor: Shopfloor, order: str, state: str, **fields: Any) -> Target:
    return await floor.reach(order, state, SHOP, **fields)


def change(floor: Shopfloor, order: str, action: str, **fields: Any) -> None:
    floor.sandbox.shopify.operate({"action": action, "order": order, **fields})


async def updates(floor: Shopfloor, order: str) -> list[list[str]]:
    return [event.data["changed"] for event in await floor.events("order.updated", order=order)]


async def content(floor: Shopfloor, order: str) -> dict[str, Any]:
    kept = await floor.store.read(lambda tx: get_kept(tx, SHOP, order))
    assert kept is not None
    assert kept.content is not None
    return kept.content


def effects(floor: Shopfloor, order: str) -> list[str]:
    return floor.sandbox.ledger.effects(order)


def parcels(floor: Shopfloor, order: str) -> list[dict[int, int]]:
    """What really left the warehouse, parcel by parcel."""
    return [each.lines for each in floor.sandbox.shopify.panel.order(order).live()]


def shipped(floor: Shopfloor, order: str) -> dict[int, int]:
    total: Counter[int] = Counter()
    for lines in parcels(floor, order):
        total.update(lines)
    return dict(total)


def whole(floor: Shopfloor, order: str) -> dict[int, int]:
    return {line.id: line.quantity for line in floor.sandbox.shopify.panel.order(order).lines}


def nothing_went_wrong(sandbox: Sandbox) -> bool:
    return sandbox.ledger.repeats_after_effect() == [] and sandbox.ledger.out_of_sequence() == []
