"""The simulated Shopify's token endpoint, held against the facts (shopify.md §1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Incoming, PanelError, Reply, Stock
from orchestrator.sandbox.shopify.access import DAY_SECONDS
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.platform import ShopifyPlatform
from tests.sandbox.probe import HandClock

CLIENT = {"client_id": "sandbox-app-1", "client_secret": "sandbox-secret-1"}
ORDERS = "query { orders(first: 1) { nodes { id } } }"


class Shop:
    """A simulated shop and its time."""

    def __init__(self) -> None:
        self.time = HandClock()
        clock = self.time.clock()
        self.platform = ShopifyPlatform(clock, Ledger(clock), ShopifyOptions(), Stock(orders=1, seed=1, shops=1))
        self.domain = self.platform.shop.domain

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        return self.platform.open(Incoming("POST", f"/{self.domain}{path}", "", headers, body)).act()

    def ask(self, *, is_form: bool = False, **sent: str) -> tuple[int, dict[str, Any]]:
        fields = {**CLIENT, **sent}
        kind = "application/x-www-form-urlencoded" if is_form else "application/json"
        body = urlencode(fields) if is_form else json.dumps(fields)
        reply = self.post("/admin/oauth/access_token", {"Content-Type": kind}, body.encode())
        return reply.status, json.loads(reply.body)

    def fetch(self) -> str:
        status, answer = self.ask(grant_type="client_credentials")
        assert status == 200
        return str(answer["access_token"])

    def refresh(self, token: str) -> dict[str, Any]:
        status, answer = self.ask(grant_type="refresh_token", refresh_token=token)
        assert status == 200, answer
        return answer

    def use(self, token: str) -> int:
        path = "/admin/api/2026-10/graphql.json"
        return self.post(path, {"X-Shopify-Access-Token": token}, json.dumps({"query": ORDERS}).encode()).status

    def operate(self, action: str, **fields: Any) -> dict[str, Any]:
        return self.platform.operate({"action": action, **fields})


@pytest.mark.parametrize("is_form", [True, False])
def test_client_credentials_give_a_token_for_a_day(is_form: bool) -> None:
    shop = Shop()
    status, answer = shop.ask(is_form=is_form, grant_type="client_credentials")
    assert (status, answer["expires_in"], sorted(answer)) == (200, 86_399, ["access_token", "expires_in", "scope"])
    assert "read_orders" in answer["scope"].split(",")
    assert shop.use(answer["access_token"]) == 200
    shop.time.pass_seconds(86_399)
    assert shop.use(answer["access_token"]) == 401


def test_a_new_expiring_token_revokes_the_one_before_and_never_the_permanent_one() -> None:
    shop = Shop()
    first = shop.fetch()
    second = shop.fetch()
    assert (shop.use(first), shop.use(second), shop.use(shop.platform.shop.token)) == (401, 200, 200)


def test_a_refresh_gives_a_token_for_an_hour_and_replaces_the_refresh_token() -> None:
    shop = Shop()
    first = shop.operate("authorize")["refresh_token"]
    answer = shop.refresh(first)
    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (3600, 90 * DAY_SECONDS)
    assert answer["refresh_token"] != first
    assert shop.use(answer["access_token"]) == 200
    shop.time.pass_seconds(3600)
    assert shop.use(answer["access_token"]) == 401


def test_a_used_refresh_token_stays_good_until_its_replacement_is_used() -> None:
    shop = Shop()
    first = shop.operate("authorize")["refresh_token"]
    lost = shop.refresh(first)
    again = shop.refresh(first)
    assert shop.use(lost["access_token"]) == 401
    assert shop.use(again["access_token"]) == 200
    assert shop.ask(grant_type="refresh_token", refresh_token=lost["refresh_token"])[0] == 401, "it was replaced"
    shop.refresh(first)
    kept = shop.refresh(first)
    shop.refresh(kept["refresh_token"])
    status, answer = shop.ask(grant_type="refresh_token", refresh_token=first)
    assert (status, answer["error"]) == (401, "invalid_request")
    assert answer["error_description"] == "This request requires an active refresh_token"


@pytest.mark.parametrize(("first_use", "days", "status"), [(0, 29, 200), (0, 31, 401), (70, 19, 200), (70, 21, 401)])
def test_a_used_refresh_token_ends_after_thirty_days_and_never_later_than_its_ninety(
    first_use: int, days: int, status: int
) -> None:
    shop = Shop()
    first = shop.operate("authorize")["refresh_token"]
    shop.time.pass_seconds(first_use * DAY_SECONDS)
    shop.refresh(first)
    shop.time.pass_seconds(days * DAY_SECONDS)
    assert shop.ask(grant_type="refresh_token", refresh_token=first)[0] == status


def test_refusals_are_those_of_the_facts() -> None:
    shop = Shop()
    assert shop.ask(grant_type="refresh_token", refresh_token="shprt_never")[1]["error"] == "invalid_grant"
    assert shop.ask(grant_type="client_credentials", client_secret="other")[1]["error"] == "invalid_client"
    assert shop.ask()[1]["error"] == "invalid_request"
    assert shop.ask(grant_type="password")[1]["error"] == "unsupported_grant_type"
    token = shop.fetch()
    shop.operate("uninstall")
    assert (shop.use(token), shop.use(shop.platform.shop.token)) == (401, 401)
    assert shop.ask(grant_type="client_credentials")[1]["error"] == "invalid_client"
    shop.operate("install")
    assert shop.use(shop.fetch()) == 200


def test_a_token_has_the_scopes_of_the_moment_when_it_was_fetched() -> None:
    shop = Shop()
    for scope in ("read_orders", "write_orders"):
        shop.operate("revoke_scope", scope=scope)
    old = shop.fetch()
    shop.operate("grant_scope", scope="read_orders")

    def code(token: str) -> Any:
        path, body = "/admin/api/2026-10/graphql.json", json.dumps({"query": ORDERS}).encode()
        answer = json.loads(shop.post(path, {"X-Shopify-Access-Token": token}, body).body)
        return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None

    assert (code(old), code(shop.fetch())) == ("ACCESS_DENIED", None)


def test_a_public_app_with_a_permanent_token_is_refused() -> None:
    shop = Shop()
    shop.operate("refuse_permanent")
    assert (shop.use(shop.platform.shop.token), shop.use(shop.fetch())) == (403, 200)


def test_lives_are_whole_seconds_by_name() -> None:
    shop = Shop()
    shop.operate("set_lives", client_credentials=5)
    assert shop.ask(grant_type="client_credentials")[1]["expires_in"] == 5
    for wrong in ({}, {"offline": "5"}, {"offline": -1}, {"other": 5}):
        with pytest.raises(PanelError, match="client_credentials, offline, refresh, grace"):
            shop.operate("set_lives", **wrong)
