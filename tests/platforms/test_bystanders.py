"""Whose refusal it is: a page of a firewall, a proxy or a gateway speaks for one order, never for the shop or for what
there is. The same for every platform."""

from __future__ import annotations

import pytest

from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Rejected, Transient
from orchestrator.registry import PLATFORMS
from orchestrator.testing.stage import Stage, moves_of, staged

PAGE = b"<!DOCTYPE html><html><title>Blocked</title><h1>Request 4711 was blocked by policy</h1></html>"
FOREIGN = [PAGE, b"<h1>Request 4711 was blocked</h1>", b"Request 4711 was blocked", b"", b'"blocked"', b"[]"]
OWN = {
    "selldone": (b'{"error":"TOKEN_HAS_NO_ACCESS_ERROR"}', b'{"error":"NOT_FOUNT_BASKET_ERROR"}'),
    "cloudsuite": (b'{"detail":"No permission."}', b'{"detail":"Not found."}'),
    "xsale": (b'{"Message":"No permission."}', b'{"Message":"Not found."}'),
    "shopify": (b'{"errors":"No permission."}', b'{"errors":"Not Found"}'),
    "woocommerce": (b'{"code":"woocommerce_rest_cannot_edit"}', b'{"code":"woocommerce_rest_shop_order_invalid_id"}'),
}
"""What each platform itself says at 403 and at 404."""
LISTS = dict.fromkeys(PLATFORMS, "list") | {"xsale": "statuses", "shopify": "shop"}
PAUSING_LISTS = dict.fromkeys(PLATFORMS, "list")

every_platform = pytest.mark.parametrize("platform", sorted(PLATFORMS))
every_status = pytest.mark.parametrize("status", [403, 404, 410])


async def refused_step(stage: Stage) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await stage.perform(moves_of(stage.platform)[0])
    return caught.value


async def refused_read(stage: Stage) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await stage.client.read(stage.order)
    return caught.value


def effect_of(platform: str) -> str:
    return moves_of(platform)[0].step


@every_platform
@every_status
@pytest.mark.parametrize("body", FOREIGN)
async def test_a_step_that_a_page_refuses_is_this_orders_trouble(platform: str, status: int, body: bytes) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, body, step=effect_of(platform), times=2)
        failure = await refused_step(stage)
        assert type(failure) is Rejected
        assert failure.detail.startswith(f"HTTP {status}")
        assert "4711" in failure.detail or b"4711" not in body
        assert stage.sandbox.ledger.effects(stage.order) == []


@every_platform
@every_status
@pytest.mark.parametrize("body", FOREIGN)
async def test_a_read_that_a_page_refuses_is_tried_again_and_says_nothing_of_the_shop(
    platform: str, status: int, body: bytes
) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, body, step="read", times=2)
        failure = await refused_read(stage)
        assert isinstance(failure, Transient)
        assert failure.is_refused_read
        assert not failure.is_ambiguous


@every_platform
@pytest.mark.parametrize("body", [*FOREIGN, b"\xef\xbb\xbf" + PAGE, PAGE.decode().encode("utf-16")])
async def test_a_proxys_own_login_is_no_refusal_of_our_credentials(platform: str, body: bytes) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(401, body, step=effect_of(platform), times=2)
        assert type(await refused_step(stage)) is Rejected
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(401, body, step="read", times=2)
        failure = await refused_read(stage)
        assert isinstance(failure, Transient)
        assert failure.is_refused_read


@every_platform
@pytest.mark.parametrize("status", [401, 403])
async def test_a_page_that_refuses_lists_too_stops_the_shop(platform: str, status: int) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, PAGE, step=effect_of(platform), times=2)
        stage.sandbox.faults.script_answer(status, PAGE, step=LISTS[platform], times=2)
        failure = await refused_step(stage)
        assert isinstance(failure, AccessDenied)
        assert "4711" in failure.detail


@every_platform
@pytest.mark.parametrize("status", [401, 403])
async def test_a_list_that_is_refused_by_a_page_stops_the_shop(platform: str, status: int) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, PAGE, step=PAUSING_LISTS[platform], times=2)
        with pytest.raises(AccessDenied, match="4711"):
            await stage.client.list_page(None, None)


@every_platform
async def test_a_page_while_lists_cannot_be_had_is_worth_another_try(platform: str) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(404, PAGE, step=effect_of(platform))
        stage.sandbox.faults.script_answer(502, PAGE, step=LISTS[platform])
        failure = await refused_step(stage)
        assert isinstance(failure, Transient)
        assert not failure.is_ambiguous
        assert "4711" in failure.detail


@every_platform
async def test_the_platforms_own_words_decide_without_a_second_look(platform: str) -> None:
    denied, unknown = OWN[platform]
    async with staged(platform) as stage:
        (order, *_) = stage.sandbox.platforms[platform].order_ids()
        current = (await stage.client.read(order)).order_state()
        move = moves_of(platform)[0]
        stage.sandbox.faults.script_answer(403, denied, step=move.step, times=2)
        with pytest.raises(Rejected if platform == "cloudsuite" else AccessDenied):
            await stage.perform(move, current)
        stage.sandbox.faults.script_answer(404, unknown, step="read")
        with pytest.raises(AccessDenied if platform == "shopify" else NotFound):
            await stage.client.read(order)


@pytest.mark.parametrize("platform", ["cloudsuite", "shopify", "woocommerce"])
@pytest.mark.parametrize(
    "body", [b'{"message": "no Route matched with those values"}', b'{"message": "Forbidden"}', b"{}"]
)
@every_status
async def test_a_gateways_json_is_none_of_a_platform_whose_errors_have_a_form(
    platform: str, status: int, body: bytes
) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, body, step=effect_of(platform))
        assert type(await refused_step(stage)) is Rejected
        stage.sandbox.faults.script_answer(status, body, step="read")
        failure = await refused_read(stage)
        assert isinstance(failure, Transient)
        assert failure.is_refused_read


@pytest.mark.parametrize("status", [401, 403])
async def test_an_order_that_a_firewall_blocks_does_not_use_up_logins(status: int) -> None:
    async with staged("xsale") as stage:
        assert (await stage.client.read(stage.order)).id == stage.order
        stage.sandbox.faults.script_answer(status, PAGE, step="read", times=1000)
        for _ in range(5):
            assert isinstance(await refused_read(stage), Transient)
        assert len(stage.sandbox.ledger.calls(step="login")) == 2  # one to see whether the tokens are to blame


async def test_a_reference_that_a_firewall_blocks_is_no_refused_list() -> None:
    async with staged("cloudsuite") as stage:
        stage.sandbox.faults.script_answer(403, PAGE, step="list")
        with pytest.raises(Transient) as caught:
            await stage.client.read("CS1' OR '1'='1")
        assert caught.value.is_refused_read


@pytest.mark.parametrize("step", ["confirm_order", "send_despatch"])
async def test_a_proxy_call_that_a_page_refuses_is_this_orders_trouble(step: str) -> None:
    async with staged("cloudsuite") as stage:
        way = moves_of("cloudsuite")
        at = next(n for n, move in enumerate(way) if move.step == step)
        await stage.walk(way[:at])
        page = PAGE.replace(b"was blocked", b"already exists and was blocked")
        stage.sandbox.faults.script_answer(403, page, step=step)
        with pytest.raises(Rejected, match="4711"):
            await stage.perform(way[at])
