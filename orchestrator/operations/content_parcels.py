"""Parcels in an order's content: those that its platform shows, with those that targets reported. Pure.

A platform that sends whole orders shows one code, or none, of all that left; one with parts shows each part under a
name of its own. What the ERP reported of a parcel that the platform shows as well joins that, and fills what the
platform leaves out; every other one stands for itself. A platform that keeps codes and not goods shows one parcel code
by code, or only one code of it. `reported_by` says of each where it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from orchestrator.clock import rfc3339
from statemachines.numbers import decimal_of
from statemachines.parcel import RecordedParcel
from statemachines.target import Json


def with_recorded(content: Mapping[str, Json], parcels: Sequence[RecordedParcel]) -> dict[str, Json]:
    """The content with what is recorded of the order's parcels. One whose platform gives none, and of which nothing is
    recorded, has none as before."""
    given = content.get("parcels")
    if not isinstance(given, list) and not parcels:
        return dict(content)
    rows: list[dict[str, Json]] = [{**each, "reported_by": ["platform"]} for each in given or ()]
    for parcel in parcels:
        own = _row(parcel)
        found = [row for row in rows if row["reported_by"] == ["platform"] and _is_same(row, own)]
        rows = _in_one(rows, own["numbers"], [row for row in found if row.get("lines") is None])
        for row in found if own["numbers"] else found[:1]:  # without a code one of the same goods is as good as another
            row |= {name: value for name, value in own.items() if name == "number" or row.get(name) is None}
            row["reported_by"] = ["platform", "erp"]
        if not found:
            rows.append({**own, "reported_by": ["erp"]})
    return {**content, "parcels": rows}


def _in_one(
    rows: list[dict[str, Json]], codes: Sequence[Json], single: Sequence[dict[str, Json]]
) -> list[dict[str, Json]]:
    """The rows with the `single` ones, which are codes of one parcel without its goods, as the first of them."""
    if not single:
        return rows
    first, *others = single
    first["numbers"] = list(dict.fromkeys([*codes, *(code for row in single for code in row["numbers"])]))
    return [row for row in rows if not any(row is each for each in others)]


def _row(parcel: RecordedParcel) -> dict[str, Json]:
    """What was reported of a parcel, and nothing that was not."""
    members: dict[str, Json] = {
        "carrier": parcel["carrier"],
        "url": parcel["url"],
        "delivered_at": None if parcel["delivered_at"] is None else rfc3339(parcel["delivered_at"]),
    }
    return {
        "number": parcel["number"],
        "numbers": list(parcel["tracking"]),
        **{name: value for name, value in members.items() if value is not None},
        "lines": [
            {"id": line, **({} if count is None else {"quantity": count})} for line, count in parcel["lines"].items()
        ],
    }


def _is_same(row: Mapping[str, Json], own: Mapping[str, Json]) -> bool:
    """Whether the platform's parcel is the reported one: it has its code, or neither has one and the goods agree."""
    if own["numbers"] or row.get("numbers"):
        return bool(set(own["numbers"]) & set(row.get("numbers") or ()))
    return row.get("lines") is not None and _goods(row["lines"]) == _goods(own["lines"])


def _goods(lines: Sequence[Mapping[str, Json]]) -> dict[Json, Decimal | None]:
    return {line.get("id"): decimal_of(line.get("quantity")) for line in lines}
