"""What is wrong between the shops and sections of a config: reported for both, and beside everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.config_files import errors, shop

CLOUDSUITE = {
    "platform": "cloudsuite",
    "webshop": 1,
    "proxy_shop": 1,
    "proxy_user": 10,
    "base_url": "https://cs.example",
    "credentials": {"client_id": "a-client", "client_secret": "a-secret-1", "token_url": "https://id.example/token"},
}
XSALE = {
    "platform": "xsale",
    "organization": "myorg_1234",
    "credentials": {
        "client_id": "xs-client",
        "client_secret": "xs-secret-1",
        "username": "user-1",
        "password": "pass-word-1",
        "login_url": "https://login.example/oauth/token",
        "audience": "https://api.example",
    },
}
SHOPIFY = {"platform": "shopify", "domain": "shopy.myshopify.com", "api_version": "2026-10", "token": "shpat_1"}
SAME = [
    (shop(), shop(token="another-token")),
    (shop(base_url="https://s.example"), shop(base_url="https://S.example:443/")),
    (SHOPIFY, SHOPIFY | {"token": "shpat_2"}),
    (CLOUDSUITE, CLOUDSUITE | {"proxy_user": 11}),
    (XSALE, XSALE | {"fresh_seconds": 1}),
]
OTHERS = [
    (shop(), shop(shop_id=2)),
    (shop(), shop(base_url="https://test.example")),
    (SHOPIFY, SHOPIFY | {"domain": "another.myshopify.com"}),
    (CLOUDSUITE, CLOUDSUITE | {"webshop": 2}),
    (CLOUDSUITE, CLOUDSUITE | {"base_url": "https://cs.example:8443"}),
    (XSALE, XSALE | {"organization": "other_1"}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_two_shops_that_are_one_account_are_an_error_that_names_both(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    line = errors(tmp_path, {"shops": {"acme": first, "again": second}})[0]
    assert line.startswith("shops.again: is the same account as shops.acme (")
    assert first["platform"] in line


@pytest.mark.parametrize(("first", "second"), OTHERS)
def test_accounts_that_differ_are_no_error(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    assert errors(tmp_path, {"shops": {"acme": first, "again": second}}) == []


def test_what_came_from_a_variable_is_not_shown(tmp_path: Path) -> None:
    hidden = SHOPIFY | {"domain": {"env": "DOMAIN"}}
    (line,) = errors(tmp_path, {"shops": {"a": hidden, "b": hidden}}, {"DOMAIN": "hidden.myshopify.com"})
    assert line == "shops.b: is the same account as shops.a - remove one of them: each order has one driver"


def test_accounts_that_nobody_knows_yet_are_not_compared(tmp_path: Path) -> None:
    unknown = SHOPIFY | {"domain": {"env": "NOBODY_SETS_THIS"}}
    lines = errors(tmp_path, {"shops": {"a": unknown, "b": unknown}}, {})
    assert len(lines) == 2
    assert not any("same account" in line for line in lines)


def test_every_error_is_reported_at_once(tmp_path: Path) -> None:
    tree = {
        "api": {"tcp": {"port": 8443, "token": {"env": "NO_TOKEN"}}},
        "webhooks": {"port": 8443, "public_url": "nowhere"},
        "delivery": {"orders_url": "https://erp.example", "secret": {"env": "NO_SECRET"}},
        "retention_days": 0,
        "shops": {"acme": shop(token={"env": "NO_SHOP_TOKEN"}), "again": shop(poll={"page_size": 0})},
    }
    reported = {line.split(": ")[0] for line in errors(tmp_path, tree, {})}
    assert reported == {
        "api.tcp.token",
        "webhooks.port",
        "webhooks.public_url",
        "delivery.secret",
        "retention_days",
        "shops.acme.token",
        "shops.again",
        "shops.again.poll.page_size",
    }


@pytest.mark.parametrize(
    ("tree", "reported"),
    [
        ({"status_file": "fulfilld.db"}, "status_file: is a file of the store too - name another file"),
        ({"status_file": "here/../fulfilld.db-wal"}, "status_file: is a file of the store too - name another file"),
        ({"status_file": "fulfilld.json"}, "status_file: is the config file too - name another file"),
        ({"status_file": "fulfilld.sock"}, "status_file: is the socket of the API too - name another file"),
        ({"api": {"socket": "fulfilld.db.lock"}}, "api.socket: is a file of the store too - name another file"),
        ({"storage": {"url": "sqlite:///fulfilld.json"}}, "storage.url: is the config file too - name another file"),
    ],
)
def test_one_file_for_two_uses_is_an_error(tmp_path: Path, tree: dict[str, Any], reported: str) -> None:
    (tmp_path / "here").mkdir()
    whole = {"storage": {"url": "sqlite:///fulfilld.db"}, "api": {"socket": "fulfilld.sock"}, **tree}
    assert errors(tmp_path, whole) == [reported]


@pytest.mark.parametrize("odd", [[], {}, 5, "x", None, {"tcp": []}, {"tcp": {"port": [1]}}, {"tcp": {"host": {}}}])
def test_sections_of_any_shape_are_refused_in_lines(tmp_path: Path, odd: Any) -> None:
    errors(tmp_path, {"api": odd, "webhooks": {"port": 1}, "shops": {"a": odd, "b": odd}})
    errors(tmp_path, {"api": {"tcp": {"port": 1, "token": "x"}}, "webhooks": odd})
