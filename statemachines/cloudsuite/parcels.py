"""A parcel of a target as a CloudSuite despatch, and what despatches left open: pure.

CloudSuite counts by ERP line numbers. An ERP that has none gets the lines' positions in the order, which are
written into the order before its first despatch (cloudsuite.md §6); a line that comes later gets a free number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from statemachines.cloudsuite.sent import quantities
from statemachines.numbers import decimal_of, total
from statemachines.parcel import RecordedParcel
from statemachines.parcels import trackings_of
from statemachines.target import ErpLine, Json, TargetRequest

Lines = Mapping[str, Mapping[str, Json]]
"""The order's lines by id, with their ERP line numbers (`erp`) and `quantity`."""


def as_despatch(
    lines: Lines, facts: Mapping[str, Json], request: TargetRequest, parcel: RecordedParcel
) -> TargetRequest:
    """The target with its parcel as a despatch, a final one where nothing is left, and numbers for bare lines."""
    brought = {line.line: line.erp_line_number for line in request.erp_lines or ()}
    erp = {line: brought.get(line, details.get("erp")) for line, details in lines.items()}
    written = [details["erp"] for details in lines.values() if details.get("erp") is not None]
    positions = _positions(erp, {*written, *_despatched(facts)})
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


def _positions(erp: Mapping[str, int | None], taken: set[int]) -> tuple[ErpLine, ...]:
    """Numbers for the lines that have none: their positions, or where those were written to another line, or went out
    in a despatch before the order was edited, the next ones that are free. One that this very target brings for
    another line is the ERP's to sort out."""
    found: list[ErpLine] = []
    for at, (line, number) in enumerate(erp.items(), start=1):
        if number is None:
            found.append(ErpLine(line, max(*taken, len(erp)) + 1 if at in taken else at))
            taken = {*taken, found[-1].erp_line_number}
    return tuple(found)


def _despatched(facts: Mapping[str, Json]) -> Iterator[int]:
    """The ERP line numbers that went out in despatches."""
    for despatch in facts.get("despatches", {}).values():
        yield from (int(each) for each in despatch.get("lines") or ())


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
