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
    return {**content, "parcels": _joined(given or (), parcels)[0]}


def as_shown(pointers: list[str], content: Mapping[str, Json], parcels: Sequence[RecordedParcel]) -> list[str]:
    """Pointers into a platform's content, sorted, as those into what `with_recorded` makes of it."""
    given, inside = content.get("parcels"), "/parcels/"
    if not parcels or not isinstance(given, list) or not any(each.startswith(inside) for each in pointers):
        return pointers
    places = _joined(given, parcels)[1]
    found = {each for each in pointers if not each.startswith(inside)}
    for each in pointers:
        if each.startswith(inside):
            place, *inner = each.removeprefix(inside).split("/")
            found.add("/".join((inside + str(places[int(place)]), *inner)))
    return sorted(found)


def _joined(
    given: Sequence[Mapping[str, Json]], parcels: Sequence[RecordedParcel]
) -> tuple[list[dict[str, Json]], list[int]]:
    """All parcels, each once, and at which place of them each given one is."""
    rows: list[dict[str, Json]] = [{**each, "reported_by": ["platform"]} for each in given]
    same: dict[int, int] = {}
    for parcel in parcels:
        own = _row(parcel)
        found = [n for n, row in enumerate(rows) if row["reported_by"] == ["platform"] and _is_same(row, own)]
        if single := [n for n in found if rows[n].get("lines") is None]:  # its codes, without its goods
            codes = [*own["numbers"], *(code for n in single for code in rows[n]["numbers"])]
            rows[single[0]]["numbers"] = list(dict.fromkeys(codes))
            same |= dict.fromkeys(single[1:], single[0])
        for n in found if own["numbers"] else found[:1]:  # without a code one of the same goods is as good as another
            rows[n] |= {name: value for name, value in own.items() if name == "number" or rows[n].get(name) is None}
            rows[n]["reported_by"] = ["platform", "erp"]
        if not found:
            rows.append({**own, "reported_by": ["erp"]})
    kept = [n for n in range(len(rows)) if n not in same]
    places = {n: place for place, n in enumerate(kept)}
    return [rows[n] for n in kept], [places[same.get(n, n)] for n in range(len(given))]


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
