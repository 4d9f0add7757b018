"""Events as JSON text. A feed is mostly steps, whose data is a few texts that come again and again: what is shown of
those is remembered, not read and written each time."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from orchestrator.clock import rfc3339
from orchestrator.operations.inclusions import Included
from orchestrator.operations.views.events import event_view, is_shown_as_kept
from orchestrator.operations.writing import to_json, with_texts
from storage.events import show_event
from storage.records import Event
from storage.text import load_object, quote_json
from storage.transaction import Row

_LONGEST_REMEMBERED = 256
_UNREADABLE = (ValueError, TypeError, RecursionError)


class WrittenEvent(NamedTuple):
    """An event as it is shown; `text`: as JSON."""

    cursor: int
    type: str
    text: bytes


def written_row(row: Row) -> WrittenEvent:
    """The event of a row of `storage.events.COLUMNS`."""
    cursor, at, type_, shop, order, target, data = row
    try:
        shown = _remembered(type_, data) if len(data) <= _LONGEST_REMEMBERED else None
        if shown is not None:
            names = f'"shop":{_quoted(shop)},"order":{_quoted(order)},"target":{_quoted(target)}'
            text = f'{{"cursor":{cursor},"at":"{rfc3339(at)}","type":{quote_json(type_)},{names},"data":{shown}}}'
            return WrittenEvent(cursor, type_, text.encode("utf-8"))
    except _UNREADABLE:
        pass  # damaged: shown as far as it can be read
    return written(show_event(row), {})


def written(event: Event, included: Included) -> WrittenEvent:
    """An event with what is shown in its data."""
    view = event_view(event)
    if not included:
        return WrittenEvent(event.cursor, event.type, to_json(view))
    rest = {name: value for name, value in view.items() if name != "data"}
    text = with_texts(rest, {"data": with_texts(view["data"], included).decode("utf-8")})
    return WrittenEvent(event.cursor, event.type, text)


@lru_cache(maxsize=4096)
def _remembered(type_: str, data: str) -> str | None:
    """An event's data as JSON; None where more of the event is needed to show it. Raises ValueError and others where it
    cannot be read."""
    found = load_object(data)
    return to_json(found).decode("utf-8") if is_shown_as_kept(type_, found) else None


def _quoted(text: str | None) -> str:
    return "null" if text is None else quote_json(text)
