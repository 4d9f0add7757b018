"""Many calls that are refused at once are let in again: none waits for what another that waits holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.meter import Meter, open_meter
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.points import PointsLimit
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import PLATFORMS
from orchestrator.runtime.admission import Admission, Limits
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.options import ShopifyOptions
from tests.sandbox.probe import HandClock

MOST_SLEEPS = 5000
"""More than anybody needs who waits for time to pass and not for somebody who waits as well."""
EXPIRE = {"shopify": "expire_token", "cloudsuite": "expire_tokens", "xsale": "expire_tokens"}
LIMITS: dict[str, dict[str, Any]] = {
    "window": {"window": WindowLimit(8, 60)},
    "points": {"points": PointsLimit(400, 10)},
    "both": {"window": WindowLimit(8, 60), "points": PointsLimit(400, 10)},
}


@dataclass(slots=True)
class Gate:
    """A shop whose client is admitted as in the daemon, on a clock that moves when somebody sleeps."""

    platform: str
    sandbox: Sandbox
    client: PlatformClient
    meter: Meter
    time: HandClock
    slept: list[float] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return self.sandbox.platforms[self.platform].order_ids()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < MOST_SLEEPS, "a call waits for what those hold that wait behind it"
        self.time.ms += max(1, round(seconds * 1000))
        await anyio.lowlevel.checkpoint()

    async def refuse_at_once(self, calls: int) -> list[str]:
        """Reads so many orders whose calls are all on their way when their token ends; those that were read."""
        found: list[str] = []
        held = [self.sandbox.faults.hold(moment="after") for _ in range(calls)]

        async def read(order: str) -> None:
            found.append((await self.client.read(order)).id)

        self.sandbox.platforms[self.platform].operate({"action": EXPIRE[self.platform]})
        async with anyio.create_task_group() as group:
            for order in self.ids[:calls]:
                group.start_soon(read, order)
            for each in held:
                await each.arrived()
            for each in held:
                each.release()
        return found


@asynccontextmanager
async def gate(platform: str, limits: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    time = HandClock()
    clock = time.clock()
    meter = open_meter(clock, **LIMITS[limits])
    options = {"shopify": ShopifyOptions(bucket=400, restore_rate=10)}
    async with Sandbox(SandboxSettings(orders=8, options=options), clock=clock).running() as sandbox:
        shop = next(each for each in sandbox.config()["shops"].values() if each["platform"] == platform)
        spec = PLATFORMS[platform]
        own = spec.options.model_validate({name: shop[name] for name in spec.options.model_fields if name in shop})
        admission = Admission(Limits(1000, 1000, 8, 5, 1), clock.monotonic, meter)
        client = spec.open(
            ClientSettings("acme", own, shop["base_url"], throttle=admission.throttle, meter=meter, clock=clock)
        )
        try:
            entered = Gate(platform, sandbox, client, meter, time)
            monkeypatch.setattr("anyio.sleep", entered.sleep)
            yield entered
        finally:
            await client.aclose()


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("platform", EXPIRE)
async def test_calls_that_one_token_is_refused_for_at_once_are_all_let_in(
    platform: str, limits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gate(platform, limits, monkeypatch) as shop:
        await shop.client.read(shop.ids[0])
        shop.time.pass_seconds(60)  # what that took is restored
        assert sorted(await shop.refuse_at_once(6)) == sorted(shop.ids[:6])


async def test_a_call_that_is_not_let_in_costs_no_points(monkeypatch: pytest.MonkeyPatch) -> None:
    async with gate("shopify", "points", monkeypatch) as shop:
        points = shop.meter.points
        assert points is not None
        await shop.client.read(shop.ids[0])
        shop.time.pass_seconds(60)
        before = points.available
        await shop.client.read(shop.ids[0])
        cost = before - points.available
        shop.time.pass_seconds(60)
        await shop.refuse_at_once(1)
        assert points.available == before - cost
