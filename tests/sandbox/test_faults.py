"""Faults strike where they say, and the ledger knows what took effect all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.sandbox.faults import FAULTS, MIXED, RATE_NAMES, FaultPlan
from tests.sandbox.probe import HandClock, Probe, probing


async def last_call(probe: Probe) -> Any:
    return probe.sandbox.ledger.calls()[-1]


@pytest.mark.parametrize(("fault", "took_effect"), [("error_before", False), ("error_after", True)])
async def test_an_error_comes_before_or_after_the_effect(fault: str, took_effect: bool) -> None:
    async with probing() as probe:
        probe.sandbox.faults.script(fault, step="confirm", order=probe.order)
        assert (await probe.state("OrderConfirm"))[0] == 500
        call = await last_call(probe)
        assert (call.fault, call.status, call.took_effect) == (fault, 500, took_effect)
        status, answer = await probe.state("OrderConfirm")
        assert (status, answer["changed"]) == (200, not took_effect)


async def test_an_error_can_have_another_status() -> None:
    async with probing() as probe:
        probe.sandbox.faults.script("error_before", status=503)
        async with probe.session.get(probe.url("baskets-PHYSICAL")) as response:
            assert response.status == 503


@pytest.mark.parametrize(("fault", "effects"), [("drop_before", []), ("drop_after", ["confirm"])])
async def test_a_dropped_connection_comes_before_or_after_the_effect(fault: str, effects: list[str]) -> None:
    async with probing() as probe:
        probe.sandbox.faults.script(fault)
        with pytest.raises(aiohttp.ClientConnectionError):
            await probe.state("OrderConfirm")
        assert probe.sandbox.ledger.effects(probe.order) == effects
        call = await last_call(probe)
        assert (call.status, call.ended_at_ms is not None) == (None, True)


@pytest.mark.parametrize(("fault", "effects"), [("stall_before", []), ("stall_after", ["confirm"])])
async def test_a_stalled_call_is_answered_only_after_the_client_gave_up(fault: str, effects: list[str]) -> None:
    async with probing(stall_seconds=3600) as probe:
        probe.sandbox.faults.script(fault)
        with pytest.raises(TimeoutError):
            await probe.call(
                "POST",
                f"baskets/{probe.order}/state",
                json={"state": "OrderConfirm"},
                timeout=aiohttp.ClientTimeout(total=0.5),
            )
        assert probe.sandbox.ledger.effects(probe.order) == effects


async def test_a_short_stall_is_answered_in_the_end() -> None:
    async with probing(stall_seconds=0.01, faults={"stall": 1.0}) as probe:
        await probe.walk("OrderConfirm")
        assert (await last_call(probe)).fault in ("stall_before", "stall_after")


async def test_garbage_is_no_json_and_comes_after_the_effect() -> None:
    async with probing(orders=40, faults={"garbage": 1.0}) as probe:
        types = set()
        for order in probe.sandbox.selldone.order_ids():
            with pytest.raises(json.JSONDecodeError):
                await probe.state("OrderConfirm", order)
            assert probe.sandbox.ledger.effects(order) == ["confirm"]
            headers = {"Authorization": "Bearer sandbox-token"}
            async with probe.session.get(probe.url(f"baskets/{order}"), headers=headers) as response:
                assert response.status == 200
                types.add(response.content_type)
        assert types == {"text/html", "application/json"}


async def test_an_answer_of_the_tests_own_replaces_the_platforms() -> None:
    async with probing() as probe:
        body = b'{"error": "DATABASE_TRANSACTION_FAILED"}'
        probe.sandbox.faults.script_answer(200, body, step="confirm", moment="before")
        probe.sandbox.faults.script_answer(200, body, step="confirm", moment="after")
        for effects in ([], ["confirm"]):
            assert (await probe.state("OrderConfirm"))[1] == {"error": "DATABASE_TRANSACTION_FAILED"}
            assert probe.sandbox.ledger.effects(probe.order) == effects


async def test_a_script_strikes_its_step_and_order_only_and_as_often_as_asked() -> None:
    async with probing() as probe:
        first, second = probe.sandbox.selldone.order_ids()[:2]
        probe.sandbox.faults.script("error_before", step="prepare", order=first, times=2)
        assert (await probe.state("OrderConfirm", first))[0] == 200
        assert (await probe.state("OrderConfirm", second))[0] == 200
        assert (await probe.state("PreparingOrder", second))[0] == 200
        assert [(await probe.state("PreparingOrder", first))[0] for _ in range(3)] == [500, 500, 200]


async def test_a_throttle_shuts_the_whole_shop_until_its_time_is_over() -> None:
    async with probing(throttle_seconds=7, shops=2) as probe:
        faults = probe.sandbox.faults
        faults.script("throttle", step="confirm")
        async with probe.session.post(
            probe.url(f"baskets/{probe.order}/state"),
            json={"state": "OrderConfirm"},
            headers={"Authorization": "Bearer sandbox-token"},
        ) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert faults.violations() == []
        probe.time.pass_seconds(5)
        assert (await probe.call("GET", "baskets-PHYSICAL"))[0] == 429
        (violation,) = faults.violations()
        assert (violation.call, violation.after_seconds, violation.early_seconds) == (2, 5, 2)
        assert faults.violations(slack_seconds=5) == []
        probe.token = "sandbox-token-2"
        assert (await probe.call("GET", "baskets-PHYSICAL", shop=12346))[0] == 200
        probe.token = "sandbox-token"
        probe.time.pass_seconds(2)
        assert (await probe.call("GET", "baskets-PHYSICAL"))[0] == 200
        assert probe.sandbox.ledger.effects(probe.order) == []


async def test_a_call_is_held_before_its_effect_until_it_is_released() -> None:
    async with probing() as probe, anyio.create_task_group() as group:
        held = probe.sandbox.faults.hold(step="confirm", order=probe.order)
        group.start_soon(probe.walk, "OrderConfirm")
        await held.arrived()
        assert (await probe.read())["delivery_state"] == "CheckQueue"
        held.release()


async def test_a_call_is_held_between_its_effect_and_its_answer() -> None:
    async with probing() as probe, anyio.create_task_group() as group:
        held = probe.sandbox.faults.hold(step="confirm", moment="after")
        group.start_soon(probe.walk, "OrderConfirm")
        await held.arrived()
        assert (await probe.read())["delivery_state"] == "OrderConfirm"
        assert probe.sandbox.ledger.max_concurrency == 2
        assert probe.sandbox.ledger.calls(step="confirm")[0].status is None
        held.release()


async def test_closing_lets_go_of_what_is_held_and_stalled() -> None:
    async with anyio.create_task_group() as group:
        async with probing(stall_seconds=3600) as probe:
            probe.sandbox.faults.script("stall_before", step="list")
            held = probe.sandbox.faults.hold(step="confirm")
            stalled = probe.sandbox.faults.hold(step="list")

            async def give_up(call: Any) -> None:
                try:
                    await call
                except (aiohttp.ClientError, RuntimeError):
                    return

            group.start_soon(give_up, probe.state("OrderConfirm"))
            group.start_soon(give_up, probe.call("GET", "baskets-PHYSICAL"))
            await held.arrived()
            await stalled.arrived()
            stalled.release()
        assert probe.sandbox.ledger.effects(probe.order) == []
        assert all(call.ended_at_ms is not None for call in probe.sandbox.ledger.calls())


async def test_a_call_gets_the_same_fault_in_every_run_however_calls_interleave() -> None:
    clock = HandClock().clock()
    keys = [(f"s/{n % 3}", str(n), step) for n in range(200) for step in ("confirm", "send")]
    one, two = FaultPlan(clock, {"mixed": 0.5}, seed=9), FaultPlan(clock, {"mixed": 0.5}, seed=9)
    forward = {key: one.draw(*key) for key in keys}
    backward = {key: two.draw(*key) for key in reversed(keys)}
    assert forward == backward
    other = FaultPlan(clock, {"mixed": 0.5}, seed=10)
    assert forward != {key: other.draw(*key) for key in keys}


async def test_mixed_spreads_its_rate_over_everything_but_stalls() -> None:
    plan = FaultPlan(HandClock().clock(), {"mixed": 0.6})
    drawn = [plan.draw("s", str(n), "send") for n in range(6000)]
    counts = {name: sum(fault is not None and fault.name == name for fault in drawn) for name in FAULTS}
    assert {name for name, count in counts.items() if count} == set(MIXED)
    assert all(450 < counts[name] < 750 for name in MIXED)


async def test_rates_can_be_changed_and_ended_while_it_runs() -> None:
    async with probing(faults={"error_before": 1}) as probe:
        assert (await probe.state("OrderConfirm"))[0] in (500, 502)
        probe.sandbox.faults.set_rates({})
        await probe.walk("OrderConfirm")


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        (
            {"eror_before": 0.1},
            "unknown fault 'eror_before', did you mean \"error_before\"?; known are " + ", ".join(RATE_NAMES),
        ),
        ({"drop_after": 1.1}, "the rate of fault 'drop_after' must be a number from 0 to 1, not 1.1"),
        ({"drop_after": -0.1}, "must be a number from 0 to 1"),
        ({"drop_after": "much"}, "must be a number from 0 to 1"),
        ({"drop_after": True}, "must be a number from 0 to 1"),
        ({"drop_after": 0.6, "mixed": 0.6}, "add up to 1.2"),
    ],
)
async def test_a_bad_rate_is_refused_in_words(rates: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="fault") as caught:
        FaultPlan(HandClock().clock(), rates)
    assert said in str(caught.value)


async def test_an_unknown_fault_cannot_be_scripted() -> None:
    with pytest.raises(ValueError, match=r"unknown fault 'stall', did you mean .stall_after.*; known are error_before"):
        FaultPlan(HandClock().clock()).script("stall")


def test_every_fault_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    section = page.partition("### `fulfilld sandbox`")[2].partition("\n### ")[0]
    assert [name for name in RATE_NAMES if f"`{name}`" not in section] == []
