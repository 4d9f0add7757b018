"""Calls about the daemon itself: alive, ready, status, metrics, dump, dashboard."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
from aiohttp import web

from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE, answer, json_answer, stream
from orchestrator.api.call import Call
from orchestrator.api.problems import unavailable
from orchestrator.api.schema.queries import DumpQuery, HistoryQuery, Query
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import Health, Ready
from orchestrator.operations.writing import with_texts

_PROBE_SECONDS = 5.0


async def health(call: Call[Query]) -> web.StreamResponse:
    """Alive: the event loop answers."""
    del call
    return answer(Health(status="ok"))


async def ready(call: Call[Query]) -> web.StreamResponse:
    """Start-up is done and the storage takes writes."""
    if call.services.node.is_draining:
        raise Refused("draining", "the daemon is shutting down")
    if not call.services.node.is_ready:
        return unavailable("start-up is not done yet").response()
    with anyio.move_on_after(_PROBE_SECONDS):
        await call.services.queries.probe_storage()
        return answer(Ready(status="ready"))
    return unavailable(f"the storage did not take a write within {_PROBE_SECONDS:.0f} s").response()


async def status(call: Call[Query]) -> web.StreamResponse:
    """The status dump."""
    return json_answer(await call.services.queries.status_text())


async def history(call: Call[HistoryQuery]) -> web.StreamResponse:
    """What was done over time."""
    query = call.query
    return answer(await call.services.queries.history(query.shop, query.step, query.since, query.until))


async def metrics(call: Call[Query]) -> web.StreamResponse:
    """For Prometheus."""
    metrics = call.services.metrics
    status = await call.services.queries.status()
    # many shops have thousands of series, which take longer than the event loop should be kept
    body = await anyio.to_thread.run_sync(metrics.render, status)
    return web.Response(body=body, headers={"Content-Type": metrics.content_type})


async def dump(call: Call[DumpQuery]) -> web.StreamResponse:
    """Everything, one JSON object a line."""
    return await stream(call.request, NDJSON_TYPE, _lines(call))


async def openapi(call: Call[Query]) -> web.StreamResponse:
    """What the API offers, as OpenAPI 3.1."""
    del call
    from orchestrator.api.openapi import openapi_text  # it describes the table of routes, which has this one

    # the first time it is made, which takes longer than the event loop should be kept
    return web.Response(body=await anyio.to_thread.run_sync(openapi_text), content_type=JSON_TYPE)


async def show_dashboard(call: Call[Query]) -> web.StreamResponse:
    """The dashboard."""
    from orchestrator.api.dashboard import dashboard

    return await dashboard(call.request)


async def _lines(call: Call[DumpQuery]) -> AsyncGenerator[bytes, None]:
    async for line, included in call.services.queries.dump(call.query.include):
        yield with_texts(line, included) + b"\n"
