"""Instants as people give them: so long ago, or a time of the calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime

EXAMPLES = "1h (with s, m, h, d or w), 2026-03-01 or 2026-03-01T12:00:00Z"
"""How an instant may be given."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])")


def instant_of(text: str, now_ms: int) -> str:
    """What was given as an RFC 3339 instant in UTC; a time without a zone is UTC. Raises ValueError, with words."""
    try:
        if (ago := _AGO.fullmatch(text.strip().casefold())) is not None:
            found = datetime.fromtimestamp(now_ms / 1000 - int(ago[1]) * _UNITS[ago[2]], UTC)
        else:
            found = datetime.fromisoformat(text.strip())
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time that can be read - give it as {EXAMPLES}") from None
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
