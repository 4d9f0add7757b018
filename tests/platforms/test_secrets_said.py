"""A platform, or a proxy in front of it, repeats our secrets in what it says. None leaves a client, on any platform."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from orchestrator.platforms.failures import Garbled, PlatformFailure, Unreadable
from orchestrator.registry import PLATFORMS
from orchestrator.runtime.pages_watch import PagesWatch
from orchestrator.testing.stage import moves_of, staged

SECRETS = {
    "selldone": "sandbox-token",
    "cloudsuite": "sandbox-password",
    "xsale": "sandbox-client-secret-1",
    "shopify": "sandbox-secret-1",
    "woocommerce": "cs_sandbox-secret-1",
}
"""A secret of the sandbox's shop on each platform."""

every_platform = pytest.mark.parametrize("platform", sorted(PLATFORMS))


def spellings(secret: str) -> Iterator[str]:
    yield secret
    yield "".join(f"%{byte:02x}" for byte in secret.encode())
    yield "".join(f"\\u{ord(letter):04x}" for letter in secret)
    yield base64.b64encode(f"user:{secret}".encode()).decode().rstrip("=")


def echoed(secret: str) -> str:
    return " ".join(f"({spelt})" for spelt in spellings(secret))


def bodies(secret: str) -> Iterator[bytes]:
    words = echoed(secret)
    yield json.dumps({"error": words, "code": words, "message": words}).encode()
    yield json.dumps({"errors": [{"message": words}], "data": None}).encode()
    yield json.dumps({"errors": [{"message": f"{words} {'x' * 2000}"}]}).encode()
    yield f"<html><h1>{words}</h1></html>".encode()
    yield json.dumps({"error": f"{'x ' * 232}{words}"}).encode()  # where words are cut


def assert_clean(failure: PlatformFailure, secret: str) -> None:
    seen = [failure.detail, str(failure), repr(failure.args)]
    if isinstance(failure, Unreadable | Garbled):
        seen.append(failure.payload.decode())
    for spelt in spellings(secret):
        assert not [text for text in seen if spelt[:9] in text]


@every_platform
@pytest.mark.parametrize("status", [200, 307, 400, 403, 404, 422, 429, 500, 503])
async def test_no_refusal_of_a_step_holds_a_secret(platform: str, status: int) -> None:
    secret = SECRETS[platform]
    async with staged(platform) as stage:
        for body in bodies(secret):
            stage.sandbox.faults.script_answer(status, body, step=moves_of(platform)[0].step, times=2)
            try:  # CloudSuite need not say what came of a write, so some good answers are none of a failure
                await stage.perform(moves_of(platform)[0])
            except PlatformFailure as failure:
                assert_clean(failure, secret)
            else:
                assert status == 200
            stage.sandbox.faults.script_answer(status, body, step="read", times=2)
            with pytest.raises(PlatformFailure) as caught:
                await stage.client.read(stage.order)
            assert_clean(caught.value, secret)
            stage.sandbox.faults.forget()


async def test_shopifys_refusal_at_a_good_status_holds_none_either() -> None:
    secret = SECRETS["shopify"]
    for field in ("fulfillmentOrderReportProgress", "fulfillmentCreate"):
        payload = {field: {"userErrors": [{"field": None, "message": echoed(secret)}]}}
        async with staged("shopify") as stage:
            stage.sandbox.faults.script_answer(200, json.dumps({"data": payload}).encode(), step="report_progress")
            with pytest.raises(PlatformFailure) as caught:
                await stage.perform(moves_of("shopify")[0])
            assert_clean(caught.value, secret)


@every_platform
async def test_nothing_that_doctor_finds_holds_one(platform: str) -> None:
    secret = SECRETS[platform]
    for body in bodies(secret):
        for status in (200, 403, 500):
            async with staged(platform) as stage:
                for step in ("list", "shop", "access", "statuses", "read"):
                    stage.sandbox.faults.script_answer(status, body, step=step, times=3)
                for finding in await stage.client.check():
                    assert not [spelt for spelt in spellings(secret) if spelt[:9] in finding.detail]


@pytest.mark.parametrize("platform", ["cloudsuite", "shopify"])
async def test_nothing_that_is_said_of_a_list_that_goes_round_holds_one(platform: str) -> None:
    secret = SECRETS[platform]
    for spelt in spellings(secret):
        info = {"hasNextPage": True, "endCursor": spelt}
        shapes = {
            "cloudsuite": {"count": 1, "next": f"http://cs/api/order/?limit=2&token={spelt}", "results": []},
            "shopify": {"data": {"orders": {"nodes": [], "pageInfo": info}}},
        }
        async with staged(platform) as stage:
            watch, cursor, flaw = PagesWatch(), None, None
            stage.sandbox.faults.script_answer(200, json.dumps(shapes[platform]).encode(), step="list", times=3)
            while flaw is None:
                page = await stage.client.list_page(None, cursor)
                flaw, cursor = watch.flaw(page), page.next
            assert spelt[:9] not in flaw


@every_platform
@pytest.mark.parametrize("blanks", range(40, 80, 4))
async def test_a_value_that_is_cut_where_it_is_reported_holds_no_half_of_one(platform: str, blanks: int) -> None:
    secret = SECRETS[platform]
    odd = ["x" * blanks, secret, "x" * 100]
    row = {"id": 5, "Id": odd, "updated_at": odd, "modified_date": odd, "status": odd, "state": "x"}
    node = {"id": " ".join(odd), "name": "x", "updatedAt": "2026-11-30T08:36:02Z", "displayFulfillmentStatus": "x"}
    shapes = {
        "selldone": {"orders": [row], "total": 1},
        "cloudsuite": {"count": 1, "next": None, "results": [row]},
        "xsale": [row],
        "shopify": {"data": {"orders": {"nodes": [node], "pageInfo": {"hasNextPage": False}}}},
        "woocommerce": [row],
    }
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(200, json.dumps(shapes[platform]).encode(), step="list", times=3)
        pages, _ = await stage.list_pages()
        (error,) = {row.error for page in pages for row in page.unreadable}
        assert secret[:5] not in error


@every_platform
async def test_a_row_that_cannot_be_read_is_kept_without_them(platform: str) -> None:
    secret = SECRETS[platform]
    async with staged(platform) as stage:
        row = {"id": "x", "secret": echoed(secret)}
        shapes = {
            "selldone": {"orders": [row], "total": 1},
            "cloudsuite": {"count": 1, "next": None, "results": [row]},
            "xsale": [row],
            "shopify": {"data": {"orders": {"nodes": [row], "pageInfo": {"hasNextPage": False, "endCursor": None}}}},
            "woocommerce": [row],
        }
        stage.sandbox.faults.script_answer(200, json.dumps(shapes[platform]).encode(), step="list", times=3)
        try:
            pages, _ = await stage.list_pages()
        except PlatformFailure as failure:
            assert_clean(failure, secret)
        else:
            rows = [row for page in pages for row in page.unreadable]
            assert rows
            for spelt in spellings(secret):
                assert not [row for row in rows if spelt[:9] in row.payload.decode() + row.error]
