"""The shop's admission on a clock that the test sets: rate and burst, Retry-After, circuit, pause, drain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.admission import Admission, Limits

Sleeps = list[float]


class Stopwatch:
    """Monotonic seconds, by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admission_of(watch: Stopwatch, **changes: float) -> Admission:
    plain = {"rate_per_second": 10.0, "burst": 3, "concurrency": 8, "failures": 3, "cooldown_seconds": 30.0}
    return Admission(Limits(**{**plain, **changes}), watch)  # type: ignore[arg-type]


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def sleeps(watch: Stopwatch, monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    """Sleeping moves the clock and is noted."""
    slept: Sleeps = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        watch.now += seconds
        await checkpoint()

    monkeypatch.setattr("orchestrator.runtime.admission.anyio.sleep", sleep)
    return slept


def take_all(admission: Admission) -> int:
    count = 0
    while admission.try_acquire():
        count += 1
    return count


def trip(admission: Admission, times: int = 3) -> None:
    """Failures until the circuit opens."""
    for _ in range(times):
        assert admission.try_acquire()
        assert admission.failed("503") is True


@pytest.mark.parametrize("circuit", ["closed", "half_open"])
def test_a_call_that_was_not_sent_holds_others_back_for_a_moment_and_is_no_failure(
    watch: Stopwatch, circuit: str
) -> None:
    admission = admission_of(watch, failures=1)
    if circuit == "half_open":
        trip(admission, 1)
        watch.now += 31
    assert admission.try_acquire()
    admission.not_sent()
    assert (admission.circuit, admission.is_unsure) == (circuit, True)
    assert admission.reason() is None, "nobody has to see it"
    assert not admission.try_acquire()
    assert 0 < admission.seconds_closed() < 1
    watch.now += 1
    assert admission.try_acquire()
    assert not admission.is_unsure


# -- rate --------------------------------------------------------------------------------------------------------------


def test_a_burst_goes_at_once_and_then_the_rate_counts(watch: Stopwatch) -> None:
    admission = admission_of(watch, rate_per_second=8.0)
    assert take_all(admission) == 3
    watch.now += 0.3125
    assert take_all(admission) == 2
    watch.now += 0.0625  # a half and a half make one
    assert take_all(admission) == 1


def test_who_looks_how_many_permits_are_left_gives_none_back_that_is_taken_meanwhile(watch: Stopwatch) -> None:
    """Pages that show it are made in other threads."""
    taken: list[bool] = []

    class LimitsAskedMeanwhile(Limits):
        def __getattribute__(self, name: str) -> object:
            if name == "rate_per_second" and not taken:
                taken.append(False)
                taken[0] = admission.try_acquire()
            return super().__getattribute__(name)

    plain = admission_of(watch).limits
    admission = Admission(plain, watch)
    admission.limits = LimitsAskedMeanwhile(**{each.name: getattr(plain, each.name) for each in fields(plain)})
    assert admission.available > 0
    assert taken == [True]
    assert take_all(admission) == 2


def test_permits_are_not_saved_beyond_the_burst(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    take_all(admission)
    watch.now += 3600
    assert admission.available == 3
    assert take_all(admission) == 3


def test_an_unused_permit_can_be_acquired_again(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    take_all(admission)
    admission.release_unused()
    assert take_all(admission) == 1


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_span_has_more_permits_than_rate_and_burst_allow(rate: float, burst: int, pauses: list[float]) -> None:
    watch = Stopwatch()
    admission = admission_of(watch, rate_per_second=rate, burst=burst)
    taken: list[float] = []
    for pause in pauses:
        watch.now += pause
        taken += [watch.now] * take_all(admission)
    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - began) + 1e-6


async def test_takers_wait_for_the_rate_in_line(watch: Stopwatch, sleeps: Sleeps) -> None:
    admission = admission_of(watch, burst=1)
    served: list[tuple[int, float]] = []

    async def one(number: int) -> None:
        assert await admission.acquire()
        served.append((number, round(watch.now - 1000, 6)))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(one, number)
    assert served == [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3)]


async def test_a_call_inside_a_call_waits_for_the_rate_alone(watch: Stopwatch, sleeps: Sleeps) -> None:
    admission = admission_of(watch, burst=1)
    assert admission.try_acquire()
    admission.set_paused(True)
    await admission.throttle()
    assert sleeps == [pytest.approx(0.1)]
    assert admission.available == pytest.approx(0)


async def test_a_call_that_waits_while_admission_ends_is_turned_away(watch: Stopwatch, sleeps: Sleeps) -> None:
    admission = admission_of(watch, burst=1)
    assert admission.try_acquire()
    answers: list[bool] = []

    async def one() -> None:
        answers.append(await admission.acquire())

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await checkpoint()
        admission.drain()
    assert answers == [False]


# -- Retry-After -------------------------------------------------------------------------------------------------------


def test_retry_after_ends_admission_for_that_long(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    admission.throttled(7, "slow down")
    assert not admission.try_acquire()
    assert admission.reason() == ("retry_after", 7.0, "slow down")
    admission.throttled(2, "sooner")
    assert admission.seconds_closed() == 7.0, "a shorter wait does not cut a longer one"
    watch.now += 7
    assert admission.reason() is None
    assert admission.try_acquire()


# -- circuit -----------------------------------------------------------------------------------------------------------


def test_failures_in_a_row_open_the_circuit_and_one_answer_starts_the_count_again(watch: Stopwatch) -> None:
    admission = admission_of(watch, burst=100)
    for _ in range(2):
        admission.failed("503")
    admission.succeeded()
    for _ in range(2):
        assert admission.failed("503") is True
    assert (admission.circuit, admission.admits_calls) == ("closed", True)
    assert admission.failed("503") is True, "the failure that opens it still counts"
    assert (admission.circuit, admission.admits_calls) == ("open", False)
    assert admission.reason() == ("circuit", 30.0, "503")


def test_failures_of_an_open_circuit_cost_nobody_an_attempt(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    trip(admission)
    assert admission.failed("a call that was on its way") is False
    assert admission.seconds_closed() == 30.0


def test_one_probe_goes_out_and_closes_the_circuit(watch: Stopwatch) -> None:
    admission = admission_of(watch, burst=100)
    trip(admission)
    watch.now += 30
    assert admission.try_acquire()
    assert (admission.circuit, admission.try_acquire()) == ("half_open", False), "only one"
    admission.succeeded()
    assert admission.circuit == "closed"
    assert take_all(admission) > 1


def test_a_failed_probe_opens_the_circuit_for_another_while(watch: Stopwatch) -> None:
    admission = admission_of(watch, burst=100)
    trip(admission)
    watch.now += 30
    assert admission.try_acquire()
    assert admission.failed("still 503") is False
    assert admission.circuit == "open"
    assert admission.reason() == ("circuit", 30.0, "still 503")


@pytest.mark.parametrize("end", [Admission.release_unused, Admission.abandoned])
def test_a_probe_that_was_not_made_lets_the_next_one_go(watch: Stopwatch, end: Callable[[Admission], None]) -> None:
    admission = admission_of(watch, burst=100)
    trip(admission)
    watch.now += 30
    assert admission.try_acquire()
    end(admission)
    assert admission.circuit == "half_open"
    assert admission.try_acquire()
    assert not admission.try_acquire()


def test_a_throttled_probe_waits_and_probes_again(watch: Stopwatch) -> None:
    admission = admission_of(watch, burst=100)
    trip(admission)
    watch.now += 30
    assert admission.try_acquire()
    admission.throttled(5, "429")
    assert not admission.try_acquire()
    watch.now += 5
    assert admission.try_acquire()
    assert not admission.try_acquire()


def test_a_person_who_resumes_forgets_it_all(watch: Stopwatch) -> None:
    admission = admission_of(watch, burst=100)
    trip(admission)
    admission.throttled(99, "429")
    admission.reset()
    assert (admission.circuit, admission.reason(), admission.admits_calls) == ("closed", None, True)


# -- restart, pause, drain ---------------------------------------------------------------------------------------------


def test_a_restart_goes_on_waiting_for_what_is_left(watch: Stopwatch) -> None:
    throttled, tripped, over = admission_of(watch), admission_of(watch), admission_of(watch)
    throttled.restore("retry_after", 4, "slow down")
    tripped.restore("circuit", 9, "503")
    over.restore("circuit", -1, "long ago")
    assert throttled.reason() == ("retry_after", 4.0, "slow down")
    assert tripped.reason() == ("circuit", 9.0, "503")
    assert (over.circuit, over.admits_calls) == ("closed", True)
    watch.now += 9
    assert throttled.try_acquire()
    assert tripped.try_acquire()
    assert tripped.circuit == "half_open"


def test_a_paused_or_draining_shop_admits_no_call_without_an_end(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    admission.set_paused(True)
    assert not admission.try_acquire()
    assert admission.reason() is None
    admission.set_paused(False)
    assert admission.try_acquire()
    admission.drain()
    admission.reset()
    assert not admission.try_acquire(), "a shutdown is not undone by resuming"


def test_every_change_of_admission_is_signalled_once(watch: Stopwatch) -> None:
    seen: list[str] = []
    limits = admission_of(watch, burst=100).limits
    admission = Admission(limits, watch, on_change=lambda: seen.append(admission.circuit))
    admission.set_paused(True)
    admission.set_paused(True)
    admission.set_paused(False)
    assert seen == ["closed", "closed"]
    seen.clear()
    trip(admission)
    watch.now += 30
    admission.try_acquire()
    admission.succeeded()
    admission.succeeded()
    assert seen == ["open", "half_open", "closed"]


@pytest.mark.parametrize("burst", [1, 2, 3, 4, 10, 20])
def test_half_of_what_may_begin_at_once_is_not_to_spare(watch: Stopwatch, burst: int) -> None:
    admission = admission_of(watch, burst=burst)
    count = 0
    while admission.has_spare:
        assert admission.try_acquire()
        count += 1
    assert (count, int(admission.available)) == (burst - burst // 2, burst // 2)


def test_nothing_is_to_spare_while_the_shop_waits(watch: Stopwatch) -> None:
    admission = admission_of(watch)
    seen = [admission.has_spare]
    admission.set_paused(True)
    seen.append(admission.has_spare)
    admission.set_paused(False)
    admission.throttled(5, "slow down")
    seen.append(admission.has_spare)
    admission.reset()
    for _ in range(3):
        admission.failed("502")
    watch.now += 31
    seen.append(admission.has_spare)  # a call is admitted, as a probe: that is a step's
    admission.succeeded()
    assert [*seen, admission.has_spare] == [True, False, False, False, True]
