"""Reads a config: file, references, sections by their models, shops by their platforms; all errors at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from orchestrator.clock import Clock
from orchestrator.config.cross_checks import across, shared_files
from orchestrator.config.explain import explain, keys_of, no_key_of_any, one_of
from orchestrator.config.fields import instant_ms, is_loopback
from orchestrator.config.model import (
    DEFAULT_STATUS_FILE,
    ConfigFile,
    LimitSettings,
    ShopSettings,
    default_socket,
)
from orchestrator.config.problems import ConfigError, ConfigProblem, written
from orchestrator.config.problems import Path as ConfigPath
from orchestrator.config.push import DeliverySettings, all_of
from orchestrator.config.references import resolve
from orchestrator.config.rereading import Source
from orchestrator.config.resolved import Config, Limits, ShopConfig
from orchestrator.config.source import read
from orchestrator.config.warnings import warnings_of
from orchestrator.platforms.platform import DefaultLimits, Platform
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import PLATFORMS

SHOP_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"

_CLOCK = Clock()

_Model = TypeVar("_Model", bound=BaseModel)


def load(path: Path | str, environ: Mapping[str, str] = os.environ, clock: Clock = _CLOCK) -> Config:
    """The config in a file, checked. Raises ConfigError with every problem; nothing that it says holds a secret.

    `environ` is where `{"env": …}` looks, `clock` says what lies in the future. Relative paths become absolute, from
    the directory of the file.
    """
    location = Path(os.path.abspath(path))
    raw = read(location)
    resolved = resolve(raw, location.parent, environ)
    check = _Check(location.parent, resolved.borrowed, dict(resolved.failures))
    tree: dict[str, Any] = resolved.tree
    sections = {name: value for name, value in tree.items() if name != "shops"}
    shops = _shops(check, tree.get("shops", {}))
    file = check.validate(ConfigFile, _completed(check, sections), (), also_known=["shops"])
    for place, message in across(tree, resolved.borrowed):
        check.refuse(place, message)
    for place, message in shared_files(location, file) if file is not None else ():
        check.refuse(place, message)
    if check.problems or file is None:
        raise ConfigError(check.in_order_of(tree))
    token = None if file.api.tcp is None else file.api.tcp.token
    return Config(
        path=location,
        storage=file.storage,
        api=file.api,
        monitoring=file.monitoring,
        webhooks=file.webhooks,
        delivery=file.delivery,
        delivery_source=Source.of(raw.get("delivery"), location.parent, environ),
        retention_days=file.retention_days,
        drain_seconds=file.drain_seconds,
        status_file=file.status_file,
        log=file.log,
        recovery_limit=file.recovery_limit,
        shops={
            shop.name: replace(shop, source=Source.of(raw["shops"][shop.name], location.parent, environ))
            for shop in shops
        },
        warnings=tuple(warnings_of(shops, file.webhooks, file.delivery, token, clock.now_ms(), file.storage)),
    )


def reread(shop: ShopConfig) -> ShopConfig | None:
    """The shop with the secrets that its files hold now; None where they hold the same, or none that is good.

    Blocks on files.
    """
    if shop.source is None:
        return None
    check, tree = _again(shop.source)
    fresh = _shop(check, shop.name, tree)
    if check.problems or fresh is None or not fresh.is_but_for_secrets(shop):
        return None
    return None if fresh == shop else replace(fresh, source=shop.source)


def reread_delivery(settings: DeliverySettings, source: Source | None) -> DeliverySettings | None:
    """As `reread`, for where events are pushed to."""
    if source is None:
        return None
    check, tree = _again(source)
    fresh = check.validate(DeliverySettings, tree, ())
    if check.problems or fresh is None or fresh.model_copy(update={"secret": settings.secret}) != settings:
        return None
    return None if fresh == settings else fresh


def _again(source: Source) -> tuple[_Check, dict[str, Any]]:
    resolved = resolve(source.tree, source.directory, source.environ)
    return _Check(source.directory, set(), dict(resolved.failures)), resolved.tree


def socket_of(path: Path | str, environ: Mapping[str, str] = os.environ) -> Path:
    """The API's socket as a config file names it, for clients: the rest of the file may be wrong and its secrets unset.

    Raises ConfigError when the file cannot be read or this one key is wrong.
    """
    location = Path(os.path.abspath(path))
    api = read(location).get("api", {})
    if not isinstance(api, dict) or "socket" not in api:
        return default_socket()
    resolved = resolve({"api": {"socket": api["socket"]}}, location.parent, environ)
    check = _Check(location.parent, resolved.borrowed, dict(resolved.failures))
    file = check.validate(ConfigFile, _completed(check, resolved.tree), ())
    if check.problems or file is None:
        raise ConfigError(check.in_order_of(resolved.tree))
    return file.api.socket


@dataclass(slots=True)
class _Check:
    """The problems that were found so far, and what is needed to find more."""

    directory: Path
    borrowed: set[ConfigPath]
    problems: dict[ConfigPath, str] = field(default_factory=dict)

    def refuse(self, path: ConfigPath, message: str) -> None:
        """Notes a problem, unless there is one at or above the path already: that one is the cause."""
        if not any(path[:length] in self.problems for length in range(len(path) + 1)):
            self.problems[path] = message

    def refuse_key(self, path: ConfigPath, message: str) -> None:
        """Notes that a key does not exist: this is the cause of whatever else is wrong with its value, such as a
        variable that is not set."""
        for below in [known for known in self.problems if known[: len(path)] == path]:
            del self.problems[below]
        self.refuse(path, message)

    def validate(
        self, model: type[_Model], tree: Any, prefix: ConfigPath, also_known: list[str] | None = None
    ) -> _Model | None:
        """`tree` as `model`, or None with its problems noted."""
        try:
            # Through JSON, because strict validation of JSON still makes a path or a tuple of what stands for one.
            return model.model_validate_json(json.dumps(tree), strict=True, context={"directory": self.directory})
        except ValidationError as error:
            borrowed = {path[len(prefix) :] for path in self.borrowed if path[: len(prefix)] == prefix}
            for path, message, is_about_key in explain(error, model, tree, borrowed, also_known or ()):
                note = self.refuse_key if is_about_key else self.refuse
                note((*prefix, *path), message)
            return None

    def in_order_of(self, tree: Any) -> list[ConfigProblem]:
        """The problems in the order of the file; what is missing comes behind what is there."""

        def position(path: ConfigPath) -> list[int]:
            places: list[int] = []
            node = tree
            for part in path:
                keys: list[str | int] = list(node) if isinstance(node, dict) else list(range(len(node)))
                if part not in keys:
                    return [*places, len(keys)]
                places.append(keys.index(part))
                node = node[part]
            return places

        return [ConfigProblem(written(path), self.problems[path]) for path in sorted(self.problems, key=position)]


def _completed(check: _Check, sections: dict[str, Any]) -> dict[str, Any]:
    """The sections with those defaults that depend on where we are."""
    completed = {"storage": {}, "api": {}, "status_file": DEFAULT_STATUS_FILE} | sections
    if isinstance(completed["api"], dict) and "socket" not in completed["api"]:
        try:
            completed["api"] = {**completed["api"], "socket": str(default_socket())}
        except ConfigError as error:
            check.refuse(("api", "socket"), error.errors[0].message)
    return completed


def _shops(check: _Check, tree: Any) -> list[ShopConfig]:
    if not isinstance(tree, dict):
        check.refuse(("shops",), 'must be an object in { } with a shop for each name, such as {"acme": {…}}')
        return []
    shops = [_shop(check, name, keys) for name, keys in tree.items()]
    return [shop for shop in shops if shop is not None]


def _shop(check: _Check, name: str, tree: Any) -> ShopConfig | None:
    path: ConfigPath = ("shops", name)
    if not re.fullmatch(SHOP_NAME, name):
        check.refuse(
            path,
            "is not a valid shop name - up to 63 of the characters A-Z, a-z, 0-9, _ . and -, and the first is a letter"
            " or a digit",
        )
        return None
    if not isinstance(tree, dict):
        check.refuse(path, 'must be an object in { } with at least "platform"')
        return None
    common = {key: value for key, value in tree.items() if key in ShopSettings.model_fields}
    settings = check.validate(ShopSettings, common, path)
    platform = tree.get("platform")
    if not isinstance(platform, str) or platform not in PLATFORMS:
        _refuse_strange_keys(check, tree, path)
        if not isinstance(platform, str):
            return None
        is_shown = (*path, "platform") not in check.borrowed
        trouble = PLATFORMS.troubles.get(platform) if is_shown else None
        check.refuse((*path, "platform"), trouble or one_of(platform if is_shown else None, PLATFORMS))
        return None
    spec = PLATFORMS[platform]
    own = {key: value for key, value in tree.items() if key not in common}
    options = check.validate(spec.options, own, path, also_known=list(ShopSettings.model_fields))
    if settings is None or options is None:
        return None
    base_url = settings.base_url or spec.default_base_url
    if (trouble := _address_trouble(spec, settings.base_url)) is not None:
        check.refuse((*path, "base_url"), trouble)
    if base_url is None or trouble is not None:
        return None
    return ShopConfig(
        name=name,
        platform=platform,
        options=options,
        base_url=base_url,
        chaining=settings.chaining,
        poll=settings.poll,
        circuit=settings.circuit,
        fresh_seconds=settings.fresh_seconds,
        ship_withdrawn=settings.ship_withdrawn,
        import_since=None if settings.import_since is None else instant_ms(settings.import_since),
        limits=_limits(settings.limits, spec.default_limits),
        retry=settings.retry,
        timeout_seconds=settings.timeout_seconds,
        webhook_secrets=all_of(settings.webhook_secret) or spec.default_webhook_secrets(options),
        asks_for_webhooks=settings.webhook_secret is not None,
    )


def _address_trouble(platform: Platform, base_url: str | None) -> str | None:
    """Why a shop of a platform that has no address of its own cannot be reached at this one; None where it can."""
    if platform.default_base_url is not None:
        return None
    if base_url is None:
        return f"is required - the address of the shop's own site: {platform.title} has none that all shops share"
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "must be https: the credentials are sent there - http will do for this machine alone"
    return None


def _refuse_strange_keys(check: _Check, tree: Mapping[str, Any], path: ConfigPath) -> None:
    """Notes the keys that no platform has: which platform it is may be what is misspelt."""
    common = keys_of(ShopSettings)
    known = {*common, *(key for spec in PLATFORMS.values() for key in keys_of(spec.options))}
    for key in tree:
        if key not in known:
            check.refuse_key((*path, key), no_key_of_any(key, known, common))


def _limits(given: LimitSettings, default: DefaultLimits) -> Limits:
    return Limits(
        concurrency=default.concurrency if given.concurrency is None else given.concurrency,
        rate_per_second=default.rate_per_second if given.rate_per_second is None else given.rate_per_second,
        burst=default.burst if given.burst is None else given.burst,
        window=_window(given, default.window),
    )


def _window(given: LimitSettings, default: WindowLimit | None) -> WindowLimit | None:
    """The window that holds. Who allows more calls at once than the platform's own has room for, knows of an account
    that may make them; a rate alone says no such thing, for it was the default once."""
    if given.window is not None:
        return WindowLimit(given.window.calls, given.window.seconds) if given.window.calls else None
    if default is not None and given.burst is not None and given.burst > default.calls:
        return None
    return default
