"""How a simulated platform counts requests: so many in any minute, with the headers of Laravel's throttle.

Laravel sends `X-RateLimit-Limit` and `-Remaining` with every answer, `Retry-After`
and `X-RateLimit-Reset` (Unix seconds) with a 429 alone, and does not count what it refuses. Its minute begins with the
first request of it; here any minute counts, which is stricter: who keeps to this keeps to both.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

from orchestrator.clock import Clock
from orchestrator.sandbox.platform import Operation, Reply

RAISED = 1_000_000
"""Requests in a minute of an account whose limit does not matter: demos and benchmarks are about other things."""
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request's place in its minute: `remaining` after it, `wait_seconds` where there was none for it."""

    remaining: int
    wait_seconds: float | None = None


class Throttle:
    """Counts the requests of one account. `calls_per_minute` may be changed at any time."""

    def __init__(self, clock: Clock, calls_per_minute: int) -> None:
        self.calls_per_minute = calls_per_minute
        self._clock = clock
        self._arrived: deque[float] = deque()

    def arrive(self) -> Arrival:
        """A request came in."""
        now = self._clock.monotonic()
        while self._arrived and self._arrived[0] <= now - _SECONDS:
            self._arrived.popleft()
        over = len(self._arrived) - self.calls_per_minute
        if over >= 0:
            return Arrival(0, self._arrived[over] + _SECONDS - now if self._arrived else _SECONDS)
        self._arrived.append(now)
        return Arrival(self.calls_per_minute - len(self._arrived))

    def counted(self, operation: Operation) -> Operation:
        """The operation of a request that came in: its answer says what is left, or it is one too many."""
        arrival = self.arrive()
        if arrival.wait_seconds is not None:
            return replace(operation, act=lambda: self.refusal(arrival))
        return replace(operation, act=lambda: _with(operation.act(), self.headers(arrival)))

    def headers(self, arrival: Arrival) -> dict[str, str]:
        """What every answer says of it."""
        headers = {"X-RateLimit-Limit": str(self.calls_per_minute), "X-RateLimit-Remaining": str(arrival.remaining)}
        if arrival.wait_seconds is not None:
            wait = math.ceil(arrival.wait_seconds)
            headers |= {"Retry-After": str(wait), "X-RateLimit-Reset": str(self._clock.now_ms() // 1000 + wait)}
        return headers

    def refusal(self, arrival: Arrival) -> Reply:
        """The answer to a request too many, or to any while a fault asks the shop to wait."""
        return Reply(429, b'{"message":"Too Many Attempts."}', headers=self.headers(arrival))


def _with(reply: Reply, headers: dict[str, str]) -> Reply:
    """A reply with further headers; its own are kept as they are, also those that come more than once."""
    return replace(reply, headers={**headers, **reply.headers})
