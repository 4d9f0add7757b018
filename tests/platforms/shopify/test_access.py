"""Access that ends: fetched in time, once, by whoever comes first; refused with what to do (shopify.md §1.1)."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import pytest
from pydantic import ValidationError

from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.shopify.options import ShopifyOptions
from orchestrator.sandbox.shopify.access import Kind
from tests.platforms.shopify.access_stage import DAY, access_stage

FETCHED: tuple[Kind, ...] = ("client_credentials", "refresh_token")
LIVES = {"client_credentials": DAY - 1, "refresh_token": 3600}
fetched = pytest.mark.parametrize("kind", FETCHED)


# -- in time and once --------------------------------------------------------------------------------------------------


@fetched
async def test_many_calls_at_once_are_let_in_by_one_fetch(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(client.read, stage.order)
        assert stage.fetches == 1


@fetched
async def test_a_token_is_replaced_five_minutes_before_its_end(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        await client.read(stage.order)
        stage.time.pass_seconds(LIVES[kind] - 301)
        await client.read(stage.order)
        assert stage.fetches == 1
        stage.time.pass_seconds(2)
        await client.read(stage.order)
        assert stage.fetches == 2
        assert [call.status for call in stage.sandbox.ledger.calls()] == [200] * 5


@fetched
async def test_a_restart_and_a_second_process_use_the_same_token(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        for _ in range(3):
            await stage.client().read(stage.order)
        assert stage.fetches == 1
        assert os.stat(stage.file).st_mode & 0o777 == 0o600


@fetched
async def test_two_processes_that_need_a_token_at_the_same_time_fetch_once(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        clients = [stage.client() for _ in range(4)]
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for client in clients:
                    group.start_soon(client.read, stage.order)
            stage.time.pass_seconds(LIVES[kind])
        assert stage.fetches == 2


@fetched
async def test_a_token_that_is_refused_is_replaced_once_and_the_call_takes_a_turn(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        await client.read(stage.order)
        stage.access.expire()
        assert (await client.read(stage.order)).id == stage.order
        assert (stage.fetches, stage.turns) == (2, ["turn"])


@fetched
async def test_who_is_refused_uses_the_newer_token_of_another_process(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        daemon, doctor = stage.client(), stage.client()
        await daemon.read(stage.order)
        await doctor.read(stage.order)
        stage.access.expire()
        await doctor.read(stage.order)
        await daemon.read(stage.order)
        assert stage.fetches == 2


@fetched
async def test_a_fresh_token_that_is_refused_too_is_an_alarm(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        await client.read(stage.order)
        stage.faults.script_answer(401, b'{"errors":"no"}', step="read", times=2)
        with pytest.raises(AccessDenied, match="HTTP 401"):
            await client.read(stage.order)
        assert stage.fetches == 2


async def test_a_permanent_token_needs_no_fetch(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "token") as stage:
        await stage.client().read(stage.order)
        assert stage.fetches == 0
        assert os.listdir(tmp_path) == []


# -- a refresh token that each refresh replaces ------------------------------------------------------------------------


async def test_the_chain_outlives_the_first_token_by_far(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        options = {"credentials": stage.credentials()}
        for _ in range(6):
            await stage.client(options).read(stage.order)
            stage.time.pass_seconds(80 * DAY)
        assert stage.fetches == 6


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage", "stall_after"])
async def test_a_lost_answer_locks_nobody_out(tmp_path: Path, fault: str) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        stage.faults.stall_seconds = 6  # longer than a call may take
        await stage.client().read(stage.order)
        for _ in range(2):
            stage.time.pass_seconds(3600)
            stage.faults.script(fault, step="token", times=1, status=520 if fault == "error_after" else None)
            with pytest.raises(Transient):
                await stage.client().read(stage.order)
            assert (await stage.client().read(stage.order)).id == stage.order


async def test_while_the_old_token_is_good_lost_answers_hold_nobody_up(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        client = stage.client()
        await client.read(stage.order)
        stage.time.pass_seconds(3400)
        stage.faults.script("error_before", step="token", status=520)
        await client.read(stage.order)
        stage.time.pass_seconds(31)
        await client.read(stage.order)
        assert stage.fetches == 3


async def test_a_changed_refresh_token_in_the_config_starts_the_chain_anew(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        old = {"credentials": stage.credentials()}
        await stage.client(old).read(stage.order)
        new = {"credentials": stage.credentials(refresh_token=stage.access.authorize())}
        stage.time.pass_seconds(3600)
        with pytest.raises(AccessDenied, match="authorise the app for this shop anew"):
            await stage.client(old).read(stage.order)
        assert (await stage.client(new).read(stage.order)).id == stage.order


async def test_a_new_client_secret_goes_on_with_the_chain(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        first = stage.credentials()
        await stage.client({"credentials": first}).read(stage.order)
        stage.time.pass_seconds(3600)
        await stage.client({"credentials": first}).read(stage.order)
        stage.access.change_secret("a new secret")
        with pytest.raises(AccessDenied):
            await stage.client({"credentials": first}).read(stage.order)
        second = {**first, "client_secret": "a new secret"}
        assert (await stage.client({"credentials": second}).read(stage.order)).id == stage.order


async def test_an_answer_without_a_replacement_goes_on_with_the_refresh_token(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        client = stage.client()
        answer = json.dumps({"access_token": stage.access.token, "expires_in": 60, "scope": "read_orders"}).encode()
        stage.faults.script_answer(200, answer, step="token")
        await client.read(stage.order)
        stage.time.pass_seconds(60)
        await client.read(stage.order)
        assert stage.fetches == 2


# -- refusals ----------------------------------------------------------------------------------------------------------


@fetched
@pytest.mark.parametrize("what", ["uninstall", "change_secret"])
async def test_a_client_that_is_refused_is_an_alarm_that_says_what_to_do(tmp_path: Path, kind: Kind, what: str) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        stage.sandbox.shopify.operate({"action": what, "secret": "another"})
        with pytest.raises(AccessDenied, match=r"invalid_client.*client_secret with the app's settings.*installed"):
            await client.read(stage.order)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_refresh_token_that_is_no_good_is_an_alarm_that_says_what_to_do(tmp_path: Path, is_known: bool) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        options = {"credentials": stage.credentials(**({} if is_known else {"refresh_token": "shprt_mistyped"}))}
        if is_known:
            await stage.client(options).read(stage.order)
            stage.access.revoke_refresh()
            stage.time.pass_seconds(3600)
        said = "active refresh_token" if is_known else "invalid_grant"
        client = stage.client(options)
        for _ in range(3):
            with pytest.raises(AccessDenied, match=f"{said}.*authorise the app for this shop anew"):
                await client.read(stage.order)
        assert stage.fetches == (2 if is_known else 1), "a refusal is not asked about again at once"
        client.forget_refusal()
        with pytest.raises(AccessDenied):
            await client.read(stage.order)
        assert stage.fetches == (3 if is_known else 2)


@fetched
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"errors":"Internal Server Error"}'),
        (502, b"<html><h1>502 Bad Gateway</h1></html>"),
        (520, b"<html><title>shop.example | 520: Web server is returning an unknown error</title></html>"),
        (200, b"<html>Just a moment...</html>"),
        (200, b"[]"),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": "leaked\\n", "expires_in": 5}'),
        (400, b"<html>Bad Request</html>"),
        (401, b"<html>Checking your browser</html>"),
        (403, b""),
        (429, b"{}"),
    ],
)
async def test_what_is_no_answer_of_shopifys_is_tried_again(
    tmp_path: Path, kind: Kind, status: int, body: bytes
) -> None:
    async with access_stage(tmp_path, kind) as stage:
        client = stage.client()
        stage.faults.script_answer(status, body, step="token")
        with pytest.raises(Transient) as caught:
            await client.read(stage.order)
        assert not caught.value.is_ambiguous
        assert "leaked" not in caught.value.detail
        assert (await client.read(stage.order)).id == stage.order


async def test_the_page_on_which_shopify_says_no_is_a_refusal(tmp_path: Path) -> None:
    async with access_stage(tmp_path) as stage:
        page = b"<html><body>Oauth error shop_not_permitted: Client credentials cannot be performed here</body></html>"
        stage.faults.script_answer(400, page, step="token")
        with pytest.raises(AccessDenied, match="shop_not_permitted"):
            await stage.client().read(stage.order)


async def test_a_public_app_with_a_permanent_token_hears_what_to_do(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "token") as stage:
        stage.access.is_permanent_refused = True
        with pytest.raises(AccessDenied, match=r"no longer accepted.*refresh_token of a new authorisation"):
            await stage.client().read(stage.order)


# -- scopes ------------------------------------------------------------------------------------------------------------


@fetched
async def test_a_scope_that_was_granted_after_the_fetch_costs_one_fresh_token(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        stage.access.revoke_scope("read_orders")
        stage.access.revoke_scope("write_orders")
        client = stage.client()
        await client.check()
        stage.access.grant_scope("read_orders")
        assert (await client.read(stage.order)).id == stage.order
        assert stage.fetches == 2


@fetched
async def test_a_scope_that_a_fresh_token_lacks_too_is_an_alarm_and_no_loop(tmp_path: Path, kind: Kind) -> None:
    async with access_stage(tmp_path, kind) as stage:
        stage.access.revoke_scope("read_orders")
        stage.access.revoke_scope("write_orders")
        client = stage.client()
        for _ in range(3):
            with pytest.raises(AccessDenied, match="Access denied for order field"):
                await client.read(stage.order)
        assert stage.fetches == 2
        stage.access.grant_scope("read_orders")
        client.forget_refusal()
        assert (await client.read(stage.order)).id == stage.order


# -- doctor ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("token", "permanent"),
        ("client_credentials", "client credentials are taken; the access token ends at 2026-"),
        ("refresh_token", "expiring offline token is taken; the access token ends at 2026-"),
    ],
)
async def test_doctor_names_the_kind_and_the_end_of_what_it_was_let_in_with(
    tmp_path: Path, kind: Kind, said: str
) -> None:
    async with access_stage(tmp_path, kind) as stage:
        found = await stage.findings(stage.client())
        assert (found["credentials"].status, found["scopes"].status) == ("ok", "ok")
        assert said in found["credentials"].detail


async def test_doctor_warns_of_a_refresh_token_that_ends_soon(tmp_path: Path) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        stage.sandbox.shopify.operate({"action": "set_lives", "refresh": 10 * DAY})
        found = (await stage.findings(stage.client()))["credentials"]
        assert found.status == "warning"
        assert "the refresh token ends at" in found.detail


async def test_doctor_reports_a_token_that_lacks_what_the_app_has(tmp_path: Path) -> None:
    async with access_stage(tmp_path) as stage:
        for scope in ("read_orders", "write_orders"):
            stage.access.revoke_scope(scope)
        await stage.client().check()
        stage.access.grant_scope("read_orders")
        found = (await stage.findings(stage.client()))["scopes"]
        assert found.status == "failed"
        assert "the token lacks read_orders, which the app has" in found.detail


# -- secrets and the config --------------------------------------------------------------------------------------------


async def test_no_spelling_of_a_secret_shows(tmp_path: Path) -> None:
    secret = 'se"cret/with+all & ü'
    async with access_stage(tmp_path, "refresh_token") as stage:
        stage.access.change_secret(secret)
        client = stage.client({"credentials": stage.credentials(client_secret=secret)})
        await client.read(stage.order)
        kept = json.loads(await anyio.Path(stage.file).read_bytes())
        secrets = [secret, kept["access_token"], kept["refresh_token"], stage.credentials()["refresh_token"]]
        shown = [form for each in secrets for form in (each, quote(each), quote_plus(each), json.dumps(each)[1:-1])]
        shown += [base64.b64encode(each.encode()).decode() for each in secrets]
        for form in shown:
            stage.faults.script_answer(400, json.dumps({"errors": f"who is {form}?"}).encode(), step="read")
            with pytest.raises(Transient) as caught:
                await client.read(stage.order)
            assert form not in caught.value.detail
            assert "***" in caught.value.detail


@pytest.mark.parametrize(
    "access",
    [
        {},
        {"token": "shpat_x", "credentials": {"client_id": "a", "client_secret": "b"}},
        {"credentials": {"client_id": "a"}},
        {"credentials": {"client_id": "a", "client_secret": " "}},
        {"credentials": {"client_id": "", "client_secret": "b"}},
        {"credentials": {"client_id": "a", "client_secret": "b", "refresh_token": ""}},
        {"credentials": {"client_id": "a", "client_secret": "b", "refresh_token": "has blank"}},
        {"credentials": {"client_id": "a", "client_secret": "b", "scope": "read_orders"}},
        {"token": ""},
        {"domain": "shop.example", "credentials": {"client_id": "a", "client_secret": "b"}},
    ],
)
def test_access_that_is_none_is_refused(access: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ShopifyOptions.model_validate({"domain": "shopy.myshopify.com", **access})
