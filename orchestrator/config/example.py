"""A config to start from, with a comment on every key. `config.example.json` is the same without the comments."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel

from orchestrator.config.explain import models_in
from orchestrator.config.model import ConfigFile, ShopSettings
from orchestrator.platforms import PLATFORMS

EXAMPLE: Final[dict[str, Any]] = {
    "storage": {"url": "sqlite:///fulfilld.db"},
    "api": {
        "socket": "fulfilld.sock",
        "socket_mode": "0660",
        "hosts": [],
        "tcp": {"host": "127.0.0.1", "port": 8440, "token": {"env": "FULFILLD_TOKEN"}},
    },
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
        "timeout_seconds": 15,
        "max_wait_seconds": 60,
    },
    "retention_days": 400,
    "drain_seconds": 30,
    "status_file": "status.json",
    "log": {"format": "json", "level": "info"},
    "recovery_limit": 5,
    "shops": {
        "acme": {
            "platform": "selldone",
            "shop_id": 12345,
            "token": {"env": "ACME_TOKEN"},
            "updated_at_unit": "s",
            "base_url": "https://api.selldone.com",
            "chaining": "auto",
            "poll": {"enabled": True, "interval_seconds": 60, "page_size": 100, "lookback_seconds": 120},
            "circuit": {"failures": 5, "cooldown_seconds": 30},
            "fresh_seconds": 300,
            "import_since": None,
            "ship_withdrawn": False,
            "limits": {
                "concurrency": 8,
                "rate_per_second": 1.1,
                "burst": 10,
                "window": {"calls": 80, "seconds": 60},
            },
            "retry": {"attempts": 8, "base_seconds": 1, "max_seconds": 300},
            "timeout_seconds": 30,
            "webhook_secret": [{"env": "ACME_WEBHOOK_SECRET"}],
        },
        "cs": {
            "platform": "cloudsuite",
            "webshop": 1,
            "proxy_shop": 1,
            "proxy_user": 10,
            "credentials": {
                "client_id": {"env": "CS_ID"},
                "client_secret": {"env": "CS_SECRET"},
                "token_url": "https://id.cloudsuite.io/realms/CloudSuite/protocol/openid-connect/token",
            },
            "timezone": "Europe/Amsterdam",
            "payment_check": "on",
            "desadv_on_timeout": "resend_same_number",
            "offline_orders": "skip",
            "confirmed_since": None,
            "modified_filter": None,
            "duplicate_words": ["already", "exists", "duplicate"],
            "proxy_error_words": ["error", "fault", "exception", "invalid", "failed"],
            "buyer_party": {},
            "status_notes": {},
            "status_note_style": "list",
        },
        "cs-by-key": {
            "platform": "cloudsuite",
            "token": {"env": "CS_KEY"},
        },
        "xs": {
            "platform": "xsale",
            "organization": "myorg_1234",
            "credentials": {
                "client_id": {"env": "XS_ID"},
                "client_secret": {"env": "XS_SECRET"},
                "username": {"env": "XS_USER"},
                "password": {"env": "XS_PASSWORD"},
                "login_url": "https://login.futuriti.pl/oauth/token",
                "audience": "https://api.xsale.ai",
                "scope": "openid profile email xsale production",
            },
            "flow": [
                "Nowe",
                "Zaimportowano do ERP",
                "W trakcie realizacji",
                "Przygotowywane do wysyłki",
                "Wysłane",
                "Zrealizowane",
            ],
            "milestones": {
                "new": "Nowe",
                "accepted": "Zaimportowano do ERP",
                "preparing": "Przygotowywane do wysyłki",
                "shipped": "Wysłane",
                "delivered": "Zrealizowane",
                "attention": "Do obsługi ręcznej",
                "cancelled": "Anulowane",
            },
            "status_filter": "statusidin",
            "array_style": "repeat",
            "list_query": {},
            "paging": "none",
            "envelope": "auto",
            "list_open": True,
            "single_get": True,
            "status_body": "StatusId",
            "look_first": True,
            "verify_changes": True,
            "fields": {"reference": "ForeignNumber", "payment": "PaymentStatus"},
            "payments": {
                "Opłacone": "paid",
                "Nadpłacone": "paid",
                "Nieopłacone": "unpaid",
                "Niedopłacone": "unpaid",
            },
        },
        "shopy": {
            "platform": "shopify",
            "domain": "shopy.myshopify.com",
            "credentials": {"client_id": {"env": "SHOPY_ID"}, "client_secret": {"env": "SHOPY_SECRET"}},
            "api_version": "2026-10",
            "customer_data": True,
            "notify_customer": False,
            "restock_on_cancel": True,
            "refund_on_cancel": False,
            "cancel_wait_seconds": 120,
            "lost_answer_seconds": 2,
            "routing_timeout_seconds": 300,
        },
        "shopy-by-refresh": {
            "platform": "shopify",
            "domain": "shopy-by-refresh.myshopify.com",
            "credentials": {
                "client_id": {"env": "APP_ID"},
                "client_secret": {"env": "APP_SECRET"},
                "refresh_token": {"env": "SHOPY_REFRESH_TOKEN"},
            },
        },
        "shopy-by-token": {
            "platform": "shopify",
            "domain": "shopy-by-token.myshopify.com",
            "token": {"env": "SHOPY_TOKEN"},
            "webhook_secret": [{"env": "SHOPY_WEBHOOK_SECRET"}],
        },
    },
}
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
