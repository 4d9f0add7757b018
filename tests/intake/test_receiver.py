"""Webhooks over real HTTP: which are kept, which are refused, and that a bad sender harms nobody."""

from __future__ import annotations

import json
import resource
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from shutil import which

import aiohttp
import anyio
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from orchestrator.config import TlsSettings, WebhookSettings
from orchestrator.intake.listener import ListenError, listening
from orchestrator.intake.receiver import place_of_webhooks
from orchestrator.platforms.base.signing import signature_of
from storage.errors import StoreUnavailable
from tests.intake.front import OLD_SECRET, SECRET, Front, front
from tests.support.certificate import make_certificate

BODY = b'{"id": 1}'
ORDERS = "/webhooks/acme/orders"


async def test_a_genuine_webhook_is_kept_and_answered_200(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        assert await it.signed("orders/create", BODY, id="w1") == 200
        assert await it.signed("orders/create", BODY, id="w2", secret=OLD_SECRET) == 200
        assert await it.rows() == 2


async def test_what_is_not_genuine_is_refused_and_not_kept(tmp_path: Path) -> None:
    signature = {"X-Shopify-Hmac-Sha256": signature_of(BODY, SECRET)}
    async with front(tmp_path, is_working=False) as it:
        assert await it.signed("orders/create", BODY, secret="forged") == 401
        assert await it.post(ORDERS, BODY + b" ", signature) == 401
        assert await it.post(ORDERS, BODY, {"X-Shopify-Hmac-Sha256": "Gr\u00fc\u00dfe"}) == 401
        assert await it.post(ORDERS, BODY) == 400
        assert await it.post(ORDERS, b"", {"X-Shopify-Hmac-Sha256": signature_of(b"", SECRET)}) == 400
        assert await it.post("/webhooks/nobody/orders", BODY, signature) == 404
        assert await it.post(f"{ORDERS}/{SECRET}", BODY) == 404
        assert await it.post("/", BODY) == 404
        async with it.http.get(f"http://{it.address[0]}:{it.address[1]}{ORDERS}") as answer:
            assert answer.status == 405
        assert await it.rows() == 0


@pytest.mark.parametrize(
    ("platform", "path", "event", "shop"),
    [
        ("shopify", "/webhooks/nobody/orders", "webhook.unknown_shop", "nobody"),
        ("selldone", "/webhooks/nobody/orders/s3cret", "webhook.unknown_shop", "nobody"),
        ("selldone", "/webhooks/no%20name%0A/orders/s3cret", "webhook.unknown_shop", "?"),
        ("shopify", f"{ORDERS}/s3cret", "webhook.wrong_address", "acme"),
        ("selldone", ORDERS, "webhook.wrong_address", "acme"),
    ],
)
async def test_a_webhook_for_nobody_is_logged_once_without_what_may_be_a_secret(
    tmp_path: Path, platform: str, path: str, event: str, shop: str
) -> None:
    async with front(tmp_path, platform=platform, is_working=False) as it:
        with capture_logs() as logs:
            assert [await it.post(path, BODY) for _ in range(2)] == [404, 404]
        (logged,) = (entry for entry in logs if entry["event"].startswith("webhook."))
        assert (logged["event"], logged["shop"]) == (event, shop)
        assert "s3cret" not in str(logged)


async def test_a_webhook_for_a_shop_without_a_secret_is_logged_with_the_remedy(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False, secrets=()) as it:
        with capture_logs() as logs:
            assert await it.signed("orders/create", BODY) == 404
        (logged,) = (entry for entry in logs if entry["event"] == "webhook.no_secret")
        assert "set shops.acme.webhook_secret" in logged["remedy"]


async def test_a_repeat_is_answered_200_and_kept_once(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        assert await it.signed("orders/create", BODY, id="w1", event="e1") == 200
        assert await it.signed("orders/create", BODY, id="w1", event="e1") == 200
        assert await it.signed("orders/create", b'{"id": 1, "x": 2}', id="w2", event="e1") == 200
        assert await it.rows() == 1
        assert await it.signed("orders/updated", BODY, id="w3", event="e1") == 200
        assert await it.rows() == 2


async def test_a_body_without_an_id_is_known_by_its_bytes(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        for _ in range(2):
            assert await it.signed(None, BODY) == 200
        assert await it.signed(None, b'{"id": 2}') == 200
        assert await it.rows() == 2


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False, max_body_bytes=2000) as it:
        assert await it.signed("orders/create", b"x" * 2001) == 413
        assert await it.signed("orders/create", b"x" * 2000) == 200

        async def endless() -> object:
            while True:
                yield b"x" * 500

        url = f"http://{it.address[0]}:{it.address[1]}{ORDERS}"
        async with it.http.post(url, data=endless(), headers={"X-Shopify-Hmac-Sha256": "x"}) as answer:
            assert answer.status == 413


async def test_a_sender_that_dribbles_is_cut_off_while_others_are_served(tmp_path: Path) -> None:
    request = b"POST /webhooks/acme/orders HTTP/1.1\r\nHost: x\r\n"
    async with front(tmp_path, is_working=False, read_timeout_seconds=0.5) as it:
        header, body = await anyio.connect_tcp(*it.address), await anyio.connect_tcp(*it.address)
        async with header, body:
            await header.send(request + b"X-Slow:")
            await body.send(request + b"X-Shopify-Hmac-Sha256: x\r\nContent-Length: 9\r\n\r\n{")
            assert await it.signed("orders/create", BODY) == 200
            answer = await body.receive()
            assert b" 408 " in answer.split(b"\r\n")[0]
            with pytest.raises(anyio.EndOfStream):
                await header.receive()


async def test_senders_that_never_send_what_they_announced_keep_nobody_out(tmp_path: Path) -> None:
    head = b"POST /webhooks/acme/orders HTTP/1.1\r\nHost: x\r\nX-Shopify-Hmac-Sha256: x\r\nContent-Length: 90000\r\n"
    async with front(tmp_path, is_working=False, read_timeout_seconds=300) as it, AsyncExitStack() as senders:
        for _ in range(100):
            stream = await senders.enter_async_context(await anyio.connect_tcp(*it.address))
            await stream.send(head + b"Expect: 100-continue\r\n\r\n{")
            assert b" 100 " in await stream.receive()  # it is being read
        with anyio.fail_after(60):
            assert await it.signed("orders/create", BODY) == 200


async def test_large_bodies_wait_for_permits_and_all_arrive(tmp_path: Path) -> None:
    async def send(it: Front, number: int) -> None:
        assert await it.signed("orders/create", json.dumps({"id": number, "x": "y" * 90_000}).encode()) == 200

    async with front(tmp_path, is_working=False) as it:
        async with anyio.create_task_group() as group:
            for number in range(80):
                group.start_soon(send, it, number)
        assert await it.rows() == 80


async def test_a_request_that_is_cut_short_is_not_kept(tmp_path: Path) -> None:
    signature = signature_of(BODY, SECRET).encode()
    async with front(tmp_path, is_working=False) as it:
        async with await anyio.connect_tcp(*it.address) as stream:
            head = b"POST /webhooks/acme/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\nX-Shopify-Hmac-Sha256: "
            await stream.send(head + signature + b"\r\n\r\n" + BODY)
        assert await it.signed("orders/create", b'{"id": 2}') == 200
        assert await it.rows() == 1


async def test_headers_beyond_measure_are_refused(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        assert await it.post(ORDERS, BODY, {"X-Large": "x" * 20_000}) == 400
        assert await it.rows() == 0


async def test_what_is_not_http_is_refused_without_quoting_it(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it, await anyio.connect_tcp(*it.address) as stream:
        await stream.send(f"POST {ORDERS}/{SECRET} HTTP/1.1\r\nHost : x\r\n\r\n".encode())
        answer = b""
        with suppress(anyio.EndOfStream):
            while True:
                answer += await stream.receive()
        assert b" 400 " in answer.split(b"\r\n")[0]
        assert answer.endswith(b"not HTTP\n")
        assert b"aiohttp" not in answer


async def test_a_packed_body_is_not_unpacked_before_it_is_proven_genuine(tmp_path: Path) -> None:
    headers = {"Content-Encoding": "gzip", "X-Shopify-Hmac-Sha256": signature_of(BODY, SECRET)}
    async with front(tmp_path, is_working=False) as it:
        assert await it.post(ORDERS, BODY, headers) == 200


async def test_a_burst_is_answered_whole(tmp_path: Path) -> None:
    statuses: list[int] = []
    async with front(tmp_path, is_working=False) as it:

        async def send(number: int) -> None:
            body = json.dumps({"id": number}).encode()
            statuses.append(await it.signed("orders/updated", body, id=f"w{number}"))

        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(send, number)
        assert statuses == [200] * 300
        assert await it.rows() == 300


async def test_while_nothing_can_be_kept_the_sender_is_asked_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with front(tmp_path, is_working=False) as it:

        async def full(_unit: object) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(it.floor.store, "write", full)
            assert await it.signed("orders/create", BODY) == 503
        assert await it.signed("orders/create", BODY) == 200


async def test_the_secret_in_the_address_lets_a_hint_in(tmp_path: Path) -> None:
    async with front(tmp_path, platform="selldone", is_working=False) as it:
        assert await it.post(f"{ORDERS}/{SECRET}", BODY) == 200
        assert await it.post(f"{ORDERS}/{OLD_SECRET}", b"") == 200
        assert await it.post(f"{ORDERS}/{SECRET}x", BODY) == 401
        assert await it.post(f"{ORDERS}/Gr%C3%BC%C3%9Fe", BODY) == 401
        assert await it.signed("orders/create", BODY) == 404
        assert await it.rows() == 2


async def test_a_taken_port_and_a_bad_certificate_are_logged_in_one_line(tmp_path: Path) -> None:
    async with front(tmp_path, is_working=False) as it:
        with pytest.raises(ListenError, match=r"is in use by another program; set another webhooks\.port"):
            async with listening(web.Application(), place_of_webhooks(WebhookSettings(port=it.address[1]))):
                pass
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for certificate, words in ((bad, "holds no certificate"), (tmp_path / "none.pem", "there is no file")):
        tls = TlsSettings(certificate=certificate, key=certificate)
        with pytest.raises(ListenError, match=words):
            async with listening(web.Application(), place_of_webhooks(WebhookSettings(port=1, tls=tls))):
                pass


async def certified(folder: Path) -> tuple[Path, Path]:
    """Makes a certificate for this machine; answers its file and its key's."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    await anyio.run_process([*made, "-keyout", str(key), "-out", str(certificate)])
    return certificate, key


@pytest.mark.skipif(which("openssl") is None, reason="a certificate is made with openssl")
async def test_webhooks_come_in_over_tls(tmp_path: Path) -> None:
    certificate, key = await certified(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with front(tmp_path, is_working=False, tls=TlsSettings(certificate=certificate, key=key)) as it:
        url = f"https://{it.address[0]}:{it.address[1]}{ORDERS}"
        headers = {"X-Shopify-Hmac-Sha256": signature_of(BODY, SECRET)}
        async with it.http.post(url, data=BODY, headers=headers, ssl=trusting) as answer:
            assert answer.status == 200
        assert await it.rows() == 1


@pytest.mark.skipif(which("openssl") is None, reason="a certificate is made with openssl")
async def test_a_sender_that_never_begins_with_tls_is_cut_off(tmp_path: Path) -> None:
    certificate, key = await certified(tmp_path)
    tls = TlsSettings(certificate=certificate, key=key)
    async with front(tmp_path, is_working=False, tls=tls, read_timeout_seconds=0.5) as it:
        with anyio.fail_after(30):  # half of what asyncio would wait by itself
            async with await anyio.connect_tcp(*it.address) as stream:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_senders_that_say_nothing_are_no_more_than_half_of_the_files_that_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_encrypted: bool
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (6, 6))
    tls = None
    if is_encrypted:
        certificate, key = make_certificate(tmp_path)
        tls = TlsSettings(certificate=certificate, key=key)
    async with front(tmp_path, is_working=False, read_timeout_seconds=300, tls=tls) as it, AsyncExitStack() as senders:
        inside = [await senders.enter_async_context(await anyio.connect_tcp(*it.address)) for _ in range(3)]
        with anyio.fail_after(60), suppress(anyio.BrokenResourceError):
            async with await anyio.connect_tcp(*it.address) as outside:
                with pytest.raises(anyio.EndOfStream):
                    await outside.receive()
        await inside[0].aclose()
        url = f"{'https' if is_encrypted else 'http'}://{it.address[0]}:{it.address[1]}/"
        with anyio.fail_after(60):
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    async with it.http.get(url, ssl=False) as answer:
                        assert answer.status == 404
                        break
