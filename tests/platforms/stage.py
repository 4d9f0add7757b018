"""A client of ours in front of a simulated platform, for the tests that every platform has to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.platforms.client import Page, PlatformClient, Seen, StepAnswer
from orchestrator.platforms.platform import ClientSettings
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.machine import PlatformMachine, Standing
from statemachines.target import ErpLine, Json, TargetRequest, Tracking


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a platform's whole way, with the target data that it takes and the platform's state after it."""

    step: str
    state: str
    request: TargetRequest


_TRACKED = TargetRequest("shipped", tracking=Tracking(code="1Z827WK74630", url="https://example.com/track/1Z827"))
_PLAIN = TargetRequest("delivered")

_LINES = tuple(ErpLine(f"900012345{n}", 10 * (n + 1)) for n in range(3))
_SLIP = {"number": "PS-1", "tracking_code": "3SABC", "lines": [{"erp_line_number": 10, "quantity": 1}]}

WAYS: dict[str, tuple[Move, ...]] = {
    "selldone": (
        Move("confirm", "OrderConfirm", _PLAIN),
        Move("prepare", "PreparingOrder", _PLAIN),
        Move("set_tracking", "PreparingOrder", _TRACKED),
        Move("send", "SentOrder", _PLAIN),
        Move("return_delivery", "PreparingOrder", _PLAIN),
        Move("send", "SentOrder", _PLAIN),
        Move("deliver", "ToCustomer", _PLAIN),
    ),
    "cloudsuite": (
        Move("process", "processing", _PLAIN),
        Move("set_erp_number", "processing", TargetRequest("sent", erp_order_number="ERP-1")),
        Move("set_erp_lines", "processing", TargetRequest("sent", erp_lines=_LINES[:1])),
        Move(
            "confirm_order",
            "processing",
            TargetRequest("sent", erp_order_number="ERP-2", erp_lines=_LINES, confirmation="cxml"),
        ),
        Move("send_despatch", "processing", TargetRequest("sent", despatch=(_SLIP,))),
        Move("mark_sent", "sent", _PLAIN),
        Move("finish", "done", _PLAIN),
    ),
    "xsale": (
        Move("change_status", "Zaimportowano do ERP", _PLAIN),
        Move("change_status", "Do obsługi ręcznej", TargetRequest("attention", reason="no such article")),
        Move("change_status", "W trakcie realizacji", TargetRequest("W trakcie realizacji")),
        Move("change_status", "Przygotowywane do wysyłki", _PLAIN),
        Move("change_status", "Wysłane", _PLAIN),
        Move("change_status", "Zrealizowane", _PLAIN),
    ),
    "shopify": (
        Move("report_progress", "IN_PROGRESS", TargetRequest("preparing")),
        Move("fulfill", "FULFILLED", TargetRequest("shipped", tracking=Tracking("1Z-B", carrier="UPS"))),
        Move(
            "update_tracking",
            "FULFILLED",
            TargetRequest("shipped", items=("487817672276298002",), tracking=Tracking("1Z-C")),
        ),
        Move("mark_delivered", "DELIVERED", TargetRequest("delivered")),
    ),
}
"""Every step of every platform at least once, but for cancelling ones; a new platform adds its way here."""

UNSEEN = {("cloudsuite", "send_despatch")}
"""Steps that no read shows: they are sent again, and the platform refuses the repeat."""

BESIDE_THE_WAY = {("shopify", "prepare_pickup")}
"""Steps for orders of another kind than the one that goes the way: tests of their own try them."""

LISTS_ALL_WORK = {"xsale"}
"""Platforms whose list is the work to import, all of it each time: nothing tells what changed."""
REFUSES_NOTHING = {"xsale"}
"""Platforms where a state is a label that can always be set: the sequence is ours alone."""

STEPS = [(platform, n) for platform, way in WAYS.items() for n in range(len(way))]
"""Each step of each platform's way, by its place."""


@dataclass(slots=True)
class Stage:
    """A running sandbox and a client of its first shop on one platform."""

    platform: str
    sandbox: Sandbox
    client: PlatformClient
    machine: PlatformMachine

    @property
    def order(self) -> str:
        """An order in the initial state."""
        return self.sandbox.platforms[self.platform].order_ids()[0]

    def operate(self, action: str, **fields: Json) -> dict[str, Json]:
        """Does something in the platform's back office."""
        return self.sandbox.platforms[self.platform].operate({"action": action, **fields})

    async def perform(self, move: Move, before: Standing | None = None) -> StepAnswer:
        standing = before or (await self.client.read(self.order)).standing()
        return await self.client.perform(move.step, self.order, standing, move.request)

    async def walk(self, moves: tuple[Move, ...]) -> None:
        for move in moves:
            await self.perform(move)

    async def sweep(self, position: Json = None) -> tuple[list[Page], Json]:
        """All pages of a sweep, and the position that it ends with."""
        pages: list[Page] = []
        cursor: Json = None
        while True:
            page = await self.client.list_page(position, cursor)
            pages.append(page)
            if page.next is None:
                return pages, page.position
            cursor = page.next

    async def seen(self, position: Json = None) -> dict[str, Seen]:
        """The orders of a whole sweep, those that have to be read one by one included."""
        pages, _ = await self.sweep(position)
        found = {seen.id: seen for page in pages for seen in page.orders}
        for order_id in {order_id for page in pages for order_id in page.must_read}:
            found[order_id] = await self.client.read(order_id)
        return found


@asynccontextmanager
async def staged(
    platform: str,
    *,
    timeout_seconds: float = 10,
    page_size: int = 100,
    lookback_seconds: float = 120,
    options: Mapping[str, Json] | None = None,
    simulated: Mapping[str, object] | None = None,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A stage; `settings` are the sandbox's, `simulated` its platforms' options, `options` change the shop's own."""
    async with Sandbox(SandboxSettings(**{"orders": 3, **settings}, options=simulated or {})).running() as sandbox:
        shops = sandbox.config()["shops"].values()
        shop = next(shop for shop in shops if shop["platform"] == platform)
        spec = PLATFORMS[platform]
        own = {name: shop[name] for name in spec.options.model_fields if name in shop}
        client = spec.open(
            ClientSettings(
                "acme",
                spec.options.model_validate({**own, **(options or {})}),
                shop["base_url"],
                timeout_seconds=timeout_seconds,
                page_size=page_size,
                lookback_seconds=lookback_seconds,
            )
        )
        try:
            yield Stage(platform, sandbox, client, PLATFORMS[platform].machine({}))
        finally:
            await client.aclose()
