"""What the Selldone tests share: a client with test settings, samples, targets, and a small server of one's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.selldone.client import SelldoneClient
from orchestrator.platforms.selldone.options import SelldoneOptions
from statemachines.machine import OrderState
from statemachines.target import TargetRequest, Tracking

TOKEN = "tok-3cr3t-0123456789"
SHOP_ID = 12345
BASE_URL = "https://api.selldone.com"
CENTER = f"{BASE_URL}/shops/{SHOP_ID}/process-center"
NOW_MS = 1_724_000_000_000
ORDER_STATE = OrderState("PreparingOrder", "PreparingOrder")
_SAMPLES = Path(__file__).parents[2] / "samples" / "selldone"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def sample(name: str) -> bytes:
    """A sample's bytes, as in the platform facts."""
    return (_SAMPLES / f"{name}.json").read_bytes()


def sample_json(name: str) -> Any:
    return json.loads(sample(name))


@asynccontextmanager
async def selldone_client(base_url: str = BASE_URL, **settings: Any) -> AsyncIterator[SelldoneClient]:
    """A client of shop 12345; `options` are further keys of the shop's options."""
    options = SelldoneOptions(shop_id=SHOP_ID, token=settings.pop("token", TOKEN), **settings.pop("options", {}))
    settings.setdefault("clock", Clock(now_ms=lambda: NOW_MS))
    client = SelldoneClient(ClientSettings("acme", options, base_url, **settings))
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A real HTTP server on loopback that answers everything with `handler`; its base URL."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answering(body: bytes, status: int = 200, **headers: str) -> Handler:
    """A handler that always answers the same."""

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers={"Content-Type": "application/json", **named})

    return handler


async def drop(request: web.Request) -> web.Response:
    """A handler that reads the request and hangs up."""
    await request.read()
    assert request.transport is not None
    request.transport.close()
    return web.Response()


ORDER = "15002"
BASKET = f"{CENTER}/baskets/{ORDER}"
NOTHING = TargetRequest("ToCustomer")
TRACKED = TargetRequest("SentOrder", tracking=Tracking("1Z827WK74630", "https://example.com/track/1Z827WK74630", "UPS"))
STEPS: dict[str, tuple[str, str, TargetRequest, str | None, str]] = {
    "confirm": (
        "POST",
        "/state",
        TargetRequest("OrderConfirm", items=("23990", {"id": "23991", "quantity": 1})),
        "state_orderconfirm_request",
        "state_orderconfirm_response",
    ),
    "confirm all": ("POST", "/state", NOTHING, "state_orderconfirm_all_request", "state_orderconfirm_response"),
    "prepare": (
        "POST",
        "/state",
        TargetRequest("PreparingOrder", delivery_info=sample_json("state_preparing_request")["delivery_info"]),
        "state_preparing_request",
        "state_preparing_response",
    ),
    "send": ("POST", "/state", NOTHING, "state_sent_request", "state_sent_response"),
    "deliver": ("POST", "/state", NOTHING, "state_tocustomer_request", "state_tocustomer_response"),
    "set_tracking": ("PUT", "/tracking", TRACKED, "tracking_request", "tracking_response_assembled"),
    "return_delivery": ("POST", "/delivery-returned", NOTHING, None, "delivery_returned_response_assembled"),
}
