"""A parcel as a target reports it, and as it is kept with its order. Plain values.

One body means the same on every platform: this box left. What a platform makes of it is its machine's (`hooks`), what
may be reported of an order in `parcels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from typing_extensions import TypedDict

_Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class TargetParcel:
    """A parcel of a target (docs/api.md). `tracking`: the carrier's codes; `url`: a link for the buyer. `lines`: order
    lines, each an id or `{"id", "quantity"}`; None means all that is left. `is_last`: nothing follows."""

    number: str | None = None
    carrier: str | None = None
    tracking: tuple[str, ...] = ()
    url: str | None = None
    location: str | None = None
    lines: tuple[_Json, ...] | None = None
    is_last: bool = False

    @property
    def name(self) -> str | None:
        """What the parcel is known by: its number, else its first code."""
        return self.number or next(iter(self.tracking), None)

    def to_json(self) -> dict[str, _Json]:
        """The members that are there."""
        members = {"number": self.number, "carrier": self.carrier, "url": self.url, "location": self.location}
        out: dict[str, _Json] = {name: value for name, value in members.items() if value is not None}
        out |= {"tracking": list(self.tracking)} if self.tracking else {}
        out |= {"lines": list(self.lines)} if self.lines is not None else {}
        return {**out, "last": True} if self.is_last else out

    @classmethod
    def from_json(cls, data: Mapping[str, _Json]) -> TargetParcel:
        """Reads what `to_json` wrote."""
        lines: Sequence[_Json] | None = data.get("lines")
        return cls(
            number=data.get("number"),
            carrier=data.get("carrier"),
            tracking=tuple(data.get("tracking") or ()),
            url=data.get("url"),
            location=data.get("location"),
            lines=None if lines is None else tuple(lines),
            is_last=bool(data.get("last")),
        )


class RecordedParcel(TypedDict):
    """A parcel that was reported and is kept with its order, as JSON.

    `lines`: quantities as text by order line, None for all of one whose quantity is not known. `closes`: nothing was
    left behind it, or it was reported as the last. `is_done`: the platform has all of it, or is not notified of it
    alone. `is_back`: it came back with its order, so its goods are to be sent anew. `recorded_at`, `delivered_at`: Unix
    milliseconds, None where that has yet to be written.
    """

    number: str
    carrier: str | None
    tracking: list[str]
    url: str | None
    location: str | None
    lines: dict[str, str | None]
    last: bool
    closes: bool
    is_done: bool
    is_delivered: bool
    is_back: bool
    recorded_at: int | None
    delivered_at: int | None
