"""Permits of a client's calls: the runtime acquired one for an operation's first call; each further call needs its own.

The runtime acquires the shop's permit before it asks a client for anything (`client.Throttle`), so an operation that
makes one call makes it at once. Which call is the first depends on the request and on what is known already, so
nobody counts: an operation of a client carries a permit that its first call uses up.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar


class _Permit:
    __slots__ = ("is_used",)

    def __init__(self) -> None:
        self.is_used = False


_permit: ContextVar[_Permit | None] = ContextVar("_permit", default=None)

C = TypeVar("C")


def with_permits(kind: type[C]) -> type[C]:
    """Decorates a client class: each public coroutine method is an operation, also one that calls another."""
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(kind, name, _operation(method))
    return kind


def use_permit() -> bool:
    """Uses up the permit of the operation under way, for a call that leaves. False: it has none any more, or there is
    no operation, and the call has to wait for one (`client.Throttle`)."""
    permit = _permit.get()
    if permit is None or permit.is_used:
        return False
    permit.is_used = True
    return True


def _operation(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def operation(client: object, *args: Any, **named: Any) -> Any:
        if _permit.get() is not None:
            return await method(client, *args, **named)
        known = _permit.set(_Permit())
        try:
            return await method(client, *args, **named)
        finally:
            _permit.reset(known)

    return operation
