"""Clients of one simulated Shopify shop, each as a process of its own would have it, and time that a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.clock import Clock
from orchestrator.platforms.client import Finding
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.shopify.client import ShopifyClient
from orchestrator.platforms.shopify.options import ShopifyOptions
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.access import AppAccess, Kind
from orchestrator.sandbox.shopify.options import ShopifyOptions as SandboxOptions
from tests.sandbox.probe import HandClock

DAY = 86_400


@dataclass(slots=True)
class AccessStage:
    """A running sandbox. `kind`: what its config gives a shop to get in with, `config`: that shop's."""

    sandbox: Sandbox
    folder: Path
    time: HandClock
    kind: Kind
    config: dict[str, Any]
    turns: list[str] = field(default_factory=list)
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def access(self) -> AppAccess:
        access: AppAccess = self.sandbox.shopify.shop.access
        return access

    @property
    def faults(self) -> FaultPlan:
        return self.sandbox.faults

    @property
    def order(self) -> str:
        return self.sandbox.platforms["shopify"].order_ids()[0]

    @property
    def file(self) -> Path:
        return self.folder / "shopify-shopy.tokens"

    @property
    def fetches(self) -> int:
        """How often tokens were asked for."""
        return len(self.sandbox.ledger.calls(step="token"))

    def credentials(self, **changes: Any) -> dict[str, Any]:
        """Those that a person put into the config in the beginning, whatever replaced its refresh token since."""
        return {**self.config["credentials"], **changes}

    def client(self, options: dict[str, Any] | None = None) -> ShopifyClient:
        """Another process: what it knows is in the file. `options` in place of the sandbox's."""
        config = self.config
        given = options or {key: config[key] for key in ("token", "credentials") if key in config}
        clock = Clock(now_ms=lambda: self.time.ms, monotonic=lambda: self.time.ms / 1000)

        async def throttle() -> None:
            self.turns.append("turn")

        settings = ClientSettings(
            shop="shopy",
            options=ShopifyOptions.model_validate({"domain": config["domain"], **given}),
            base_url=config["base_url"],
            timeout_seconds=5,
            throttle=throttle,
            state_directory=self.folder,
            clock=clock,
        )
        client = ShopifyClient(settings)
        self.opened.push_async_callback(client.aclose)
        return client

    async def findings(self, client: ShopifyClient) -> dict[str, Finding]:
        return {finding.check: finding for finding in await client.check()}


@asynccontextmanager
async def access_stage(folder: Path, kind: Kind = "client_credentials", **options: Any) -> AsyncIterator[AccessStage]:
    """`options`: of the sandbox's Shopify."""
    time = HandClock()
    sandbox = Sandbox(
        SandboxSettings(orders=1, options={"shopify": SandboxOptions(access=kind, **options)}), clock=time.clock()
    )
    async with sandbox.running():
        stage = AccessStage(sandbox, folder, time, kind, sandbox.config()["shops"]["shopy"])
        async with stage.opened:
            yield stage
