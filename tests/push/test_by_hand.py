"""The attempts of each delivery are kept, and a person can send an event again, replay the feed, or send a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.push import pusher
from orchestrator.push.batch import Round
from storage import attempts, retention
from storage.attempts import Attempt, KeptAttempt, list_attempts, note_attempts
from tests.push.erp import Delivered, Dispatch, Erp, dispatching, is_genuine, running_erp, settings
from tests.support.ports import free_port


async def kept(it: Dispatch, name: str = "orders_url", cursor: int | None = None) -> list[KeptAttempt]:
    return await it.store.read(lambda tx: list_attempts(tx, name, 100, cursor=cursor))


async def test_each_attempt_is_kept_with_what_the_receiver_answered(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        answers = iter((500, 422, 201))
        erp.judge = lambda each: next(answers) if each.body["order"] == "bad" else 200
        await it.publish("bad", "good", type_="order.held")
        await it.until(lambda now: now["lag_events"] == 0)
        made = [each.made for each in await kept(it, cursor=1)]
        assert [(each.attempt, each.status, each.error) for each in made] == [
            (3, 201, None),
            (2, 422, "answered (422)"),
            (1, 500, "answered (500)"),
        ]
        assert {each.kind for each in made} == {"in_turn"}
        (good,) = await kept(it, cursor=2)
        assert (good.type, good.shop, good.order) == ("order.held", "acme", "good")
        assert await kept(it, "products_url") == []


async def test_an_attempt_without_an_answer_has_no_status(tmp_path: Path) -> None:
    port = free_port()
    async with dispatching(tmp_path, settings(Erp(port))) as it:
        await it.publish("1")
        await it.until(lambda now: now["last_error"] is not None)
        first = (await kept(it))[-1].made
        assert (first.attempt, first.status, first.error) == (1, None, f"connection refused by 127.0.0.1:{port}")


async def test_an_event_that_arrived_is_sent_once_more_under_its_id(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.publish("1", "2")
        await it.until(lambda now: now["lag_events"] == 0)
        first = next(each for each in erp.taken if each.cursor == 1)
        erp.judge = lambda _: 503
        failed = await it.deliveries.send("orders_url", 1)
        erp.judge = lambda _: 200
        sent = await it.deliveries.send("orders_url", 1)
        assert failed is not None
        assert sent is not None
        assert (failed.made.kind, failed.made.attempt, failed.made.error) == ("again", 2, "answered (503)")
        assert (sent.made.kind, sent.made.attempt, sent.made.error) == ("again", 3, None)
        assert is_genuine(erp.taken[-1])
        assert erp.taken[-1].headers["webhook-id"] == first.headers["webhook-id"]
        assert [each.id for each in await kept(it, cursor=1)][:2] == [sent.id, failed.id]
        assert (await it.status())["lag_events"] == 0, "that it failed by hand changes nothing"


async def test_one_that_has_yet_to_arrive_is_tried_at_once_in_its_turn(tmp_path: Path) -> None:
    async with (
        running_erp() as erp,
        dispatching(tmp_path, settings(erp, max_wait_seconds=3600.0), first_wait_seconds=3600.0) as it,
    ):
        erp.judge = lambda each: 500 if each.body["order"] == "bad" else 200
        await it.publish("bad", "bad", "good")
        await it.until(lambda now: now["lag_events"] == 2)
        erp.judge = lambda _: 200
        assert await it.deliveries.send("orders_url", 2) is None
        await it.until(lambda now: now["lag_events"] == 0)
        assert [each.cursor for each in erp.taken if each.body["order"] == "bad"] == [1, 2]


async def test_one_that_arrived_ahead_of_an_order_that_was_not_begun_is_sent_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[Round] = []

    def watched(*arguments: Any) -> Round:
        rounds.append(Round(*arguments))
        return rounds[-1]

    monkeypatch.setattr(pusher, "Round", watched)
    async with (
        running_erp() as erp,
        dispatching(tmp_path, settings(erp, timeout_seconds=300.0), round_seconds=1.0) as it,
    ):
        erp.hangs = lambda each: each.cursor == 1
        await it.publish("slow")
        await erp.until(lambda erp: bool(erp.seen))
        await it.publish("good")
        await it.until(lambda now: now["lag_events"] == 1)
        erp.release()  # answered well though late: rounds wait for their calls from now on
        await it.until(lambda now: now["lag_events"] == 0)

        erp.hangs = lambda each: each.cursor != 3
        await it.publish("1", "2", "3", "4", "5", "6", "not begun", "1")
        await erp.until(lambda erp: any(each.cursor == 10 for each in erp.seen))
        await it.deliveries.pause("orders_url")
        while not rounds[-1]._is_over:  # noqa: ASYNC110 - nothing announces it
            await anyio.sleep(0.001)
        erp.release()
        await it.until(lambda now: now["lag_events"] == 2)
        sent = await it.deliveries.send("orders_url", 10)
        assert sent is not None
        assert (sent.made.kind, sent.made.attempt, sent.made.error) == ("again", 2, None)
        assert await it.deliveries.send("orders_url", 9) is None, "this one has yet to arrive"
        await it.deliveries.resume("orders_url")
        await it.until(lambda now: now["lag_events"] == 0)
        assert [each.cursor for each in erp.taken].count(10) == 2
        assert [each.cursor for each in erp.taken].count(9) == 1


async def test_one_that_arrived_is_sent_at_once_while_its_round_goes_on(tmp_path: Path) -> None:
    async with (
        running_erp() as erp,
        dispatching(tmp_path, settings(erp, timeout_seconds=300.0), round_seconds=300.0) as it,
    ):
        erp.hangs = lambda each: each.body["order"] == "slow"
        await it.publish("slow", "quick")
        await erp.until(lambda erp: len(erp.seen) == 2)
        sent = None
        with anyio.fail_after(120):
            while sent is None:  # until the pusher has read the answer
                sent = await it.deliveries.send("orders_url", 2)
        assert (sent.made.kind, sent.made.error) == ("again", None)
        assert await it.deliveries.send("orders_url", 1) is None
        erp.release()
        await it.until(lambda now: now["lag_events"] == 0)
        assert sorted(each.cursor for each in erp.taken) == [1, 2, 2]


async def test_a_paused_receiver_gets_what_a_person_sends_and_nothing_else(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.publish("1")
        await it.until(lambda now: now["lag_events"] == 0)
        await it.deliveries.pause("orders_url")
        await it.publish("1")
        assert await it.deliveries.send("orders_url", 1) is not None
        assert await it.deliveries.send("orders_url", 2) is None
        assert (await it.deliveries.test("orders_url")).made.error is None
        assert [each.cursor for each in erp.taken] == [1, 1, 0]


@pytest.mark.parametrize("cursor", [2, 7])
async def test_an_event_that_is_not_there_or_not_for_this_receiver_is_refused(tmp_path: Path, cursor: int) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.publish("1")
        await it.publish("1", type_="product.updated", id="9")
        with pytest.raises(Refused, match=str(cursor)) as refused:
            await it.deliveries.send("orders_url", cursor)
        assert refused.value.slug == "event-not-found"


@pytest.mark.parametrize("form", ["event", "platform"])
async def test_a_test_is_signed_and_is_no_event_of_the_feed(tmp_path: Path, form: str) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp, format=form)) as it:
        made = (await it.deliveries.test("orders_url")).made
        (sent,) = erp.taken
        assert is_genuine(sent)
        if form == "event":
            assert sent.body["type"] == "delivery.test"
        else:
            assert (sent.body, sent.headers["X-Fulfilld-Event"]) == ({}, "delivery.test")
        assert (made.kind, made.cursor, made.status) == ("test", None, 204)
        assert [each.made for each in await kept(it)] == [made]
        assert (await it.status())["lag_events"] == 0


@pytest.mark.parametrize("cursor", [0, 3, 6])
async def test_a_replay_sends_everything_above_a_cursor_again_in_order(tmp_path: Path, cursor: int) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.publish("1", "2", "1", "2", "1", "2")
        await it.until(lambda now: now["lag_events"] == 0)
        erp.taken.clear()
        await it.deliveries.replay("orders_url", cursor)
        await it.publish("1")
        await erp.until(lambda erp: any(each.cursor == 7 for each in erp.taken))
        await it.until(lambda now: now["lag_events"] == 0)
        for order in "12":
            again = [n for n in range(cursor + 1, 8) if "12"[(n - 1) % 2] == order]
            assert [each.cursor for each in erp.taken if each.body["order"] == order] == again


async def test_a_replay_leads_through_what_is_parked_in_order(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        refused = {3}
        erp.judge = lambda each: 422 if each.cursor in refused else 200
        await it.publish("1", "1", "1", "1")
        await it.until(lambda now: now["lag_events"] == 2)

        def well_from_the_first_on(each: Delivered) -> int:
            if each.cursor == 1:  # what was under way when it was set back is refused before
                refused.clear()
            return 422 if each.cursor in refused else 200

        erp.judge = well_from_the_first_on
        erp.taken.clear()
        await it.deliveries.replay("orders_url", 0)
        await it.until(lambda now: now["lag_events"] == 0)
        assert [each.cursor for each in erp.taken] == [1, 2, 3, 4]


async def test_a_replay_never_skips_what_has_yet_to_come(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.deliveries.pause("orders_url")
        await it.publish("1", "1")
        await it.deliveries.replay("orders_url", 2)
        await it.deliveries.resume("orders_url")
        await erp.takes(2)
        assert [each.cursor for each in erp.taken] == [1, 2]


async def test_only_so_many_attempts_are_kept_and_none_longer_than_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_KEPT", 3)
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        for at in range(5):
            made = Attempt("in_turn", at, 1, at, 0, 200, None)
            await it.store.write(lambda tx, made=made: note_attempts(tx, "orders_url", [made]))  # type: ignore[misc]
        assert [each.made.at for each in await kept(it)] == [4, 3, 2]
        keys = await it.store.read(lambda tx: retention.ATTEMPTS.find(tx, 4))
        assert await it.store.write(lambda tx: retention.ATTEMPTS.forget(tx, keys, 4)) == 2
        assert [each.made.at for each in await kept(it)] == [4]
