"""A parcel of a target as a CloudSuite despatch, and what despatches left open: pure.

CloudSuite counts by ERP line numbers. An ERP that has none gets the lines' positions in the order, which are
written into the order before its first despatch (cloudsuite.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from statemachines.cloudsuite.sent import quantities
from statemachines.numbers import decimal_of, total
from statemachines.parcel import RecordedParcel
from statemachines.parcels import trackings_of
from statemachines.target import ErpLine, Json, TargetRequest

Lines = Mapping[str, Mapping[str, Json]]
"""The order's lines by id, with their ERP line numbers (`erp`) and `quantity`."""


def as_despatch(lines: Lines, request: TargetRequest, parcel: RecordedParcel) -> TargetRequest:
    """The target with its parcel as a despatch, a final one where nothing is left, and numbers for bare lines."""
    brought = {line.line: line.erp_line_number for line in request.erp_lines or ()}
    erp = {line: brought.get(line, details.get("erp")) for line, details in lines.items()}
    positions = tuple(ErpLine(line, at) for at, line in enumerate(lines, start=1) if erp[line] is None)
    erp |= {line.line: line.erp_line_number for line in positions}
    slip = [
        {"erp_line_number": erp.get(line), **({} if count is None else {"quantity": count})}
        for line, count in parcel["lines"].items()
    ]
    despatch = {"number": parcel["number"], "final": parcel["closes"], **({"lines": slip} if slip else {})}
    first, *further = trackings_of([parcel]) or (None,)
    return replace(
        request,
        despatch=(despatch,),
        tracking=first,
        further_tracking=tuple(each for each in further if each is not None),
        erp_lines=(*(request.erp_lines or ()), *positions) or None,
    )


def open_lines(lines: Lines, facts: Mapping[str, Json]) -> dict[str, Decimal | None] | None:
    """How much of each order line is in no despatch that went out; None where the order's lines are not known. What
    older stores kept of a despatch does not name its lines, so it counts for nothing."""
    if not lines:
        return None
    sent = [each["lines"] for each in facts.get("despatches", {}).values() if "lines" in each]
    gone = [quantities(each, list(lines.values())) for each in sent]
    return {line: _open(details, [each[erp] for each in gone if erp in each]) for line, details, erp in _rows(lines)}


def _rows(lines: Lines) -> list[tuple[str, Mapping[str, Json], str]]:
    return [(line, details, str(details.get("erp"))) for line, details in lines.items()]


def _open(details: Mapping[str, Json], gone: list[Decimal | None]) -> Decimal | None:
    whole = decimal_of(details.get("quantity"))
    known = [each for each in gone if each is not None]
    if len(known) < len(gone):
        return Decimal(0)  # a slip for all of it
    return None if whole is None else max(whole - total(known), Decimal(0))
