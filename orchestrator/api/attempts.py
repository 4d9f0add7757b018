"""How many wrong tokens a form may bring: guessing by it is bounded, for all browsers of this process together.

A try that would be one too many is refused before the token is looked at, so guessing on learns nothing. Only wrong
ones are counted: who knows the token and mistyped it waits for a few seconds at most, unless somebody guesses all the
time. Then each try that is free again goes to whoever is the first to take it, and a person may get none as long as
that lasts. Calls that bring the token themselves are not bounded, nor is the command `fulfilld dashboard`: whoever
guesses must not be able to lock the ERP out, or who is at the machine.
"""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from orchestrator.clock import Clock

MOST_AT_ONCE: Final = 10
SECONDS_EACH: Final = 6.0
"""After ten wrong tokens one every six seconds."""


class LoginAttempts:
    """A bucket of wrong logins, refilled as time passes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left, self._at = float(MOST_AT_ONCE), clock.monotonic()

    @property
    def wait_seconds(self) -> int:
        """How long until another try is taken; 0: now."""
        self._refill()
        return 0 if self._left >= 1 else math.ceil((1 - self._left) * SECONDS_EACH)

    def failed(self) -> None:
        """A wrong token was brought."""
        self._refill()
        self._left -= 1

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._left = min(MOST_AT_ONCE, self._left + (now - self._at) / SECONDS_EACH)
        self._at = now


LOGIN_ATTEMPTS: Final = web.AppKey("login_attempts", LoginAttempts)
