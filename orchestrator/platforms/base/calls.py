"""Calls of a platform that is asked for JSON: how they are sent, what their bodies are, what their refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from yarl import URL

from orchestrator.platforms.bystanders import IsOwn
from orchestrator.platforms.failures import NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.platforms.http import Answer
from orchestrator.platforms.json_text import write_value
from statemachines.target import Json


class Send(Protocol):
    """Sends a call (`RestClient`)."""

    async def __call__(self, method: str, url: URL, body: bytes | None = None) -> Answer:
        """The answer, whatever it is. Raises as `Caller.call`."""
        ...


class AboutOrder(Protocol):
    """Sends a call about one order (`RestClient`)."""

    async def __call__(
        self, method: str, url: URL, body: bytes | None = None, *, headers: Mapping[str, str] | None, is_own: IsOwn
    ) -> Answer:
        """The answer, whatever it is. Raises as `bystanders.about_order`."""
        ...


def by_status(
    answer: Answer, words: str, *, is_effect: bool, out_of_sequence: frozenset[int] = frozenset({409, 412})
) -> PlatformFailure:
    """What an answer of 400 and more to a call about one order means, where its status alone decides.

    A read that is refused refuses no step. `out_of_sequence`: what says that the order is elsewhere than we think.
    """
    if answer.status in (404, 410):
        return NotFound(words)
    if not is_effect:
        return Transient(words, is_refused_read=True)
    return OutOfSequence(words) if answer.status in out_of_sequence else Rejected(words)


def json_body(data: Json) -> bytes:
    """A body as JSON, decimals in their own digits. Raises Rejected for an invalid one: it comes from a target."""
    try:
        return write_value(data).encode()
    except ValueError as error:
        raise Rejected(f"the target's data is not JSON: {error}") from error
