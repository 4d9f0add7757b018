"""Calls about orders."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.answers import JSON_TYPE, answer, to_json
from orchestrator.api.call import Call
from orchestrator.api.handlers.shops import read_reason
from orchestrator.api.schema.fields import page_token
from orchestrator.api.schema.queries import OrderQuery, OrdersQuery, Query
from orchestrator.operations.documents import Orders
from orchestrator.operations.order_pages import OrderQuery as Wanted
from orchestrator.operations.views import payload_text


async def list_orders(call: Call[OrdersQuery]) -> web.StreamResponse:
    """Orders by filter, a page at a time."""
    query = call.query
    wanted = Wanted(
        shop=query.shop,
        state=query.state,
        milestone=query.milestone,
        situation=query.situation,
        reference=query.reference,
        updated_after=query.updated_after,
    )
    found, following = await call.services.queries.orders(wanted, query.after, query.limit)
    return answer(Orders(orders=found, next=page_token(following)))


async def read_order(call: Call[OrderQuery]) -> web.StreamResponse:
    """One order, with its payload and timeline if asked for."""
    shop, order, include = call.path["shop"], call.path["id"], call.query.include
    queries = call.services.queries
    view = await queries.order(shop, order, with_timeline="timeline" in include)
    if "payload" not in include:
        return answer(view)
    payload = payload_text(await queries.payload(shop, order))
    # joined as text, so that the platform's numbers stay what they were
    body = to_json(view)[:-1] + b',"payload":' + payload.encode("utf-8") + b"}"
    return web.Response(body=body, content_type=JSON_TYPE)


async def retry(call: Call[Query]) -> web.StreamResponse:
    """Tries a blocked step now."""
    await call.services.commands.retry(call.path["shop"], call.path["id"])
    return await _order(call)


async def skip(call: Call[Query]) -> web.StreamResponse:
    """Marks a blocked step as done by hand."""
    await call.services.commands.skip(call.path["shop"], call.path["id"], await read_reason(call))
    return await _order(call)


async def hold(call: Call[Query]) -> web.StreamResponse:
    """Stops an order before its next step."""
    await call.services.commands.hold(call.path["shop"], call.path["id"], await read_reason(call))
    return await _order(call)


async def release(call: Call[Query]) -> web.StreamResponse:
    """Ends a hold."""
    await call.services.commands.release(call.path["shop"], call.path["id"])
    return await _order(call)


async def cancel(call: Call[Query]) -> web.StreamResponse:
    """Drops an order's targets."""
    await call.services.commands.cancel(call.path["shop"], call.path["id"])
    return await _order(call)


async def refresh(call: Call[Query]) -> web.StreamResponse:
    """Reads an order from its platform."""
    await call.services.commands.refresh(call.path["shop"], call.path["id"])
    return await _order(call)


async def _order(call: Call[Query]) -> web.StreamResponse:
    return answer(await call.services.queries.order(call.path["shop"], call.path["id"]))
