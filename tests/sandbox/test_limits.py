"""How the simulated platforms count calls: by their facts, not by our client's limiter."""

from __future__ import annotations

import pytest

from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.server import Sandbox, SandboxSettings, ready_config
from tests.sandbox.probe import START_MS, Probe, probing

REAL = {"calls_per_minute": 80}


async def get(probe: Probe, token: str = "sandbox-token") -> tuple[int, dict[str, str]]:
    headers = {"Authorization": f"Bearer {token}"}
    url = probe.url(f"baskets/{probe.order}")
    async with probe.session.get(url, headers=headers) as response:
        limits = {name: value for name, value in response.headers.items() if "ratelimit" in name.lower()}
        return response.status, {**limits, "Retry-After": response.headers.get("Retry-After", "")}


async def test_the_81st_request_of_a_minute_is_refused_as_laravel_does() -> None:
    async with probing(options=REAL) as probe:
        for left in range(79, -1, -1):
            status, limits = await get(probe)
            assert (status, limits) == (
                200,
                {"X-RateLimit-Limit": "80", "X-RateLimit-Remaining": str(left), "Retry-After": ""},
            )
        probe.time.pass_seconds(20.5)
        status, limits = await get(probe)
    assert status == 429
    assert limits == {
        "X-RateLimit-Limit": "80",
        "X-RateLimit-Remaining": "0",
        "Retry-After": "40",
        "X-RateLimit-Reset": str(START_MS // 1000 + 20 + 40),
    }


async def test_any_minute_counts_and_what_was_refused_does_not() -> None:
    async with probing(options=REAL) as probe:
        for _ in range(40):
            await get(probe)
        probe.time.pass_seconds(50)
        for _ in range(40):
            await get(probe)
        assert [(await get(probe))[0] for _ in range(5)] == [429] * 5
        probe.time.pass_seconds(10)
        statuses = [(await get(probe))[0] for _ in range(41)]
    assert statuses == [200] * 40 + [429]


async def test_a_request_counts_whatever_becomes_of_it_and_whoevers_token_is_unknown_does_not() -> None:
    async with probing(options=REAL) as probe:
        await probe.call("GET", "nowhere")
        await probe.call("POST", f"baskets/{probe.order}/state", json={"state": "ToCustomer"})
        assert await get(probe, token="stranger") == (401, {"Retry-After": ""})
        _, limits = await get(probe)
        assert limits["X-RateLimit-Remaining"] == "77"


async def test_the_panel_changes_the_limit() -> None:
    async with probing() as probe:
        probe.sandbox.selldone.operate({"action": "limit", "calls_per_minute": 2})
        assert [(await get(probe))[0] for _ in range(3)] == [200, 200, 429]
        with pytest.raises(PanelError, match="calls_per_minute must be a whole number"):
            probe.sandbox.selldone.operate({"action": "limit", "calls_per_minute": "many"})


def test_a_sandbox_with_real_limits_leaves_ours_as_they_are() -> None:
    real = ready_config("http://127.0.0.1:1", SandboxSettings(has_real_limits=True))
    assert all("limits" not in shop for shop in real["shops"].values())
    sandbox = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    assert sandbox.selldone.shop.throttle.calls_per_minute == 80
    assert (sandbox.shopify.shop.options.bucket, sandbox.shopify.shop.options.restore_rate) == (2000, 100)


def test_a_sandbox_where_no_limit_matters_says_so_in_its_config() -> None:
    raised = ready_config("http://127.0.0.1:1")
    assert all(shop["limits"]["window"] == {"calls": 0} for shop in raised["shops"].values())
