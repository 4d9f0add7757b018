"""Receives webhooks: checks that they are genuine, keeps them, answers. A body without a signature is not read (except
a ping, which is short), and nothing else is done before the answer: platforms give up after a few seconds and count
failures.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import anyio
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Clock
from orchestrator.config import ShopConfig, WebhookSettings
from orchestrator.config.load import SHOP_NAME
from orchestrator.intake.listener import SERVER, Place
from orchestrator.intake.notifications import HINT, TEST
from orchestrator.platforms.webhooks import Envelope, HintWebhooks, Kind, SignedWebhooks
from orchestrator.registry import PLATFORMS
from storage.errors import StoreError
from storage.store import Store
from storage.webhooks import Arrival, add_webhook

log = structlog.get_logger()

_RETRY_AFTER_SECONDS = 30
_COMPARE = "compare shops.{}.webhook_secret with the platform's; where they agree, the sender is somebody else"
_LONGEST_NAME = 200  # of ids and topics; longer ones count as missing
_LARGE_BYTES = 64 * 1024
_LARGEST_PING_BYTES = 1024
_AT_ONCE = 64  # larger bodies in memory at once
_MOST_UNKNOWN_SENDERS = 100  # domains and names of shops that are remembered as logged


class _Refused(Exception):
    """A request that is answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def _nothing_changed(_shop: str) -> None:
    """The `reread` of secrets that stand in the config itself."""


@dataclass(frozen=True, slots=True)
class Reception:
    """The dependencies of the receiver. `shops` returns the configured shops as they are now; `arrived` is awaited once
    a webhook of a shop is durable. `reread` is awaited before a webhook is refused for its secret: afterwards `shops`
    may answer others."""

    store: Store
    shops: Callable[[], Mapping[str, ShopConfig]]
    settings: WebhookSettings
    clock: Clock
    checkpoints: Checkpoints
    arrived: Callable[[str], Awaitable[None]]
    reread: Callable[[str], Awaitable[None]] = _nothing_changed


def build_receiver(reception: Reception) -> web.Application:
    """The listener's application; `listener.listening` puts it on its port."""
    receiver = _Receiver(reception)
    app = web.Application(middlewares=[_supervise], client_max_size=reception.settings.max_body_bytes)
    app.router.add_post("/webhooks/{shop}/orders", receiver.take_signed)
    app.router.add_post("/webhooks/{shop}/products", receiver.take_signed)
    app.router.add_post("/webhooks/{shop}/orders/{secret}", receiver.take_hint)
    app.on_response_prepare.append(_mark)
    return app


def place_of_webhooks(settings: WebhookSettings) -> Place:
    """Where webhooks come in."""
    within = settings.read_timeout_seconds
    return Place("webhooks", "webhook.not_http", settings.host, settings.port, within, settings.tls)


class _Receiver:
    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._permits = anyio.Semaphore(_AT_ONCE)
        self._unknown_senders: set[tuple[str, str]] = set()
        self._warned: set[tuple[str, str]] = set()

    async def take_signed(self, request: web.Request) -> web.Response:
        """A webhook whose body is signed, on a platform that signs."""
        shop = self._shop(request)
        signed = PLATFORMS[shop.platform].webhooks
        if isinstance(signed, HintWebhooks):
            raise self._wrong_form(shop, f"send them to /webhooks/{shop.name}/orders/SECRET")
        envelope = signed.open(request.headers)
        if envelope.signature is None:
            return await self._answer_ping(request, shop, signed)
        async with AsyncExitStack() as permit:
            body = await self._body(request, permit)
            if not body:
                raise _Refused(400, "the body is missing")
            is_genuine = partial(_is_signed, signed, body, envelope.signature)
            if not await self._is_proven(shop, is_genuine):
                log.warning("webhook.not_genuine", shop=shop.name, size=len(body), remedy=_COMPARE.format(shop.name))
                raise _Refused(401, "the signature is wrong")
            self._check_sender(envelope.sender, shop, signed.sender_key)
            if envelope.is_test:
                log.info("webhook.test", shop=shop.name, topic=_named(envelope.topic))
            return await self._keep(_arrival(envelope, shop, body, signed))

    async def _answer_ping(self, request: web.Request, shop: ShopConfig, signed: SignedWebhooks) -> web.Response:
        """A request without a signature can only be a ping that tests the address; nothing of it is kept."""
        length = request.content_length
        if signed.is_ping is not None and length is not None and length <= _LARGEST_PING_BYTES:
            async with AsyncExitStack() as permit:
                if signed.is_ping(request.headers, await self._body(request, permit)):
                    log.info("webhook.test", shop=shop.name, topic=None)
                    return web.Response(status=200)
        raise _Refused(400, "the signature header is missing")

    async def take_hint(self, request: web.Request) -> web.Response:
        """A webhook that only its address proves genuine."""
        shop = self._shop(request)
        if isinstance(PLATFORMS[shop.platform].webhooks, SignedWebhooks):
            raise self._wrong_form(shop, f"send them to /webhooks/{shop.name}/orders, without a secret")
        if not await self._is_proven(shop, partial(_is_one_of, request.match_info["secret"])):
            log.warning("webhook.not_genuine", shop=shop.name, remedy=_COMPARE.format(shop.name))
            raise _Refused(401, "the secret is wrong")
        async with AsyncExitStack() as permit:
            body = await self._body(request, permit)
            return await self._keep(Arrival(shop.name, HINT, None, None, None, None, body, Kind.ORDER))

    async def _is_proven(self, shop: ShopConfig, is_genuine: Callable[[Sequence[SecretStr]], bool]) -> bool:
        """Whether one of the shop's secrets proves a webhook, as they are or as their files hold them now."""
        if is_genuine(shop.webhook_secrets):
            return True
        await self._reception.reread(shop.name)
        fresh = self._reception.shops().get(shop.name, shop)
        return fresh.webhook_secrets != shop.webhook_secrets and is_genuine(fresh.webhook_secrets)

    def _shop(self, request: web.Request) -> ShopConfig:
        name = request.match_info["shop"]
        shop = self._reception.shops().get(name)
        if shop is None:
            self._warn_once("webhook.unknown_shop", name, "correct the address at the platform, or the shop's name")
            raise _Refused(404, "not found")
        if not shop.webhook_secrets:
            self._warn_once("webhook.no_secret", name, f"set shops.{name}.webhook_secret, or stop them at the platform")
            raise _Refused(404, "not found")
        return shop

    def _wrong_form(self, shop: ShopConfig, remedy: str) -> _Refused:
        self._warn_once("webhook.wrong_address", shop.name, remedy)
        return _Refused(404, "not found")

    def _warn_once(self, event: str, shop: str, remedy: str) -> None:
        """Logs the first such webhook. The port is open to the world: it must not fill the log, and beyond the name of
        a shop no part of the address is shown, which may hold a secret."""
        name = shop if re.fullmatch(SHOP_NAME, shop) else "?"
        is_ours = name in self._reception.shops()
        if (event, name) in self._warned or (not is_ours and len(self._warned) >= _MOST_UNKNOWN_SENDERS):
            return
        self._warned.add((event, name))
        log.warning(event, shop=name, remedy=remedy)

    def _check_sender(self, sender: str | None, shop: ShopConfig, name: str | None) -> None:
        """Warns once when webhooks of another shop of the same app come here: one secret signs both. `name`: the key of
        the config that names the sender."""
        own = None if name is None else shop.base_url if name == "base_url" else getattr(shop.options, name, None)
        if (
            sender is None
            or own is None
            or sender.lower().rstrip("/") == str(own).lower()
            or (shop.name, sender) in self._unknown_senders
        ):
            return
        if len(self._unknown_senders) < _MOST_UNKNOWN_SENDERS:
            self._unknown_senders.add((shop.name, sender))
        remedy = f"send that shop's webhooks to its own address, or correct shops.{shop.name}.{name}"
        log.warning("webhook.of_another_shop", shop=shop.name, own=own, sender=sender[:_LONGEST_NAME], remedy=remedy)

    async def _body(self, request: web.Request, permit: AsyncExitStack) -> bytes:
        """The raw body. It is never unpacked: the signature is over the bytes as sent.

        A large body takes a permit, which lasts as long as `permit`. Small ones need none: a sender that is slow, or
        never sends what it announced, must not block the others.
        """
        settings = self._reception.settings
        if (request.content_length or 0) > settings.max_body_bytes:
            raise _Refused(413, "the body is too large")
        body = bytearray()
        try:
            with anyio.fail_after(settings.read_timeout_seconds):
                async for chunk in request.content.iter_any():
                    is_permit_due = len(body) <= _LARGE_BYTES < len(body) + len(chunk)
                    body += chunk
                    if len(body) > settings.max_body_bytes:
                        raise _Refused(413, "the body is too large")
                    if is_permit_due:
                        await permit.enter_async_context(self._permits)
        except TimeoutError:
            raise _Refused(408, "the body took too long") from None
        except (web.RequestPayloadError, ConnectionError):
            raise _Refused(400, "the body is cut short") from None
        return bytes(body)

    async def _keep(self, arrival: Arrival) -> web.Response:
        reception = self._reception
        now = reception.clock.now_ms()
        is_new = await reception.store.write(lambda tx: add_webhook(tx, arrival, now))
        if is_new:
            await reception.checkpoints.reach("after_webhook")
            await reception.arrived(arrival.shop)
        log.debug("webhook.kept" if is_new else "webhook.repeated", shop=arrival.shop, topic=arrival.topic)
        return web.Response(status=200)


def _arrival(envelope: Envelope, shop: ShopConfig, body: bytes, signed: SignedWebhooks) -> Arrival:
    """The webhook with its ids. One without an id is identified by its bytes, so that a repeat is recognised too."""
    topic, webhook_id = _named(envelope.topic), _named(envelope.webhook_id)
    if webhook_id is None or envelope.is_id_shared:
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        webhook_id = f"body:{topic or ''}:{digest}" if webhook_id is None else f"{webhook_id}:{digest}"
    topic = None if topic is None else topic.lower()
    event_id = _named(envelope.event_id)
    source, kind = (TEST, Kind.OTHER) if envelope.is_test else (shop.platform, signed.kind(topic))
    return Arrival(shop.name, source, topic, webhook_id, event_id, envelope.triggered_at, body, kind)


def _named(value: str | None) -> str | None:
    return None if value is None or len(value) > _LONGEST_NAME else value


def _is_signed(signed: SignedWebhooks, body: bytes, signature: str, secrets: Sequence[SecretStr]) -> bool:
    return signed.is_genuine(body, signature, [secret.get_secret_value() for secret in secrets])


def _is_one_of(received: str, secrets: Sequence[SecretStr]) -> bool:
    """Takes as long for a wrong secret as for a right one."""
    received_bytes = received.encode("utf-8", "surrogateescape")
    is_right = False
    for secret in secrets:
        is_right |= hmac.compare_digest(secret.get_secret_value().encode(), received_bytes)
    return is_right


@web.middleware
async def _supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers every failure. The connection of a request that was not read to its end is closed."""
    try:
        return await handler(request)
    except _Refused as refused:
        response = web.Response(status=refused.status, text=f"{refused.reason}\n")
        if not request.content.at_eof():
            response.force_close()
        return response
    except StoreError as error:
        log.error("webhook.not_kept", detail=str(error))
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
        return web.Response(status=503, text="cannot be kept now\n", headers=headers)
    except web.HTTPException as refused:
        response = web.Response(status=refused.status, text=f"{refused.reason.lower()}\n")
        if "Allow" in refused.headers:
            response.headers["Allow"] = refused.headers["Allow"]
        return response
    except Exception as error:  # supervised: one request's failure is not the others'
        log.error("webhook.failed", exc_info=error)
        return web.Response(status=500, text="the daemon made a mistake\n")


async def _mark(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER
