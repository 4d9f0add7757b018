"""What the feed has of a target: its data, and the state of the order when it was reached."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.shopify.floor import SHOP, SPREAD, floor_of, order_at, shopify


async def test_a_part_is_reported_with_what_it_brought_and_where_the_order_is_then(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = await order_at(floor, SPREAD)
        part = {"id": next(iter(order.facts["lines"])), "quantity": 1}
        target = await floor.submit(order.id, "shipped", SHOP, items=[part], tracking={"code": "1Z"})
        await floor.finished(target)
        rest = await floor.submit(order.id, "shipped", SHOP)
        await floor.finished(rest)
        submitted = {event.target: event.data for event in await floor.events("target.submitted")}
        assert (submitted[target.id]["items"], submitted[target.id]["tracking"]) == ([part], "1Z")
        assert not {"items", "tracking"} & submitted[rest.id].keys()
        reached = {event.target: event.data["order_state"] for event in await floor.events("target.reached")}
        assert reached == {target.id: "PARTIALLY_FULFILLED", rest.id: "FULFILLED"}
