"""Calls to a daemon's socket, each answer held against what the API promises of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from tests.chaos.world import World
from tests.support.process import Unreachable

_TYPES_OF_503 = {"platform-unreachable", "draining", "overloaded"}


class Answer(NamedTuple):
    """Status and JSON."""

    status: int
    body: Any


async def call(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    seconds: int = 20,
) -> Answer:
    """One call, at any node. Raises Unreachable when no whole answer came; a 5xx that is not promised is a finding."""
    connector = aiohttp.UnixConnector(str(world.any_node().socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.request(method, f"http://localhost{path}", json=body, headers=headers) as response,
        ):
            body = await response.json(content_type=None)
            _check(world, f"{method} {path}", response, body)
            return Answer(response.status, body)
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable from error


def _check(world: World, request: str, response: aiohttp.ClientResponse, body: Any) -> None:
    world.did[f"answers {response.status}"] += 1
    if response.status < 500:
        return
    is_promised = response.status == 503 and "Retry-After" in response.headers and body.get("type") in _TYPES_OF_503
    if not is_promised:
        world.broken("no answer is an undocumented 5xx", f"{request}: {response.status} {body}")
