"""Selldone's `delivery_info`: replaced as a whole by the call that brings it (selldone.md §5.2).

A target may name some of its members only. What it does not name has to be sent once more, or it is lost: the weight,
the days that the buyer chose, a tracking code. Objects within are merged in the same way. What the target does not
change is sent as the platform wrote it, to the digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.platforms.json_text import member_text, read_value, write_value
from statemachines.target import Json


def paths_of(info: Json) -> list[str]:
    """Where `delivery_info` has values, as `volume/width`; an empty PHP array has none."""
    return sorted(_paths(info, "")) if isinstance(info, dict) else []


def _paths(info: Mapping[str, Json], before: str) -> Iterator[str]:
    for name, value in info.items():
        here = f"{before}{name}"
        if isinstance(value, dict) and value:
            yield from _paths(value, f"{here}/")
        else:
            yield here


def leaves_out(wanted: Mapping[str, Json], known: list[str]) -> bool:
    """Whether the target names only some of the values that are known to be there."""
    return any(not _names(wanted, path.split("/")) for path in known)


def _names(wanted: Json, path: list[str]) -> bool:
    for name in path:
        if not isinstance(wanted, Mapping):
            return True  # the target puts something else in the place of the whole object
        if name not in wanted:
            return False
        wanted = wanted[name]
    return True


def merged_text(payload: str, wanted: Mapping[str, Json]) -> str:
    """The `delivery_info` of an order's own text with the target's values in it, as JSON. Raises ValueError."""
    try:
        current = read_value(member_text(payload, "delivery_info"))
    except ValueError:  # an order without any
        current = None
    return write_value(_merged(current, wanted))


def _merged(current: Json, wanted: Json) -> Json:
    if not isinstance(current, dict) or not isinstance(wanted, Mapping):
        return wanted
    return {**current, **{name: _merged(current.get(name), value) for name, value in wanted.items()}}
