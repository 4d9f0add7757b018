"""CloudSuite's orders on the whole shop floor: lost answers, tokens, restarts, notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from statemachines.target import TargetRequest
from storage.records import TargetStatus
from tests.runtime.cloudsuite.floor import (
    CS,
    WALK,
    cloudsuite,
    effects,
    erp,
    floor_of,
    nothing_went_wrong,
)
from tests.support.shopfloor import config_of, working_on

# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"])
@pytest.mark.parametrize("fault", ["error_after", "drop_after", "garbage", "error_before", "drop_before"])
async def test_a_lost_answer_has_its_effect_once(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step=step)
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A", "B"))
        assert target.status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == WALK
        assert nothing_went_wrong(sandbox)
        calls = [call.step for call in sandbox.ledger.calls(order.id)]
        assert calls[calls.index(step) + 1] == "read", "nothing is sent before the order was read"


@pytest.mark.parametrize("step", ["confirm_order", "mark_sent", "cancel"])
@pytest.mark.parametrize("fault", ["drop_after", "garbage", "drop_before"])
async def test_a_lost_answer_of_the_other_steps_has_its_effect_once(tmp_path: Path, fault: str, step: str) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script(fault, step=step)
        await floor.reach(order.id, "shipped", CS, confirmation="cxml", **erp(order))
        target = await floor.reach(order.id, "cancelled", CS)
        assert target.status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "confirm_order", "mark_sent", "cancel"]
        assert nothing_went_wrong(sandbox)


async def test_with_a_quarter_of_all_calls_going_wrong_every_order_arrives(tmp_path: Path) -> None:
    sandbox = cloudsuite(20)
    more = {"attempts": 60, "base_seconds": 0.01, "max_seconds": 0.02}
    async with floor_of(sandbox, tmp_path, retry=more) as floor:
        orders = await floor.orders()
        sandbox.faults.set_rates({"mixed": 0.2})
        targets = [await floor.submit(order.id, "delivered", CS, **erp(order, "A", "B")) for order in orders]
        for target in targets:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
        for order in orders:
            assert effects(sandbox, order.id) == WALK
        assert nothing_went_wrong(sandbox)


@pytest.mark.parametrize("style", ["xml", "text"])
@pytest.mark.parametrize("is_ok", [True, False])
async def test_a_despatch_is_sent_again_with_its_number_and_the_refusal_means_done(
    tmp_path: Path, style: str, is_ok: bool
) -> None:
    sandbox = cloudsuite(1, proxy_style=style, is_duplicate_ok_status=is_ok)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        target = await floor.reach(order.id, "shipped", CS, **erp(order, "A"))
        assert target.status is TargetStatus.REACHED
        calls = sandbox.ledger.calls(order.id, "send_despatch")
        assert [call.sent["number"] for call in calls] == [f"{order.id}-A"] * 2
        assert [call.took_effect for call in calls] == [True, False]


async def test_a_shop_that_wants_to_be_asked_is_asked_and_the_person_skips(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path, desadv_on_timeout="ask") as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("drop_after", step="send_despatch")
        target = await floor.reach(order.id, "delivered", CS, **erp(order, "A"))
        assert target.status is TargetStatus.BLOCKED
        assert len(sandbox.ledger.calls(order.id, "send_despatch")) == 1
        await floor.commands.skip(CS, order.id, "the slip is on the buyer's page")
        assert (await floor.finished(target)).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"]


async def test_a_shop_that_wants_to_be_asked_does_not_take_a_used_number_for_done(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with floor_of(sandbox, tmp_path, desadv_on_timeout="ask") as floor:
        first, second = await floor.orders()
        same = {"despatch": [{"number": "SAME", "final": True}]}
        await floor.reach(first.id, "shipped", CS, **{**erp(first), **same})
        target = await floor.reach(second.id, "shipped", CS, **{**erp(second), **same})
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "already exists" in target.problem.detail


async def test_a_refused_write_blocks_with_the_platforms_own_words(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script_answer(400, b'{"state": ["Not on a Sunday."]}', step="process")
        target = await floor.reach(order.id, "accepted", CS)
        assert target.status is TargetStatus.BLOCKED
        assert target.problem is not None
        assert "Not on a Sunday." in target.problem.detail


@pytest.mark.parametrize("answer", ["echo", "nothing"])
async def test_writes_that_answer_little_are_enough(tmp_path: Path, answer: str) -> None:
    sandbox = cloudsuite(1, writes_answer=answer)
    async with floor_of(sandbox, tmp_path) as floor:
        (order,) = await floor.orders()
        assert (await floor.reach(order.id, "delivered", CS, **erp(order, "A", "B"))).status is TargetStatus.REACHED
        assert effects(sandbox, order.id) == WALK


# -- access ------------------------------------------------------------------------------------------------------------


async def test_a_token_that_ends_is_renewed_and_nobody_notices(tmp_path: Path) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path) as floor:
        for order in await floor.orders():
            sandbox.cloudsuite.panel.expire_tokens()
            await floor.reach(order.id, "delivered", CS)
        assert await floor.events("step.failed", "shop.access_denied") == []
        assert sandbox.cloudsuite.shop.issued == 4


async def test_refused_credentials_pause_the_shop_with_one_alarm(tmp_path: Path) -> None:
    sandbox = cloudsuite(3)
    async with floor_of(sandbox, tmp_path) as floor:
        orders = await floor.orders()
        sandbox.cloudsuite.panel.change_token("another")
        for order in orders:
            await floor.submit(order.id, "accepted", CS)
        (denied,) = await floor.event("shop.access_denied")
        assert "invalid_client" in denied.data["detail"]
        assert all(effects(sandbox, order.id) == [] for order in orders)


async def test_the_deprecated_key_opens_the_shop_too(tmp_path: Path) -> None:
    sandbox = cloudsuite(2)
    async with sandbox.running():
        raw = sandbox.config
        shop = sandbox.cloudsuite.shop

        def with_key(base_url: str | None = None) -> dict[str, Any]:
            config = raw(base_url)
            del config["shops"][CS]["credentials"]
            config["shops"][CS]["token"] = shop.key
            return config

        sandbox.config = with_key  # type: ignore[method-assign]
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(CS, 30)
            (order, _) = await floor.orders()
            assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
            assert shop.issued == 0


# -- restarts and notes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["process", "set_erp_number", "set_erp_lines", "send_despatch", "finish"])
async def test_a_restart_while_a_call_is_out_sends_nothing_twice(tmp_path: Path, step: str) -> None:
    sandbox = cloudsuite()
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(CS, 30)
            (order,) = await floor.orders()
            held_call = sandbox.faults.hold(step=step, moment="after")
            target = await floor.submit(order.id, "delivered", CS, **erp(order, "A", "B"))
            await held_call.arrived()
            worker = floor.supervisor.worker(CS)
            assert worker is not None
            await floor.supervisor.drain(0)
        held_call.release()
        async with working_on(sandbox, config, tmp_path) as floor:
            assert (await floor.finished(target)).status is TargetStatus.REACHED
            assert effects(sandbox, order.id) == WALK
            assert nothing_went_wrong(sandbox)


async def test_notes_are_written_once_and_their_failure_stops_nothing(tmp_path: Path) -> None:
    sandbox = cloudsuite()
    notes = {"processing": {"nl_NL": "In behandeling"}, "sent": {"nl_NL": "Verzonden", "en_GB": "Sent"}}
    async with floor_of(sandbox, tmp_path, status_notes=notes) as floor:
        (order,) = await floor.orders()
        sandbox.faults.script("error_before", step="note")
        assert (await floor.reach(order.id, "delivered", CS)).status is TargetStatus.REACHED
        (entry,) = sandbox.cloudsuite.panel.order(order.id).timeline
        assert entry["CloudsuiteOrderId"] == order.reference
        assert entry["state"] == [{"lang": "nl_NL", "value": "Verzonden"}, {"lang": "en_GB", "value": "Sent"}]
        assert len(sandbox.ledger.calls(order.id, "note")) == 2


async def test_an_order_is_found_by_its_reference(tmp_path: Path) -> None:
    sandbox = cloudsuite(0)
    async with floor_of(sandbox, tmp_path) as floor:
        order = sandbox.cloudsuite.panel.add()
        assert (await floor.commands.refresh(CS, f"CS{order}")).id == order
        with pytest.raises(Refused) as refused:
            await floor.commands.refresh(CS, "CS-nonsense")
        assert refused.value.slug == "order-not-found"


async def test_a_preview_shows_one_step_for_each_despatch(tmp_path: Path) -> None:
    async with floor_of(cloudsuite(), tmp_path) as floor:
        (order,) = await floor.orders()
        request = TargetRequest.from_json({"state": "delivered", **erp(order, "A", "B", "C")})
        plan = await floor.commands.preview(CS, order.id, request)
        assert [step.step for step in plan.steps].count("send_despatch") == 3
        assert [(step.source, step.to) for step in plan.steps][-2:] == [("processing", "sent"), ("sent", "done")]
