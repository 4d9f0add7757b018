"""Time and chance, passed in everywhere so that tests decide both."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

_LATEST_MS = 253_402_300_799_999  # the end of the year 9999: later instants have no RFC 3339 form


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Uptime(NamedTuple):
    """Which start of the machine this is, and the milliseconds since then, those in which it slept included."""

    boot: str
    ms: int


def _uptime() -> Uptime | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return Uptime(boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)
    except (OSError, AttributeError):  # no Linux
        return None


def _monotonic() -> float:
    """Linux's own monotonic clock, and Python's on macOS, stand still while the machine sleeps."""
    return time.clock_gettime(_AWAKE_OR_NOT)


_AWAKE_OR_NOT: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`now_ms` is Unix time in milliseconds (what is stored), `monotonic` seconds for durations (what is measured,
    those in which the machine sleeps included: what ends meanwhile for other machines has ended),
    `uptime` measures from one run of the daemon to the next (None where the system does not say)."""

    now_ms: Callable[[], int] = _now_ms
    monotonic: Callable[[], float] = _monotonic
    uptime: Callable[[], Uptime | None] = _uptime


@dataclass(frozen=True, slots=True)
class Chance:
    """Randomness: jitter and ids."""

    rng: random.Random = field(default_factory=random.SystemRandom)

    def jitter(self) -> float:
        """A number from 0 to 1, evenly."""
        return self.rng.random()

    def feed_id(self) -> str:
        """A new id of a feed; opaque."""
        return f"{self.rng.getrandbits(64):016x}"

    def target_id(self, now_ms: int) -> str:
        """A new target id: UUIDv7 (RFC 9562), so ids sort by time."""
        return self.target_ids(now_ms, 1)[0]

    def target_ids(self, now_ms: int, count: int) -> list[str]:
        """As many of them: the system is asked for randomness once."""
        random_bits = self.rng.getrandbits(80 * count)
        return [_uuid7(now_ms, random_bits >> 80 * n & (2**80 - 1)) for n in range(count)]


def _uuid7(now_ms: int, random_bits: int) -> str:
    value = (now_ms & (2**48 - 1)) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


def rfc3339(ms: int) -> str:
    """Milliseconds as RFC 3339 UTC with `Z` (docs/api.md)."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    """The instants of a page lie close together: most are written once."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def optional_rfc3339(ms: int | None) -> str | None:
    """As `rfc3339`; None stays None."""
    return None if ms is None else rfc3339(ms)


def far_rfc3339(ms: int | None) -> str | None:
    """As `optional_rfc3339`, of an instant that may lie so far in the future that it cannot be written as a date: the
    last one that can."""
    return None if ms is None else rfc3339(min(ms, _LATEST_MS))
