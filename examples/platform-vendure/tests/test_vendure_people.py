"""What people do in Vendure's dashboard while an order is driven."""

from __future__ import annotations

import pytest

from orchestrator.platforms.failures import Transient
from orchestrator.testing.stage import moves_of, staged
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
