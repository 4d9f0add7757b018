"""What one node asks of another by way of the store."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.process.housekeeping import forget
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.leases import acquire
from storage.requests import (
    FORGOTTEN,
    Request,
    add_request,
    answer_request,
    begin_request,
    forget_request,
    get_requests,
    leave_request,
    open_requests,
)

ASKED = Request("r1", "acme", "read", "7", True, NOW)


async def test_a_request_is_open_until_it_is_answered_whoever_begins_it(engine: Engine) -> None:
    async with engine.open() as store:
        later = replace(ASKED, id="r0", order=None, asked_at=NOW + 1)
        for request in (later, ASKED):
            await store.write(lambda tx, request=request: add_request(tx, request))  # type: ignore[misc]
        assert await store.read(open_requests) == [ASKED, later]
        assert await store.write(lambda tx: begin_request(tx, "r1", 3))
        assert await store.write(lambda tx: begin_request(tx, "r1", 4)), "another holder begins anew"
        assert await store.read(open_requests) == [replace(ASKED, epoch=4), later]
        await store.write(lambda tx: answer_request(tx, "r1", "{}"))
        await store.write(lambda tx: answer_request(tx, "r1", "too late"))
        assert not await store.write(lambda tx: begin_request(tx, "r1", 5))
        found = await store.read(lambda tx: get_requests(tx, ["r1", "none"]))
        assert found == {"r1": replace(ASKED, epoch=4, answer="{}")}
        assert await store.read(open_requests) == [later]
        assert await store.read(lambda tx: get_requests(tx, [])) == {}


async def test_a_request_goes_when_nobody_waits_for_its_answer(engine: Engine) -> None:
    async with engine.open() as store:
        for id_ in ("left", "forgotten", "answered"):
            await store.write(lambda tx, id_=id_: add_request(tx, replace(ASKED, id=id_)))  # type: ignore[misc]
        await store.write(lambda tx: leave_request(tx, "left"))
        await store.write(lambda tx: forget_request(tx, "forgotten"))
        await store.write(lambda tx: answer_request(tx, "answered", "{}"))
        await store.write(lambda tx: leave_request(tx, "answered"))
        assert await store.read(open_requests) == [replace(ASKED, id="left", is_awaited=False)]
        await store.write(lambda tx: answer_request(tx, "left", "{}"))
        assert await store.read(lambda tx: get_requests(tx, ["left", "forgotten", "answered"])) == {}


async def test_requests_of_nodes_that_died_are_forgotten(engine: Engine) -> None:
    async with engine.open() as store:
        for request in (ASKED, replace(ASKED, id="new", asked_at=NOW + 5)):
            await store.write(lambda tx, request=request: add_request(tx, request))  # type: ignore[misc]
        assert await forget(store, NOW + 5, (FORGOTTEN,)) == 1
        assert [request.id for request in await store.read(open_requests)] == ["new"]


async def test_what_waits_for_one_shop_hides_nothing_of_another_one_and_no_pause(engine: Engine) -> None:
    many = [replace(ASKED, id=f"r{number:03}", asked_at=number) for number in range(100)]
    pause, other = (
        replace(ASKED, id="pause", kind="pause", asked_at=500),
        replace(ASKED, id="other", shop="other", asked_at=900),
    )
    async with engine.open() as store:
        await store.write(lambda tx: [add_request(tx, each) for each in (*many, pause, other)])  # type: ignore[func-returns-value]
        found = await store.read(lambda tx: open_requests(tx, ("pause",)))
        assert [each.id for each in found] == [*(each.id for each in many[:63]), "pause", "other"]


async def test_a_node_reads_what_is_asked_of_its_own_shops_and_of_each_the_first_before_any_second(
    engine: Engine,
) -> None:
    shops = [f"shop-{number:03}" for number in range(20)]
    of_others = [replace(ASKED, id=f"a{number:04}", shop="theirs", asked_at=number) for number in range(100)]
    ours = [replace(ASKED, id=f"{shop}-{n:02}", shop=shop, asked_at=1000 + n) for shop in shops for n in range(64)]
    late = replace(ASKED, id="late", shop="late", asked_at=9999)
    async with engine.open() as store:
        await store.write(lambda tx: acquire(tx, "theirs", "example", "there"))
        await store.write(lambda tx: [acquire(tx, shop, "example", "here") for shop in (*shops, "late")])
        await store.write(lambda tx: [add_request(tx, each) for each in (*of_others, *ours, late)])  # type: ignore[func-returns-value]
        found = await store.read(lambda tx: open_requests(tx, (), "here"))
        assert len(found) == 1000, "however many wait"
        assert {request.shop for request in found} == {*shops, "late"}
        assert found[-1] == late
        there = await store.read(lambda tx: open_requests(tx, (), "there"))
        assert there == of_others[:64]
        assert await store.read(lambda tx: open_requests(tx, (), "nobody")) == []
