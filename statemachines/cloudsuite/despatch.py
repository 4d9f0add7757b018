"""CloudSuite's despatches (DESADV) as a target brings them: read strictly, once, before anything is accepted.

A despatch shows the buyer what is in one parcel, with its tracking. Its number is used up by being sent: a correction
needs another one. So everything that can be wrong with it is found here and refused with the field's name (facts:
cloudsuite.md §6).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from statemachines.numbers import decimal_of, plain, shortest
from statemachines.target import Json

_FIELDS = frozenset(
    {"number", "date", "planned_delivery_date", "comment", "carrier", "tracking_code", "final", "lines"}
)
_LINE_FIELDS = frozenset({"erp_line_number", "quantity", "part_number"})
_NOT_IN_XML = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_MOST = Decimal(10) ** 8  # decimal(12,4): eight digits before the point, four behind it
_DECIMALS = 4


class InvalidDespatch(ValueError):
    """A despatch that cannot be sent; the message names the field."""


@dataclass(frozen=True, slots=True)
class DespatchLine:
    """Part of an order line in a parcel. `quantity`, `part_number` None: all of the line, the line's own."""

    erp_line_number: int
    quantity: Decimal | None = None
    part_number: str | None = None


@dataclass(frozen=True, slots=True)
class Despatch:
    """One packing slip. `is_final`: nothing follows, the order counts as sent. `lines` None: all lines in full.

    `date` None: the day on which it is sent; `planned_delivery_date` None: as `date`.
    """

    number: str
    date: datetime.date | None = None
    planned_delivery_date: datetime.date | None = None
    comment: str | None = None
    carrier: str | None = None
    tracking_code: str | None = None
    is_final: bool = False
    lines: tuple[DespatchLine, ...] | None = None


def read_despatches(raw: Sequence[Mapping[str, Json]] | None) -> tuple[Despatch, ...]:
    """The despatches of a target. Raises InvalidDespatch, also where a number is there twice."""
    found = tuple(_despatch(each, f"despatch[{n}]") for n, each in enumerate(raw or ()))
    numbers = [each.number for each in found]
    if twice := [number for number in numbers if numbers.count(number) > 1]:
        raise InvalidDespatch(f"the despatch number {twice[0]!r} is there twice; each packing slip needs its own")
    return found


def slip_gap(despatch: Despatch, lines: Iterable[Mapping[str, Json]]) -> str | None:
    """What a slip must say (cloudsuite.md §6) and neither the despatch nor its order lines give; None if nothing.

    `lines` are the order's, with their ERP line numbers (`erp`), `part` and `quantity`.
    """
    asked = {line.erp_line_number: line for line in despatch.lines or ()}
    for line in lines:
        if despatch.lines is not None and line["erp"] not in asked:
            continue
        own = asked.get(line["erp"])
        if (own is None or own.part_number is None) and not line.get("part"):
            return f"despatch {despatch.number}: the order has no part number of line {line['erp']}; send part_number"
        if own is None or own.quantity is None:
            place = f"despatch {despatch.number}: the order has"
            quantity = decimal_of(line.get("quantity"))
            if quantity is None or quantity <= 0:
                return f"{place} no quantity of line {line['erp']}; send quantity"
            if (reason := quantity_reason(quantity)) is not None:
                return f"{place} {plain(quantity)} of line {line['erp']}, and a slip carries {reason}; send quantity"
    return None


def quantity_reason(quantity: Decimal) -> str | None:
    """What a slip's quantity has to be (decimal(12,4), cloudsuite.md §6) and this one is not; None where it is."""
    if not 0 < quantity < _MOST:
        return "numbers above 0 and below 100000000 alone"
    exponent = shortest(quantity).as_tuple().exponent
    return "four decimals at most" if isinstance(exponent, int) and exponent < -_DECIMALS else None


def is_xml_text(text: str) -> bool:
    """Whether every character may stand in an XML 1.0 document."""
    return _NOT_IN_XML.search(text) is None


def as_xml_text(text: str) -> str:
    """The text without the characters that may not stand in an XML 1.0 document."""
    return _NOT_IN_XML.sub("", text)


def _despatch(raw: Json, at: str) -> Despatch:
    if not isinstance(raw, Mapping):
        raise InvalidDespatch(f"{at} is not an object")
    if foreign := sorted(set(raw) - _FIELDS):
        raise InvalidDespatch(f"{at}.{foreign[0]} is not a field of a despatch")
    final = raw.get("final")
    if final is not None and not isinstance(final, bool):
        raise InvalidDespatch(f"{at}.final is neither true nor false")
    number = _text(raw, "number", at)
    if number is None:
        raise InvalidDespatch(f"{at}.number is missing; it has to be new for each packing slip")
    lines = raw.get("lines")
    if lines is not None and (isinstance(lines, str | bytes) or not isinstance(lines, Sequence) or not lines):
        raise InvalidDespatch(f"{at}.lines is not a list of at least one line; leave it out to send all")
    return Despatch(
        number=number,
        date=_date(raw, "date", at),
        planned_delivery_date=_date(raw, "planned_delivery_date", at),
        comment=_text(raw, "comment", at),
        carrier=_text(raw, "carrier", at),
        tracking_code=_text(raw, "tracking_code", at),
        is_final=final is True,
        lines=None if lines is None else tuple(_line(line, f"{at}.lines[{n}]") for n, line in enumerate(lines)),
    )


def _line(raw: Json, at: str) -> DespatchLine:
    if not isinstance(raw, Mapping):
        raise InvalidDespatch(f"{at} is not an object")
    if foreign := sorted(set(raw) - _LINE_FIELDS):
        raise InvalidDespatch(f"{at}.{foreign[0]} is not a field of a despatch line")
    number = raw.get("erp_line_number")
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidDespatch(f"{at}.erp_line_number is not a whole number")
    return DespatchLine(number, _quantity(raw.get("quantity"), at), _text(raw, "part_number", at))


def _quantity(value: Json, at: str) -> Decimal | None:
    if value is None:
        return None
    quantity = decimal_of(value)
    if quantity is None:
        raise InvalidDespatch(f"{at}.quantity is {str(value)[:40]!r}, which is not a number")
    if (reason := quantity_reason(quantity)) is not None:
        raise InvalidDespatch(f"{at}.quantity is {plain(quantity)}, and a slip carries {reason}")
    return quantity


def _text(raw: Mapping[str, Json], name: str, at: str) -> str | None:
    value = raw.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.strip():
        raise InvalidDespatch(f"{at}.{name} is not a text")
    if not is_xml_text(value):
        raise InvalidDespatch(f"{at}.{name} holds a character that XML cannot carry")
    return value


def _date(raw: Mapping[str, Json], name: str, at: str) -> datetime.date | None:
    text = _text(raw, name, at)
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidDespatch(f"{at}.{name} is not a date such as 2026-06-30") from None
