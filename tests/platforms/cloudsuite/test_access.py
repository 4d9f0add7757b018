"""CloudSuite's tokens and options: renewed in time, once for everybody, and never shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.cloudsuite.options import CloudsuiteOptions as Options
from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Transient
from orchestrator.platforms.platform import ClientSettings
from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.cloudsuite.shop import CloudsuiteOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.sandbox.probe import HandClock

ACCESS = {"credentials": {"client_id": "u", "client_secret": "p4ssw0rd"}}


@asynccontextmanager
async def shop(
    changes: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Sandbox, PlatformClient, HandClock, list[str]]]:
    """A sandbox, a client, the clock of both, and what was throttled."""
    time = HandClock()
    turns: list[str] = []

    async def throttle() -> None:
        turns.append("turn")

    options = CloudsuiteOptions(**settings)
    three = SandboxSettings(orders=3, options={"cloudsuite": options})
    async with Sandbox(three, clock=time.clock()).running() as sandbox:
        config = {**sandbox.config()["shops"]["cs"], **(changes or {})}
        own = {name: config[name] for name in Options.model_fields if name in config}
        given = ClientSettings("cs", Options(**own), config["base_url"], clock=time.clock(), throttle=throttle)
        client = PLATFORMS["cloudsuite"].open(given)
        try:
            yield sandbox, client, time, turns
        finally:
            await client.aclose()


async def test_a_token_serves_many_calls_and_is_renewed_half_a_minute_before_it_ends() -> None:
    async with shop(token_seconds=300) as (sandbox, client, time, _):
        (order, *_) = sandbox.cloudsuite.order_ids()
        for seconds, issued in ((0, 1), (269, 1), (2, 2), (200, 2)):
            time.pass_seconds(seconds)
            await client.read(order)
            assert sandbox.cloudsuite.shop.issued == issued
        assert {call.status for call in sandbox.ledger.calls()} == {200}


async def test_a_short_lived_token_is_used_for_half_its_life() -> None:
    async with shop(token_seconds=10) as (sandbox, client, time, _):
        (order, *_) = sandbox.cloudsuite.order_ids()
        for seconds, issued in ((0, 1), (4, 1), (2, 2)):
            time.pass_seconds(seconds)
            await client.read(order)
            assert sandbox.cloudsuite.shop.issued == issued


async def test_calls_that_are_refused_together_share_one_renewal() -> None:
    async with shop() as (sandbox, client, _, _):
        ids = sandbox.cloudsuite.order_ids()
        await client.read(ids[0])
        sandbox.cloudsuite.panel.expire_tokens()
        async with anyio.create_task_group() as group:
            for order in ids * 5:
                group.start_soon(client.read, order)
        assert sandbox.cloudsuite.shop.issued == 2


async def test_a_token_that_is_refused_twice_stops_the_shop() -> None:
    async with shop() as (sandbox, client, _, turns):
        (order, *_) = sandbox.cloudsuite.order_ids()
        sandbox.faults.script_answer(401, b'{"detail": "Expired"}', step="read", times=2)
        with pytest.raises(AccessDenied, match="Expired"):
            await client.read(order)
        assert [call.step for call in sandbox.ledger.calls()] == ["token", "read", "token", "read"]
        assert len(turns) == 1, "the repeat waits its turn, the token does not"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"error": "invalid_client", "error_description": "Invalid client credentials"}', AccessDenied),
        (400, b'{"error": "unauthorized_client"}', AccessDenied),
        (404, b'{"error": "Realm does not exist"}', AccessDenied),
        (404, b"<html>nothing here</html>", Transient),
        (403, b"<html>Access denied by policy</html>", Transient),
        (401, b"<html>Sign in to the proxy</html>", Transient),
        (503, b"busy", Transient),
        (200, b"<html>", Transient),
        (200, b'{"access_token": 5}', Transient),
        (200, b'{"access_token": ""}', Transient),
        (200, b'{"access_token": "a b"}', Transient),
    ],
)
async def test_what_the_token_endpoint_says_decides(status: int, body: bytes, kind: type[PlatformFailure]) -> None:
    async with shop() as (sandbox, client, _, _):
        sandbox.faults.script_answer(status, body, step="token")
        with pytest.raises(kind) as caught:
            await client.perform("cancel", sandbox.cloudsuite.order_ids()[0], None, None)  # type: ignore[arg-type]
        assert not getattr(caught.value, "is_ambiguous", False)


async def test_neither_password_nor_token_ever_shows() -> None:
    async with shop() as (sandbox, client, _, _):
        secret = sandbox.cloudsuite.shop.client_secret
        sandbox.faults.script_answer(401, f'{{"error": "wrong {secret}"}}'.encode(), step="token")
        with pytest.raises(AccessDenied) as caught:
            await client.list_page(None, None)
        assert secret not in str(caught.value)
        await client.list_page(None, None)
        sandbox.faults.script_answer(403, b'{"detail": "no access-1-1 here"}', step="list")
        with pytest.raises(AccessDenied) as caught:
            await client.list_page(None, None)
        assert "access-1-1" not in str(caught.value)


async def test_a_reference_that_several_webshops_use_needs_the_webshop() -> None:
    for changes, is_found in (({}, True), ({"webshop": None}, False)):
        async with shop(changes) as (sandbox, client, _, _):
            first, second, _ = sandbox.cloudsuite.shop.orders.values()
            second.fields |= {"reference": first.fields["reference"], "webshop": 2}
            if is_found:
                assert (await client.read(f"CS{first.id}")).id == str(first.id)
                with pytest.raises(NotFound):
                    await client.read(str(second.id))
            else:
                with pytest.raises(NotFound, match="several"):
                    await client.read(f"CS{first.id}")


async def test_an_order_is_found_by_its_external_key() -> None:
    async with shop() as (sandbox, client, _, _):
        first = next(iter(sandbox.cloudsuite.shop.orders.values()))
        first.fields["key"] = "ERP-OFFLINE-1"
        assert (await client.read("ext:ERP-OFFLINE-1")).id == str(first.id)


@pytest.mark.parametrize("order", ["..", "../../proxy", "ext:../1", "1/2", "a?b=c", "0", "-1", "9" * 30, "zażółć", " "])
async def test_what_is_no_order_is_not_found_and_leads_nowhere_else(order: str) -> None:
    async with shop() as (sandbox, client, _, _):
        with pytest.raises(NotFound):
            await client.read(order)
        assert {call.step for call in sandbox.ledger.calls()} <= {"token", "list", "read"}


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {**ACCESS, "token": "key"},
        {**ACCESS, "timezone": "Europe/Atlantis"},
        {**ACCESS, "confirmed_since": "yesterday"},
        {**ACCESS, "modified_filter": "a&b"},
        {**ACCESS, "webshop": 0},
        {**ACCESS, "status_notes": {"sent": {"nl_NL": "Verzonden"}}},
        {**ACCESS, "proxy_shop": 1, "status_notes": {"shipped": {"nl_NL": "Verzonden"}}},
        {**ACCESS, "buyer_party": {"a b": "x"}},
        {"token": "two words"},
        {"credentials": {**ACCESS["credentials"], "client_secret": " "}},
        {"credentials": {**ACCESS["credentials"], "token_url": "ftp://id.cloudsuite.io"}},
        {"credentials": {**ACCESS["credentials"], "token_url": "https://me:p4ssw0rd@id.cloudsuite.io"}},
    ],
)
def test_options_that_cannot_work_are_refused_without_repeating_a_secret(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        Options(**options)
    assert "p4ssw0rd" not in str(refused.value)
