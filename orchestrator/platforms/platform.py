"""A platform as one object: all that the rest of the program knows of it; client and simulation by name alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Clock
from orchestrator.platforms.client import PlatformClient, Throttle
from orchestrator.platforms.meter import Meter
from orchestrator.platforms.points import PointsLimit
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_place import TokenPlace
from orchestrator.platforms.token_row import SealedRows, TokenRow
from orchestrator.platforms.webhooks import HINTS, Webhooks
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import API, load
from statemachines.machine import PlatformMachine
from statemachines.target import Json


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """What a shop may ask of its platform unless its config says otherwise (docs/configure.md).

    `rate_per_second` and `burst` describe the token bucket, `concurrency` how many calls may be out at once. `window`:
    the calls that the platform counts in any stretch of time, `points`: its bucket of points; None: it has none.
    """

    rate_per_second: float
    burst: int
    concurrency: int
    window: WindowLimit | None = None
    points: PointsLimit | None = None


def _no_warnings(options: Any) -> Iterable[tuple[str, str]]:
    del options
    return ()


def _never(options: Any) -> bool:
    del options
    return False


def _no_secrets(options: Any) -> tuple[SecretStr, ...]:
    del options
    return ()


async def no_throttle() -> None:
    """A throttle that never waits: for `doctor` and tests, which bring no limiter."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """All that a client of one shop is built from.

    `options` is the shop's platform options (an instance of the platform's `options` model); `base_url` has no trailing
    slash; `timeout_seconds` bounds one HTTP call; `lookback_seconds` is how far each sync reads back behind the
    last one; `concurrency` how many calls the runtime may have out at once; `throttle` see `client.Throttle`;
    `meter` counts every call (None: nobody does); `state_directory` is where a client may keep tokens across restarts
    (files of mode 0600), None: nowhere; `token_rows` where it keeps them for all nodes instead (`token_place`), None:
    there is no such place. `restored_at` (Unix milliseconds): when the store took another one's place, so
    that calls of ours which it knows nothing of may have gone out about older orders; None: it never did.
    `checkpoints`: for tests.
    """

    shop: str
    options: BaseModel
    base_url: str
    timeout_seconds: float = 30.0
    lookback_seconds: float = 120.0
    page_size: int = 100
    concurrency: int = 8
    throttle: Throttle = no_throttle
    meter: Meter | None = None
    state_directory: Path | None = None
    token_rows: SealedRows | None = None
    restored_at: int | None = None
    clock: Clock = field(default_factory=Clock)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)

    def token_place(self, kind: str, owner: str) -> TokenPlace | None:
        """Where the shop's tokens outlive the process; None: nowhere. `kind`: a word that no other platform uses;
        `owner`: a digest of what tokens are got with, which ties them to that."""
        directory = self.state_directory
        file = None if directory is None else TokenFile(directory / f"{kind}-{self.shop}.tokens", owner)
        return file if self.token_rows is None else TokenRow(self.token_rows, kind, self.shop, owner, file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One platform as config, daemon, sandbox and CLI see it.

    `title`: its name as people write it. `default_base_url` None: each shop is a site of its own, whose address the
    config has to give (https, or this machine) and which alone may distinguish it. `identity` are the keys of its
    own by which a shop is distinguished from others on the platform, beside the address. `options` is the pydantic
    model of the platform's own config keys of a shop, without those that every shop has. `machine` builds the order
    machine from a shop's machine options. `client` is the place, as `module:function`, of what makes a client from
    `ClientSettings`; `sandbox` that of the `SimulatedPlatform` class; None: it cannot be simulated. Both are
    imported when they are needed. `example`: shops of the example config by name, with every key of the platform
    once. `webhooks`: how they are taken, those that it signs or those that are hints. `default_webhook_secrets`:
    what a shop's webhooks are known by, from its `options`, where the config does not say. `warnings`: what of a
    shop's `options` is usable but surely not meant, by key.
    `replaces_credentials(options)`: whether the platform replaces what the config has, so that what it gave last must
    be kept.
    `token_link(scopes, locale)` answers where a shop owner makes a token (no scopes: those that this program needs) and
    raises ValueError for what cannot be one; None: tokens are not made by a link. `target_fields`: the pydantic model
    of a target's `platform_data`, for what no other platform has; its fields have descriptions. The machine finds it in
    `TargetRequest.platform_data`, and steps that carry it name that field in their `uses`; None: it takes none. `api`:
    the version of this interface.
    """

    name: str
    title: str
    default_base_url: str | None
    default_limits: DefaultLimits
    options: type[BaseModel]
    identity: tuple[str, ...]
    machine: Callable[[Mapping[str, Json]], PlatformMachine]
    client: str
    example: Mapping[str, Mapping[str, Any]]
    sandbox: str | None = None
    webhooks: Webhooks = HINTS
    default_webhook_secrets: Callable[[Any], tuple[SecretStr, ...]] = _no_secrets
    warnings: Callable[[Any], Iterable[tuple[str, str]]] = _no_warnings
    replaces_credentials: Callable[[Any], bool] = _never
    token_link: Callable[[Sequence[str], str | None], str] | None = None
    target_fields: type[BaseModel] | None = None
    api: int = API

    def open(self, settings: ClientSettings) -> PlatformClient:
        """A client of one shop; has to be called inside a running event loop and opens no connection by itself."""
        client: PlatformClient = load(self.client)(settings)
        return client
