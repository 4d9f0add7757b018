"""What only a shop's holder can do, asked for at a node that does not have the shop: it is done there, and answered
here. Nodes look by themselves only once an hour, so it is the notices that do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import anyio
import pytest

from orchestrator.decisions.bulk import Action
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands import requests
from orchestrator.operations.order_filter import Wanted
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.jobs import Job, get_job
from storage.order_search import list_orders
from storage.orders import get_order
from storage.records import TargetStatus
from storage.requests import Request, add_request, begin_request, get_requests, open_requests
from storage.shops import get_shop
from storage.transaction import Transaction
from tests.support.nodes import NEVER_SECONDS, Node, database, nodes
from tests.support.platforms import SHOPS
from tests.support.shopfloor import SHOP, config_of

PLATFORMS = tuple(SHOPS)
LEFT_SECONDS = 240
"""How long the lease of a node that fell silent lasts."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is."""
    for limit in ("_BEGUN_SECONDS", "_APPLIED_SECONDS"):
        monkeypatch.setattr(requests, limit, 240.0)


@asynccontextmanager
async def floor(
    folder: Path, platform: str = "selldone", orders: int = 2, poll_seconds: float = NEVER_SECONDS
) -> AsyncIterator[tuple[Sandbox, str, Node, Node]]:
    """A sandbox, its shop, the node that has it and another one."""
    sandbox = Sandbox(SandboxSettings(orders=orders))
    with database() as url:
        async with sandbox.running():
            config = config_of(sandbox, folder, platform=platform)
            (shop,) = config.shops
            async with nodes(url, config, poll_seconds=poll_seconds) as (holder, other):
                assert [node.works_for(shop) for node in (holder, other)] == [True, False]
                yield sandbox, shop, holder, other


async def known(node: Node) -> list[str]:
    return [order.id for order in await node.store.read(lambda tx: list_orders(tx, 0, 100))]


def wanted(state: str) -> TargetRequest:
    return TargetRequest.from_json({"state": state})


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_sync_is_done_by_the_holder_and_its_report_comes_back(tmp_path: Path, platform: str) -> None:
    async with floor(tmp_path, platform) as (_, shop, _, other):
        with anyio.fail_after(60):
            await other.commands.sync(shop, 30)  # of the first one, at start, or of the next
            report = await other.commands.sync(shop, 30)
        assert report is not None
        assert len(await known(other)) == 2


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_target_is_reached_that_another_node_took(tmp_path: Path, platform: str) -> None:
    """The order is unknown first, so the holder is asked to read it; then it is woken, and the end is reported here."""
    async with floor(tmp_path, platform) as (_, shop, holder, other):
        with anyio.fail_after(60):
            await holder.commands.sync(shop, 30)
            for order in await known(holder):
                target = await other.submit(shop, order, "accepted")
                assert (await other.finished(target)).status is TargetStatus.REACHED


async def test_an_unknown_order_is_read_by_the_holder_for_a_target_a_preview_and_a_refresh(tmp_path: Path) -> None:
    async with floor(tmp_path, orders=3) as (sandbox, shop, _, other):
        first, second, third = sandbox.selldone.order_ids()
        with anyio.fail_after(60):
            assert (await other.commands.preview(shop, first, wanted("accepted"))).milestone == "accepted"
            assert (await other.commands.refresh(shop, second)).id == second
            target = await other.submit(shop, third, "accepted")
            assert (await other.finished(target)).status is TargetStatus.REACHED
        assert await other.store.read(open_requests) == []


@pytest.mark.parametrize(
    ("act", "slug"),
    [
        (lambda node: node.commands.refresh(SHOP, "424242"), "order-not-found"),
        (lambda node: node.submit(SHOP, "424242", "accepted"), "order-not-found"),
        (lambda node: node.commands.preview(SHOP, "424242", wanted("accepted")), "order-not-found"),
    ],
    ids=["refresh", "submit", "preview"],
)
async def test_a_refusal_comes_back_as_the_holder_made_it(
    tmp_path: Path, act: Callable[[Node], Awaitable[object]], slug: str
) -> None:
    async with floor(tmp_path) as (_, _, holder, other):
        said = []
        for node in (holder, other):
            with anyio.fail_after(60), pytest.raises(Refused) as refused:
                await act(node)
            said.append((refused.value.slug, refused.value.detail, refused.value.extra))
        assert said[0] == said[1]
        assert said[0][0] == slug


async def test_a_shop_is_paused_and_resumed_at_any_node(tmp_path: Path) -> None:
    async with floor(tmp_path) as (sandbox, shop, holder, other):
        with anyio.fail_after(60):
            await holder.commands.sync(shop, 30)
            worker = holder.supervisor.worker(shop)
            assert worker is not None
            await other.commands.pause(shop, "stocktaking")
            assert worker.admission.is_paused
            order = sandbox.selldone.order_ids()[0]
            target = await other.submit(shop, order, "accepted")
            with pytest.raises(Refused, match="paused by a person"):
                await other.commands.refresh(shop, order)
            assert sandbox.ledger.effects(order) == []
            await other.commands.resume(shop)
            assert (await other.finished(target)).status is TargetStatus.REACHED


async def test_a_pause_reaches_a_holder_that_did_not_answer_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says it at once, and nobody is answered that it holds; what is not carried out yet stays asked for."""
    monkeypatch.setattr(requests, "_APPLIED_SECONDS", 0.0)
    async with floor(tmp_path) as (_, shop, holder, other):
        with pytest.raises(Refused, match=r"is kept and counts.*has not confirmed it yet") as refused:
            await other.commands.pause(shop, None)
        assert refused.value.slug == "overloaded"
        row = await other.store.read(lambda tx: get_shop(tx, shop))
        assert row is not None
        assert row.paused_by == "person"
        worker = holder.supervisor.worker(shop)
        assert worker is not None
        with anyio.fail_after(60):
            while not worker.admission.is_paused:  # noqa: ASYNC110 - the worker's, which signals nobody of it
                await anyio.sleep(0.01)


async def test_a_pause_waits_for_nothing_else_that_is_asked_of_the_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "_AT_ONCE", 0)
    async with floor(tmp_path) as (_, shop, holder, other):
        with anyio.fail_after(60):
            await other.commands.pause(shop, None)
        worker = holder.supervisor.worker(shop)
        assert worker is not None
        assert worker.admission.is_paused


async def test_a_sync_is_reported_by_a_later_version_that_says_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "asdict", lambda report: {**asdict(report), "of_another_day": 1})
    async with floor(tmp_path) as (_, shop, _, other):
        with anyio.fail_after(60):
            assert await other.commands.sync(shop, 30) is not None


async def test_a_sync_that_nobody_waits_for_any_more_is_done_all_the_same(tmp_path: Path) -> None:
    async with floor(tmp_path) as (sandbox, shop, holder, other):
        with anyio.fail_after(60):
            await holder.commands.sync(shop, 30)
            new = sandbox.selldone.panel.add()
            await other.commands.sync(shop, 0.0)  # it has begun, and may have ended
            await holder.committed.until(lambda: known(holder), lambda found: new in found)


async def test_what_a_version_of_another_day_asks_is_refused_for_a_while(tmp_path: Path) -> None:
    async with floor(tmp_path) as (_, shop, _, other):
        asked = Request("later", shop, "of-another-day", None, True, 1)
        await other.store.write(lambda tx: add_request(tx, asked))
        with anyio.fail_after(60):
            await other.store.notify("asked", shop)
            found = await other.committed.until(
                lambda: other.store.read(lambda tx: get_requests(tx, ["later"])),
                lambda found: found["later"].answer is not None,
            )
        assert "another version" in str(found["later"].answer)


async def test_a_shop_that_nobody_works_for_is_refused_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_BEGUN_SECONDS", 0.0)
    async with floor(tmp_path) as (_, shop, holder, other):
        monkeypatch.setattr(holder.supervisor, "worker", lambda _shop: None)
        for act in (other.commands.refresh(shop, "1"), other.commands.sync(shop, 30)):
            with anyio.fail_after(60), pytest.raises(Refused) as refused:
                await act
            assert (refused.value.slug, refused.value.retry_after_seconds) == ("overloaded", 1)
        assert await other.store.read(open_requests) == []


async def falls_silent(holder: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the node had been killed some time ago, with its lease to last for a while."""

    async def never() -> None:
        pass

    monkeypatch.setattr(holder.supervisor._membership, "_beat", never)
    monkeypatch.setattr(holder.supervisor, "worker", lambda _shop: None)
    monkeypatch.setattr(requests, "_BEGUN_SECONDS", 0.0)
    monkeypatch.setattr(requests, "_APPLIED_SECONDS", 0.0)

    def unit(tx: Transaction) -> None:
        now = tx.dialect.now_ms
        ends = f"{now} + {LEFT_SECONDS * 1000}"
        of = (holder.name,)
        tx.execute(f"UPDATE nodes SET seen_at = {now} - 209000, expires_at = {ends} WHERE name = ?", of)
        tx.execute(f"UPDATE shops SET lease_expires_at = {ends} WHERE lease_holder = ?", of)

    await holder.store.write(unit)


@pytest.mark.parametrize(
    "act",
    [
        lambda node: node.commands.sync(SHOP),
        lambda node: node.commands.sync(SHOP, 0.0),
        lambda node: node.commands.sync(SHOP, 30.0),
        lambda node: node.commands.refresh(SHOP, "1"),
        lambda node: node.submit(SHOP, "1", "accepted"),
        lambda node: node.commands.preview(SHOP, "1", wanted("accepted")),
    ],
    ids=["sync", "sync_and_hardly_wait", "sync_and_wait", "refresh", "submit", "preview"],
)
async def test_what_is_asked_of_a_node_that_is_silent_is_refused_until_another_one_has_the_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Node], Awaitable[object]]
) -> None:
    async with floor(tmp_path) as (_, _, holder, other):
        await falls_silent(holder, monkeypatch)
        with anyio.fail_after(30), pytest.raises(Refused) as refused:
            await act(other)
        assert refused.value.slug == "overloaded"
        assert f"node {holder.name}, which works for shop {SHOP}, does not answer" in refused.value.detail
        assert "last seen 2" in refused.value.detail
        seconds = refused.value.retry_after_seconds
        assert seconds is not None
        assert LEFT_SECONDS - 60 < seconds <= LEFT_SECONDS
        assert f"another node has the shop in {seconds} s" in refused.value.detail
        assert await other.store.read(open_requests) == [], "nobody does later what was refused"


@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_what_a_silent_node_has_not_confirmed_counts_and_the_answer_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with floor(tmp_path) as (_, shop, holder, other):
        if what == "resume":
            await holder.commands.pause(shop, None)
        await falls_silent(holder, monkeypatch)
        with pytest.raises(Refused, match=f"the {what} of shop {shop} is kept and counts") as refused:
            await (other.commands.pause(shop, None) if what == "pause" else other.commands.resume(shop))
        assert (refused.value.slug, refused.value.extra) == ("overloaded", {"kept": True})
        assert f"node {holder.name}" in refused.value.detail
        row = await other.store.read(lambda tx: get_shop(tx, shop))
        assert row is not None
        assert (row.paused_by == "person") is (what == "pause")


async def test_a_sync_that_nobody_waits_for_begins_before_it_is_said_to(tmp_path: Path) -> None:
    async with floor(tmp_path) as (sandbox, shop, holder, other):
        with anyio.fail_after(30):
            await holder.commands.sync(shop, 30)
            new = sandbox.selldone.panel.add()
            assert await other.commands.sync(shop) is None
            assert await other.store.read(open_requests) == [], "a holder has it"
            await holder.committed.until(lambda: known(holder), lambda found: new in found)


async def test_a_shop_that_is_handed_over_is_asked_by_whoever_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not refused by the node that gives it up, whichever node was asked."""
    monkeypatch.setattr(requests, "_BEGUN_SECONDS", NEVER_SECONDS)  # however slow this machine is
    async with floor(tmp_path, poll_seconds=0.05) as (sandbox, shop, holder, other):
        worker = holder.supervisor.worker(shop)
        assert worker is not None
        worker.drain()
        first, second = sandbox.selldone.order_ids()
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(holder.commands.refresh, shop, first)
                group.start_soon(other.commands.refresh, shop, second)
                await holder.committed.until(
                    lambda: holder.store.read(open_requests), lambda waiting: len(waiting) == 2
                )
                await holder.supervisor.drain(5)
        assert {first, second} <= set(await known(other))


async def test_what_a_holder_began_before_it_ended_is_done_by_the_next_one(tmp_path: Path) -> None:
    async with floor(tmp_path) as (sandbox, shop, holder, other):
        order = sandbox.selldone.order_ids()[0]
        asked = Request("begun", shop, "read", order, True, 1, epoch=1)

        def unit(tx: Transaction) -> None:
            add_request(tx, asked)
            begin_request(tx, "begun", 1)

        await holder.supervisor.drain(5)
        await other.store.write(unit)
        with anyio.fail_after(60):
            await other.store.notify("asked", shop)
            await other.committed.until(lambda: known(other), lambda found: order in found)


async def test_lost_notices_are_made_good_by_looking(tmp_path: Path) -> None:
    """A target, a sync, a read and a job: each asked for at the node that does not have the shop."""
    sandbox = Sandbox(SandboxSettings(orders=3))
    with database() as url:
        async with sandbox.running():
            config = config_of(sandbox, tmp_path)
            async with nodes(url, config, poll_seconds=0.02, deaf=True) as (_, other):
                with anyio.fail_after(60):
                    await other.commands.sync(SHOP, 30)
                    first, second, third = sandbox.selldone.order_ids()
                    await other.commands.refresh(SHOP, third)
                    target = await other.submit(SHOP, first, "accepted")
                    assert (await other.finished(target)).status is TargetStatus.REACHED
                    job = await other.commands.start_job(Action.HOLD, Wanted(shop=SHOP), None, None, "somebody")
                    await ended(other, job.id)
                    held = await other.store.read(lambda tx: get_order(tx, SHOP, second))
                    assert held is not None
                    assert held.held_at is not None


async def test_a_job_for_the_shops_of_another_node_is_carried_out_there(tmp_path: Path) -> None:
    async with floor(tmp_path, orders=3) as (_, shop, holder, other):
        with anyio.fail_after(60):
            await holder.commands.sync(shop, 30)
            job = await other.commands.start_job(Action.HOLD, Wanted(shop=shop), None, None, "somebody")
            assert (await ended(other, job.id)).done == 3


async def ended(node: Node, job: str) -> Job:
    def found(tx: Transaction) -> Job | None:
        return get_job(tx, job)

    seen = await node.committed.until(lambda: node.store.read(found), lambda found: found and found.ended_at)
    assert seen is not None
    return seen
