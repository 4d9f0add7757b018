"""What leaves a platform client holds none of its secrets, whoever made the words and whatever is kept of an answer.

Most words come from `Caller.words` and are clean. But messages of a platform also stand in the bodies of good answers,
and what cannot be read is kept byte for byte, up to a size. So there is one door more, at which nobody can forget to
ask.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

import anyio.to_thread

from orchestrator.masking import Mask
from orchestrator.platforms.client import Finding, Page
from orchestrator.platforms.failures import Garbled, PlatformFailure, Transient, Unreadable
from orchestrator.platforms.http import Caller

_LARGE_BYTES = 64 * 1024  # to be searched in a thread
_MOST_BYTES = 1024 * 1024  # of what cannot be read, kept for people; in escapes to its end it takes seconds to search
_MAY_SAY = (Page, list)  # of results: of findings


class _Client(Protocol):
    _caller: Caller


C = TypeVar("C")


def discreet(kind: type[C]) -> type[C]:
    """Decorates a client class: its `_caller` says what must not show in failures, findings and unreadable rows."""
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(kind, name, _guarded(method))
    return kind


def _guarded(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def guarded(client: _Client, *args: Any, **named: Any) -> Any:
        try:
            result = await method(client, *args, **named)
        except PlatformFailure as failure:
            await _veil(failure, client._caller.mask)  # noqa: SLF001 - the decorated class's own
            raise
        return await _veiled(result, client._caller.mask) if isinstance(result, _MAY_SAY) else result  # noqa: SLF001

    return guarded


async def _veil(failure: PlatformFailure, mask: Mask) -> None:
    """In place, so that its traceback stays."""
    failure.detail = mask.apply(failure.detail)
    failure.args = (failure.detail,)
    if isinstance(failure, Transient) and (wait := failure.wait) is not None:
        failure.wait = replace(wait, detail=mask.apply(wait.detail))
    if isinstance(failure, Unreadable | Garbled):
        failure.payload = await _without_secrets(failure.payload, mask)


async def _veiled(result: Any, mask: Mask) -> Any:
    match result:
        case Page(unreadable=rows):
            clean = [
                replace(row, error=mask.apply(row.error), payload=await _without_secrets(row.payload, mask))
                for row in rows
            ]
            flaw, cursor = (None if text is None else mask.apply(text) for text in (result.flaw, result.cursor))
            return replace(result, unreadable=tuple(clean), flaw=flaw, cursor=cursor)
        case [Finding(), *_]:
            findings = cast("list[Finding]", result)
            return [replace(finding, detail=mask.apply(finding.detail)) for finding in findings]
        case _:
            return result


async def _without_secrets(raw: bytes, mask: Mask) -> bytes:
    raw = raw[:_MOST_BYTES]
    if len(raw) < _LARGE_BYTES:
        return mask.apply_bytes(raw)
    return await anyio.to_thread.run_sync(mask.apply_bytes, raw)
