"""Pages of the feed, and the cursors that it knows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator.decisions.problems import Help
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.event_text import WrittenEvent, written, written_row
from orchestrator.operations.inclusions import included_of_event, within_bounds
from storage.events import EventFilter, cursor_before, cursor_before_newest, last_cursor, list_rows, show_event
from storage.identity import feed_id
from storage.transaction import Row, Transaction


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the cursor up to which the reader has read all that it asked for, and the id of the feed."""

    events: list[WrittenEvent]
    next: int
    feed: str


def event_page(
    tx: Transaction, after: int, limit: int, wanted: EventFilter, include: Collection[str] = ()
) -> EventPage:
    """The events of a filter above `after`, `limit` at most, and fewer where much is included (`within_bounds`)."""
    rows = list_rows(tx, after, limit, wanted)
    shown = _with_more(tx, rows, include) if include else [written_row(row) for row in rows]
    if len(rows) == limit or len(shown) < len(rows):
        return EventPage(shown, shown[-1].cursor, feed_id(tx))
    return EventPage(shown, max(after, last_cursor(tx)), feed_id(tx))


def _with_more(tx: Transaction, rows: Sequence[Row], include: Collection[str]) -> list[WrittenEvent]:
    events = ((event, included_of_event(tx, event, include)) for event in map(show_event, rows))
    return [written(event, included) for event, included in within_bounds(events)]


def beginning(tx: Transaction, wanted: EventFilter, tail: int | None, since: int | None) -> int:
    """The cursor above which the newest `tail` events of a filter are, and those from the instant `since` on; None asks
    for no such thing."""
    newest = 0 if tail is None else cursor_before_newest(tx, tail, wanted)
    return newest if since is None else max(newest, cursor_before(tx, since))


def refuse_foreign_cursor(tx: Transaction, cursor: int, feed: str | None) -> None:
    """Whoever brings such a cursor would wait for events that never come, or miss those that other cursors name now.

    Raises Refused `cursor-ahead` for a cursor that the feed has not come to, or of another feed.
    """
    newest, ours = last_cursor(tx), feed_id(tx)
    extra: Help = {"newest": newest, "feed": ours}
    remedy = "read again from a cursor of this feed, 0 at the earliest"
    if feed is not None and feed != ours:
        raise Refused(
            "cursor-ahead",
            f"the cursor is of the feed {feed!r}, this one is {ours!r}, so another store took its place: {remedy}",
            extra=extra,
        )
    if cursor > newest:
        cause = "a wrong cursor, or the store is another one now (restored from a copy, or made anew)"
        detail = f"cursor {cursor} is above the newest one, {newest}: {cause}; {remedy}"
        raise Refused("cursor-ahead", detail, extra=extra)
