"""A daemon with its default limits under full load, on platforms that count as they document it: no call is refused.

An hour of it takes a minute: everybody's clock and everybody's sleep run so many times faster. How long calls take
on their way is stretched by the same, so that many are under way at once, as on a real line.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.clock import Clock
from orchestrator.operations.views.shops import shop_view
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.shopfloor import PLATFORM, config_of, working_on

TIMES = 60
"""How much faster time runs here."""


#: time runs faster here than a lease can be renewed
pytestmark = pytest.mark.engines("sqlite")


def fast_time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that runs so much faster, for everybody who sleeps as well."""
    began, began_ms, sleep = time.monotonic(), time.time_ns() // 1_000_000, anyio.sleep

    async def short_sleep(seconds: float) -> None:
        await sleep(seconds / TIMES)

    def monotonic() -> float:
        return began + (time.monotonic() - began) * TIMES

    monkeypatch.setattr("anyio.sleep", short_sleep)
    return Clock(now_ms=lambda: began_ms + int((monotonic() - began) * 1000), monotonic=monotonic)


async def under_load(
    folder: Path, clock: Clock, limits: dict[str, Any] | None, orders: int, platform: str = PLATFORM
) -> Sandbox:
    """Drives all orders of a shop to their end, with these limits (None: the defaults)."""
    sandbox = Sandbox(SandboxSettings(orders=orders, has_real_limits=True), clock=clock)
    async with sandbox.running():
        config = config_of(
            sandbox, folder, {"limits": limits or {}, "poll": {"interval_seconds": 1}}, platform=platform
        )
        async with working_on(sandbox, config, folder, clock=clock) as floor:
            (shop,) = floor.supervisor.shops()
            await floor.commands.sync(shop, 60)
            async with anyio.create_task_group() as group:
                for order in await floor.orders():
                    group.start_soon(floor.reach, order.id, "delivered", shop)
    return sandbox


def most_in_a_minute(sandbox: Sandbox) -> int:
    """The most calls that any minute saw, by the sandbox's own count of arrivals."""
    at = [call.at_ms for call in sandbox.ledger.calls()]
    return max(bisect_right(at, began + 59_999) - n for n, began in enumerate(at))


async def test_selldone_refuses_no_call_of_a_daemon_with_defaults_at_full_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await under_load(tmp_path, fast_time(monkeypatch), None, orders=60)
    statuses = sandbox.ledger.summary()["by_status"]
    assert set(statuses) == {"200"}
    assert sum(statuses.values()) > 240
    assert 60 < most_in_a_minute(sandbox) <= 80


async def test_a_merchants_old_rate_of_2_a_second_is_held_by_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await under_load(tmp_path, fast_time(monkeypatch), {"rate_per_second": 2, "burst": 60}, orders=50)
    assert set(sandbox.ledger.summary()["by_status"]) == {"200"}
    assert 70 < most_in_a_minute(sandbox) <= 80


async def test_without_the_window_the_old_rate_runs_into_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the two above can fail."""
    clock, limits = fast_time(monkeypatch), {"rate_per_second": 2, "burst": 60, "window": {"calls": 0}}
    sandbox = Sandbox(SandboxSettings(orders=50, has_real_limits=True), clock=clock)
    async with (
        sandbox.running(),
        working_on(sandbox, config_of(sandbox, tmp_path, {"limits": limits}), tmp_path, clock=clock) as floor,
    ):
        await floor.commands.sync("acme", 60)
        for order in await floor.orders():
            await floor.submit(order.id, "delivered")
        (failed, *_) = await floor.event("step.failed")
    assert "429" in str(failed.data)


async def test_a_window_that_is_too_wide_is_narrowed_by_what_the_platform_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that we do not know of: the answers name it before it is reached."""
    limits = {"rate_per_second": 10, "burst": 10, "window": {"calls": 300}}
    sandbox = await under_load(tmp_path, fast_time(monkeypatch), limits, orders=50)
    assert set(sandbox.ledger.summary()["by_status"]) == {"200"}


async def test_shopify_throttles_no_call_of_a_daemon_with_defaults_at_full_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await under_load(tmp_path, fast_time(monkeypatch), None, orders=120, platform="shopify")
    assert sandbox.shopify.shop.throttled_calls == 0
    assert len(sandbox.ledger.calls()) > 480


async def test_calls_of_a_daemon_before_a_restart_count_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = fast_time(monkeypatch)
    sandbox = Sandbox(SandboxSettings(orders=60, has_real_limits=True), clock=clock)
    limits = {"rate_per_second": 50, "burst": 80}
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"limits": limits})
        for _ in range(3):
            async with working_on(sandbox, config, tmp_path, clock=clock) as floor:
                await floor.commands.sync("acme", 120)
                orders = await floor.orders()
                for order in orders[:20]:
                    await floor.commands.refresh("acme", order.id)
    assert set(sandbox.ledger.summary()["by_status"]) == {"200"}
    assert most_in_a_minute(sandbox) <= 80


@pytest.mark.parametrize(
    ("platform", "shop", "unit", "limit"), [("selldone", "acme", "calls", 80), ("shopify", "shopy", "points", 2000)]
)
async def test_what_the_platform_said_last_is_shown_with_our_own_limits(
    tmp_path: Path, platform: str, shop: str, unit: str, limit: int
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, {"limits": {}}, platform=platform)
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync(shop, 30)
            shown: Any = shop_view(floor.supervisor.shops()[shop], None, 0)["rate_limit"]
    assert (shown["unit"], shown["limit"]) == (unit, limit)
    assert 0 < shown["remaining"] <= limit
    assert shown["reported_at"].endswith("Z")
    assert shown["window"] == ({"calls": 80, "seconds": 60} if platform == "selldone" else None)
    assert 0 <= shown["available"] <= shown["burst"]


async def test_before_a_platform_said_anything_nothing_is_shown_of_it(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running():
        config = config_of(sandbox, tmp_path, platform="cloudsuite")
        async with working_on(sandbox, config, tmp_path) as floor:
            await floor.commands.sync("cs", 30)
            shown: Any = shop_view(floor.supervisor.shops()["cs"], None, 0)["rate_limit"]
    assert [shown[name] for name in ("limit", "remaining", "unit", "reset_at", "reported_at")] == [None] * 5
