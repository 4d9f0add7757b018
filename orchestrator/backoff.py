"""Waits that grow with each failure, and the chance in them. Pure: chance comes in as a number from 0 to 1.

What failed together must not be tried again together. Full jitter spreads tries best and may be at once; equal jitter
keeps at least half of the wait, for those who ask again what may need its time; a spread interval stays close to what
the config says and never exceeds it.
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 32  # beyond any wait, and no number overflows
_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Growing:
    """A wait that begins with `first` and doubles up to `longest`, both in the caller's unit."""

    first: float
    longest: float

    def after(self, failures: int) -> float:
        """How long to wait after so many failures in a row, the first of which is 1."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def full_jitter(wait: float, jitter: float) -> float:
    """Any part of a wait."""
    return wait * jitter


def equal_jitter(wait: float, jitter: float) -> float:
    """At least half of a wait."""
    return wait * (0.5 + jitter / 2)


def spread(interval: float, jitter: float) -> float:
    """An interval, up to a tenth shorter: what began in step does not stay so."""
    return interval * (1 - _SPREAD * jitter)
