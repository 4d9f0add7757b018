"""Parcels of one order through whatever answers, failures and deaths come, on a platform that sends whole orders:

- a number is recorded once, with the lines that it came with, and no line is in more parcels than there is of it;
- the buyer hears once, and only when all of the order left or the last parcel was reported;
- a target that was taken is reached, and what it reported is there, before and after a death;
- only an order in one step of which the process died time and again waits for a person, whose retry lets it go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.decisions import interventions
from orchestrator.decisions.refusals import Refused
from statemachines.machine import OrderState
from statemachines.narrowing import Whole
from storage.events import EventFilter, list_events
from storage.records import TargetStatus
from storage.targets import list_targets
from tests.support.driven import CRASH_POINTS, ORDER, SHOP, CutOff, Died, Driven
from tests.support.made_up import Bazaar, MadeUpMachine, target

LINES = {"1": "2", "2": "1"}
MOST_ROUNDS = 40  # far more than any plan with its retries takes


class Counting(MadeUpMachine):
    """Its orders show their lines."""

    def whole(self, current: OrderState) -> Whole:
        del current
        return Whole(LINES)


def market(*, has_plugin: bool, attempts: int = 3) -> Driven[Bazaar]:
    """The platform with an order that is paid."""
    return Driven(Bazaar(state="processing", has_plugin=has_plugin), Counting(), attempts=attempts)


parcels = st.fixed_dictionaries(
    {"number": st.sampled_from(["B-1", "B-2", "B-3"])},
    optional={
        "tracking": st.sampled_from([["T1"], ["T2", "T3"]]),
        "lines": st.lists(
            st.fixed_dictionaries(
                {"id": st.sampled_from(["1", "2"])}, optional={"quantity": st.sampled_from([1, "2"])}
            ),
            min_size=1,
            max_size=2,
            unique_by=lambda line: line["id"],
        ),
        "last": st.booleans(),
    },
)
troubles = st.one_of(
    st.tuples(
        st.just("script"), st.lists(st.sampled_from(["lost_before", "lost_after", "throttled", "ok"]), max_size=3)
    ),
    st.tuples(st.just("die"), st.sampled_from(CRASH_POINTS)),
)


def _drive(floor: Driven[Bazaar], runner: asyncio.Runner) -> None:
    try:
        runner.run(floor.work())
    except (CutOff, Died):
        floor.restart()


def _settle(floor: Driven[Bazaar], runner: asyncio.Runner, deaths: int = 0) -> None:
    """Works until the order rests; what failed has another chance, and an order that was quarantined one by a person.
    `deaths`: how often the process died."""
    for _ in range(MOST_ROUNDS):
        if not floor.draft().targets:
            return
        if (problem := floor.row().problem) is not None and problem.type == "quarantined":
            assert deaths >= floor.services.policy.recovery_limit
            floor.change(interventions.retry)
        floor.now_ms += 10_000
        floor.services.admission.reset()
        _drive(floor, runner)
    raise AssertionError(f"it does not come to rest: {floor.row()}")


def _kept(floor: Driven[Bazaar]) -> list[dict[str, Any]]:
    return floor.row().parcels or []


def _has_left(kept: Sequence[dict[str, Any]]) -> bool:
    gone = {line: sum((Decimal(each["lines"].get(line) or 0) for each in kept), Decimal(0)) for line in LINES}
    assert all(gone[line] <= Decimal(count) for line, count in LINES.items())
    return all(gone[line] == Decimal(count) for line, count in LINES.items())


DEADLY = [({"number": "B-1", "lines": [{"id": "1"}], "last": True}, ("die", point)) for point in CRASH_POINTS]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(st.tuples(parcels, st.one_of(st.none(), troubles)), max_size=6))
@example(has_plugin=True, reports=DEADLY[:1] * 6)
@example(has_plugin=False, reports=DEADLY[:1] * 5)
@example(has_plugin=True, reports=[*DEADLY, *DEADLY[:2]])
def test_whatever_comes_the_buyer_hears_once_and_no_parcel_is_lost(
    has_plugin: bool, reports: list[tuple[dict[str, Any], tuple[str, Any] | None]]
) -> None:
    floor = market(has_plugin=has_plugin, attempts=50)
    taken: list[str] = []
    with asyncio.Runner() as runner, contextlib.closing(floor.store):
        for parcel, trouble in reports:
            match trouble:
                case ("script", script):
                    floor.platform.script = list(script)
                case ("die", point):
                    floor.checkpoints.armed = point
            with contextlib.suppress(Refused):
                floor.submit(target("shipped", parcel=parcel))
                taken.append(parcel["number"])
            _drive(floor, runner)
        _settle(floor, runner, deaths=sum(trouble is not None and trouble[0] == "die" for _, trouble in reports))
        kept = _kept(floor)
        numbers = [each["number"] for each in kept]
        assert sorted(numbers) == sorted(set(taken)), "each number that was taken is there, once"
        goes_out = _has_left(kept) or any(each["last"] for each in kept)
        assert floor.platform.moves.count("complete") == goes_out
        targets = floor.store.run(lambda tx: list_targets(tx, SHOP, ORDER))
        assert {each.status for each in targets} <= {TargetStatus.REACHED}
        events = floor.store.run(lambda tx: list_events(tx, 0, 10_000, EventFilter(types=("parcel.recorded",))))
        assert [event.data["number"] for event in events] == numbers
        assert floor.platform.repeats == []


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_death_between_the_record_and_the_shipment_sends_it_once(point: str) -> None:
    floor = market(has_plugin=True)
    with asyncio.Runner() as runner, contextlib.closing(floor.store):
        floor.submit(target("shipped", parcel={"number": "B-1", "lines": ["1"]}))
        floor.checkpoints.armed = point
        floor.submit(target("shipped", parcel={"number": "B-2", "tracking": ["T2"]}))
        _settle(floor, runner)
        assert [each["number"] for each in _kept(floor)] == ["B-1", "B-2"]
        assert floor.platform.moves == ["track", "pack", "complete"]
