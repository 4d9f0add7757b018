"""Times and lists in few words: how long ago something was, and the first of many names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def ago(stamp: str | None, now: str | None) -> str:
    """How long before `now` it was; the time of day where that is not known, as from a daemon of an older version."""
    if not stamp:
        return "never"
    return _time_of_day(stamp) if now is None else f"{seconds_text(max(0.0, -_until(stamp, now)))} ago"


def ahead(stamp: str, now: str | None) -> str:
    """How long after `now` it will be; the time of day where that is not known."""
    return f"at {_time_of_day(stamp)}" if now is None else f"in {seconds_text(max(0.0, _until(stamp, now)))}"


def is_within(stamp: str, now: str | None, seconds: float) -> bool:
    """Whether it was no longer than so long before `now`."""
    return now is not None and -_until(stamp, now) <= seconds


def seconds_text(seconds: float | None) -> str:
    """A duration in one unit; empty where there is none."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def few(names: Sequence[str], count: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def _until(stamp: str, now: str) -> float:
    """How many seconds later than `now` it is."""
    return (datetime.fromisoformat(stamp) - datetime.fromisoformat(now)).total_seconds()


def _time_of_day(stamp: str) -> str:
    return f"{stamp[11:19]}Z"
