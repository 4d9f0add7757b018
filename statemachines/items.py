"""Items of a target: which order lines it is about, and how many of each.

A line's id comes in each form in which platforms and our own content give it: a text, a whole number, or a global id
such as `gid://shop/LineItem/487817672276298554`. Quantities are whole numbers or decimals, as numbers or as text:
1, 1.0, "1" and "1.0" are the same one piece.

Items that name every line in full narrow nothing. All others are for steps that can be narrowed to some lines; a step
that cannot be undone and cannot be narrowed is refused with them (`narrowing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from statemachines.numbers import decimal_of, plain
from statemachines.target import Json

_GLOBAL = "gid://"


class InvalidItems(ValueError):
    """The target's items cannot be taken; the message says why."""


def read_items(items: Sequence[Json] | None, kind: str | None = None) -> dict[str, Decimal | None] | None:
    """The lines that items name, with the quantity where one is given (None: all of the line); None: no items.

    `kind`: the type that a global id of a line has on this platform, None where it has no global ids.
    Raises InvalidItems.
    """
    if items is None:
        return None
    asked: dict[str, Decimal | None] = {}
    for item in items:
        line = number_of(item["id"] if isinstance(item, Mapping) else item, kind)
        given = item.get("quantity") if isinstance(item, Mapping) else None
        if line in asked:
            raise InvalidItems(f"item {line} is named twice")
        asked[line] = None if given is None else _quantity(given, line)
    if not asked:
        raise InvalidItems("items is empty; leave it out to mean everything")
    return asked


def _quantity(given: Json, line: str) -> Decimal:
    found = decimal_of(given)
    if found is None or found <= 0:
        raise InvalidItems(f"the quantity of item {line} is {given!r}, neither a whole number nor a decimal above 0")
    return found


def number_of(value: Json, kind: str | None) -> str:
    """An id as the platform's own text. Raises InvalidItems for a global id of another kind."""
    text = str(value).strip()
    if kind is None or not text.startswith(_GLOBAL):
        return text
    name, _, number = text.rpartition("/")
    number = number.partition("?")[0]
    if name.rpartition("/")[2] != kind or not number:
        raise InvalidItems(f"{text} is not an id of a {kind}")
    return number


def foreign_reason(asked: Mapping[str, Decimal | None] | None, own: Sequence[str]) -> str | None:
    """Why items are not this order's; None where they are."""
    foreign = [line for line in asked or () if own and line not in own]
    return f"items {', '.join(foreign)} are not in this order, it has {', '.join(own)}" if foreign else None


def part_reason(asked: Mapping[str, Decimal | None], lines: Mapping[str, Json]) -> str | None:
    """Which of the items is a part of its line; None where each is all of it. `lines`: how many each line has."""
    for line, quantity in asked.items():
        if quantity is None:
            continue
        whole = decimal_of(lines.get(line))
        if whole is None:
            return f"how many item {line} has is not known, so {plain(quantity)} of it may be a part"
        if quantity < whole:
            return f"{plain(quantity)} of item {line} is a part of it, the order has {plain(whole)}"
        if quantity > whole:
            return f"{plain(quantity)} of item {line} are asked for, the order has {plain(whole)}"
    return None


def gap(asked: Mapping[str, Decimal | None], lines: Mapping[str, Json] | None) -> str | None:
    """What of an order items leave out; None where they name every line in full. `lines` None: its lines are not
    known."""
    if not lines:
        return "the order's lines are not known"
    if (foreign := foreign_reason(asked, list(lines))) is not None:
        return foreign
    missing = [line for line, count in lines.items() if line not in asked and decimal_of(count) != 0]
    return f"they leave out {', '.join(missing)}" if missing else part_reason(asked, lines)
