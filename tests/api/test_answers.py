"""What a real shop floor is shown as is what the OpenAPI document says, on every platform and to the last member."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from orchestrator.api.openapi import openapi_document
from orchestrator.operations.machines import machine_view
from orchestrator.operations.order_pages import OrderQuery
from orchestrator.platforms import content_document
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from storage.records import Situation
from tests.support.asking import queries
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import config_of, shopfloor

_STUCK = (Situation.RETRYING, Situation.WAITING, Situation.BLOCKED)
every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))


def closed(components: dict[str, Any]) -> dict[str, Any]:
    """The schemas without room for what they do not name: clients have to ignore that, we have to describe it. Content
    has room for what a platform has beside it."""
    found = deepcopy(components)
    for name, schema in found["schemas"].items():
        if "properties" in schema and not hasattr(content_document, name):
            schema["additionalProperties"] = False
    return found


COMPONENTS = closed(openapi_document()["components"])


def check(name: str, shown: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": COMPONENTS}
    Draft202012Validator(schema).validate(shown)


@every_platform
async def test_what_is_shown_of_a_shop_is_what_the_document_says(tmp_path: Path, platform: str) -> None:
    sandbox, shop = Sandbox(SandboxSettings(orders=2)), SHOPS[platform]
    async with shopfloor(sandbox, tmp_path, platform=platform) as floor:
        moved, stuck = (await floor.orders())[:2]
        done = await floor.reach(moved.id, FIRST_STATES[platform], shop)
        sandbox.faults.script("error_before", order=stuck.id, times=1000)
        await floor.submit(stuck.id, FIRST_STATES[platform], shop)
        await floor.until(stuck.id, lambda order: order.situation in _STUCK, shop)
        asked = queries(floor)
        check("Target", await asked.shown(done))
        check("Status", await asked.status())
        check("Shop", await asked.shop(shop))
        orders, _ = await asked.orders(OrderQuery(), 0, 100)
        check("OrderPage", {"orders": list(map(json.loads, orders)), "next": None})
        detail, included = await asked.order(shop, moved.id, ["timeline", "payload", "content"])
        check("OrderDetail", {**detail, **{name: json.loads(text) for name, text in included.items()}})
        async for line, _ in asked.dump():
            shown: dict[str, Any] = {**line}
            kind, events = shown.pop("kind"), shown.pop("events", [])
            check({"shop": "Shop", "order": "Order"}[kind], shown)
            for event in events:
                check("Event", event)
        check("Machine", machine_view(floor.supervisor.shops()[shop].machine))


async def test_a_shop_that_left_the_config_is_shown_as_the_document_says(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with shopfloor(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        await floor.commands.hold(order.shop, order.id, "the customer called")
        await floor.submit(order.id, "delivered")
        await floor.in_situation(order.id, Situation.HELD)
        await floor.supervisor.reload(config_of(sandbox, tmp_path, platform=()))
        asked = queries(floor)
        check("Status", await asked.status())
        check("ShopList", {"shops": await asked.shops()})
        check("Order", (await asked.order(order.shop, order.id))[0])
