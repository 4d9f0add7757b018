"""The meter: what the platform says is left is heeded on every platform, by every call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from aiohttp import web
from yarl import URL

from orchestrator.platforms.allowance import Allowance
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.http import Caller, open_session
from orchestrator.platforms.meter import Meter, open_meter
from orchestrator.platforms.window import WindowLimit
from orchestrator.runtime.admission import Admission, Limits
from tests.platforms.selldone.shop import serving
from tests.support.stopwatch import Stopwatch, sleep_by

LIMITS = Limits(rate_per_second=1000, burst=1000, concurrency=8, failures=3, cooldown_seconds=30)


def meter_of(watch: Stopwatch, calls: int = 80) -> Meter:
    return open_meter(watch.clock(), window=WindowLimit(calls, 60) if calls else None)


def admission_of(watch: Stopwatch, meter: Meter) -> Admission:
    return Admission(LIMITS, watch, meter)


async def call(meter: Meter, said: Allowance | None = None) -> None:
    slot = await meter.begin()
    if said is not None:
        meter.record(said)
    meter.end(slot)


def take_all(admission: Admission) -> int:
    count = 0
    while admission.try_acquire():
        count += 1
    return count


async def test_nothing_left_holds_the_shop_until_the_reset() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    admission = admission_of(watch, meter)
    await call(meter, Allowance(80, 0, 42))
    assert admission.reason() == (
        "retry_after",
        42.0,
        "the platform says that the account's rate limit is used up (0 of 80 calls left)",
    )
    assert not admission.try_acquire()
    watch.now += 42
    assert admission.try_acquire()


async def test_a_call_of_a_clients_own_fails_by_it_as_by_a_429_and_is_not_made() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    await call(meter, Allowance(None, 0, 42))
    watch.now += 2
    with pytest.raises(Transient) as caught:
        await meter.begin()
    assert caught.value.retry_after_seconds == 40
    assert not caught.value.is_ambiguous


async def test_a_moment_is_waited_for_where_the_call_is(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    slept = sleep_by(watch, monkeypatch)
    meter = meter_of(watch, calls=0)
    admission = admission_of(watch, meter)
    await call(meter, Allowance(10, 0, 1.5))
    assert admission.admits_calls, "nobody has to be told of that"
    await call(meter)
    assert sum(slept) == pytest.approx(1.5)


async def test_few_calls_left_are_not_overrun_by_those_under_way() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    admission = admission_of(watch, meter)
    slots = [await meter.begin() for _ in range(4)]
    meter.record(Allowance(100, 3, 20))  # the answer of the first: three others may take what is left
    assert admission.reason() is not None
    for slot in slots:
        meter.end(slot)


async def test_few_calls_left_are_counted_down() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    await call(meter, Allowance(100, 3, 20))
    for _ in range(3):
        await call(meter)
    with pytest.raises(Transient):
        await meter.begin()
    watch.now += 20
    await call(meter)


async def test_an_answer_that_was_overtaken_makes_nothing_free() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    first, second = await meter.begin(), await meter.begin()
    meter.record(Allowance(100, 1, 20))
    meter.end(second)
    meter.record(Allowance(100, 2, 20))
    meter.end(first)
    with pytest.raises(Transient):
        await meter.begin()


async def test_nothing_left_without_a_reset_costs_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    slept = sleep_by(watch, monkeypatch)
    meter = meter_of(watch, calls=0)
    await call(meter, Allowance(40, 0, None))
    await call(meter)
    assert sum(slept) == pytest.approx(1)


async def test_a_person_who_resumes_the_shop_is_believed() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    admission = admission_of(watch, meter)
    await call(meter, Allowance(80, 0, 3600))
    admission.reset()
    assert admission.try_acquire()
    await call(meter)


async def test_turns_that_were_given_and_not_used_yet_count() -> None:
    watch = Stopwatch()
    meter = meter_of(watch)
    admission = admission_of(watch, meter)
    assert take_all(admission) == 80
    admission.release_unused()
    assert take_all(admission) == 1
    for _ in range(80):
        await call(meter)
    assert (take_all(admission), admission.available) == (0, 0)
    watch.now += 61.1
    assert take_all(admission) == 80


def test_turns_that_no_call_used_are_free_again_soon() -> None:
    watch = Stopwatch()
    admission = admission_of(watch, meter_of(watch))
    assert take_all(admission) == 80
    watch.now += 11
    assert take_all(admission) == 80


async def test_others_who_use_the_account_leave_less_for_us() -> None:
    watch = Stopwatch()
    meter = meter_of(watch)
    admission = admission_of(watch, meter)
    await call(meter, Allowance(80, 4, None))
    assert take_all(admission) == 4
    assert admission.reason() is None, "no hold: the window knows when calls fall out of it"


async def test_every_call_passes_the_window_whoever_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls, steps and a client's own calls alike: there is no way to the platform beside it."""
    watch = Stopwatch()
    slept = sleep_by(watch, monkeypatch)
    meter = meter_of(watch, calls=5)
    sent: list[float] = []

    async def one() -> None:
        slot = await meter.begin()
        sent.append(watch.now)
        meter.end(slot)

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(one)
    assert sum(at - sent[0] < 60 for at in sent) == 5
    assert max(slept) <= 0.25


Handler = Callable[[web.Request], Awaitable[web.Response]]


def saying(*answers: dict[str, str], status: int = 200) -> tuple[list[str], Handler]:
    """A platform that answers with these headers, one after another."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        headers = answers[min(len(asked), len(answers) - 1)]
        asked.append(request.method)
        return web.json_response({}, status=status, headers=headers)

    return asked, handler


def caller_of(meter: Meter, watch: Stopwatch) -> Caller:
    session = open_session(headers={}, timeout_seconds=5, concurrency=2)
    return Caller(session, clock=watch.clock(), meter=meter)


async def test_the_headers_of_any_answer_are_heeded() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    asked, handler = saying({"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"})
    async with serving(handler) as base_url, caller_of(meter, watch) as caller:
        await caller.call("GET", URL(base_url), is_effect=False)
        with pytest.raises(Transient):
            await caller.call("GET", URL(base_url), is_effect=False)
    assert len(asked) == 1, "the second was not sent"
    assert meter.reported is not None
    assert (meter.reported.limit, meter.reported.remaining, meter.reported.unit) == (60, 0, "calls")


async def test_a_reset_is_held_against_the_platforms_own_clock() -> None:
    watch = Stopwatch()
    meter = meter_of(watch, calls=0)
    date = "Sun, 18 Aug 2024 16:53:20 GMT"  # 1724000000
    _, handler = saying({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1724000025", "Date": date})
    async with serving(handler) as base_url, caller_of(meter, watch) as caller:
        await caller.call("GET", URL(base_url), is_effect=False)
    assert admission_of(watch, meter).meter.seconds_until_free() == pytest.approx(25, abs=0.1)


async def test_a_refusal_without_a_reset_holds_as_long_as_it_asks() -> None:
    watch = Stopwatch()
    meter = meter_of(watch)
    _, handler = saying({"X-RateLimit-Limit": "80", "X-RateLimit-Remaining": "0", "Retry-After": "9"}, status=429)
    async with serving(handler) as base_url, caller_of(meter, watch) as caller:
        with pytest.raises(Transient):
            await caller.call("GET", URL(base_url), is_effect=False)
    watch.now += 9
    assert meter.seconds_until_free() == 0, "and not for a whole window"


async def test_calls_for_tokens_are_another_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()
    sleep_by(watch, monkeypatch)
    meter = meter_of(watch, calls=1)
    _, handler = saying({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"})
    async with serving(handler) as base_url, caller_of(meter, watch) as caller:
        for _ in range(3):
            await caller.call("POST", URL(base_url), is_effect=False, is_counted=False)
    assert (meter.reported, meter.room(), meter.seconds_until_free()) == (None, 1, 0)


async def test_a_call_that_fails_counts_as_one() -> None:
    watch = Stopwatch()
    meter = meter_of(watch)

    async def broken(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serving(broken) as base_url, caller_of(meter, watch) as caller:
        for _ in range(3):
            with pytest.raises(Transient):
                await caller.call("GET", URL(base_url), is_effect=False)
    assert meter.room() == 77
