"""A client in front of its simulated platform, for the tests that every platform has to pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from orchestrator.api.schema.bodies import TargetBody
from orchestrator.platforms.client import OrderSnapshot, Page, PlatformClient, StepAnswer
from orchestrator.platforms.platform import ClientSettings
from orchestrator.registry import PLATFORMS, load
from orchestrator.sandbox.platform import SimulatedPlatform, Walk
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.machine import OrderState, PlatformMachine
from statemachines.target import Json, TargetRequest


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a platform's walk (`sandbox.platform.Move`), with its target as machines take it."""

    step: str
    state: str
    request: TargetRequest


@cache
def walk_of(platform: str) -> Walk:
    """What a platform's simulation says of itself. Raises KeyError for a platform that there is not, LookupError for
    one that is not simulated."""
    place = PLATFORMS[platform].sandbox
    if place is None:
        raise LookupError(f"the platform {platform} is not simulated: its Platform.sandbox is None")
    simulated: type[SimulatedPlatform] = load(place)
    return simulated.walk()


@cache
def moves_of(platform: str, variant: str | None = None) -> tuple[Move, ...]:
    """Every step of a platform's walk, as it is by itself or in one of its variants. Raises as `walk_of`."""
    walk = walk_of(platform)
    chosen = () if variant is None else walk.variants[variant].moves
    return tuple(
        Move(move.step, move.state, TargetBody.model_validate(move.target).to_request())
        for move in chosen or walk.moves
    )


@dataclass(slots=True)
class Stage:
    """A running sandbox and a client of its first shop on one platform."""

    platform: str
    sandbox: Sandbox
    client: PlatformClient
    machine: PlatformMachine
    options: BaseModel

    @property
    def order(self) -> str:
        """An order in the initial state."""
        return self.sandbox.platforms[self.platform].order_ids()[0]

    def operate(self, action: str, **fields: Json) -> dict[str, Json]:
        """Does something in the platform's back office."""
        return self.sandbox.platforms[self.platform].operate({"action": action, **fields})

    async def perform(self, move: Move, before: OrderState | None = None) -> StepAnswer:
        """Makes one step of the order; `before`: what is known of it, None: what a read shows."""
        current = before or (await self.client.read(self.order)).order_state()
        return await self.client.perform(move.step, self.order, current, move.request)

    async def walk(self, moves: Sequence[Move]) -> None:
        """Makes these steps of the order, one after another."""
        for move in moves:
            await self.perform(move)

    async def list_pages(self, position: Json = None) -> tuple[list[Page], Json]:
        """All pages of a sync, and the position that it ends with."""
        pages: list[Page] = []
        cursor: Json = None
        while True:
            page = await self.client.list_page(position, cursor)
            pages.append(page)
            if page.next is None:
                return pages, page.position
            cursor = page.next

    async def snapshots(self, position: Json = None) -> dict[str, OrderSnapshot]:
        """The orders of a whole sync, those that have to be read one by one included."""
        pages, _ = await self.list_pages(position)
        found = {snapshot.id: snapshot for page in pages for snapshot in page.orders}
        for order_id in {order_id for page in pages for order_id in page.must_read}:
            found[order_id] = await self.client.read(order_id)
        return found


@asynccontextmanager
async def staged(
    platform: str,
    *,
    variant: str | None = None,
    timeout_seconds: float = 60,
    page_size: int = 100,
    lookback_seconds: float = 120,
    options: Mapping[str, Json] | None = None,
    simulated: Mapping[str, object] | None = None,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A stage. `variant`: one of the walk's (None: the platform as it is by itself); `settings` are the sandbox's,
    `simulated` its platforms' options, `options` change the shop's own."""
    walk = walk_of(platform)
    simulated, options = dict(simulated or {}), {**walk.shop, **(options or {})}
    if variant is not None:
        chosen = walk.variants[variant]
        simulated |= {} if chosen.simulated is None else {platform: chosen.simulated}
        options |= chosen.shop
    async with Sandbox(SandboxSettings(**{"orders": 3, **settings}, options=simulated)).running() as sandbox:
        shops = sandbox.config()["shops"].values()
        shop = next(shop for shop in shops if shop["platform"] == platform)
        spec = PLATFORMS[platform]
        own = {name: shop[name] for name in spec.options.model_fields if name in shop}
        chosen_options = spec.options.model_validate({**own, **options})
        client = spec.open(
            ClientSettings(
                "acme",
                chosen_options,
                shop["base_url"],
                timeout_seconds=timeout_seconds,
                page_size=page_size,
                lookback_seconds=lookback_seconds,
            )
        )
        try:
            yield Stage(platform, sandbox, client, spec.machine(chosen_options.model_dump()), chosen_options)
        finally:
            await client.aclose()
