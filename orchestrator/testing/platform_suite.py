"""What every platform has to do: its client over real HTTP in front of its own simulation, which keeps a ledger.

A plug-in runs it in either of two ways:

- `pytest --pyargs orchestrator.testing.platform_suite` tries every platform that other packages bring;
- a test module of its own says `from orchestrator.testing.platform_suite import *` and names what is to be tried:
  `PLATFORMS = ("example",)`. Its tests are asynchronous, in pytest-asyncio's automatic mode.

Where a platform lacks what the tests need, one of them fails and lists all of it; the others are not tried.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import anyio
import pytest
from pydantic import TypeAdapter

from orchestrator import registry
from orchestrator.platforms.completion import completed
from orchestrator.platforms.content_document import CompleteContent, Sums
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Transient,
    Unreadable,
)
from orchestrator.sandbox.platform import Walk
from orchestrator.testing.lacking import lacking
from orchestrator.testing.stage import Stage, moves_of, staged, walk_of
from statemachines.terms import OrderState

F = TypeVar("F", bound=Callable[..., Any])

_ONLY_IF = "only_if"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tries each test with the platforms that its module names; without a word: with those of other packages."""
    names = metafunc.fixturenames
    if "platform" not in names:
        return
    tried: Iterable[str] = getattr(metafunc.module, "PLATFORMS", ())
    if metafunc.module.__name__ == __name__:
        brought = [name for name in registry.PLATFORMS if registry.PLATFORMS.origin(name) is not None]
        tried = tuple(dict.fromkeys([*brought, *registry.PLATFORMS.troubles]))  # what cannot be loaded fails, too
    if metafunc.function is test_the_platform_lacks_nothing:
        metafunc.parametrize("platform", tuple(tried) or (None,))
        return
    only_if: Callable[[Walk], bool] = getattr(metafunc.function, _ONLY_IF, lambda _: True)
    tried = [name for name in tried if not lacking(name) and only_if(walk_of(name))]
    if "place" in names:
        metafunc.parametrize(("platform", "place"), [(p, n) for p in tried for n in range(len(moves_of(p)))])
    elif "variant" in names:
        variants = [(p, variant) for p in tried for variant in (None, *walk_of(p).variants)]
        metafunc.parametrize(("platform", "variant"), variants, ids=[_id(*each) for each in variants])
    else:
        metafunc.parametrize("platform", tried)


def _id(platform: str, variant: str | None) -> str:
    return platform if variant is None else f"{platform}, {variant}"


def _only_if(is_meant: Callable[[Walk], bool]) -> Callable[[F], F]:
    """Tries a test only with platforms whose walk says so."""

    def marked(test: F) -> F:
        setattr(test, _ONLY_IF, is_meant)
        return test

    return marked


async def _failure_of(stage: Stage, place: int) -> PlatformFailure:
    """How the step at `place` fails; the order has walked up to it."""
    with pytest.raises(PlatformFailure) as caught:
        await stage.perform(moves_of(stage.platform)[place])
    return caught.value


async def _around_an_ambiguous_failure(stage: Stage, place: int, fault: str) -> tuple[OrderState, OrderState]:
    """The order walks up to the step at `place`, whose call then gets the fault; what reads showed before and after."""
    moves = moves_of(stage.platform)
    await stage.walk(moves[:place])
    before = await stage.client.read(stage.order)
    stage.sandbox.faults.script(fault, step=moves[place].step)
    failure = await _failure_of(stage, place)
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous
    after = await stage.client.read(stage.order)
    return before.order_state(), after.order_state()


def test_the_platform_lacks_nothing(platform: str | None) -> None:
    assert platform is not None, (
        f"there is nothing to try: no package that is installed here has an entry point of the group"
        f" {registry.GROUP}; install yours beside fulfilld (pip install -e .)"
    )
    assert lacking(platform) == []


# -- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("orders", "page_size"), [(0, 10), (1, 10), (10, 10), (23, 10), (23, 2), (400, 250)])
async def test_a_sync_imports_every_order(platform: str, orders: int, page_size: int) -> None:
    async with staged(platform, orders=orders, page_size=page_size) as stage:
        found = await stage.snapshots()
        assert set(found) == set(stage.sandbox.platforms[platform].order_ids())
        assert {snapshot.state for snapshot in found.values()} <= {stage.machine.initial}


async def test_a_listed_order_and_a_read_one_are_the_same(platform: str, variant: str | None) -> None:
    async with staged(platform, variant=variant) as stage:
        for order_id, listed in (await stage.snapshots()).items():
            read = await stage.client.read(order_id)
            assert (read.id, read.reference, read.state, read.payment) == (
                listed.id,
                listed.reference,
                listed.state,
                listed.payment,
            )
            assert read.facts == listed.facts
            assert read.content_hash == listed.content_hash
            assert json.loads(read.payload)


@_only_if(lambda walk: not walk.lists_all_work)
async def test_the_next_sync_brings_what_changed_and_little_else(platform: str) -> None:
    async with staged(platform, orders=40, lookback_seconds=0) as stage:
        _, position = await stage.list_pages()
        position = json.loads(json.dumps(position))
        new = stage.operate("add")["order"]
        moved = stage.order
        await stage.perform(moves_of(platform)[0])
        found = await stage.snapshots(position)
        assert new in found
        assert len(found) < 10
        if stage.client.rereads_open:  # what moved is found by reading it again
            found[moved] = await stage.client.read(moved)
        assert found[moved].state == moves_of(platform)[0].state


async def test_a_payload_that_cannot_be_read_takes_no_other_with_it(platform: str) -> None:
    async with staged(platform) as stage:
        bad = stage.operate("add_garbage")["order"]
        pages, _ = await stage.list_pages()
        (unreadable,) = [item for page in pages for item in page.unreadable]
        assert unreadable.id == bad
        assert json.loads(unreadable.payload)
        assert len([each for page in pages for each in (*page.orders, *page.must_read)]) == 3
        with pytest.raises(Unreadable) as caught:
            await stage.client.read(bad)
        assert json.loads(caught.value.payload) == json.loads(unreadable.payload)


@pytest.mark.parametrize("gone", [1, 4, 9, 17])
async def test_a_list_that_moves_under_a_sync_loses_no_order(platform: str, variant: str | None, gone: int) -> None:
    async with staged(platform, variant=variant, orders=40, page_size=10) as stage:
        ids: list[str] = stage.sandbox.platforms[platform].order_ids()
        found: set[str] = set()
        page = await stage.client.list_page(None, None)
        found |= {snapshot.id for snapshot in page.orders} | set(page.must_read)
        page = await stage.client.list_page(None, page.next)
        found |= {snapshot.id for snapshot in page.orders} | set(page.must_read)
        for order_id in ids[:gone]:
            stage.operate("delete", order=order_id)
        while page.next is not None:
            page = await stage.client.list_page(None, page.next)
            found |= {snapshot.id for snapshot in page.orders} | set(page.must_read)
        if walk_of(platform).lists_all_work:  # an order that slipped between two pages is in the next sync
            found |= set(await stage.snapshots())
        assert set(ids[gone:]) <= found


# -- steps -------------------------------------------------------------------------------------------------------------


async def test_every_step_takes_effect_once_and_is_answered(platform: str, variant: str | None) -> None:
    async with staged(platform, variant=variant) as stage:
        for move in moves_of(platform, variant):
            before = (await stage.client.read(stage.order)).order_state()
            answer = await stage.perform(move, before)
            assert answer.state in (None, move.state)
            snapshot = await stage.client.read(stage.order)
            assert snapshot.state == move.state
            is_done = stage.machine.is_done(move.step, before, snapshot.order_state(), move.request)
            assert is_done is (move.step not in walk_of(platform).unseen)
        assert stage.sandbox.ledger.effects(stage.order) == [move.step for move in moves_of(platform, variant)]


async def test_our_own_steps_do_not_look_like_edits(platform: str) -> None:
    async with staged(platform) as stage:
        before = await stage.client.read(stage.order)
        await stage.walk(moves_of(platform))
        after = await stage.client.read(stage.order)
        assert after.payload != before.payload
        assert after.content_hash == before.content_hash


async def test_an_edit_of_a_person_shows(platform: str) -> None:
    async with staged(platform) as stage:
        before = await stage.client.read(stage.order)
        stage.operate("edit", order=stage.order, receiver_name="Somebody Else")
        after = await stage.client.read(stage.order)
        assert after.content_hash != before.content_hash
        assert (after.platform_updated_at or 1) > (before.platform_updated_at or 0)


async def test_content_is_whole_and_says_what_is_not_given(platform: str, variant: str | None) -> None:
    """As `content_document` has it: of orders at rest, and of one that went all the way."""
    async with staged(platform, variant=variant) as stage:
        first = await stage.client.read(stage.order)
        await stage.walk(moves_of(platform))
        for snapshot in (first, *(await stage.snapshots()).values(), await stage.client.read(stage.order)):
            whole = completed(json.loads(json.dumps(snapshot.content)))
            TypeAdapter(CompleteContent).validate_python(whole)
            assert whole["totals"].keys() == Sums.__annotations__.keys(), "whoever adds up sums adds up all of them"
            assert whole["numbers"]["order"] is not None
            assert whole["payment"]["status"] is None or "/payment/status" not in whole["gaps"]


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage"])
async def test_a_lost_answer_is_ambiguous_and_resolved_by_reading(platform: str, place: int, fault: str) -> None:
    async with staged(platform) as stage:
        move = moves_of(platform)[place]
        before, after = await _around_an_ambiguous_failure(stage, place, fault)
        if move.step in walk_of(platform).unseen:
            facts = stage.machine.after_lost_answer(before, move.step, move.request)
            assert (await stage.perform(move, replace(before, facts=facts))).is_found
        else:
            assert stage.machine.is_done(move.step, before, after, move.request)
            assert stage.sandbox.ledger.repeats_after_effect() == []
        assert stage.sandbox.ledger.effects(stage.order).count(move.step) == len(
            [each for each in moves_of(platform)[: place + 1] if each.step == move.step]
        )


@pytest.mark.parametrize("fault", ["drop_before", "error_before"])
async def test_a_call_that_did_not_arrive_is_found_undone_by_reading(platform: str, place: int, fault: str) -> None:
    async with staged(platform) as stage:
        move = moves_of(platform)[place]
        before, after = await _around_an_ambiguous_failure(stage, place, fault)
        assert stage.machine.is_done(move.step, before, after, move.request) is False
        await stage.perform(move)
        assert stage.sandbox.ledger.effects(stage.order) == [each.step for each in moves_of(platform)[: place + 1]]


async def test_an_answer_that_stalls_is_ambiguous(platform: str) -> None:
    async with staged(platform, timeout_seconds=0.7) as stage:
        await stage.client.read(stage.order)
        stage.sandbox.faults.script("stall_after", step=moves_of(platform)[0].step)
        failure = await _failure_of(stage, 0)
        assert isinstance(failure, Transient)
        assert failure.is_ambiguous
        assert (await stage.client.read(stage.order)).state == moves_of(platform)[0].state


async def test_a_throttled_call_pauses_the_shop_and_is_not_ambiguous(platform: str, place: int) -> None:
    async with staged(platform, throttle_seconds=7) as stage:
        await stage.walk(moves_of(platform)[:place])
        stage.sandbox.faults.script("throttle", step=moves_of(platform)[place].step)
        failure = await _failure_of(stage, place)
        assert isinstance(failure, Transient)
        assert not failure.is_ambiguous
        assert failure.retry_after_seconds == 7


@pytest.mark.parametrize("fault", ["drop_before", "error_before", "drop_after", "error_after", "throttle"])
async def test_reads_that_fail_are_never_ambiguous(platform: str, fault: str) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script(fault, times=2)
        for call in (stage.client.read(stage.order), stage.client.list_page(None, None)):
            with pytest.raises(Transient) as caught:
                await call
            assert not caught.value.is_ambiguous


async def test_a_revoked_token_stops_the_shop(platform: str) -> None:
    async with staged(platform) as stage:
        before = (await stage.client.read(stage.order)).order_state()
        stage.operate("change_token", token="another")  # noqa: S106 - opens nothing
        for call in (
            stage.client.read(stage.order),
            stage.client.list_page(None, None),
            stage.perform(moves_of(platform)[0], before),
        ):
            with pytest.raises(AccessDenied):
                await call
        assert [(finding.check, finding.status) for finding in await stage.client.check()] == [
            ("reachable", "ok"),
            ("credentials", "failed"),
        ]


async def test_a_deleted_order_is_not_found(platform: str) -> None:
    async with staged(platform) as stage:
        order = stage.order
        before = (await stage.client.read(order)).order_state()
        stage.operate("delete", order=order)
        with pytest.raises(NotFound):
            await stage.client.read(order)
        move = moves_of(platform)[0]
        with pytest.raises(NotFound):
            await stage.client.perform(move.step, order, before, move.request)


@_only_if(lambda walk: not walk.refuses_nothing)
async def test_a_step_out_of_sequence_is_reported_as_such(platform: str) -> None:
    async with staged(platform) as stage:
        failure = await _failure_of(stage, len(moves_of(platform)) - 1)
        assert isinstance(failure, OutOfSequence)
        assert stage.sandbox.ledger.effects(stage.order) == []


async def test_doctor_finds_nothing_wrong(platform: str) -> None:
    async with staged(platform) as stage:
        assert {finding.status for finding in await stage.client.check()} == {"ok"}


async def test_many_calls_at_once_use_few_connections_and_wait_for_none(platform: str) -> None:
    async with staged(platform, orders=60, latency_ms=5) as stage:
        ids: list[str] = stage.sandbox.platforms[platform].order_ids()
        found: list[Any] = []

        async def read(order_id: str) -> None:
            found.append((await stage.client.read(order_id)).id)

        async with anyio.create_task_group() as group:
            for order_id in ids:
                group.start_soon(read, order_id)
        assert sorted(found) == sorted(ids)
