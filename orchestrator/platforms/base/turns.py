"""The turns of a client's calls: the first of an operation has its turn, each further one waits for its own.

The runtime waits for the shop's rate limit before it asks a client for anything (`client.Throttle`), so an operation
that makes one call makes it at once. Which call is the first depends on what was asked for and on what is known
already. So nobody counts: an operation of a client carries a `Turn`, which every call of it takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from orchestrator.platforms.client import Throttle


class _Turn:
    __slots__ = ("is_taken",)

    def __init__(self) -> None:
        self.is_taken = False


_turn: ContextVar[_Turn | None] = ContextVar("_turn", default=None)

C = TypeVar("C")


def by_turns(kind: type[C]) -> type[C]:
    """Decorates a client class: each public coroutine method is an operation, also one that calls another."""
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(kind, name, _operation(method))
    return kind


async def take_turn(throttle: Throttle) -> None:
    """Waits until the next call of the operation may leave; outside of operations each call waits."""
    turn = _turn.get()
    if turn is None or turn.is_taken:
        await throttle()
    if turn is not None:
        turn.is_taken = True


def _operation(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def operation(client: object, *args: Any, **named: Any) -> Any:
        if _turn.get() is not None:
            return await method(client, *args, **named)
        known = _turn.set(_Turn())
        try:
            return await method(client, *args, **named)
        finally:
            _turn.reset(known)

    return operation
