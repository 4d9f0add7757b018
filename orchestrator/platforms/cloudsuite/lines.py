"""The body of the PUT that writes ERP line numbers: the order's own text, with those numbers put in and nothing else.

PUT replaces the whole object, and what is left out has to be expected to be lost (cloudsuite.md §5.3). The guide's own
example would move the order back to `confirmed` and drop half of it. So the body is not built at all: it is the text of
a fresh read, state and unknown members included, in which only the values of `erp_line_number` are exchanged. Not even
the way that a price is written changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from orchestrator.platforms.json_text import decode_at, elements, walk_object
from statemachines.target import Json


def with_erp_lines(order: str, numbers: Mapping[str, int], hidden: Mapping[str, Json] | None = None) -> str:
    """The JSON text `order` with the ERP line numbers of the lines named by their ids.

    `hidden`: members that the order has and the text does not show; they are put in at its end.
    Raises ValueError if the text is not an order or a line of `numbers` is not in it.
    """
    left = dict(numbers)

    def numbered(array: str) -> str:
        found, _ = elements(array, 0)
        texts = [_numbered(value, text, left) for value, text in found]
        return f"[{','.join(texts)}]"

    changed = _exchanged(order, "order_lines", numbered)
    if left:
        raise ValueError(f"lines {', '.join(left)} are not in the order")
    for name, value in (hidden or {}).items():
        changed = f"{changed.rstrip()[:-1].rstrip()},{json.dumps(name)}:{json.dumps(value)}}}"
    return changed


def _numbered(line: Json, text: str, left: dict[str, int]) -> str:
    number = left.pop(str(line.get("id")), None) if isinstance(line, dict) else None
    if number is None:
        return text
    if "erp_line_number" in line:
        return _exchanged(text, "erp_line_number", lambda _: str(number))
    body = text.rstrip()[:-1].rstrip()
    return f'{body}{"," if line else ""}"erp_line_number":{number}}}'


def _exchanged(text: str, name: str, exchange: Callable[[str], str]) -> str:
    """The object `text` with the value of its member `name` exchanged, as often as it is there."""
    pieces: list[str] = []
    begin = 0

    def take(each: str, at: int) -> int:
        nonlocal begin
        _, end = decode_at(text, at)
        if each == name:
            pieces.append(text[begin:at] + exchange(text[at:end]))
            begin = end
        return end

    walk_object(text, take)
    if not pieces:
        raise ValueError(f"the order has no {json.dumps(name)}")
    return "".join(pieces) + text[begin:]
