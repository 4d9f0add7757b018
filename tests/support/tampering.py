"""What simulated platforms answer, changed on its way into our clients: orders as no simulated platform writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.platforms.http import Answer, Caller

Path = tuple[str | int, ...]

_PLACE = "@@%d@@"
_ORDER_MARKS = ("delivery_state", "order_lines", "modified_date", "StatusId", "displayFulfillmentStatus")
"""Members by which an order is distinguished from everything else that has an id, in lists and alone."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A member of an order, and the bytes that stand there instead. The order keeps its other members."""

    path: Path
    raw: bytes


def id_of(order: dict[str, Any]) -> str:
    """An order's id as we call it."""
    return str(order.get("id", order.get("Id"))).removeprefix("gid://shopify/Order/")


def orders_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every order of an answer, wherever it stands."""
    if isinstance(value, dict):
        if any(mark in value for mark in _ORDER_MARKS):
            yield value
            return
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from orders_in(each)


def spoil(body: bytes, spoilt: Mapping[str, Sequence[Spoilt]]) -> bytes:
    """An answer with the orders of these ids spoilt."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    raws: list[bytes] = []
    for order in orders_in(answer):
        for each in spoilt.get(id_of(order), ()):
            _put(order, each.path, _PLACE % len(raws))
            raws.append(each.raw)
    text = json.dumps(answer).encode()
    return re.sub(rb'"@@(\d+)@@"', lambda found: raws[int(found[1])], text)


def _put(order: Any, path: Path, value: Any) -> None:
    *way, last = path
    for name in way:
        try:
            order = order[name]
        except (LookupError, TypeError):
            return
    if isinstance(order, dict) and last in order:
        order[last] = value
    elif isinstance(order, list) and len(order) > int(last):
        order[int(last)] = value


def tamper(monkeypatch: pytest.MonkeyPatch, edit: Callable[[bytes], bytes]) -> None:
    """From now on every answer is edited before a client reads it."""
    call = Caller.call

    async def tampered(self: Caller, *args: Any, **kwargs: Any) -> Answer:
        answer = await call(self, *args, **kwargs)
        return Answer(answer.status, edit(answer.body), answer.headers)

    monkeypatch.setattr(Caller, "call", tampered)
