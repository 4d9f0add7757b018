"""The order's lines with the ERP's numbers, and whether those suffice for what is to be sent: pure."""

from __future__ import annotations

from collections.abc import Mapping

from statemachines.cloudsuite.despatch import Despatch, slip_gap
from statemachines.target import Json, TargetRequest


def numbered(facts: Mapping[str, Json], request: TargetRequest) -> dict[str, dict[str, Json]]:
    """The order's lines by id, with the ERP line numbers that the target brings."""
    lines = {line: dict(details) for line, details in lines_of(facts).items()}
    for line in request.erp_lines or ():
        if line.line in lines:
            lines[line.line]["erp"] = line.erp_line_number
    return lines


def has_number(facts: Mapping[str, Json], request: TargetRequest) -> bool:
    """Whether the order carries the ERP's number that the target brings, if it brings one."""
    wanted = request.erp_order_number
    return wanted is None or facts.get("erp_order_number") == wanted


def has_lines(facts: Mapping[str, Json], request: TargetRequest) -> bool:
    """Whether the order's lines carry the ERP line numbers that the target brings."""
    lines = lines_of(facts)
    return all(lines.get(line.line, {}).get("erp") == line.erp_line_number for line in request.erp_lines or ())


def lines_of(facts: Mapping[str, Json]) -> Mapping[str, Mapping[str, Json]]:
    """The order's lines by id."""
    lines: Mapping[str, Mapping[str, Json]] = facts.get("lines") or {}
    return lines


def lines_reason(
    lines: Mapping[str, Mapping[str, Json]],
    facts: Mapping[str, Json],
    request: TargetRequest,
    despatches: list[Despatch],
) -> str | None:
    """Why the ERP's numbers do not suffice: each names one line, despatches name only lines that have one,
    and what a slip must say of a line is known."""
    known = [details["erp"] for details in lines.values() if details.get("erp") is not None]
    bare = [line for line, details in lines.items() if details.get("erp") is None]
    if request.erp_lines and (twice := sorted({number for number in known if known.count(number) > 1})):
        return f"the ERP line number {twice[0]} would stand on more than one line"
    if request.confirmation == "cxml" and not (request.erp_order_number or facts.get("erp_order_number")):
        return "a confirmation by cXML needs the erp_order_number"
    uncounted = [line for line, details in lines.items() if details.get("quantity") is None]
    if request.confirmation == "cxml" and uncounted:
        return f"a confirmation by cXML says how many, and the order has no quantity of line {', '.join(uncounted)}"
    if request.confirmation == "cxml" and bare:
        return f"a confirmation by cXML needs erp_lines for every line, {', '.join(bare)} have none"
    for despatch in despatches:
        if despatch.lines is None and (bare or not lines):
            return f"despatch {despatch.number}: lines {', '.join(bare)} have no ERP line number yet; send erp_lines"
        asked = [line.erp_line_number for line in despatch.lines or ()]
        if foreign := [str(number) for number in asked if number not in known]:
            own = ", ".join(map(str, known)) or "none"
            return (
                f"despatch {despatch.number}: ERP line numbers {', '.join(foreign)} are not the order's, it has {own}"
            )
        if (gap := slip_gap(despatch, lines.values())) is not None:
            return gap
    return None
