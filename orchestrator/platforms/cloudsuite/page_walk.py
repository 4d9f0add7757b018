"""How a sync over CloudSuite's list finds what changed (cloudsuite.md §3). Pure: the client makes the calls.

Rows are summaries: each order that is new or changed has to be read. Which those are follows from the rows' own
`modified_date`, compared as text with what the last sync saw.

By default the list is asked for orders in `confirmed`, the one filter that is documented. The position then holds every
row of the last sync: a row that slipped through (orders leave `confirmed` while we page) is not in it and is found by
the next. Changes of orders that left `confirmed` are found by reading those again.

Where the shop has a filter by change time, the list is asked for all orders changed since the last sync, less an
overlap: longer than the hour that clocks repeat in autumn, in which later changes have earlier dates. Rows move while
we page here too, so a sync of several pages is repeated until a round shows nothing new; where none does, the next
sync begins where this one began. It begins no later than the moment when this one began (`platforms/horizon`), in the
shop's own zone; a zone that the config has wrong by an hour or two is within the overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from orchestrator.platforms.base.seen import take_in
from orchestrator.platforms.cloudsuite.wire import Listing, Row
from orchestrator.platforms.fields import InvalidOrder, date_of, instant_ms
from orchestrator.platforms.horizon import Present
from statemachines.target import Json

OVERLAP = timedelta(hours=2)
"""How far a sync by change time reads back at least (cloudsuite.md §3)."""

LIST_PATH = "/api/order/"

_MAX_ROUNDS = 6
_BEGINNING = "1970-01-01T00:00:00"


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
        """Path and query of the first page; `since`: the latest change that the last sync saw."""
        query: list[tuple[str, str]] = []
        if self.modified_filter is not None and since is not None:
            begin = _moment(since) - self.overlap
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
class Now:
    """The present as a shop writes it: naive, in its zone."""

    present: Present
    zone: ZoneInfo

    def latest(self) -> str:
        """The latest position of a sync that begins now."""
        at = datetime.fromtimestamp(self.present.ceiling / 1000, self.zone)
        return at.replace(tzinfo=None).isoformat(timespec="microseconds")

    def is_before(self, modified: str) -> bool:
        """Whether a position lies in the future."""
        try:
            return self.present.is_before(instant_ms(_moment(modified).isoformat(), "since", self.zone))
        except InvalidOrder:  # of the year 9999: a former version kept it
            return True


@dataclass(frozen=True, slots=True)
class PageWalk:
    """Where a sync stands, as JSON in `Page.next`.

    `page`: path and query of the page to ask for. `first`: that of the first page. `known`: `modified_date` by id as
    the last sync saw them, `seen`: as this one did up to the page before the last, `last`: as that one showed them
    (`base.seen`). `since`: the latest change of the sync before. `cap`: the latest
    that this one may leave, set by its first page. `round`, `pages`, `new_rows`, `shown`: how often the list was begun,
    and what this round brought. `count`: what the page before counted, `least`: the least that a page of this round
    did.
    """

    page: str
    first: str
    known: dict[str, str]
    seen: dict[str, str]
    since: str | None = None
    cap: str | None = None
    round: int = 1
    pages: int = 0
    new_rows: int = 0
    shown: int = 0
    count: int | None = None
    least: int | None = None
    has_shrunk: bool = False
    is_settled: bool = True
    last: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def resume(cls, position: Json, cursor: Json, search: Search, now: Now) -> PageWalk:
        """The sync that begins from `position`, or goes on from `cursor`."""
        if cursor is not None:
            return cls(**cursor)
        known = position.get("seen") if isinstance(position, dict) else None
        since = position.get("since") if isinstance(position, dict) else None
        if isinstance(since, str) and now.is_before(since):
            since = _BEGINNING
        first = search.first_page(since)
        return cls(first, first, known if isinstance(known, dict) else {}, {}, since)

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back. Not copied: what is known of a large shop is large."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def position(self, search: Search) -> Json:
        """Where the next sync begins from, once this one is complete.

        With a filter by change time, what is older than the overlap will not be listed again and is forgotten.
        """
        all_seen = take_in(dict(self.seen), self.last)
        if search.modified_filter is None:
            return {"seen": all_seen, "since": None}
        latest = self.since
        if self.is_settled:
            latest = max([*all_seen.values(), *([self.since] if self.since else [])], key=_moment, default=None)
        if latest is None:
            return {"seen": all_seen, "since": None}
        if self.cap is not None:
            latest = min(latest, self.cap, key=_moment)
        begin = _moment(latest) - search.overlap
        seen = {id_: modified for id_, modified in {**self.known, **all_seen}.items() if _is_since(modified, begin)}
        return {"seen": seen, "since": latest}


@dataclass(frozen=True, slots=True)
class WalkAfterPage:
    """A sync after a page: `rows` are new or changed, `next` is where it goes on, None when it is complete. `flaw`:
    why the list cannot be whole (`client.Page`)."""

    walk: PageWalk
    rows: tuple[Row, ...]
    next: PageWalk | None
    flaw: str | None = None


def after_page(walk: PageWalk, listing: Listing, search: Search, now: Now) -> WalkAfterPage:
    """Takes a page in; `now`: when it was listed."""
    walk = replace(walk, seen=take_in(walk.seen, walk.last), last={})
    fresh = tuple(row for row in listing.rows if row.modified != walk.seen.get(row.id))
    rows = tuple(row for row in fresh if row.modified != walk.known.get(row.id))
    if walk.cap is None:
        if walk.since is not None and now.is_before(walk.since):
            first = search.first_page(_BEGINNING)
            return WalkAfterPage(walk, rows, PageWalk(first, first, walk.known, {}, _BEGINNING))
        walk = replace(walk, cap=now.latest())
    walk = _taken_in(walk, listing, fresh)
    if listing.next == walk.page:
        return WalkAfterPage(walk, rows, None, f"it names a page as the one that follows it: {walk.page}")
    if listing.next is not None:
        return WalkAfterPage(walk, rows, replace(walk, page=listing.next))
    is_moving = walk.has_shrunk or (search.modified_filter is not None and walk.new_rows > 0)
    if walk.pages > 1 and is_moving and walk.round < _MAX_ROUNDS:
        begun = PageWalk(walk.first, walk.first, walk.known, walk.seen, walk.since, walk.cap, walk.round + 1)
        begun = replace(begun, last=walk.last)
        return WalkAfterPage(walk, rows, begun)
    flaw = None
    if walk.least is not None and walk.shown < walk.least:
        flaw = f"it counts {walk.least} orders and ends after {walk.shown}"
    return WalkAfterPage(replace(walk, is_settled=walk.pages <= 1 or not is_moving), rows, None, flaw)


def _taken_in(walk: PageWalk, listing: Listing, fresh: tuple[Row, ...]) -> PageWalk:
    count = listing.count
    has_shrunk = walk.count is not None and count is not None and count < walk.count
    return replace(
        walk,
        last={row.id: row.modified for row in fresh},
        pages=walk.pages + 1,
        new_rows=walk.new_rows + len(fresh),
        shown=walk.shown + len(listing.rows) + len(listing.unreadable),
        count=count,
        least=min((each for each in (walk.least, count) if each is not None), default=None),
        has_shrunk=walk.has_shrunk or has_shrunk,
    )


def _moment(modified: str) -> datetime:
    return date_of(modified, "modified_date").replace(tzinfo=None)


def _is_since(modified: str, begin: datetime) -> bool:
    try:
        return _moment(modified) >= begin
    except InvalidOrder:  # a former version kept it
        return False
