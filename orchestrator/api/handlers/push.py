"""Calls about what is pushed: products that webhooks brought, receivers of events."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.answers import JSON_TYPE, answer
from orchestrator.api.call import Call
from orchestrator.api.schema.fields import page_token
from orchestrator.api.schema.queries import ProductsQuery, Query
from orchestrator.operations.views import payload_text, product_view
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
