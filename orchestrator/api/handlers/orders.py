"""Calls about orders."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.answers import answer, json_answer
from orchestrator.api.call import Call, header
from orchestrator.api.handlers.shops import read_reason
from orchestrator.api.schema.fields import IDEMPOTENCY_KEY, page_token
from orchestrator.api.schema.queries import CausesQuery, OrderQuery, OrdersQuery, Query
from orchestrator.operations.order_pages import OrderQuery as Wanted
from orchestrator.operations.writing import to_json, with_texts


async def list_orders(call: Call[OrdersQuery]) -> web.StreamResponse:
    """Orders by filter, a page at a time."""
    query = call.query
    wanted = Wanted(**query.model_dump(exclude={"after", "limit"}))
    orders, following = await call.services.queries.orders(wanted, query.after, query.limit)
    return json_answer(b'{"orders":[%b],"next":%b}' % (b",".join(orders), to_json(page_token(following))))


async def list_causes(call: Call[CausesQuery]) -> web.StreamResponse:
    """Why orders wait for a person."""
    return answer(await call.services.queries.causes(call.query.shop, call.query.limit))


async def read_order(call: Call[OrderQuery]) -> web.StreamResponse:
    """One order, with its payload, content and timeline if asked for."""
    view, included = await call.services.queries.order(call.path["shop"], call.path["id"], call.query.include)
    return json_answer(with_texts(view, included))


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


async def announce(call: Call[Query]) -> web.StreamResponse:
    """Announces an order once more."""
    key = header(call.request, "Idempotency-Key", IDEMPOTENCY_KEY)
    await call.services.commands.announce(call.path["shop"], call.path["id"], key=key)
    return await _order(call)


async def _order(call: Call[Query]) -> web.StreamResponse:
    view, _ = await call.services.queries.order(call.path["shop"], call.path["id"])
    return answer(view)
