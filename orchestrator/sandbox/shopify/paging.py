"""Pages of a simulated Shopify's nested lists: connections are cut by `first` and `after`, plain lists by `first`.

A cursor names the last node that was shown, not its place, so nodes that come or go before it move no page.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any

MOST_NODES = 250
"""What `first` may be at most (shopify.dev: pagination)."""


class BadPage(ValueError):
    """The arguments of a list are invalid; the message is the answer's."""


def connection(nodes: list[tuple[int, Json]]) -> dict[str, Json]:
    """A connection with all of its nodes, identified by the ids that cursors name."""
    keys = [key for key, _ in nodes]
    return {"nodes": [node for _, node in nodes], "pageInfo": {"hasNextPage": False, "endCursor": None}, "keys": keys}


def page_of(value: Json, arguments: Mapping[str, Json], most_nodes: int) -> Json:
    """What the arguments ask of a list; anything else as it is. `most_nodes`: of one page, whatever was asked for.

    Raises BadPage.
    """
    first = arguments.get("first")
    if isinstance(value, list):
        return value if first is None else value[:first]
    if not isinstance(value, dict) or "keys" not in value:
        return value
    if not isinstance(first, int) or not 0 < first <= MOST_NODES:
        raise BadPage(f"you must provide first, from 1 to {MOST_NODES}")
    rows = list(zip(value["keys"], value["nodes"], strict=True))
    if (after := arguments.get("after")) is not None:
        if (last := _last(after)) not in value["keys"]:
            raise BadPage("Invalid cursor for current pagination sort.")
        rows = rows[value["keys"].index(last) + 1 :]
    page = rows[: min(first, most_nodes)]
    end = _cursor(page[-1][0]) if page else None
    return {"nodes": [node for _, node in page], "pageInfo": {"hasNextPage": len(page) < len(rows), "endCursor": end}}


def _cursor(key: int) -> str:
    return base64.b64encode(json.dumps({"last_id": key}).encode()).decode()


def _last(cursor: str) -> int | None:
    try:
        decoded = json.loads(base64.b64decode(cursor))
    except ValueError:
        return None
    return decoded.get("last_id") if isinstance(decoded, dict) else None
