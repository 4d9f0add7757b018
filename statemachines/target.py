"""What the ERP asks for: the order's wished state, and what the platform needs to hear on the way there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from statemachines.parcel import TargetParcel

Json: TypeAlias = Any
"""A JSON value (string, number, boolean, null, list, object)."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """A parcel's tracking: the carrier's code, a link for the buyer, the carrier's name."""

    code: str | None = None
    url: str | None = None
    carrier: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The members that are there."""
        members = {"code": self.code, "url": self.url, "carrier": self.carrier}
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ErpLine:
    """The ERP's number for one order line; `line` is the platform's line id."""

    line: str
    erp_line_number: int


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """A target as submitted (docs/api.md). Absent fields are None.

    `items` are the ids confirmed or shipped, each a string or `{"id", "quantity"}`; None means all. `tracking` is the
    first of the parcel's numbers, `further_tracking` are those behind it. `key`: the idempotency key that the target
    came with, which distinguishes one shipment of the same goods from another. `platform_data`: what the order's
    platform alone has, in its own members. `dropped`: fields that the platform turned out to have no use for, which a
    parcel brings no more.
    """

    state: str
    items: tuple[Json, ...] | None = None
    delivery_info: Mapping[str, Json] | None = None
    tracking: Tracking | None = None
    erp_order_number: str | None = None
    erp_lines: tuple[ErpLine, ...] | None = None
    despatch: tuple[Mapping[str, Json], ...] | None = None
    confirmation: str | None = None
    reason: str | None = None
    notify_customer: bool | None = None
    replace: bool | None = None
    location: str | None = None
    further_tracking: tuple[Tracking, ...] = ()
    key: str | None = None
    platform_data: Mapping[str, Json] | None = None
    parcel: TargetParcel | None = None
    dropped: tuple[str, ...] = ()

    @property
    def trackings(self) -> tuple[Tracking, ...]:
        """All numbers of the parcel, the first one first."""
        return () if self.tracking is None else (self.tracking, *self.further_tracking)

    def brings(self) -> tuple[str, ...]:
        """Names of the data fields that are present, tracking split into its parts: `tracking.carrier`, and
        `tracking[1]` and so on for the numbers behind the first."""
        values = _DATA_VALUES(self)
        if values == _NO_DATA and not self.further_tracking:
            return ()
        present = [name for name, value in zip(_DATA_FIELDS, values, strict=True) if value is not None]
        if self.tracking is not None and self.tracking.carrier is not None:
            present.append("tracking.carrier")
        present += [f"tracking[{n}]" for n, _ in enumerate(self.further_tracking, start=1)]
        return tuple(present)

    def named(self, fields: Collection[str]) -> tuple[str, ...]:
        """Those of `brings()` that are among the fields; `tracking` names all of its parts."""
        return tuple(name for name in self.brings() if name in fields or _whole_of(name) in fields)

    def without(self, fields: Collection[str]) -> TargetRequest:
        """The same target as if it had not brought these (names as in `brings`)."""
        gone = set(self.named(fields))
        kept: dict[str, Json] = {name: None for name in gone if name in _DATA_FIELDS}
        first, *further = self.trackings or (None,)
        if "tracking" in gone:
            further = []
        elif "tracking.carrier" in gone and first is not None:
            kept["tracking"] = replace(first, carrier=None)
        kept["further_tracking"] = tuple(
            each for n, each in enumerate(further, start=1) if f"tracking[{n}]" not in gone
        )
        if self.parcel is not None:
            kept["dropped"] = tuple(dict.fromkeys([*self.dropped, *fields]))
        return replace(self, **kept)

    def to_json(self) -> dict[str, Json]:
        """The request as a JSON object without absent fields; `from_json` reads it back."""
        out: dict[str, Json] = {"state": self.state}
        for name in (*_DATA_FIELDS, "replace", "key"):
            value = getattr(self, name)
            match value:
                case None:
                    continue
                case TargetParcel():
                    out[name] = value.to_json()
                case Tracking():
                    trackings = [each.to_json() for each in self.trackings]
                    out[name] = trackings if self.further_tracking else trackings[0]
                case tuple() if name == "erp_lines":
                    out[name] = [{"line": line.line, "erp_line_number": line.erp_line_number} for line in value]
                case tuple():
                    out[name] = list(value)
                case _:
                    out[name] = value
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> TargetRequest:
        """Reads what `to_json` wrote. Validation of foreign input happens at the API's edge, not here."""
        if len(data) == 1 and cls is TargetRequest:
            return _bare(data["state"])
        fields = dict(data)
        if (tracking := fields.get("tracking")) is not None:
            trackings = [Tracking(**each) for each in (tracking if isinstance(tracking, list) else [tracking])]
            fields["tracking"], fields["further_tracking"] = trackings[0], tuple(trackings[1:])
        if (lines := fields.get("erp_lines")) is not None:
            fields["erp_lines"] = tuple(ErpLine(**line) for line in lines)
        if (parcel := fields.get("parcel")) is not None:
            fields["parcel"] = TargetParcel.from_json(parcel)
        for name in ("items", "despatch"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
        return cls(**fields)


_DATA_FIELDS = (
    "items",
    "delivery_info",
    "tracking",
    "erp_order_number",
    "erp_lines",
    "despatch",
    "confirmation",
    "reason",
    "notify_customer",
    "location",
    "platform_data",
    "parcel",
)
_DATA_VALUES: Callable[[TargetRequest], tuple[Json, ...]] = attrgetter(*_DATA_FIELDS)
_NO_DATA = (None,) * len(_DATA_FIELDS)


@lru_cache(maxsize=256)
def _bare(state: str) -> TargetRequest:
    """A target that brings nothing, as most do: a value that all of them share."""
    return TargetRequest(state)


def _whole_of(name: str) -> str:
    """The field that a part of tracking belongs to."""
    return "tracking" if name.startswith(("tracking.", "tracking[")) else name


def is_web_link(url: str) -> bool:
    """Whether a tracking link is one that a buyer can open: http or https, with a host, and nothing unprintable."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        return False
