"""Each platform's client passes the one boundary where calls are counted and the rate limit is heard."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from orchestrator.platforms.failures import PlatformFailure, Transient
from orchestrator.platforms.meter import open_meter
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import PLATFORMS
from tests.platforms.selldone.shop import serving
from tests.support.stopwatch import Stopwatch

LEFT = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}
TOKENS = {"access_token": "a" * 20, "id_token": "i" * 20, "expires_in": 3600, "token_type": "Bearer"}


def options_of(platform: str, login: str) -> dict[str, Any]:
    account = {"client_id": "id-1234567", "client_secret": "secret-1234567"}
    options: dict[str, dict[str, Any]] = {
        "selldone": {"shop_id": 1, "token": "token-1234567"},
        "cloudsuite": {"credentials": {**account, "token_url": login}},
        "xsale": {
            "organization": "org",
            "credentials": {**account, "username": "user-1234567", "password": "pass-1234567", "login_url": login},
        },
        "shopify": {"domain": "s.myshopify.com", "credentials": account},
        "woocommerce": {"credentials": {"consumer_key": "ck_1234567", "consumer_secret": "cs_1234567"}},
    }
    return options[platform]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_any_platform_says_is_left_holds_its_next_call(platform: str) -> None:
    watch, asked = Stopwatch(), []

    async def handler(request: web.Request) -> web.Response:
        if "token" in request.path:
            return web.json_response(TOKENS, headers=LEFT)
        asked.append(request.path)
        return web.json_response({}, status=500, headers=LEFT)

    meter = open_meter(watch.clock(), window=WindowLimit(80, 60))
    async with serving(handler) as base_url:
        options = PLATFORMS[platform].options.model_validate(options_of(platform, f"{base_url}/oauth/token"))
        settings = ClientSettings("shop", options, base_url.rstrip("/"), meter=meter, clock=watch.clock())
        client = PLATFORMS[platform].open(settings)
        try:
            with pytest.raises(PlatformFailure):
                await client.list_page(None, None)
            assert len(asked) == 1
            with pytest.raises(Transient, match="0 of 50 calls left") as caught:
                await client.list_page(None, None)
            assert len(asked) == 1, "the second call was not made"
            assert caught.value.retry_after_seconds == 40
            assert meter.room() == 49, "calls for tokens are not counted, and the platform has 50"
        finally:
            await client.aclose()
