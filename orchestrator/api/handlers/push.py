"""Calls about what is pushed: products that webhooks brought, receivers of events."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.answers import JSON_TYPE, answer
from orchestrator.api.call import Call
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.bodies import AckBody, EventBody
from orchestrator.api.schema.fields import page_token
from orchestrator.api.schema.queries import AttemptsQuery, ProductsQuery, Query
from orchestrator.operations.deliveries import attempt_view
from orchestrator.operations.documents import PushAttemptPage, ReceiverList, SentAgain
from orchestrator.operations.views.events import payload_text, product_view
from orchestrator.operations.writing import to_json


async def list_products(call: Call[ProductsQuery]) -> web.StreamResponse:
    """Products, the latest version of each."""
    query = call.query
    found, following = await call.services.queries.products(query.shop, query.after, query.limit)
    # joined as text, so that the platform's numbers stay what they were
    rows = [
        to_json(product_view(product))[:-1] + b',"payload":' + payload_text(product.payload).encode("utf-8") + b"}"
        for product in found
    ]
    end = b'],"next":' + to_json(page_token(following)) + b"}"
    return web.Response(body=b'{"products":[' + b",".join(rows) + end, content_type=JSON_TYPE)


async def list_deliveries(call: Call[Query]) -> web.StreamResponse:
    """The receivers."""
    return answer(ReceiverList(delivery=await call.services.queries.receivers()))


async def read_delivery(call: Call[Query]) -> web.StreamResponse:
    """One receiver."""
    return answer(await call.services.queries.receiver(call.path["name"]))


async def list_attempts(call: Call[AttemptsQuery]) -> web.StreamResponse:
    """Attempts to push to a receiver, the newest first."""
    query = call.query
    found, following = await call.services.queries.attempts(
        call.path["name"], query.after, query.limit, cursor=query.cursor, only_failed=query.failed
    )
    return answer(PushAttemptPage(attempts=found, next=page_token(following)))


async def send_delivery(call: Call[Query]) -> web.StreamResponse:
    """Sends an event once more."""
    name = call.path["name"]
    body = checked(EventBody, await read_json(call.request), "invalid-request")
    sent = await call.services.commands.send_delivery(name, body.cursor)
    view = None if sent is None else attempt_view(sent)
    return answer(SentAgain(name=name, cursor=body.cursor, attempt=view), status=202 if sent is None else 200)


async def test_delivery(call: Call[Query]) -> web.StreamResponse:
    """Sends a test."""
    return answer(attempt_view(await call.services.commands.test_delivery(call.path["name"])))


async def replay_delivery(call: Call[Query]) -> web.StreamResponse:
    """Sends again what lies above a cursor."""
    name, queries = call.path["name"], call.services.queries
    body = checked(AckBody, await read_json(call.request), "invalid-request")
    await queries.check_feed(body.cursor, body.feed)
    await call.services.commands.replay_delivery(name, body.cursor)
    return answer(await queries.receiver(name))


async def pause_delivery(call: Call[Query]) -> web.StreamResponse:
    """Stops sending to a receiver."""
    return await _switched(call, is_pause=True)


async def resume_delivery(call: Call[Query]) -> web.StreamResponse:
    """Sends to a receiver again."""
    return await _switched(call, is_pause=False)


async def _switched(call: Call[Query], *, is_pause: bool) -> web.StreamResponse:
    name, commands = call.path["name"], call.services.commands
    await (commands.pause_delivery(name) if is_pause else commands.resume_delivery(name))
    return answer(await call.services.queries.delivery(name))
