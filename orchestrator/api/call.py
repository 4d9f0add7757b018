"""One call: the request with what was checked of it, and the road from aiohttp to a handler."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web

from orchestrator.api.problems import Invalid
from orchestrator.api.reading import shown
from orchestrator.api.schema.fields import CONSUMER_NAME, CURSOR, IDEMPOTENCY_KEY, KEY_MEANING, LONGEST_ID, PLAIN
from orchestrator.api.schema.queries import Query, read_query
from orchestrator.api.services import SERVICES, Services
from orchestrator.api.validation import has_broken_escapes
from orchestrator.decisions.refusals import Refused, no_shop

Q_co = TypeVar("Q_co", bound=Query, covariant=True)

_PATTERNS = {"id": PLAIN, "target": PLAIN, "job": PLAIN, "name": CONSUMER_NAME}
"""Path parameters with a required form; others are not found."""


_MEANINGS = {IDEMPOTENCY_KEY: f"must be {KEY_MEANING}", CURSOR: "must be a cursor: a whole number from 0"}
"""What the patterns of headers mean to people."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Q_co]):
    """What a handler gets. `path` are the decoded path parameters; a `shop` among them is a configured one, or one that
    has left the config."""

    request: web.Request
    services: Services
    path: Mapping[str, str]
    query: Q_co


Handler = Callable[[Call[Any]], Awaitable[web.StreamResponse]]


async def begin(request: web.Request, query: type[Query], *, is_change: bool) -> Call[Any]:
    """Checks what all calls have in common, an unknown shop before anything else. One that has left the config is
    known: it may be read, and the targets of its orders cancelled.

    Raises Refused (`shop-not-found`, `draining`), Invalid (`invalid-request`).
    """
    services = request.app[SERVICES]
    path = dict(request.match_info)
    shop = path.get("shop")
    if shop is not None and shop not in services.node.shops() and not await services.queries.has_left(shop):
        raise no_shop(shown(shop), services.node.shops())
    if is_change and services.node.is_draining:
        raise Refused("draining", "the daemon is shutting down; try again when it is back")
    _check_path(request, path)
    return Call(request, services, path, read_query(request, query))


def _check_path(request: web.Request, path: Mapping[str, str]) -> None:
    if has_broken_escapes(request.rel_url.raw_path):
        raise Invalid("invalid-request", [{"path": "path", "message": "has percent signs that encode no UTF-8"}])
    for name, pattern in _PATTERNS.items():
        value = path.get(name)
        if value is not None and (len(value) > LONGEST_ID or re.fullmatch(pattern, value) is None):
            message = f"must be 1 to {LONGEST_ID} characters without control characters"
            if name == "name":
                message = "must be 1 to 64 letters, digits, dots, underscores or hyphens and begin with no mark"
            raise Invalid("invalid-request", [{"path": name, "message": message}])


def header(request: web.Request, name: str, pattern: str) -> str | None:
    """A header's value, None when it is not there. Raises Invalid unless it matches `pattern`."""
    value = request.headers.get(name)
    if value is not None and re.fullmatch(pattern, value) is None:
        raise Invalid("invalid-request", [{"path": name, "message": _MEANINGS[pattern]}])
    return value
