"""Signed webhooks about orders from before the shop was connected: nothing is imported or read for them."""

from __future__ import annotations

from pathlib import Path

from storage.shops import get_shop
from tests.intake.pushing import pushing
from tests.support.shopfloor import Shopfloor, worked_off

LONG_AGO = 1_709_251_200_000


async def skipped(floor: Shopfloor, name: str) -> int:
    shop = await floor.store.read(lambda tx: get_shop(tx, name))
    assert shop is not None
    return shop.skipped


async def test_a_webhook_about_an_archived_order_is_not_even_read(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        archived = panel.add()
        panel.backdate(archived, LONG_AGO)
        panel.close(archived)
        sender.due()  # webhooks from before it was archived are lost
        panel.edit(archived, "Somebody else")
        assert set(await sender.send(sender.due())) == {200}
        await worked_off(floor)
        assert [order.id for order in await floor.orders()] != [archived]
        assert floor.sandbox.ledger.calls(archived) == []
        assert await floor.events(order=archived) == []
        assert await skipped(floor, name) == 1


async def test_nor_is_it_taken_from_the_webhook_while_nothing_can_be_read(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        await floor.commands.pause(name, None)
        archived = panel.add()
        panel.backdate(archived, LONG_AGO)
        panel.close(archived)
        sender.due()
        panel.edit(archived, "Somebody else")
        added = panel.add()
        assert set(await sender.send(sender.due())) == {200}
        await floor.event("order.imported", added)
        await floor.commands.resume(name)
        await worked_off(floor)
        assert await floor.events(order=archived) == []
        assert await skipped(floor, name) == 1


async def test_an_archived_order_that_is_opened_again_is_imported_by_its_webhook(tmp_path: Path) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        panel = floor.sandbox.shopify.panel
        archived = panel.add()
        panel.backdate(archived, LONG_AGO)
        panel.close(archived)
        sender.due()
        panel.open(archived)
        assert set(await sender.send(sender.due())) == {200}
        await floor.event("order.imported", archived)
        assert await skipped(floor, name) == 0
