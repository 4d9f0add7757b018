"""Which version of a thing counts, where webhooks come late, twice, or without a change time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import Transient
from tests.intake.pushing import pushing
from tests.support.shopfloor import worked_off

AT = "2026-11-23T10:00:00Z"


async def test_versions_of_one_second_are_reported_once_each_though_the_order_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pushing(tmp_path, 1) as (floor, name, sender):
        (order,) = await floor.orders()
        worker = floor.supervisor.worker(name)
        assert worker is not None
        look, is_down = worker.client.read, True

        async def read(order_id: str) -> OrderSnapshot:
            if is_down:
                raise Transient("no answer")
            return await look(order_id)

        monkeypatch.setattr(worker.client, "read", read)
        parcel: dict[str, Any] = {"id": 5, "order_id": int(order.id), "updated_at": AT}
        for topic, status in (("fulfillments/create", "pending"), ("fulfillments/update", "success")):
            assert await sender.send([sender.delivery(topic, {**parcel, "status": status})]) == [200]
        await floor.event("fulfillment.updated")
        is_down = False
        await worked_off(floor)
        found = await floor.events("fulfillment.created", "fulfillment.updated")
        assert [event.data["status"] for event in found] == ["pending", "success"]
