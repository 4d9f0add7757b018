"""Calls about targets: submit, show, cancel."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.access import admit
from orchestrator.api.answers import answer
from orchestrator.api.call import Call, header
from orchestrator.api.platform_data import with_platform_data
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.bodies import TargetBody
from orchestrator.api.schema.fields import IDEMPOTENCY_KEY
from orchestrator.api.schema.queries import Query, SubmitQuery, WaitQuery
from orchestrator.operations.queries.targets import is_settled
from orchestrator.operations.views.orders import plan_view


async def submit_target(call: Call[SubmitQuery]) -> web.StreamResponse:
    """Accepts a target; it is on disk before this answers."""
    services, shop, order = call.services, call.path["shop"], call.path["id"]
    key = header(call.request, "Idempotency-Key", IDEMPOTENCY_KEY)
    body = await read_json(call.request, "invalid-target")
    request = with_platform_data(services, shop, checked(TargetBody, body, "invalid-target").to_request())
    if call.query.dry_run:
        return answer(plan_view(await services.commands.preview(shop, order, request, key=key)))
    target = await services.commands.submit(shop, order, request, key=key)
    if call.query.wait and not is_settled(target):
        target = await services.queries.target(target.id, call.query.wait)
    has_waited_enough = call.query.wait > 0 and is_settled(target)
    return answer(await services.queries.shown(target), 200 if has_waited_enough else 202)


async def read_target(call: Call[WaitQuery]) -> web.StreamResponse:
    """One target."""
    queries = call.services.queries
    target = await queries.target(call.path["target"], call.query.wait)
    admit(call.request)  # a session may have ended while it was waited for
    return answer(await queries.shown(target))


async def cancel_target(call: Call[Query]) -> web.StreamResponse:
    """Cancels what has not been done of a target."""
    target = await call.services.commands.cancel_target(call.path["target"])
    return answer(await call.services.queries.shown(target))
