"""Every request passes here: who asks is checked, whatever is raised becomes a problem, the answer is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from orchestrator.api.origin import check_origin
from orchestrator.api.problems import Problem, problem_of
from orchestrator.api.reading import check_encoding
from orchestrator.api.services import SERVICES

_UNMATCHED = "unmatched"


def supervised(check_access: Callable[[web.Request], Awaitable[None]]) -> Middleware:
    """The one middleware of an application. `check_access` raises ApiError for a call that may not be answered."""

    @web.middleware
    async def supervise(request: web.Request, handler: Handler) -> web.StreamResponse:
        services = request.app[SERVICES]
        began = services.clock.monotonic()
        response: web.StreamResponse
        try:
            check_origin(request)  # first: no foreign page may have the browser ask a person for the token
            await check_access(request)
            check_encoding(request)
            response = await handler(request)
        except ConnectionError:  # the client went away while it sent its body: nobody reads this, but metrics count it
            response = Problem("malformed-request", "the connection was lost").response()
        except Exception as error:  # noqa: BLE001 - supervised: one request's fault is not the others'
            response = problem_of(error).response()
        services.metrics.api_finished(
            request.method, _route_of(request), response.status, services.clock.monotonic() - began
        )
        return response

    return supervise


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return _UNMATCHED if resource is None else resource.canonical
