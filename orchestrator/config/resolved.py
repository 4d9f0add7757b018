"""A config that was read and found good: what the rest of the program works with."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, SecretStr

from orchestrator.clock import Clock
from orchestrator.config.fields import Chaining
from orchestrator.config.model import (
    ApiSettings,
    CircuitSettings,
    LogSettings,
    MonitoringSettings,
    PollSettings,
    RetrySettings,
    StorageSettings,
)
from orchestrator.config.problems import ConfigProblem
from orchestrator.config.push import DeliverySettings, WebhookSettings
from orchestrator.config.rereading import Source
from orchestrator.platforms.meter import Meter, calls_path, open_meter
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.token_row import SealedRows
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import PLATFORMS

ANOTHER_SHOP_REMEDY = (
    "what is kept under this name would be read in the other shop: give that one a name of its own in the config,"
    " and keep this one as it was or remove it"
)
"""What to do about a shop whose name in the config has come to mean another shop of its platform."""


def is_other_account(was: str, now: str) -> bool:
    """Whether two identities are of different accounts. The address alone may change: the platform has moved, or a
    proxy stands before it."""
    return _without_address(was) != _without_address(now)


def _without_address(identity: str) -> list[str]:
    head, *keys = identity.split(", ")
    return [head.partition(" at ")[0], *keys]


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a shop may be worked: `concurrency` calls at once, a token bucket of `rate_per_second` and `burst`, and
    never more calls than `window` has (None: not counted)."""

    concurrency: int
    rate_per_second: float
    burst: int
    window: WindowLimit | None = None


@dataclass(frozen=True, slots=True)
class ShopConfig:
    """One shop. `options` is an instance of its platform's options model; `base_url` has no trailing slash.

    `webhook_secrets`: those of the config, else what its platform signs with by itself; `asks_for_webhooks`: the config
    has some. `source`: where its secrets can be read again (`reread`), None where none stands in a file.
    """

    name: str
    platform: str
    options: BaseModel
    base_url: str
    chaining: Chaining
    poll: PollSettings
    circuit: CircuitSettings
    fresh_seconds: float
    limits: Limits
    retry: RetrySettings
    timeout_seconds: float
    webhook_secrets: tuple[SecretStr, ...] = ()
    asks_for_webhooks: bool = False
    source: Source | None = field(default=None, compare=False, repr=False)
    ship_withdrawn: bool = False
    import_since: int | None = None  # Unix milliseconds

    @property
    def signing_secret(self) -> str | None:
        """What a platform has to sign webhooks with: the first of `webhook_secrets`; None: there is none."""
        return self.webhook_secrets[0].get_secret_value() if self.webhook_secrets else None

    def machine_options(self) -> dict[str, Any]:
        """What the shop's machine is built from (`statemachines.PLATFORMS`)."""
        return {**self.options.model_dump(), "ship_withdrawn": self.ship_withdrawn}

    def credentials_fingerprint(self) -> str:
        """A digest that changes with the shop's credentials, to notice new ones across restarts. Never to be shown.

        Covers every option that is a secret, and the whole of a group with a secret in it: its client id counts too.
        """
        credentials = {name: _revealed(value) for name, value in self.options if any(_secrets(value))}
        text = json.dumps(credentials, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8, person=b"fulfilld.creds").hexdigest()

    def access_fingerprint(self) -> str:
        """A digest of all that decides whether the platform lets us in: credentials, address, the platform's own keys.

        When it changes, a pause that refused access caused is over: a wrong shop id or a misnamed status is fixed by
        other keys than the token. Never to be shown.
        """
        text = json.dumps([self.base_url, _revealed(self.options)], sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=8, person=b"fulfilld.access").hexdigest()

    def is_but_for_secrets(self, other: ShopConfig) -> bool:
        """Whether nothing but secrets differs from another config of the shop."""
        bare = replace(self, options=other.options, webhook_secrets=other.webhook_secrets)
        return bare == other and _veiled(self.options) == _veiled(other.options)

    def client_settings(
        self, state_directory: Path | None = None, token_rows: SealedRows | None = None
    ) -> ClientSettings:
        """What the shop's client is built from, with no limiter. `state_directory` and `token_rows`: where it keeps
        tokens across restarts (`Config.state_directory`, `StorageSettings.sealed_rows`), None: nowhere."""
        return ClientSettings(
            shop=self.name,
            options=self.options,
            base_url=self.base_url,
            timeout_seconds=self.timeout_seconds,
            lookback_seconds=self.poll.lookback_seconds,
            page_size=self.poll.page_size,
            concurrency=self.limits.concurrency,
            state_directory=state_directory,
            token_rows=token_rows,
        )

    def meter(self, clock: Clock, directory: Path | None) -> Meter:
        """What counts the shop's calls, those of the other processes included whose store is in this directory (None:
        none)."""
        return open_meter(
            clock,
            window=self.limits.window,
            points=PLATFORMS[self.platform].default_limits.points,
            longest_seconds=self.timeout_seconds,
            path=None if directory is None or not _is_ours(directory) else calls_path(directory, self.name),
        )

    def identity(self) -> str:
        """Which shop of its platform this is, for people: address and the platform's own keys that distinguish shops.

        Orders are kept by the shop's name in the config, so a name that comes to mean another shop mixes two up.
        """
        named = {key: getattr(self.options, key) for key in PLATFORMS[self.platform].identity}
        return identity_of(self.platform, self.base_url, named)


def identity_of(platform: str, base_url: str, named: Mapping[str, Any]) -> str:
    """A shop's identity in words; `named`: the platform's own keys that distinguish shops, with their values."""
    address = base_url
    for key, value in named.items():
        address = address.replace(f"{{{key}}}", str(value))
    parts = [f"{key} {value}" for key, value in named.items() if value is not None]
    if PLATFORMS[platform].default_base_url is None:  # a site of its own: its address is no way to it, but the shop
        return ", ".join([platform, f"base_url {_in_one_spelling(address)}", *parts])
    return ", ".join([f"{platform} at {address}", *parts])


def _in_one_spelling(address: str) -> str:
    """An address whose scheme and host are in small letters, without the port that goes without saying."""
    url = urlsplit(address)
    host = url.netloc.lower().removesuffix({"https": ":443", "http": ":80"}.get(url.scheme, ""))
    return urlunsplit((url.scheme, host, url.path, url.query, url.fragment))


@dataclass(frozen=True, slots=True)
class Config:
    """The whole config. All paths are absolute. `warnings` are usable settings that are better changed, for people to
    see."""

    path: Path
    storage: StorageSettings
    api: ApiSettings
    retention_days: int
    drain_seconds: float
    status_file: Path
    log: LogSettings
    recovery_limit: int
    shops: Mapping[str, ShopConfig]
    monitoring: MonitoringSettings | None = None
    webhooks: WebhookSettings | None = None
    delivery: DeliverySettings | None = None
    delivery_source: Source | None = field(default=None, compare=False, repr=False)
    warnings: tuple[ConfigProblem, ...] = field(default=(), compare=False)

    @property
    def state_directory(self) -> Path:
        """Where the daemon, and whoever asks platforms beside it, keep access tokens: beside the store."""
        return self.storage.engine.state_directory

    def secret_values(self) -> frozenset[str]:
        """Every secret of the config in the clear, for the log's mask and for nothing else."""
        found = {*self.storage.engine.secrets, *_secrets(self.storage), *_secrets(self.api), *_secrets(self.monitoring)}
        found.update(_secrets(self.delivery))
        for shop in self.shops.values():
            found.update(_secrets(shop.options))
            found.update(_secrets(shop.webhook_secrets))
        return frozenset(found)


def _is_ours(directory: Path) -> bool:
    """Whether files can be kept there; whoever may only read counts his calls alone."""
    return os.access(directory, os.W_OK | os.X_OK)


def _secrets(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for _, inner in value:
                yield from _secrets(inner)
        case Mapping():
            for inner in value.values():
                yield from _secrets(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _secrets(inner)
        case _:
            return


def _veiled(value: Any) -> Any:
    """A value with something else in place of every secret."""
    match value:
        case SecretStr():
            return "***"
        case BaseModel():
            return {name: _veiled(inner) for name, inner in value}
        case _:
            return value


def _revealed(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _revealed(inner) for name, inner in value}
        case Mapping():
            return {str(name): _revealed(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_revealed(inner) for inner in value]
        case _:
            return value
