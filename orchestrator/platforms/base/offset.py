"""How a sync pages through a list that is cut by offset and filtered by change time, while its rows move.

The list has a fixed sequence, such as oldest checkout first. While a sync pages on, rows may leave the filter and
later ones move up, over the cut, unseen. So every page begins a few rows before the end of the last one
and must show a row from there; when it shows none, the sync steps back until it does. Rows seen twice are harmless.

The list ends where the platform's count says so, if that fits what it shows: a full page is followed by a read at the
next, for a count may be too small, and a list that ends before its count is not believed to be whole. Without a count
it ends with a page that shows the shared rows and no others.

The next sync begins at the largest change time that this one saw, but not after the moment when it began
(`platforms/horizon`): a row that changed behind the sync's back, on a page already read, changed after that. Without
a `Date` the largest change time of the first page bounds it as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace

from orchestrator.clock import Clock
from orchestrator.platforms.base.listing import Listing, count_of
from orchestrator.platforms.client import Page
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.http import Answer, date_ms
from orchestrator.platforms.progress import PATIENCE_PAGES
from statemachines.target import Json

Ask = Callable[[int, int, int | None], Awaitable[tuple[Listing, Answer]]]
"""Asks for rows by offset, limit, and change time (Unix milliseconds; None: whenever they changed)."""

AskPage = Callable[[int, int, int | None], Awaitable[tuple[Listing, Answer, Json]]]
"""Asks for a page by its number (the first is 1), rows a page, and change time as `Ask`; answers also how many pages
the platform counts, whatever stands there."""

OVERLAP_ROWS = 5
"""Rows that two pages share; more than one, because rows of the same second have no fixed sequence."""

_FEWEST_A_PAGE = 25  # of smaller ones, none may show more behind some offset than the rows that are shared
_ANCHORS = 20  # rows of the last page, any of which shows that nothing was skipped
_MAX_STEPS_BACK = 20


@dataclass(frozen=True, slots=True)
class PageWalk:
    """Where a sync stands, as JSON in `Page.next`. Instants are the platform's, in Unix milliseconds.

    `since`: what the sync began from. `anchors`: the last ids of the page before, `shared`: how many of its rows this
    one begins with. `high`: the largest change time seen. `cap`: the latest position, set by the first page. `lost`:
    pages that showed none of the rows before them; the first ones make the sync step back. `part`: which of several
    lists it is in.
    """

    since: int | None = None
    offset: int = 0
    anchors: tuple[str, ...] = ()
    shared: int = 0
    high: int | None = None
    cap: int | None = None
    lost: int = 0
    part: int = 0

    @classmethod
    def resume(cls, position: Json, cursor: Json, now: Present) -> PageWalk:
        """The sync that begins from `position`, or goes on from `cursor`."""
        if cursor is not None:
            return cls(**{**cursor, "anchors": tuple(cursor["anchors"])})
        since = position.get("updated_at") if isinstance(position, dict) else None
        return cls(since=since if isinstance(since, int) and not now.is_before(since) else None)

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back."""
        return {**asdict(self), "anchors": list(self.anchors)}

    @property
    def is_torn(self) -> bool:
        """Whether stepping back did not find the way, so that rows may have slipped through."""
        return self.lost > _MAX_STEPS_BACK

    @property
    def position(self) -> Json:
        """Where the next sync begins from, once this one is complete."""
        known = [instant for instant in (self.since, self.high) if instant is not None]
        if not known:
            return None
        return {"updated_at": max(known) if self.cap is None else min(max(known), self.cap)}


@dataclass(frozen=True, slots=True)
class WalkAfterPage:
    """A sync after a page. `flaw`: why its end is not believed (`client.Page`); it is complete then too."""

    walk: PageWalk
    is_complete: bool
    flaw: str | None = None


async def walk_page(
    ask: Ask, position: Json, cursor: Json, *, page_size: int, clock: Clock, further: Sequence[Ask] = ()
) -> Page:
    """As `PlatformClient.list_page`, by a list that is cut by offset. Raises what `ask` does. `further`: lists that a
    sync goes through too, for rows that the first one leaves out."""
    page_size = max(page_size, 2)  # pages overlap, and a page of one row would never get on
    now = Present(clock.now_ms())
    walk = PageWalk.resume(position, cursor, now)
    listing, answer = await (ask, *further)[walk.part](walk.offset, page_size, walk.since)
    turned = after_page(walk, listing, page_size, replace(now, platform_ms=date_ms(answer)))
    if turned.is_complete and turned.flaw is None and walk.part < len(further):
        following = replace(turned.walk, part=walk.part + 1, offset=0, anchors=(), shared=0, lost=0)
        turned = WalkAfterPage(following, is_complete=False)
    return Page(
        orders=listing.orders,
        unreadable=listing.unreadable,
        must_read=listing.must_read,
        skip_if_new=frozenset(snapshot.id for snapshot in listing.orders if not snapshot.is_released),
        next=None if turned.is_complete else turned.walk.to_json(),
        position=turned.walk.position if turned.is_complete else None,
        part=walk.part,
        flaw=turned.flaw,
    )


def by_pages(ask: AskPage, *, largest: int) -> Ask:
    """A list that has numbered pages and no offset, for `walk_page`. `largest`: the most rows that the platform gives a
    page, from 25 on.

    Each request is one call: of the pages around an offset it takes the one, of up to `largest` rows, that shows most
    of what is behind it. So the list is to say how many pages of the size asked for there are, and to keep to the size:
    raises Transient with what to do where it does not, and what `ask` does.
    """
    if largest < _FEWEST_A_PAGE:
        raise ValueError(f"pages of {largest} rows do not lead through a list: at least {_FEWEST_A_PAGE} have to be")

    async def rows(offset: int, limit: int, since_ms: int | None) -> tuple[Listing, Answer]:
        most = min(largest, max(limit, 2 * _FEWEST_A_PAGE))
        size = max(range(most // 2, most + 1), key=lambda each: each - offset % each)
        number, behind = offset // size + 1, offset % size
        listing, answer, counted = await ask(number, size, since_ms)
        pages = count_of(counted)
        if pages is None:
            raise Transient("the list does not say how many pages it has")
        if listing.rows > size or (listing.rows < size and number < pages):
            detail = f"page {number} of {pages} holds {listing.rows} rows where {size} were asked for"
            raise Transient(f"{detail}: the client has to ask for no more than the platform gives a page (`largest`)")
        is_end = number >= pages and listing.rows < size and (listing.rows > 0 or number == 1)
        return (
            replace(
                listing,  # with all of its orders: those seen twice are harmless
                ids=listing.ids[behind : behind + limit],
                rows=min(max(0, listing.rows - behind), limit),
                total=(number - 1) * size + listing.rows if is_end else None,
            ),
            answer,
        )

    return rows


def after_page(walk: PageWalk, listing: Listing, page_size: int, now: Present) -> WalkAfterPage:
    """Takes a page in; `now`: when it was asked for."""
    seen_at = [order.platform_updated_at for order in listing.orders if order.platform_updated_at is not None]
    high = max([*seen_at, *(each for each in (walk.high, listing.changed_ms) if each is not None)], default=None)
    walk = replace(walk, high=high)
    if walk.cap is None:
        if walk.since is not None and now.is_before(walk.since):
            return WalkAfterPage(PageWalk(), is_complete=False)
        bounds = [now.ceiling, *([high] if now.platform_ms is None and high is not None else [])]
        walk = replace(walk, cap=min(bounds))
    if walk.anchors and walk.offset and not set(walk.anchors).intersection(listing.ids):
        walk = replace(walk, lost=walk.lost + 1)
        if not walk.is_torn:
            back = max(1, page_size - OVERLAP_ROWS)
            return WalkAfterPage(replace(walk, offset=max(0, walk.offset - back)), is_complete=False)
    is_over, flaw = _ending(walk, listing, page_size)
    if is_over:
        return WalkAfterPage(walk, is_complete=True, flaw=flaw)
    overlap = max(1, min(OVERLAP_ROWS, listing.rows // 2))
    offset = walk.offset + listing.rows - overlap
    return WalkAfterPage(
        replace(walk, offset=offset, anchors=listing.ids[-_ANCHORS:], shared=overlap), is_complete=False
    )


def _ending(walk: PageWalk, listing: Listing, page_size: int) -> tuple[bool, str | None]:
    """Whether the list is over with this page, and why that is not believed."""
    total, end = listing.total, walk.offset + listing.rows
    is_nothing_new = bool(listing.ids) and listing.ids[-1:] == walk.anchors[-1:]
    shows_no_more = listing.rows == 0 or (is_nothing_new and listing.rows <= walk.shared)
    is_counted_out = total == end and listing.rows < page_size and not is_nothing_new
    is_given_up = walk.lost > _MAX_STEPS_BACK + PATIENCE_PAGES
    if not (shows_no_more or is_counted_out or is_given_up):
        return False, None
    if walk.is_torn:
        return True, f"{walk.lost} pages showed none of the rows before them, so that rows may lie between them unseen"
    if total is not None and total > end:
        return True, f"it counts {total} orders and shows none behind the first {end}"
    return True, None
