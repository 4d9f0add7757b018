"""Shopify's own Python library against the same simulated shop: its answers and ours agree (shopify.md §1.1, §2.3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest
from shopify_app import RequestInput, ShopifyApp

from orchestrator.platforms.base.signing import verify
from orchestrator.platforms.failures import AccessDenied
from tests.platforms.shopify.access_stage import AccessStage, access_stage

PAST = "2020-01-01T00:00:00Z"


def app_of(stage: AccessStage, **changes: str) -> ShopifyApp:
    client = {name: stage.credentials()[name] for name in ("client_id", "client_secret")} | changes
    return ShopifyApp(**client)


async def ask(stage: AccessStage, call: str, **given: Any) -> Any:
    """A call of the library, whose requests for the shop's own host reach the sandbox."""
    base = httpx.URL(stage.config["base_url"])
    app = app_of(stage, **given.pop("app", {}))

    def redirect(request: httpx.Request) -> None:
        assert request.url.host == stage.config["domain"], "tokens are asked for at the shop's own name"
        request.url = base.copy_with(path=base.path + request.url.path)

    def run() -> Any:
        with httpx.Client(event_hooks={"request": [redirect]}, trust_env=False) as client:
            return getattr(app, call)(http_client=client, **given)

    return await anyio.to_thread.run_sync(run)


def shop_of(stage: AccessStage) -> str:
    return str(stage.config["domain"]).removesuffix(".myshopify.com")


async def test_client_credentials_get_both_the_same(tmp_path: Path) -> None:
    async with access_stage(tmp_path) as stage:
        theirs = await ask(stage, "exchange_using_client_credentials", shop=shop_of(stage))
        assert theirs.ok
        assert stage.access.live is not None
        assert theirs.access_token.token == stage.access.live.token
        client = stage.client()
        await client.read(stage.order)
        assert client._access.scopes == tuple(theirs.access_token.scope.split(","))
        refused = await ask(
            stage, "exchange_using_client_credentials", shop=shop_of(stage), app={"client_secret": "wrong"}
        )
        assert (refused.ok, refused.log.code) == (False, "invalid_client")
        wrong = {"credentials": stage.credentials(client_secret="wrong")}
        with pytest.raises(AccessDenied, match="invalid_client"):
            await stage.client(wrong).read(stage.order)


async def test_a_refresh_goes_on_from_where_the_other_stopped(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        known = {
            "shop": shop_of(stage),
            "token": "ended",
            "expires": PAST,
            "scope": "",
            "access_mode": "offline",
            "refresh_token": stage.credentials()["refresh_token"],
            "refresh_token_expires": "2099-01-01T00:00:00Z",
            "user": None,
        }
        theirs = await ask(stage, "refresh_token_exchanged_access_token", access_token=known)
        assert theirs.ok, theirs.log
        replaced = {"credentials": stage.credentials(refresh_token=theirs.access_token.refresh_token)}
        assert (await stage.client(replaced).read(stage.order)).id == stage.order
        refused = await ask(stage, "refresh_token_exchanged_access_token", access_token=known)
        assert not refused.ok, "its replacement was used"
        with pytest.raises(AccessDenied):
            await stage.client({"credentials": stage.credentials()}).read(stage.order)


@pytest.mark.parametrize("secret", ["sandbox-secret-1", "another"])
async def test_a_webhook_is_genuine_for_both_or_for_neither(tmp_path: Path, secret: str) -> None:
    async with access_stage(tmp_path) as stage:
        body = '{"id": 820982911946154508, "note": "Grüße"}'
        digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest()
        signature = base64.b64encode(digest).decode()
        headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Shop-Domain": stage.config["domain"]}
        request: RequestInput = {"method": "POST", "headers": headers, "url": "https://hooks.example", "body": body}
        theirs = app_of(stage).verify_webhook_req(request)
        ours = verify(body.encode(), signature, [stage.credentials()["client_secret"]])
        assert theirs.ok is ours is (secret == "sandbox-secret-1")
