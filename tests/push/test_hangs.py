"""Orders for which the receiver never answers hold up themselves alone, and nothing is lost or out of order by it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskGroup

from orchestrator.push.batch import Outcome, Pace, Round
from orchestrator.push.envelope import PendingEvent
from orchestrator.push.sender import Attempt, SignedRequest
from storage.records import Event
from tests.push.erp import Delivered, Dispatch, Erp, dispatching, running_erp, settings

NEVER = 300.0
"""Longer than any test lasts."""


def order_of(delivered: Delivered) -> str:
    return str(delivered.body["order"])


def is_bad(delivered: Delivered) -> bool:
    return order_of(delivered).startswith("bad")


def named(kind: str, count: int) -> list[str]:
    return [f"{kind}{number}" for number in range(count)]


def arrived_in_order(erp: Erp, reported: Sequence[str]) -> None:
    """Asserts that each event arrived, and the first arrivals of each order in order. `reported`: the orders, by
    cursor."""
    wanted: dict[str, list[int]] = {}
    for cursor, order in enumerate(reported, 1):
        wanted.setdefault(order, []).append(cursor)
    arrivals: dict[str, list[int]] = {}
    for cursor in dict.fromkeys(each.cursor for each in erp.taken):
        arrivals.setdefault(reported[cursor - 1], []).append(cursor)
    assert arrivals == wanted


@pytest.fixture
def never_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No late answer makes the receiver a slow one. Rounds are so short here that on a loaded machine any answer may be
    late, and with a slow receiver rounds wait for the calls that hang, which is for as long as a test lasts."""
    monkeypatch.setattr(Pace, "is_slow", property(lambda _: False, lambda *_: None))


async def goes_out(it: Dispatch, erp: Erp, orders: Sequence[str]) -> None:
    """Publishes events of orders, and waits until they are delivered."""
    await it.publish(*orders)
    await erp.until(lambda erp: {order_of(each) for each in erp.taken} >= set(orders))


@pytest.mark.usefixtures("never_slow")
@pytest.mark.parametrize(("count", "timeout_seconds"), [(1, NEVER), (8, NEVER), (30, NEVER), (64, 0.3)])
async def test_orders_that_hang_hold_up_themselves_alone(tmp_path: Path, count: int, timeout_seconds: float) -> None:
    bad, good = named("bad", count), named("good", 40)
    async with running_erp() as erp:
        erp.hangs = is_bad
        chosen = settings(erp, timeout_seconds=timeout_seconds)
        async with dispatching(tmp_path, chosen, round_seconds=0.05) as it:
            await it.publish(*bad)
            await erp.until(lambda erp: len(erp.seen) >= min(count, 6))  # they have all places before the others come
            await goes_out(it, erp, good)
            await goes_out(it, erp, named("later", 40))
            await it.publish(*bad, *good)
            await erp.until(lambda erp: len(erp.taken) >= 120)
            assert not any(is_bad(each) for each in erp.taken), "nothing was released yet"
            await it.until(lambda now: now["lag_events"] == 2 * count)
            erp.release()
            await it.until(lambda now: now["lag_events"] == 0)
            arrived_in_order(erp, [*bad, *good, *named("later", 40), *bad, *good])


@pytest.mark.usefixtures("never_slow")
@pytest.mark.parametrize("count", [8, 32])
async def test_orders_that_hang_hold_up_none_of_those_between_them(tmp_path: Path, count: int) -> None:
    reported = [order for pair in zip(named("bad", count), named("good", count), strict=True) for order in pair]
    async with running_erp() as erp:
        erp.hangs = is_bad
        async with dispatching(tmp_path, settings(erp, timeout_seconds=NEVER), round_seconds=0.05) as it:
            await it.publish(*reported)
            await erp.until(lambda erp: len(erp.taken) == count)
            assert not any(is_bad(each) for each in erp.taken)
            await it.until(lambda now: now["lag_events"] == count)
            erp.release()
            await it.until(lambda now: now["lag_events"] == 0)
            arrived_in_order(erp, reported)
            assert len(erp.seen) == len(reported), "nothing was sent twice"


class Desk:
    """A sender whose calls end when the test says so."""

    def __init__(self) -> None:
        self.out: dict[str, anyio.Event] = {}
        self.begun = 0

    async def pack(self, pending: PendingEvent) -> SignedRequest:
        return SignedRequest(pending.ordering_key.encode(), {})

    async def post(self, signed: SignedRequest) -> Attempt:
        self.begun += 1
        done = self.out[signed.body.decode()] = anyio.Event()
        await done.wait()
        del self.out[signed.body.decode()]
        return Attempt(None)


async def test_a_receiver_that_is_slow_for_all_gets_no_more_calls_at_once(tmp_path: Path) -> None:
    desk, pace = Desk(), Pace()
    queues = [[PendingEvent(Event(n, 0, "x", None, None, None, {}), str(n), 0)] for n in range(40)]
    most: list[int] = []
    outcomes: list[Outcome] = []

    async def hold(group: TaskGroup) -> None:
        round_ = Round(desk, queues, 2, pace)  # type: ignore[arg-type]
        outcomes.append(await round_.hold(group, 1.0, lambda _: len(desk.out) < 6))

    async with anyio.create_task_group() as group:
        group.start_soon(hold, group)
        while len(desk.out) < 3:  # noqa: ASYNC110 - the third is begun because the first two take long
            await anyio.sleep(0.001)
        next(iter(desk.out.values())).set()
        while not pace.is_slow:  # noqa: ASYNC110 - nothing announces it
            await anyio.sleep(0.001)
        while desk.begun < len(queues) and not outcomes:
            most.append(len(desk.out))
            for done in list(desk.out.values()):
                done.set()
            await anyio.sleep(0.001)
        for done in list(desk.out.values()):
            done.set()
    (outcome,) = outcomes
    assert outcome.late == [], "the round waited for its calls"
    assert len(outcome.arrived) + len(outcome.not_begun) == len(queues)
    assert most[-1] <= 2


async def test_an_order_whose_events_all_take_long_holds_up_no_other(tmp_path: Path) -> None:
    async with running_erp() as erp, anyio.create_task_group() as group:
        erp.hangs = is_bad

        async def answer_slowly() -> None:
            while True:
                await anyio.sleep(0.02)  # far longer than a round finds usual
                if len(erp.taken) < 45 or not all(map(is_bad, erp.taken)):  # some are left that the other one overtakes
                    erp.released.set()
                    erp.released = anyio.Event()

        group.start_soon(answer_slowly)
        async with dispatching(tmp_path, settings(erp, timeout_seconds=NEVER), round_seconds=0.02) as it:
            await goes_out(it, erp, ["bad"])
            await it.publish(*["bad"] * 50)
            await erp.until(lambda erp: len(erp.taken) >= 3)
            await goes_out(it, erp, ["good"])
            await erp.takes(52)
            arrived_in_order(erp, [*["bad"] * 51, "good"])
            group.cancel_scope.cancel()


@pytest.mark.usefixtures("never_slow")
async def test_an_answer_that_comes_late_counts_and_is_not_asked_for_again(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.hangs = is_bad
        async with dispatching(tmp_path, settings(erp, timeout_seconds=NEVER), round_seconds=0.02) as it:
            await it.publish("bad", "bad", "bad")
            await goes_out(it, erp, ["good"])
            await it.until(lambda now: now["lag_events"] == 3)
            erp.release()
            served = await it.until(lambda now: now["lag_events"] == 0)
            assert served["last_error"] is None
            assert [each.cursor for each in erp.seen if is_bad(each)] == [1, 2, 3]


@pytest.mark.usefixtures("never_slow")
async def test_a_parked_order_is_delivered_while_parked_ones_beside_it_hang(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.judge = lambda each: 422 if order_of(each) != "good" else 204
        async with dispatching(tmp_path, settings(erp, timeout_seconds=NEVER), round_seconds=0.02) as it:
            await it.publish(*named("bad", 8), *["sick"] * 40)
            await goes_out(it, erp, ["good"])
            await it.until(lambda now: now["lag_events"] == 48)
            erp.hangs = is_bad
            hung = len(erp.seen)
            await erp.until(lambda erp: len({order_of(each) for each in erp.seen[hung:] if is_bad(each)}) >= 2)
            erp.judge = lambda _: 204
            await it.until(lambda now: now["lag_events"] <= 8)
            assert [each.cursor for each in erp.taken if order_of(each) == "sick"] == list(range(9, 49))
            erp.release()
            await it.until(lambda now: now["lag_events"] == 0)


@pytest.mark.usefixtures("never_slow")
async def test_a_call_that_is_out_during_a_restart_is_made_again_before_what_is_behind_it(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.hangs = is_bad
        chosen = settings(erp, timeout_seconds=NEVER)
        async with dispatching(tmp_path, chosen, round_seconds=0.02) as it:
            await it.publish("bad", "bad")
            await goes_out(it, erp, ["good"])
            await it.until(lambda now: now["lag_events"] == 2)
        erp.release()
        erp.taken.clear()
        async with dispatching(tmp_path, chosen, round_seconds=0.02) as it:
            await it.publish("bad")
            await it.until(lambda now: now["lag_events"] == 0)
            assert list(dict.fromkeys(each.cursor for each in erp.taken)) == [1, 2, 4]


@pytest.mark.usefixtures("never_slow")
async def test_a_pause_holds_back_what_is_behind_a_call_that_is_out(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.hangs = is_bad
        async with dispatching(tmp_path, settings(erp, timeout_seconds=NEVER), round_seconds=0.02) as it:
            await it.publish("bad", "bad")
            await goes_out(it, erp, ["good"])
            await it.until(lambda now: now["lag_events"] == 2)
            assert await it.deliveries.pause("orders_url")
            erp.release()
            await it.until(lambda now: now["lag_events"] == 1)
            assert [each.cursor for each in erp.seen if is_bad(each)] == [1]
            assert await it.deliveries.resume("orders_url")
            await it.until(lambda now: now["lag_events"] == 0)


async def test_a_receiver_that_hangs_for_all_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    reported = named("order", 80)
    async with running_erp() as erp:
        erp.hangs = lambda _: True
        chosen = settings(erp, timeout_seconds=0.1)
        async with dispatching(tmp_path, chosen, round_seconds=0.02) as it:
            await it.publish(*reported, *reported)
            await it.until(lambda now: now["last_error"] == "no answer within 0.1 s")
            await erp.until(lambda erp: len({each.cursor for each in erp.seen}) > 20)
            assert erp.taken == []
            erp.release()
            served = await it.until(lambda now: now["lag_events"] == 0)
            assert served["last_error"] is None
            arrived_in_order(erp, [*reported, *reported])


class Whim:
    """Fails, hangs and loses answers at random, until it is mild."""

    def __init__(self, rng: random.Random, erp: Erp) -> None:
        self._rng, self._erp = rng, erp
        self.be_wild()

    def be_wild(self) -> None:
        trouble = self._rng.choice((0.05, 0.3, 0.9))
        erp, rng = self._erp, self._rng
        erp.judge = lambda _: rng.choice((500, 422, 503)) if rng.random() < trouble else 204
        erp.hangs = lambda _: rng.random() < trouble / 3
        erp.loses = lambda _: rng.random() < trouble / 3

    def be_mild(self) -> None:
        erp = self._erp
        erp.judge, erp.loses = lambda _: 204, lambda _: False
        erp.release()


async def _live(it: Dispatch, rng: random.Random, whim: Whim, erp: Erp, reported: list[str]) -> None:
    """A while of events, moods, pauses and changed settings."""
    for _ in range(12):
        match rng.randrange(8):
            case 0:
                await it.deliveries.pause("orders_url")
            case 1 | 2:
                await it.deliveries.resume("orders_url")
            case 3:
                it.deliveries.reload(settings(erp, timeout_seconds=rng.choice((0.05, 0.1, 0.2))))
            case 4:
                whim.be_wild()
            case _:
                orders = [f"o{rng.randrange(12)}" for _ in range(rng.randrange(1, 40))]
                await it.publish(*orders)
                reported += orders
        await anyio.sleep(rng.random() * 0.05)


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_is_lost_or_out_of_order_whatever_happens(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    reported: list[str] = []
    async with running_erp() as erp:
        whim = Whim(rng, erp)
        for _ in range(4):
            chosen = settings(erp, timeout_seconds=0.1)
            async with dispatching(tmp_path, chosen, round_seconds=rng.choice((0.0, 0.01, 0.05, 5.0))) as it:
                await _live(it, rng, whim, erp, reported)
        whim.be_mild()
        async with dispatching(tmp_path, settings(erp, timeout_seconds=1.0), round_seconds=0.02) as it:
            await it.deliveries.resume("orders_url")
            served = await it.until(lambda now: now["lag_events"] == 0)
            assert served["last_error"] is None
        arrived_in_order(erp, reported)
