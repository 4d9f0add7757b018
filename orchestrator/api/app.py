"""The application: the table of routes on an aiohttp router, behind the one middleware."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from orchestrator.api.access import check_access
from orchestrator.api.answers import mark
from orchestrator.api.attempts import LOGIN_ATTEMPTS, LoginAttempts
from orchestrator.api.call import begin
from orchestrator.api.middleware import supervised
from orchestrator.api.reading import refuse_body
from orchestrator.api.route import Route
from orchestrator.api.routes import ROUTES
from orchestrator.api.services import SERVICES, Services
from orchestrator.api.session import SESSIONS, Sessions
from orchestrator.clock import Clock
from orchestrator.metrics import Metrics
from orchestrator.operations.feed import Feed
from orchestrator.operations.ports import Commands, NodeFacts
from orchestrator.operations.queries import Queries

LARGEST_BODY_BYTES: Final = 1024 * 1024


def build_app(
    queries: Queries,
    commands: Commands,
    node: NodeFacts,
    feed: Feed,
    metrics: Metrics,
    clock: Clock,
    sessions: Sessions | None = None,
) -> web.Application:
    """The API as an application; `server.serving` puts it on its socket. `sessions`: of browsers, None for those in
    memory alone."""
    app = web.Application(middlewares=[supervised(check_access)], client_max_size=LARGEST_BODY_BYTES)
    app[SERVICES] = Services(queries, commands, node, feed, metrics, clock)
    app[SESSIONS] = sessions or Sessions(clock)
    app[LOGIN_ATTEMPTS] = LoginAttempts(clock)
    for route in ROUTES:
        # any segment will do: an id may have braces, which aiohttp's own pattern does not take
        path = re.sub(r"{(\w+)}", r"{\1:[^/]+}", route.path)
        endpoint = endpoint_of(route)
        app.router.add_route(route.method, path, endpoint, expect_handler=_expect)
        if route.method == "GET":
            app.router.add_route("HEAD", path, endpoint, expect_handler=_expect)
    app.on_response_prepare.append(mark_answer)
    app.on_shutdown.append(_end_streams)
    return app


def endpoint_of(route: Route) -> Handler:
    """A route's handler as aiohttp calls it."""

    async def endpoint(request: web.Request) -> web.StreamResponse:
        call = await begin(request, route.query, is_change=route.is_change)
        if route.takes_nothing:
            await refuse_body(request)
        return await route.handler(call)

    return endpoint


async def _expect(request: web.Request) -> None:
    """A client that asks first may send its body; whatever else it expects it will not get, and need not fail for."""
    if request.headers.get("Expect", "").casefold() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def mark_answer(_request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`."""
    mark(response)


async def _end_streams(app: web.Application) -> None:
    """Streams and long polls would hold a shutdown up for as long as it lets them."""
    app[SERVICES].feed.close()
