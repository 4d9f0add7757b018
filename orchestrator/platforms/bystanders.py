"""Refusals that are not the platform's own: pages of a firewall, a proxy or a gateway that stand in front of it.

A firewall that blocks one order's tracking link says 403, and a gateway that finds no route says 404. Neither knows
anything of the shop's access or of the order. So what refuses a call about one order in another form than the
platform's own is held against a list: where that is refused as well, the shop has lost its access; where it is served,
the refusal is this order's alone. That an order is gone only the platform itself can say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from orchestrator.platforms.failures import AccessDenied, NotSent, PlatformFailure, Rejected, Transient
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.json_text import read_object

_STATUSES = frozenset({401, 402, 403, 404, 410, 423})
"""What says, from the platform, that the shop may not or that there is no such order."""

IsOwn = Callable[[bytes], bool]


def is_own(body: bytes) -> bool:
    """Whether a refusal has the form of the platforms' JSON errors, an object; a page, text or nothing has not."""
    return read_object(body) is not None


async def about_order(
    send: Awaitable[Answer],
    ask_list: Callable[[], Awaitable[object]],
    caller: Caller,
    *,
    is_effect: bool,
    is_own: IsOwn = is_own,
) -> Answer:
    """The answer to a call about one order. `ask_list` asks for a list and acquires a permit before. `is_own`
    recognises the platform's own refusals.

    Raises what `send` does. A refusal that is not the platform's own: AccessDenied where the list is refused,
    Transient where it cannot be had, and where it is served Rejected (an effect) or a refused read.
    """
    answer: Answer | None = None
    denied: AccessDenied | None = None
    try:
        answer = await send
    except AccessDenied as failure:
        denied = failure
    if denied is not None and not denied.is_page:
        raise denied
    if answer is not None and (answer.status not in _STATUSES or is_own(answer.body)):
        return answer
    words = denied.detail if denied is not None else caller.words(answer) if answer is not None else ""
    raise await _meant(words, ask_list, is_effect=is_effect)


async def _meant(words: str, ask_list: Callable[[], Awaitable[object]], *, is_effect: bool) -> PlatformFailure:
    try:
        await ask_list()
    except (AccessDenied, NotSent) as failure:
        return failure
    except PlatformFailure as failure:
        return Transient(words, retry_after_seconds=getattr(failure, "retry_after_seconds", None))
    return Rejected(words) if is_effect else Transient(words, is_refused_read=True)
