"""What people do in Vendure's dashboard while an order is driven."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.platforms.failures import Transient
from orchestrator.plugin.machine import TargetRequest
from orchestrator.testing.stage import Stage, moves_of, staged
from platform_vendure.sandbox.server import REMEDY, missing
from tests.support.skips import skip

if (trouble := missing()) is not None:
    skip(trouble, REMEDY)


@pytest.mark.parametrize("place", range(len(moves_of("vendure"))))
async def test_a_step_waits_while_somebody_modifies_the_order(place: int) -> None:
    async with staged("vendure") as stage:
        await stage.walk(moves_of("vendure")[:place])
        before = await stage.client.read(stage.order)
        stage.operate("modify", order=stage.order)
        with pytest.raises(Transient) as caught:
            await stage.perform(moves_of("vendure")[place], before.order_state())
        assert not caught.value.is_ambiguous
        assert caught.value.wait is not None
        assert stage.sandbox.ledger.effects(stage.order) == [move.step for move in moves_of("vendure")[:place]]
        stage.operate("end_modification", order=stage.order, state=before.state)
        await stage.perform(moves_of("vendure")[place], before.order_state())


async def _cancel(stage: Stage) -> None:
    current = (await stage.client.read(stage.order)).order_state()
    await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled", reason="out of stock"))


async def test_a_cancellation_that_a_modification_overtakes_is_brought_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vendure refuses it then, and has cancelled every line all the same."""
    async with staged("vendure") as stage:
        client: Any = stage.client
        looks = client._first

        async def begins_to_modify(order: str) -> Any:
            found = await looks(order)
            stage.operate("modify", order=order)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(client, "_first", begins_to_modify)
            with pytest.raises(Transient) as caught:
                await _cancel(stage)
        assert caught.value.wait is not None
        assert stage.sandbox.ledger.effects(stage.order) == []
        with pytest.raises(Transient):
            await _cancel(stage)
        stage.operate("end_modification", order=stage.order, state="PaymentSettled")
        await _cancel(stage)
        assert (await stage.client.read(stage.order)).state == "Cancelled"
        assert stage.sandbox.ledger.effects(stage.order) == ["cancel"]


@pytest.mark.parametrize(("moment", "names_items"), [("before", False), ("after", False), ("after", True)])
async def test_a_parcel_is_ours_although_a_person_took_a_piece_out(moment: str, names_items: bool) -> None:
    """A parcel whose answer was lost holds what was left of the order when it was made."""
    request = moves_of("vendure")[0].request
    async with staged("vendure") as stage:
        before = (await stage.client.read(stage.order)).order_state()
        if names_items:
            items = tuple({"id": line, "quantity": count} for line, count in before.facts["lines"].items())
            request = replace(request, items=items)
        if moment == "before":
            stage.operate("cancel_item", order=stage.order)
        stage.sandbox.faults.script("drop_after", step="fulfill")
        with pytest.raises(Transient):
            await stage.client.perform("fulfill", stage.order, before, request)
        if moment == "after":
            stage.operate("cancel_item", order=stage.order)
        shown = (await stage.client.read(stage.order)).order_state()
        assert shown.facts["lines"] != before.facts["lines"]
        assert stage.machine.is_done("fulfill", before, shown, request)
