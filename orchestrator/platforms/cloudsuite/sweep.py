"""How a sweep over CloudSuite's list finds what changed (cloudsuite.md §3). Pure: the client makes the calls.

Rows are summaries: each order that is new or changed has to be read. Which those are is told by the rows' own
`modified_date`, compared as text with what the last sweep saw; no clock and no zone has a say.

By default the list is asked for orders in `confirmed`, the one filter that is documented. The position then holds every
row of the last sweep: a row that slipped through (orders leave `confirmed` while we page) is not in it and is found by
the next. Changes of orders that left `confirmed` are found by reading those again.

Where the shop has a filter by change time, the list is asked for all orders changed since the last sweep, less an
overlap: longer than the hour that clocks repeat in autumn, in which later changes have earlier dates. Rows move while
we page here too, so a sweep of several pages is repeated until a round shows nothing new.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from orchestrator.platforms.cloudsuite.wire import Listing, Row
from orchestrator.platforms.fields import date_of
from statemachines.target import Json

OVERLAP = timedelta(hours=2)
"""How far a sweep by change time reads back at least (cloudsuite.md §3)."""

LIST_PATH = "/api/order/"

_MAX_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Search:
    """What a shop asks the list for. `modified_filter`: the name of its filter by change time, None if it has none."""

    page_size: int
    webshop: int | None
    takes_offline: bool
    confirmed_since: str | None
    modified_filter: str | None
    overlap: timedelta = OVERLAP

    def first_page(self, since: str | None) -> str:
        """Path and query of the first page; `since`: the latest change that the last sweep saw."""
        query: list[tuple[str, str]] = []
        if self.modified_filter is not None and since is not None:
            begin = date_of(since, "since").replace(tzinfo=None) - self.overlap
            query.append((self.modified_filter, begin.isoformat(timespec="seconds")))
        else:
            query.append(("state", "confirmed"))
        if self.confirmed_since is not None:
            query.append(("confirm_date__gte", f"{self.confirmed_since}T00:00:00"))
        if self.webshop is not None:
            query.append(("webshop", str(self.webshop)))
        if not self.takes_offline:
            query.append(("offline", "false"))
        query += [("limit", str(self.page_size)), ("offset", "0")]
        return f"{LIST_PATH}?{urlencode(query, safe=':')}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Where a sweep stands, as JSON in `Page.next`.

    `page`: path and query of the page to ask for. `first`: that of the first page. `known`: `modified_date` by id as
    the last sweep saw them, `seen`: as this one did. `since`: the latest change of the sweep before. `round`, `pages`,
    `news`: how often the list was begun, and what this round brought. `count`: what the page before told.
    """

    page: str
    first: str
    known: dict[str, str]
    seen: dict[str, str]
    since: str | None = None
    round: int = 1
    pages: int = 0
    news: int = 0
    count: int | None = None
    has_shrunk: bool = False

    @classmethod
    def resume(cls, position: Json, cursor: Json, search: Search) -> Sweep:
        """The sweep that begins from `position`, or goes on from `cursor`."""
        if cursor is not None:
            return cls(**cursor)
        known = position.get("seen") if isinstance(position, dict) else None
        since = position.get("since") if isinstance(position, dict) else None
        first = search.first_page(since)
        return cls(first, first, known if isinstance(known, dict) else {}, {}, since)

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back."""
        return asdict(self)

    def position(self, search: Search) -> Json:
        """Where the next sweep begins from, once this one is complete.

        With a filter by change time, what is older than the overlap will not be listed again and is forgotten.
        """
        latest = max([*self.seen.values(), *([self.since] if self.since else [])], key=_moment, default=None)
        seen = self.seen
        if search.modified_filter is not None and latest is not None:
            begin = _moment(latest) - search.overlap
            seen = {id_: modified for id_, modified in {**self.known, **seen}.items() if _moment(modified) >= begin}
        return {"seen": seen, "since": latest if search.modified_filter is not None else None}


@dataclass(frozen=True, slots=True)
class Turn:
    """A sweep after a page: `rows` are new or changed, `next` is where it goes on, None when it is complete."""

    sweep: Sweep
    rows: tuple[Row, ...]
    next: Sweep | None


def turn(sweep: Sweep, listing: Listing, search: Search) -> Turn:
    """Takes a page in."""
    fresh = tuple(row for row in listing.rows if row.modified != sweep.seen.get(row.id))
    rows = tuple(row for row in fresh if row.modified != sweep.known.get(row.id))
    count = listing.count
    has_shrunk = sweep.count is not None and count is not None and count < sweep.count
    sweep = replace(
        sweep,
        seen={**sweep.seen, **{row.id: row.modified for row in fresh}},
        pages=sweep.pages + 1,
        news=sweep.news + len(fresh),
        count=count,
        has_shrunk=sweep.has_shrunk or has_shrunk,
    )
    if listing.next is not None and listing.next != sweep.page and listing.rows:
        return Turn(sweep, rows, replace(sweep, page=listing.next))
    is_moving = sweep.has_shrunk or (search.modified_filter is not None and sweep.news > 0)
    if sweep.pages > 1 and is_moving and sweep.round < _MAX_ROUNDS:
        again = replace(sweep, page=sweep.first, round=sweep.round + 1, pages=0, news=0, count=None, has_shrunk=False)
        return Turn(sweep, rows, again)
    return Turn(sweep, rows, None)


def _moment(modified: str) -> datetime:
    return date_of(modified, "modified_date").replace(tzinfo=None)
