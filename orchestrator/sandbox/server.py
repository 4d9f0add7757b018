"""The sandbox as a whole: its platforms behind one port, in a test's own process or as the `sandbox` command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.registry import PLATFORMS, load
from orchestrator.sandbox.control import Control
from orchestrator.sandbox.exchange import Exchange
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Json, SimulatedPlatform, Stock

_CLOSE_SECONDS = 5.0

_QUICK: dict[str, Json] = {
    "poll": {"interval_seconds": 2},
    "limits": {"concurrency": 16, "rate_per_second": 500, "burst": 500, "window": {"calls": 0}},
    "retry": {"attempts": 8, "base_seconds": 0.2, "max_seconds": 5},
    "circuit": {"failures": 10, "cooldown_seconds": 1},
}
"""What every shop of the ready config has beside its platform's own keys: quick, for the sandbox takes that much."""
_REAL: dict[str, Json] = {"poll": {"interval_seconds": 15}}
"""The same where the sandbox counts as the platforms do: fulfilld's own limits hold."""


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How the sandbox is to be. `port` 0: a free one. `orders`: a shop. `latency_ms`: before each call's effect.

    `faults`: rates from 0 to 1 by name (`faults.RATE_NAMES`). `shops`: how many a platform has.
    `stall_seconds`, `throttle_seconds`: as `FaultPlan`'s. `has_real_limits`: calls are counted as the platforms
    document it, and the ready config leaves fulfilld's limits as they are; else so many are taken that none matters.
    `options`: a platform's own options by its name, where they are not to be its defaults.
    """

    port: int = 0
    orders: int = 20
    latency_ms: float = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    seed: int = 1
    shops: int = 1
    stall_seconds: float = 60
    throttle_seconds: int = 1
    has_real_limits: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


def unusable() -> list[str]:
    """Why platforms that packages bring are not simulated, and what to do."""
    return [*PLATFORMS.troubles.values(), *_simulations()[1]]


def _simulations() -> tuple[dict[str, type[SimulatedPlatform]], list[str]]:
    """The simulations by their platforms' names, and why those of packages cannot be loaded."""
    found: dict[str, type[SimulatedPlatform]] = {}
    troubles = []
    for name, platform in PLATFORMS.items():
        if platform.sandbox is None:
            continue
        package = PLATFORMS.origin(name)
        try:
            found[name] = load(platform.sandbox)
        except Exception as error:
            if package is None:  # ours: that is a mistake of ours
                raise
            why = f"cannot be loaded from {platform.sandbox} ({type(error).__name__}: {str(error)[:200]})"
            troubles.append(
                f"the simulation of the platform {name!r} of {package} {why}; update or remove that package"
            )
    return found, troubles


class Sandbox:
    """The simulated platforms with their ledger and faults; `async with sandbox.running():` serves them. Each is an
    attribute by its name, too.

    Raises ValueError for unknown faults and senseless numbers.
    """

    def __init__(self, settings: SandboxSettings | None = None, *, clock: Clock | None = None) -> None:
        self.settings = settings = settings or SandboxSettings()
        if settings.orders < 0 or settings.shops < 1 or settings.latency_ms < 0:
            raise ValueError("the sandbox needs at least one shop, and neither orders nor latency below 0")
        self.clock = clock or Clock()
        self.ledger = Ledger(self.clock)
        self.faults = FaultPlan(
            self.clock,
            settings.faults,
            seed=settings.seed,
            stall_seconds=settings.stall_seconds,
            throttle_seconds=settings.throttle_seconds,
            latency_seconds=settings.latency_ms / 1000,
        )
        stock = Stock(settings.orders, settings.seed, settings.shops)
        self.platforms: dict[str, SimulatedPlatform] = {}
        simulations, _ = _simulations()
        for name, simulated in simulations.items():
            options = settings.options.get(name) or simulated.options()
            if settings.has_real_limits:
                options = simulated.with_real_limits(options)
            self.platforms[name] = simulated(self.clock, self.ledger, options, stock)
        if strange := settings.options.keys() - self.platforms.keys():
            raise ValueError(f"no platform of the sandbox is named {', '.join(sorted(strange))}")
        self._port: int | None = None

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("platforms", ()):
            return self.platforms[name]
        raise AttributeError(f"the sandbox has no platform {name!r}")

    @property
    def base_url(self) -> str:
        """The root of the running sandbox; a platform's base URL is this and `/` and its name."""
        assert self._port is not None, "the sandbox is not running"
        return f"http://127.0.0.1:{self._port}"

    def config(self, base_url: str | None = None) -> dict[str, Json]:
        """A complete config for fulfilld with every shop of this sandbox."""
        base_url = base_url or self.base_url
        shops = {
            name: {**shop, **(_REAL if self.settings.has_real_limits else _QUICK)}
            for platform in self.platforms.values()
            for name, shop in platform.shops(base_url).items()
        }
        return {"storage": {"url": "sqlite:///fulfilld.db"}, "api": {"socket": "fulfilld.sock"}, "shops": shops}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Sandbox]:
        """Serves on loopback, and sends webhooks, until the block is left; then lets go of stalled and held calls and
        stops at once.

        May be entered again, one after another: the same orders on the same port, as after an outage.
        Raises OSError if the port is taken.
        """
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_CLOSE_SECONDS)
        self.faults.open()
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port or self.settings.port, backlog=1024).start()
            self._port = runner.addresses[0][1]
            async with _beside([work for each in self.platforms.values() for work in each.background(self.faults)]):
                yield self
        finally:
            self.faults.close()
            with anyio.CancelScope(shield=True), anyio.move_on_after(2 * _CLOSE_SECONDS):
                await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=2**20)
        Control(self.ledger, self.faults, self.platforms, self.config).mount(application)
        for platform in self.platforms.values():
            exchange = Exchange(platform, self.ledger, self.faults)
            application.router.add_route("*", f"/{platform.name}/{{path:.*}}", exchange.handle)
        return application


@asynccontextmanager
async def _beside(works: Iterable[Callable[[], Coroutine[None, None, None]]]) -> AsyncIterator[None]:
    """Runs these until the block is left. What the block raises leaves as it is, in no group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(work)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def ready_config(base_url: str, settings: SandboxSettings | None = None) -> dict[str, Json]:
    """The config for a sandbox with these settings that is served at `base_url`."""
    return Sandbox(replace(settings or SandboxSettings(), orders=0)).config(base_url)


async def serve(settings: SandboxSettings, announce: Callable[[str], None]) -> None:
    """Runs until cancelled. `announce` gets the ready config, one line of JSON, once the port is bound.

    Raises ValueError for bad settings, OSError if the port is taken.
    """
    async with Sandbox(settings).running() as sandbox:
        announce(json.dumps(sandbox.config(), ensure_ascii=False))
        await anyio.sleep_forever()
