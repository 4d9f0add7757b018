"""A config to start from, with a comment on every key. `config.example.json` is the same without the comments."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel

from orchestrator.config.explain import models_in
from orchestrator.config.model import ConfigFile, ShopSettings
from orchestrator.platforms.platform import DefaultLimits
from orchestrator.registry import PLATFORMS

_WITHOUT_SHOPS: Final[dict[str, Any]] = {
    "storage": {
        "url": "sqlite:///fulfilld.db",
        "lease_seconds": 15,
        "secret_key": {"env": "FULFILLD_SECRET_KEY"},
    },
    "api": {
        "socket": "fulfilld.sock",
        "socket_mode": "0660",
        "hosts": [],
        "tcp": {"host": "127.0.0.1", "port": 8440, "token": {"env": "FULFILLD_TOKEN"}},
    },
    "monitoring": {"host": "127.0.0.1", "port": 9464, "token": {"env": "METRICS_TOKEN"}},
    "webhooks": {
        "host": "127.0.0.1",
        "port": 8443,
        "tls": {"certificate": "cert.pem", "key": "key.pem"},
        "public_url": "https://hooks.example",
        "check_interval_seconds": 3600,
        "max_body_bytes": 2097152,
        "read_timeout_seconds": 10,
    },
    "delivery": {
        "orders_url": "https://erp.example/orders",
        "products_url": "https://erp.example/products",
        "secret": {"env": "ERP_SECRET"},
        "orders_types": [],
        "format": "event",
        "include": ["payload"],
        "timeout_seconds": 15,
        "max_wait_seconds": 60,
    },
    "retention_days": 400,
    "drain_seconds": 30,
    "status_file": "status.json",
    "log": {"format": "auto", "level": "info"},
    "recovery_limit": 5,
}

_OF_EVERY_SHOP: Final[dict[str, Any]] = {
    "chaining": "auto",
    "poll": {
        "enabled": True,
        "interval_seconds": 60,
        "page_size": 100,
        "lookback_seconds": 120,
        "after_step_seconds": 2,
    },
    "circuit": {"failures": 5, "cooldown_seconds": 30},
    "fresh_seconds": 300,
    "import_since": None,
    "ship_withdrawn": False,
    "limits": {},
    "retry": {"attempts": 8, "base_seconds": 1, "max_seconds": 300},
    "timeout_seconds": 30,
    "webhook_secret": [{"env": "ACME_WEBHOOK_SECRET"}],
}
"""The keys that shops of all platforms have: the first shop shows them, its `limits` and address as its platform's."""


def _shop_examples() -> dict[str, Any]:
    shops = {name: dict(shop) for platform in PLATFORMS.values() for name, shop in platform.example.items()}
    first = next(iter(shops.values()))
    platform = PLATFORMS[first["platform"]]
    first |= {
        "base_url": platform.default_base_url,
        **first,
        **_OF_EVERY_SHOP,
        "limits": _limits(platform.default_limits),
    }
    return shops


def _limits(default: DefaultLimits) -> dict[str, Any]:
    limits = {name: getattr(default, name) for name in ("concurrency", "rate_per_second", "burst")}
    window = default.window
    return limits if window is None else {**limits, "window": {"calls": window.calls, "seconds": window.seconds}}


EXAMPLE: Final[dict[str, Any]] = {**_WITHOUT_SHOPS, "shops": _shop_examples()}
"""Every key that this version knows, at its default where it has one."""

_HEAD = """\
// A config of fulfilld with every key; what has a default may be left out. Lines that begin with // are comments.
// Any text may be given as {"env": "NAME"} or {"file": "PATH"}; do so for secrets.
// Relative paths are relative to this file. Check it with: fulfilld config check
"""


def example() -> str:
    """The example with its comments; it loads as it is once its environment variables are set."""
    return _HEAD + "\n".join(_object(EXAMPLE, [ConfigFile], "")) + "\n"


def _object(values: dict[str, Any], models: list[type[BaseModel]], indent: str) -> list[str]:
    """The lines of an object whose keys `models` describe."""
    fields = {field.alias or name: field for model in models for name, field in model.model_fields.items()}
    inner = indent + "  "
    lines = ["{"]
    for at, (key, value) in enumerate(values.items()):
        field = fields.get(key)
        if field is not None and field.description:
            lines.append(f"{inner}// {field.description}")
        below = list(models_in(field.annotation)) if field is not None else []
        if key == "shops" and ConfigFile in models:
            lines.append(f"{inner}// The shops by name; the name is part of every order's address")
            nested = _shops(value, inner)
        elif below and isinstance(value, dict):
            nested = _object(value, below, inner)
        else:
            nested = [json.dumps(value, ensure_ascii=False)]
        nested[0] = f"{inner}{json.dumps(key)}: {nested[0]}"
        nested[-1] += "," if at < len(values) - 1 else ""
        lines += nested
    return [*lines, f"{indent}}}"]


def _shops(shops: dict[str, Any], indent: str) -> list[str]:
    inner = indent + "  "
    lines = ["{"]
    for at, (name, shop) in enumerate(shops.items()):
        nested = _object(shop, [ShopSettings, PLATFORMS[shop["platform"]].options], inner)
        nested[0] = f"{inner}{json.dumps(name)}: {nested[0]}"
        nested[-1] += "," if at < len(shops) - 1 else ""
        lines += nested
    return [*lines, f"{indent}}}"]
