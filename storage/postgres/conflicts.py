"""Groups that another transaction stood in the way of: counted, and said in the log now and then.

Daemons of this version do not deadlock with each other, for each has the feed before it locks a row (session.py). Those
of an older one do, and so may another program. Which group the server undoes is chance, and those that met must not
meet again, so whoever is undone rests for a while that is not the same for all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import structlog

log = structlog.get_logger()

Conflict: TypeAlias = Literal["deadlock", "lock_wait"]
"""`deadlock`: the server undid a group so that another one could go on. `lock_wait`: a group stood aside after it had
waited for a lock, and heartbeats went in between."""

_SAID_EVERY_SECONDS: Final = 60.0
_LONGEST_REST_SECONDS: Final = 0.05
_EVENTS: Final[Mapping[Conflict, tuple[str, str]]] = {
    "deadlock": ("store.deadlock", "none needed at once; run one version on all nodes, and look who else writes there"),
    "lock_wait": ("store.lock_wait", "none needed at once; look what holds locks (pg_stat_activity, pg_locks)"),
}
"""What the log calls it, and the remedy."""


class Conflicts:
    """Counted since the start. `where`: the URL that may be shown; `jitter` answers a number from 0 to 1."""

    def __init__(self, where: str, jitter: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._where, self._jitter, self._clock = where, jitter, clock
        self._counts: Counter[Conflict] = Counter()
        self._said: dict[Conflict, tuple[float, int]] = {}  # when, and how many there were

    @property
    def counts(self) -> Mapping[Conflict, int]:
        """How many there were."""
        return self._counts

    def note(self, conflict: Conflict, error: Exception) -> None:
        """One more; the log says the first at once, and then how many a minute."""
        self._counts[conflict] += 1
        now, (said_at, before) = self._clock(), self._said.get(conflict, (None, 0))
        if said_at is None or now - said_at >= _SAID_EVERY_SECONDS:
            count = self._counts[conflict]
            self._said[conflict] = now, count
            detail, (event, remedy) = " ".join(str(error).split()), _EVENTS[conflict]
            log.warning(event, store=self._where, times=count - before, detail=detail, remedy=remedy)

    def rest_seconds(self, tries: int) -> float:
        """How long to rest before a group is run again that was undone so often."""
        return self._jitter() * _LONGEST_REST_SECONDS * tries
