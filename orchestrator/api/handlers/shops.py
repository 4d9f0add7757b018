"""Calls about shops, and about payloads of theirs that could not be read."""

from __future__ import annotations

import re

from aiohttp import web

from orchestrator.api.answers import answer
from orchestrator.api.call import Call
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.bodies import ReasonBody
from orchestrator.api.schema.fields import page_token
from orchestrator.api.schema.queries import Query, RejectedQuery, SyncQuery
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import RejectedPage, ShopList, SyncStarted
from orchestrator.operations.views.shops import sync_view


async def list_shops(call: Call[Query]) -> web.StreamResponse:
    """Every configured shop."""
    return answer(ShopList(shops=await call.services.queries.shops()))


async def read_shop(call: Call[Query]) -> web.StreamResponse:
    """One shop."""
    return answer(await call.services.queries.shop(call.path["shop"]))


async def pause_shop(call: Call[Query]) -> web.StreamResponse:
    """Stops a shop's steps and syncs."""
    await call.services.commands.pause(call.path["shop"], await read_reason(call))
    return await read_shop(call)


async def resume_shop(call: Call[Query]) -> web.StreamResponse:
    """Ends a shop's pause."""
    await call.services.commands.resume(call.path["shop"])
    return await read_shop(call)


async def sync_shop(call: Call[SyncQuery]) -> web.StreamResponse:
    """Syncs a shop now."""
    shop = call.path["shop"]
    report = await call.services.commands.sync(shop, call.query.wait)
    return answer(SyncStarted(shop=shop), 202) if report is None else answer(sync_view(shop, report))


async def read_reason(call: Call[Query]) -> str | None:
    """The reason in an optional body."""
    body = await read_json(call.request)
    return None if body is None else checked(ReasonBody, body, "invalid-request").reason


async def list_rejected(call: Call[RejectedQuery]) -> web.StreamResponse:
    """Payloads that could not be read."""
    query = call.query
    found, following = await call.services.queries.rejected(query.shop, query.after, query.limit)
    return answer(RejectedPage(rejected=found, next=page_token(following)))


async def retry_rejected(call: Call[Query]) -> web.StreamResponse:
    """Reads a payload's order again."""
    given = call.path["id"]
    if re.fullmatch(r"[0-9]{1,18}", given, re.ASCII) is None:
        raise Refused("rejected-not-found", f"there is no rejected payload {given}")
    order = await call.services.commands.retry_rejected(int(given))
    view, _ = await call.services.queries.order(order.shop, order.id)
    return answer(view)
