"""Named crash points: tests make the daemon kill itself at an exact place and prove that nothing is lost or repeated.

`FULFILLD_CRASH=after_call:3` kills the process (SIGKILL, no cleanup) the third time it comes by. Unset in production,
where a point costs one comparison.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping

POINTS = (
    "after_import",  # an order was imported
    "after_submit",  # a target is durable, its answer not sent
    "after_intent",  # an intent is durable, its call not sent
    "after_call",  # the platform answered, the outcome is not durable
    "after_outcome",  # the outcome (and mostly the next intent) is durable
    "after_read",  # a read was answered, nothing of it is durable
    "after_webhook",  # a webhook is durable, its answer not sent
    "after_sync",  # a page was adopted, the position is not durable
    "before_token",  # there is room on disk for access tokens, they are not asked for
    "after_token",  # access tokens were answered, nothing of them is on disk
    "after_token_written",  # they are on disk, not in the place of the old ones
    "after_token_kept",  # they are in the place of the old ones, no call carries them
)


class CrashPointError(ValueError):
    """FULFILLD_CRASH names no crash point."""


class CrashPoints:
    """Counts down to the armed point. `hit` returns, or the process is gone."""

    __slots__ = ("_left", "_point")

    def __init__(self, spec: str | None = None) -> None:
        point, _, count = (spec or "").partition(":")
        if point and (point not in POINTS or not re.fullmatch(r"([1-9][0-9]*)?", count)):
            raise CrashPointError(f"FULFILLD_CRASH={spec!r} is no crash point; known are {', '.join(POINTS)}")
        self._point = point
        self._left = int(count or 1)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> CrashPoints:
        """As armed by `FULFILLD_CRASH`. Raises CrashPointError for a name that does not exist."""
        return cls(environ.get("FULFILLD_CRASH"))

    def hit(self, point: str) -> None:
        """Kills the process when this is the armed point and its count is up."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
