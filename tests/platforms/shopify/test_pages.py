"""Shopify orders that do not fit on one page, read over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.failures import NotFound, Transient, Unreadable
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.shopify.pages import MOST_PAGES, TRIES
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.orders import Order
from orchestrator.testing.stage import Stage, staged
from statemachines.target import TargetRequest, Tracking

PAGE = 3


@dataclass
class Reading:
    """A client whose every further call is counted in `turns`, and does `between` just before."""

    stage: Stage
    client: PlatformClient
    order: Order
    turns: list[int] = field(default_factory=list)
    between: Callable[[int], None] = lambda turn: None

    @property
    def id(self) -> str:
        return str(self.order.id)

    def sent(self) -> list[Any]:
        return [call.sent for call in self.stage.sandbox.ledger.calls() if call.step == "read"]


@asynccontextmanager
async def reading(lines: int = 10, most_nodes: int = PAGE) -> AsyncIterator[Reading]:
    """An order of so many lines that last changed a minute ago, in a shop whose pages hold `most_nodes`."""
    async with staged("shopify", simulated={"shopify": ShopifyOptions(most_nodes=most_nodes)}) as stage:
        made = stage.operate("add", lines=lines, pieces=2)["order"]
        order = stage.sandbox.shopify.panel.order(made)
        order.updated -= 60_000
        (shop,) = (each for each in stage.sandbox.config()["shops"].values() if each["platform"] == "shopify")
        spec = PLATFORMS["shopify"]
        options = spec.options.model_validate({name: shop[name] for name in spec.options.model_fields if name in shop})
        settings = ClientSettings("shopy", options, shop["base_url"], throttle=_throttle(lambda: found))
        client = spec.open(settings)
        found = Reading(stage, client, order)
        try:
            yield found
        finally:
            await client.aclose()


def _throttle(reading_of: Callable[[], Reading]) -> Callable[[], Awaitable[None]]:
    async def throttle() -> None:
        this = reading_of()
        this.turns.append(len(this.turns) + 1)
        this.between(len(this.turns))

    return throttle


def lines_of(order: Order) -> dict[str, int]:
    return {str(line.id): line.quantity for line in order.lines}


async def test_every_line_of_a_large_order_is_read_and_each_further_page_takes_its_turn() -> None:
    async with reading(lines=10) as this:
        snapshot = await this.client.read(this.id)
        assert snapshot.facts["lines"] == lines_of(this.order)
        (part,) = snapshot.facts["fulfillment_orders"]
        assert {line for line, _ in part["lines"].values()} == set(lines_of(this.order))
        assert len(this.turns) == 3 + 3  # 10 lines in pages of 3: three more, of the order and of its fulfilment order
        assert len(this.sent()) == 1 + len(this.turns)


async def test_the_payload_is_the_order_as_if_one_page_had_shown_it() -> None:
    async with reading(lines=10) as this:
        pages = await this.client.read(this.id)
        shop = this.stage.sandbox.shopify.shop
        shop.options = replace(shop.options, most_nodes=250)
        whole = await this.client.read(this.id)

        def without_cursors(payload: bytes) -> Any:
            node = json.loads(payload)
            for each in (node, *node["fulfillmentOrders"]["nodes"]):
                assert each["lineItems"]["pageInfo"].pop("hasNextPage") is False
                each["lineItems"]["pageInfo"].pop("endCursor")
            return node

        assert without_cursors(pages.payload) == without_cursors(whole.payload)
        assert (pages.content_hash, pages.facts) == (whole.content_hash, whole.facts)


async def test_an_order_of_one_page_is_kept_byte_for_byte() -> None:
    async with reading(lines=PAGE) as this:
        snapshot = await this.client.read(this.id)
        assert this.turns == []
        assert b'": "' in snapshot.payload  # as the simulated Shopify writes it: what is written anew has no such blank


async def test_fulfilment_orders_and_the_lines_of_parcels_are_read_to_the_end() -> None:
    async with reading(lines=4) as this:
        for _ in range(PAGE):
            this.stage.operate("split", order=this.id)
        snapshot = await this.client.read(this.id)
        shown = {each["id"]: len(each["lines"]) for each in snapshot.facts["fulfillment_orders"]}
        assert shown == {str(each.id): 4 for each in this.order.fulfillment_orders}
        assert len(shown) == PAGE + 1
        this.stage.operate("fulfill", order=this.id, tracking="1Z")
        (parcel,) = (await this.client.read(this.id)).facts["fulfillments"]
        assert parcel["lines"] == lines_of(this.order)


async def test_an_order_that_changes_between_two_pages_is_read_from_the_beginning() -> None:
    async with reading(lines=10) as this:

        def cancel(turn: int) -> None:
            if turn == 2:
                this.stage.operate("cancel", order=this.id)

        this.between = cancel
        snapshot = await this.client.read(this.id)
        assert snapshot.state == "CANCELLED"
        assert set(snapshot.facts["lines"].values()) == {0}, "no line is from before the cancellation"


async def test_a_fulfilment_order_that_changes_alone_makes_the_read_begin_again() -> None:
    async with reading(lines=10) as this:
        (part,) = this.order.fulfillment_orders

        def take_out(turn: int) -> None:
            if turn == 5:  # of the lines of the fulfilment order, the second one
                part.updated += 1000
                for line in part.lines:
                    line[3] = 1

        this.between = take_out
        (snapshot,) = (await this.client.read(this.id)).facts["fulfillment_orders"]
        assert {left for _, left in snapshot["lines"].values()} == {1}


async def test_a_fulfilment_order_that_is_gone_makes_the_read_begin_again() -> None:
    async with reading(lines=10) as this:

        def replace(turn: int) -> None:
            if turn == 4:
                this.order.fulfillment_orders[0].id += 1

        this.between = replace
        (snapshot,) = (await this.client.read(this.id)).facts["fulfillment_orders"]
        assert snapshot["id"] == str(this.order.fulfillment_orders[0].id)


async def test_an_order_that_is_deleted_between_two_pages_is_not_found() -> None:
    async with reading(lines=10) as this:

        def delete(turn: int) -> None:
            if turn == 2:
                this.stage.operate("delete", order=this.id)

        this.between = delete
        with pytest.raises(NotFound):
            await this.client.read(this.id)


async def test_an_order_that_never_rests_is_tried_later() -> None:
    async with reading(lines=10) as this:

        def touch(turn: int) -> None:
            this.order.updated += 1000 * turn

        this.between = touch
        with pytest.raises(Transient) as caught:
            await this.client.read(this.id)
        assert not caught.value.is_ambiguous
        first_pages = [sent for sent in this.sent() if "after" not in sent]
        assert len(first_pages) == TRIES
        assert len(this.turns) == len(this.sent()) - 1, "a read from the beginning takes its turn too"


async def test_an_order_of_too_many_pages_is_set_aside_and_says_so() -> None:
    async with reading(lines=MOST_PAGES + 2, most_nodes=1) as this:
        with pytest.raises(Unreadable, match=f"{MOST_PAGES + 1} pages") as caught:
            await this.client.read(this.id)
        assert len(this.turns) == MOST_PAGES
        assert json.loads(caught.value.payload)["name"] == this.order.name


async def test_as_many_pages_as_are_read_at_most_make_a_whole_order() -> None:
    async with reading(lines=MOST_PAGES // 2 + 1, most_nodes=1) as this:
        assert (await this.client.read(this.id)).facts["lines"] == lines_of(this.order)
        assert len(this.turns) == MOST_PAGES


@pytest.mark.parametrize("fault", ["drop_before", "error_before", "garbage", "throttle"])
async def test_a_page_that_is_lost_is_worth_another_try(fault: str) -> None:
    async with reading(lines=10) as this:

        def lose(turn: int) -> None:
            if turn == 2:
                this.stage.sandbox.faults.script(fault, step="read")

        this.between = lose
        with pytest.raises(Transient) as caught:
            await this.client.read(this.id)
        assert not caught.value.is_ambiguous
        assert (caught.value.retry_after_seconds is not None) is (fault == "throttle")


@pytest.mark.parametrize(
    "answer",
    [
        {"order": {"updatedAt": "SAME"}},
        {"order": {"updatedAt": "SAME", "lineItems": {"nodes": [], "pageInfo": {"hasNextPage": True}}}},
        {"order": {"updatedAt": "SAME", "lineItems": {"nodes": "no", "pageInfo": None}}},
        {"order": []},
    ],
)
async def test_a_page_that_makes_no_sense_is_no_half_order(answer: Any) -> None:
    async with reading(lines=10) as this:
        first = json.loads((await this.client.read(this.id)).payload)
        body = json.dumps({"data": answer}).replace("SAME", first["updatedAt"]).encode()

        def spoil(turn: int) -> None:
            this.stage.sandbox.faults.script_answer(200, body, step="read")

        this.between = spoil
        with pytest.raises((Transient, Unreadable)):
            await this.client.read(this.id)


@pytest.mark.parametrize(
    ("lines", "words"),
    [((5, 6), 'a cursor of its lineItems was named before: "again"'), ((1,), "two pages of its lineItems show gid://")],
)
async def test_an_order_whose_pages_do_not_lead_on_is_set_aside_and_counts_nothing_twice(
    lines: tuple[int, ...], words: str
) -> None:
    async with reading(lines=10) as this:
        whole = json.loads((await this.client.read(this.id)).payload)
        this.turns.clear()

        def go_astray(turn: int) -> None:
            place = turn % (len(lines) + 1) - 1
            if place >= 0:  # else the order's first page again
                node = whole["lineItems"]["nodes"][lines[place]]
                page = {"nodes": [node], "pageInfo": {"hasNextPage": True, "endCursor": "again"}}
                body = json.dumps({"data": {"order": {"updatedAt": whole["updatedAt"], "lineItems": page}}})
                this.stage.sandbox.faults.script_answer(200, body.encode(), step="read")

        this.between = go_astray
        with pytest.raises(Unreadable, match=words):
            await this.client.read(this.id)
        assert len([sent for sent in this.sent() if "after" not in sent]) == 1 + TRIES


async def test_of_a_parcel_of_more_lines_than_one_call_takes_the_rest_leaves_with_the_next_call() -> None:
    async with reading(lines=700, most_nodes=250) as this:
        request = TargetRequest("shipped", tracking=Tracking("1Z"))
        current = (await this.client.read(this.id)).order_state()
        for size, state in ((512, "PARTIALLY_FULFILLED"), (188, "FULFILLED")):
            answer = await this.client.perform("fulfill", this.id, current, request)
            current = this.stage.machine.after(current, "fulfill", request, answer.state, answer.facts)
            assert (len(this.order.live()[-1].lines), current.state) == (size, state)


async def test_returns_and_their_lines_are_read_to_the_end() -> None:
    async with reading(lines=8) as this:
        this.stage.operate("fulfill", order=this.id)
        first = this.stage.operate("open_return", order=this.id, exchange=1)["return"]
        this.stage.operate("cancel_return", order=this.id, **{"return": first})
        for line in this.order.lines[: PAGE + 1]:
            this.stage.operate("return", order=this.id, lines=[{"id": line.id, "quantity": 1}])
        returns = (await this.client.read(this.id)).facts["returns"]
        assert len(returns) == PAGE + 2
        assert {line["id"]: line["quantity"] for line in returns[0]["lines"]} == lines_of(this.order)
