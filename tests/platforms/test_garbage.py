"""Answers that are none of the platform's: trouble that passes, told in the words of whoever answered."""

from __future__ import annotations

import gzip

import pytest

from orchestrator.platforms.failures import Garbled, OutOfSequence, Transient, Unreadable
from orchestrator.platforms.garbage import is_json, summary_of
from orchestrator.registry import PLATFORMS
from orchestrator.testing.stage import moves_of, staged

PAGE = b"""<!DOCTYPE html><html><head><title>Maintenance</title><style>b { color: red }</style></head>
<body><!-- <b>build 7</b> --><h1>Back&nbsp;at noon</h1><script>var a = "<b>";</script></body></html>"""
GARBAGE = [b"", b" \r\n", PAGE, b"Service is being updated", b'{"orders": [{"id": 1, "na', b"\xff\xfe\x00", b"<", b"]"]
SECRETS = {
    "selldone": b"sandbox-token",
    "cloudsuite": b"sandbox-password",
    "xsale": b"sandbox-password-1",
    "shopify": b"sandbox-secret-1",
    "woocommerce": b"cs_sandbox-secret-1",
}

every_platform = pytest.mark.parametrize("platform", list(PLATFORMS))
every_garbage = pytest.mark.parametrize("body", GARBAGE)


@every_platform
@every_garbage
@pytest.mark.parametrize("call", ["list", "read"])
async def test_garbage_for_a_list_or_a_read_is_trouble_that_passes(platform: str, body: bytes, call: str) -> None:
    async with staged(platform) as stage:
        order = stage.order
        stage.sandbox.faults.script_answer(200, body, step=call)
        with pytest.raises(Transient) as caught:
            await (stage.client.list_page(None, None) if call == "list" else stage.client.read(order))
        assert not caught.value.is_ambiguous
        assert (await stage.client.read(order)).id == order
        assert (await stage.snapshots()).keys() >= {order}


@every_platform
@pytest.mark.parametrize("fault", ["html", "cut_off", "empty"])
async def test_garbage_in_place_of_an_effects_answer_is_ambiguous(platform: str, fault: str) -> None:
    async with staged(platform) as stage:
        move = moves_of(platform)[0]
        stage.sandbox.faults.script(fault, step=move.step)
        if fault == "empty" and platform in ("xsale", "cloudsuite"):  # some answer so always: the order is looked at
            assert (await stage.perform(move)).state == move.state
            return
        with pytest.raises(Transient) as caught:
            await stage.perform(move)
        assert caught.value.is_ambiguous
        assert (await stage.client.read(stage.order)).state == move.state


ANOTHERS = [
    b"{}",
    b'{"message": "in maintenance"}',
    b'{"orders": []}',
    b'{"data": {}}',
    b'{"id": 1}',
    b'{"data": {"a": 1}}',
]


@every_platform
@pytest.mark.parametrize("body", ANOTHERS)
async def test_json_that_is_not_about_the_order_says_nothing_of_it(platform: str, body: bytes) -> None:
    async with staged(platform) as stage:
        order, move = stage.order, moves_of(platform)[0]
        current = (await stage.client.read(order)).order_state()
        stage.sandbox.faults.script_answer(200, body, step=move.step, order=order)
        with pytest.raises((Transient, OutOfSequence)):
            await stage.client.perform(move.step, order, current, move.request)
        assert stage.sandbox.ledger.effects(order) == []
        stage.sandbox.faults.script_answer(200, body, step="read", order=order)
        with pytest.raises((Transient, Unreadable)):
            await stage.client.read(order)


@every_platform
async def test_the_page_is_reported_without_its_secrets(platform: str) -> None:
    async with staged(platform) as stage:
        secret = SECRETS[platform]
        body = PAGE.replace(b"noon", b"noon " + secret)
        await stage.client.read(stage.order)
        stage.sandbox.faults.script_answer(200, body, step="list")
        with pytest.raises(Garbled) as caught:
            await stage.client.list_page(None, None)
        assert caught.value.detail == "HTTP 200: a page in place of an answer: Maintenance Back at noon ***"
        assert secret not in caught.value.payload


@pytest.mark.parametrize(("platform", "step"), [("cloudsuite", "token"), ("xsale", "login")])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
async def test_a_page_in_place_of_a_token_says_nothing_of_our_access(platform: str, step: str, status: int) -> None:
    async with staged(platform) as stage:
        stage.sandbox.faults.script_answer(status, PAGE, step=step)
        with pytest.raises(Transient, match="Maintenance Back at noon"):
            await stage.client.read(stage.order)
        assert (await stage.client.read(stage.order)).id == stage.order


async def test_half_an_answer_shows_nothing_of_the_customer() -> None:
    async with staged("cloudsuite") as stage:
        stage.sandbox.faults.script("cut_off", step="read")
        with pytest.raises(Garbled) as caught:
            await stage.client.read(stage.order)
        assert "{" not in caught.value.detail


@pytest.mark.parametrize(
    "body",
    [b"NaN", b'"\\ud83d"', b"9" * 5000, b"[" * 5000 + b"]" * 5000, b"1e999999999", b'"\xff"', b'{"a": undefined}'],
)
def test_odd_json_is_json_all_the_same(body: bytes) -> None:
    assert is_json(body)


def test_a_page_without_words_is_reported_as_one() -> None:
    assert "without words" in summary_of(b"<html><body></body></html>")
    assert len(summary_of(b"<" * 1_000_000)) < 100_000


@pytest.mark.parametrize("body", GARBAGE[:2])
def test_nothing_is_reported_as_nothing(body: bytes) -> None:
    assert summary_of(body) == "the answer is empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_a_page_is_reported_in_its_own_words_however_it_is_written(encoding: str) -> None:
    page = "<html><h1>Wartung läuft</h1></html>".encode(encoding)
    assert summary_of(page) == "a page in place of an answer: Wartung läuft"


def test_what_is_no_text_is_not_reported_as_one() -> None:
    body = gzip.compress(b"<html>Back at noon</html>")
    assert summary_of(body) == f"the answer is neither JSON nor text ({len(body)} bytes)"


def test_a_long_page_without_blanks_is_cut_between_its_letters() -> None:
    assert "维护" in summary_of(b"<p>" + "维护中".encode() * 10_000)
