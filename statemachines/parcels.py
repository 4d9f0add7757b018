"""What may be reported of an order's parcels, given those that are recorded: pure arithmetic over lines.

A parcel is known by its number, or by one of its codes. What is known already changes nothing when it is reported once
more, however it comes; so the words here are for parcels that contradict what is recorded, or hold more than is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from statemachines.items import InvalidItems, foreign_reason, read_items
from statemachines.numbers import decimal_of, plain, total
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.target import Json, TargetRequest, Tracking, is_web_link

Parcels = Sequence[RecordedParcel]
Open = Mapping[str, Decimal | None]
"""How much of each line is left to be sent; None: some, nobody knows how much."""


def known_parcel(parcels: Parcels, parcel: TargetParcel) -> RecordedParcel | None:
    """The recorded parcel with this number or, where it brings none, with one of its codes."""
    if parcel.number is not None:
        return next((each for each in parcels if each["number"] == parcel.number), None)
    return next((each for each in parcels if _has_code(each, parcel.tracking) or each["number"] == parcel.name), None)


def chosen_parcels(parcels: Parcels, request: TargetRequest) -> list[RecordedParcel]:
    """The recorded parcels that a target selects, by its parcel or by codes of its tracking."""
    if request.parcel is not None:
        by_code = [] if request.parcel.number else request.parcel.tracking
        known = known_parcel(parcels, request.parcel)
        return [each for each in parcels if each is known or _has_code(each, by_code)]
    return [each for each in parcels if _has_code(each, codes_of(request))]


def codes_of(request: TargetRequest) -> list[str]:
    """The codes of a target's tracking."""
    return [each.code for each in request.trackings if each.code]


def _has_code(recorded: RecordedParcel, codes: Iterable[str]) -> bool:
    return any(code in recorded["tracking"] for code in codes)


def left_of(lines: Mapping[str, Json] | None, parcels: Parcels) -> dict[str, Decimal | None] | None:
    """How much of an order's lines is in none of its parcels; None where its lines are not known."""
    if not lines:
        return None
    gone = [each["lines"] for each in parcels if not each["is_back"]]
    return {
        line: _less(decimal_of(count), [each[line] for each in gone if line in each]) for line, count in lines.items()
    }


def _less(whole: Decimal | None, gone: list[str | None]) -> Decimal | None:
    if None in gone:
        return Decimal(0)  # all of it
    if whole is None:
        return None
    return max(whole - total([Decimal(each or 0) for each in gone]), Decimal(0))


def is_nothing(left: Open | None) -> bool:
    """Whether nothing is left of an order whose lines are known."""
    return left is not None and all(count == 0 for count in left.values())


def after(left: Open | None, held: Mapping[str, str | None]) -> dict[str, Decimal | None] | None:
    """What is left once a parcel holds these lines."""
    if left is None:
        return None
    return {line: _less(count, [held[line]]) if line in held else count for line, count in left.items()}


def held_by(
    parcel: TargetParcel, left: Open | None, lines: Mapping[str, Json] | None, kind: str | None
) -> dict[str, str | None]:
    """The lines of a new parcel with their quantities, as they are recorded. `lines`: all that the order has.

    Raises InvalidItems for lines that the order has not, and for more than is left of one.
    """
    asked = _asked(parcel, kind)
    if asked is None:
        if is_nothing(left):
            raise InvalidItems(
                f"nothing of the order is left for parcel {parcel.name}: all of it left in parcels before"
            )
        return {line: _text(count) for line, count in (left or {}).items() if count != 0}
    if (foreign := foreign_reason(asked, list(lines or ()))) is not None:
        raise InvalidItems(f"parcel {parcel.name}: {foreign}")
    found: dict[str, str | None] = {}
    for line, count in asked.items():
        there = (left or {}).get(line, Decimal(0) if left is not None else None)
        if there is not None and (there <= 0 or (count is not None and count > there)):
            raise InvalidItems(_too_many(parcel, line, count, there, (lines or {}).get(line)))
        found[line] = _text(there if count is None else count)
    return found


def _asked(parcel: TargetParcel, kind: str | None) -> dict[str, Decimal | None] | None:
    try:
        return read_items(parcel.lines, kind)
    except InvalidItems as error:
        raise InvalidItems(f"parcel {parcel.name}: {error}") from None


def _too_many(parcel: TargetParcel, line: str, count: Decimal | None, there: Decimal, whole: Json) -> str:
    what = "all" if count is None else plain(count)
    has = decimal_of(whole)
    of = "" if has is None else f" of the order's {plain(has)}"
    return f"parcel {parcel.name} holds {what} of line {line}, and {plain(there)}{of} is open"


def _text(count: Decimal | None) -> str | None:
    return None if count is None else plain(count)


def recorded(parcel: TargetParcel, held: Mapping[str, str | None], *, closes: bool) -> RecordedParcel:
    """A new parcel as it is kept; its instants are still to be written."""
    return {
        "number": parcel.name or "",
        "carrier": parcel.carrier,
        "tracking": list(parcel.tracking),
        "url": parcel.url,
        "location": parcel.location,
        "lines": dict(held),
        "last": parcel.is_last,
        "closes": closes,
        "is_done": False,
        "is_delivered": False,
        "is_back": False,
        "recorded_at": None,
        "delivered_at": None,
    }


def code_reason(parcels: Parcels, parcel: TargetParcel) -> str | None:
    """Why a new parcel cannot have its codes: another one went out under them, and nobody could know whether that is
    meant. None where they are free."""
    for each in parcels:
        if taken := [code for code in parcel.tracking if code in each["tracking"]]:
            return (
                f"parcel {parcel.name}: tracking {taken[0]} is that of parcel {each['number']}, recorded before;"
                " give this one a code of its own, or none"
            )
    return None


def contradiction(known: RecordedParcel, parcel: TargetParcel, kind: str | None, *, is_over: bool) -> str | None:
    """Why a number that is known cannot be reported with this; None where it says nothing new. `is_over`: the order
    went out, so that there is nothing left to be the last of. Raises InvalidItems."""
    asked = _asked(parcel, kind) or {}
    held = {line: decimal_of(count) for line, count in known["lines"].items()}
    differs = any(line not in held or (count is not None and count != held[line]) for line, count in asked.items())
    new = [code for code in parcel.tracking if code not in (*known["tracking"], known["number"])]
    place = f"parcel {known['number']} was recorded before"
    own = "a parcel is recorded once, so what differs needs a number of its own"
    if differs or (asked and asked.keys() != held.keys()):
        was = ", ".join(f"{'all' if count is None else plain(count)} of line {line}" for line, count in held.items())
        return f"{place} with {was or 'no lines'}; {own}"
    if new:
        return f"{place} with {', '.join(known['tracking']) or 'no tracking'} and not with {', '.join(new)}; {own}"
    if parcel.is_last and not known["closes"] and not is_over:
        return f"{place}, and not as the last one; submit shipped without a parcel to send what there is"
    return None


def unknown_reason(parcels: Parcels, request: TargetRequest) -> str:
    """That a target selects none of the recorded parcels, with those that there are."""
    number = request.parcel.number if request.parcel is not None else None
    codes = codes_of(request) if request.parcel is None else request.parcel.tracking
    asked = f"number {number}" if number is not None else f"tracking {', '.join(codes)}"
    names = [" ".join([each["number"], *(f"({code})" for code in each["tracking"])]) for each in parcels]
    there = f"it has {', '.join(names)}" if names else "none is recorded; leave it out to mean the whole order"
    return f"no parcel of the order has {asked}: {there}"


def link_reason(parcel: TargetParcel) -> str | None:
    """What is wrong with the parcel's link; None: nothing."""
    if parcel.url is None or is_web_link(parcel.url):
        return None
    return f"parcel {parcel.name}: url {parcel.url!r} is no http(s) link"


def trackings_of(parcels: Iterable[RecordedParcel]) -> tuple[Tracking, ...]:
    """The numbers of parcels as a target's tracking has them; a parcel's link is that of its first code."""
    found: list[Tracking] = []
    for each in parcels:
        codes: list[str | None] = [*each["tracking"]] or [None]
        rows = [Tracking(code, each["url"] if at == 0 else None, each["carrier"]) for at, code in enumerate(codes)]
        found += [row for row in rows if row.to_json()]
    return tuple(found)
