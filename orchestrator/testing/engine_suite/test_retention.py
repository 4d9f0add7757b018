"""What is set aside and what is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.process import housekeeping
from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage import retention
from storage.announcements import announced_by, keep_announcement
from storage.attempts import Attempt, note_attempts
from storage.deliveries import list_parked, park
from storage.events import append_event, list_events
from storage.jobs import Job, add_job, keep_operated
from storage.order_search import list_orders
from storage.orders import get_order, insert_order, save_order
from storage.payloads import get_payload
from storage.products import note_shipment
from storage.records import Rejected, Situation, TargetStatus
from storage.rejected import add_rejected, get_rejected, list_rejected, remove_rejected, remove_rejected_of
from storage.store import Store
from storage.targets import get_target, insert_target, target_by_key
from storage.transaction import Row, Transaction
from storage.webhooks import Arrival, add_webhook, finish_webhook

OLD = NOW - 1000


async def forget(store: Store, duty: retention.Duty, before_ms: int = NOW) -> int:
    keys = await store.read(lambda tx: duty.find(tx, before_ms))
    return await store.write(lambda tx: duty.forget(tx, keys, before_ms))


async def test_a_rejected_payload_is_kept_once_byte_for_byte(engine: Engine) -> None:
    odd = b"\x00{broken\xff"
    async with engine.open() as store:

        def unit(tx: Transaction) -> list[int | None]:
            return [
                add_rejected(tx, "acme", "poll", "7", "no such field", odd, NOW),
                add_rejected(tx, "acme", "webhook", "7", "again", b"another payload", NOW + 1),
                add_rejected(tx, "other", "poll", None, "theirs", odd, NOW + 2),
                add_rejected(tx, "acme", "poll", None, "another", b"", NOW + 3),
            ]

        first, again, others, another = await store.write(unit)
        assert again is None
        assert None not in (first, others, another)
        kept = Rejected(first or 0, "acme", "poll", NOW, "no such field", odd)
        assert await store.read(lambda tx: get_rejected(tx, first or 0)) == (kept, "7")
        assert await store.read(lambda tx: get_rejected(tx, 999)) is None
        everything = await store.read(lambda tx: list_rejected(tx, 0, 9))
        assert [each.id for each in everything] == [first, others, another]
        assert [each.id for each in await store.read(lambda tx: list_rejected(tx, first or 0, 1))] == [others]
        assert [each.id for each in await store.read(lambda tx: list_rejected(tx, 0, 9, "acme"))] == [first, another]


async def test_the_keys_of_announcements_are_forgotten_by_age(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            keep_announcement(tx, "old", "acme", "1", OLD)
            keep_announcement(tx, "new", "acme", "1", NOW)

        await store.write(unit)
        assert await forget(store, retention.ANNOUNCEMENTS) == 1
        assert await store.read(lambda tx: announced_by(tx, "old")) is None
        assert await store.read(lambda tx: announced_by(tx, "new")) == ("acme", "1")


async def test_a_payload_that_was_read_after_all_is_forgotten(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> list[int | None]:
            return [
                add_rejected(tx, shop, "poll", number, "?", payload, NOW)
                for shop, number, payload in (("acme", "1", b"a"), ("acme", "1", b"b"), ("other", "1", b"c"))
            ]

        _, _, others = await store.write(unit)
        await store.write(lambda tx: remove_rejected_of(tx, "acme", "1"))
        assert [each.id for each in await store.read(lambda tx: list_rejected(tx, 0, 9))] == [others]
        await store.write(lambda tx: remove_rejected(tx, others or 0))
        assert await store.read(lambda tx: list_rejected(tx, 0, 9)) == []


async def test_only_resting_orders_are_forgotten_with_all_that_is_theirs(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            insert_order(tx, order("old", updated_at=OLD), b"old")
            insert_order(tx, order("old", shop="other", updated_at=NOW), b"other")
            insert_order(tx, order("new", updated_at=NOW), b"new")
            for situation in Situation:
                if situation is not Situation.IDLE:
                    insert_order(tx, order(situation.value, situation=situation, updated_at=OLD), b"busy")
            ended: dict[str, Any] = {"status": TargetStatus.REACHED, "finished_at": OLD}
            insert_target(tx, target("of-old", "old", **ended), None, None)
            insert_target(tx, target("of-other", "old", shop="other", **ended), None, None)

        await store.write(unit)
        assert await forget(store, retention.ORDERS) == 1
        left = await store.read(lambda tx: list_orders(tx, 0, 99))
        assert sorted((each.shop, each.id) for each in left) == sorted(
            [("other", "old"), ("acme", "new")] + [("acme", s.value) for s in Situation if s is not Situation.IDLE]
        )
        assert await store.read(lambda tx: get_payload(tx, "acme", "old")) is None
        assert await store.read(lambda tx: get_payload(tx, "other", "old")) == b"other"
        assert await store.read(lambda tx: get_target(tx, "of-old")) is None
        assert await store.read(lambda tx: get_target(tx, "of-other")) is not None


async def test_pending_targets_are_never_forgotten(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            insert_target(tx, target("pending", submitted_at=OLD), None, None)
            insert_target(tx, target("ended", finished_at=OLD), "key", "hash")
            insert_target(tx, target("just-ended", finished_at=NOW), None, None)

        await store.write(unit)
        assert await forget(store, retention.TARGETS) == 1
        for target_id, is_left in (("pending", True), ("ended", False), ("just-ended", True)):
            found = await store.read(lambda tx, t=target_id: get_target(tx, t))  # type: ignore[misc]
            assert (found is not None) is is_left, target_id


async def test_forgetting_goes_in_batches(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for number in range(4):
                insert_order(tx, order(str(number), updated_at=OLD), b"")
                insert_target(tx, target(str(number), finished_at=OLD), None, None)
                append_event(tx, OLD, "old")
                add_rejected(tx, "acme", "poll", None, "?", str(number).encode(), OLD)
                add_webhook(tx, Arrival("acme", "hint", None, None, None, None, b""), OLD)
                finish_webhook(tx, tx.query("SELECT max(id) FROM webhooks")[0][0], OLD)
                note_shipment(tx, "acme", str(number), None, b"{}", OLD)
                keep_announcement(tx, str(number), "acme", "1", OLD)
                note_attempts(tx, "orders", [Attempt("test", None, 1, OLD, 5, 200, None)])
                add_job(tx, Job(str(number), "retry", {}, None, "api", "done", 0, 0, 0, {}, OLD, OLD), [])
                keep_operated(tx, str(number), "acme", ["1"])
            append_event(tx, NOW, "new")

        await store.write(unit)
        for duty in retention.DUTIES:
            assert [await forget(store, duty) for _ in range(3)] == [3, 1, 0], duty.name
        assert [event.type for event in await store.read(lambda tx: list_events(tx, 0, 9))] == ["new"]
        assert await store.read(lambda tx: get_order(tx, "acme", "0")) is None
        assert await store.read(lambda tx: tx.query("SELECT count(*) FROM job_orders")) == [(0,)]


async def test_what_came_to_life_since_it_was_found_is_not_forgotten(engine: Engine) -> None:
    async with engine.open() as store:
        kept = await store.write(lambda tx: insert_order(tx, order("old", updated_at=OLD), b""))
        keys = await store.read(lambda tx: retention.ORDERS.find(tx, NOW))
        woken = replace(kept, situation=Situation.QUEUED, due_at=NOW)
        await store.write(lambda tx: save_order(tx, woken))
        assert keys == [(kept.seq,)]
        assert await store.write(lambda tx: retention.ORDERS.forget(tx, keys, NOW)) == 0
        assert await store.read(lambda tx: get_payload(tx, "acme", "old")) == b""


async def test_housekeeping_forgets_batch_after_batch_in_pieces(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 4)
    monkeypatch.setattr(retention, "PIECE", 2)
    monkeypatch.setattr("orchestrator.process.housekeeping._BREATH_SECONDS", 0)
    pieces: list[int] = []
    forget_events = retention.EVENTS.forget

    def noted(tx: Transaction, keys: Sequence[Row], before_ms: int) -> int:
        pieces.append(len(keys))
        return forget_events(tx, keys, before_ms)

    async with engine.open() as store:
        await store.write(lambda tx: [append_event(tx, OLD, str(number)) for number in range(5)])
        await store.write(lambda tx: insert_order(tx, order(updated_at=OLD), b""))
        assert await housekeeping.forget(store, NOW, [replace(retention.EVENTS, forget=noted), retention.ORDERS]) == 6
        assert pieces == [2, 2, 1]
        assert await housekeeping.forget(store, NOW) == 0


async def test_events_behind_those_of_a_clock_that_was_ahead_are_forgotten_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the feed would grow until the clock's time has come."""
    monkeypatch.setattr(retention, "_OLDEST", 3)
    async with engine.open() as store:
        ahead = [NOW + 1] * 4
        await store.write(lambda tx: [append_event(tx, at, "x") for at in (OLD, *ahead, OLD, OLD, NOW)])
        assert [await housekeeping.forget(store, NOW, [retention.EVENTS]) for _ in range(3)] == [1, 2, 0]
        assert [event.at for event in await store.read(lambda tx: list_events(tx, 0, 9))] == [*ahead, NOW]
        assert await housekeeping.forget(store, NOW + 2, [retention.EVENTS]) == 5
        assert await housekeeping.forget(store, NOW + 2, [retention.EVENTS]) == 0


async def test_webhooks_that_are_still_to_be_worked_off_are_not_forgotten(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: add_webhook(tx, Arrival("acme", "hint", None, None, None, None, b"x"), OLD))
        assert await forget(store, retention.WEBHOOKS) == 0
        await store.write(lambda tx: finish_webhook(tx, 1, NOW))
        assert await forget(store, retention.WEBHOOKS) == 1


async def test_what_is_parked_goes_with_its_event(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for at in (OLD, NOW):
                park(tx, "erp", append_event(tx, at, "x"), "order", 1, OLD)

        await store.write(unit)
        assert await forget(store, retention.EVENTS) == 1
        (left,) = await store.read(lambda tx: list_parked(tx, "erp", "order", 9))
        assert left.event.at == NOW


async def test_only_what_is_over_is_forgotten_where_the_ends_are_known(engine: Engine) -> None:
    ends = {"acme": ["Returned", "Canceled"], "other": ["done"]}
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            old = {"updated_at": OLD}
            insert_order(tx, order("over", state="Canceled", **old), b"")
            insert_order(tx, order("open", state="CheckQueue", **old), b"")
            insert_order(tx, order("unpaid", state="CheckQueue", payment="unpaid", **old), b"")
            insert_order(tx, order("gone", state="CheckQueue", gone_at=OLD, **old), b"")
            insert_order(tx, order("wanted", state="Canceled", **old), b"")
            insert_order(tx, order("over", shop="left", state="done", **old), b"")
            insert_order(tx, order("over", shop="other", state="done", **old), b"")
            insert_target(tx, target("waits", "wanted", submitted_at=OLD), "key", "hash")

        await store.write(unit)
        assert await forget(store, retention.orders_duty(ends)) == 3
        left = await store.read(lambda tx: list_orders(tx, 0, 99))
        assert {(each.shop, each.id) for each in left} == {
            ("acme", "open"),
            ("acme", "unpaid"),
            ("acme", "wanted"),
            ("left", "over"),
        }


async def test_an_order_that_was_opened_again_since_it_was_found_is_not_forgotten(engine: Engine) -> None:
    duty = retention.orders_duty({"acme": ["Canceled"]})
    async with engine.open() as store:
        kept = await store.write(lambda tx: insert_order(tx, order("1", state="Canceled", updated_at=OLD), b""))
        keys = await store.read(lambda tx: duty.find(tx, NOW))
        assert keys == [(kept.seq,)]
        await store.write(lambda tx: save_order(tx, replace(kept, state="CheckQueue")))
        assert await store.write(lambda tx: duty.forget(tx, keys, NOW)) == 0


async def test_targets_and_their_keys_go_together(engine: Engine) -> None:
    async with engine.open() as store:
        ended: dict[str, Any] = {"status": TargetStatus.REACHED, "finished_at": OLD}
        await store.write(lambda tx: insert_target(tx, target("ended", **ended), "key", "hash"))
        assert await store.read(lambda tx: target_by_key(tx, "key")) is not None
        assert await forget(store, retention.TARGETS) == 1
        assert await store.read(lambda tx: target_by_key(tx, "key")) is None
