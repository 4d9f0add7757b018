"""How a sweep over Selldone's list pages through rows that move (selldone.md §3). Pure: the client makes the calls.

The list is cut by offset, oldest checkout first. While a sweep pages on, rows may leave the filter and later ones move
up, over the cut, unseen. So every page begins a few rows before the end of the last one and must show a row from there;
when it shows none, the sweep steps back until it does. Rows seen twice are harmless.

The next sweep begins at the largest `updated_at` that this one saw, but not after the platform's clock when it began
(the `Date` of the first page): a row that changed behind the sweep's back, on a page already read, changed after that.
Without a `Date` the largest `updated_at` of the first page stands in for it. Our own clock has no say.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from orchestrator.platforms.selldone.wire import Listing
from statemachines.target import Json

OVERLAP_ROWS = 5
"""Rows that two pages share; more than one, because rows of the same second have no fixed sequence."""

_ANCHORS = 20  # rows of the last page, any of which shows that nothing was skipped
_MAX_STEPS_BACK = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """Where a sweep stands, as JSON in `Page.next`. Instants are the platform's, in Unix milliseconds.

    `since`: what the sweep began from. `anchors`: the last ids of the page before. `high`: the largest `updated_at`
    seen. `cap`: the platform's clock at the first page. `is_torn`: stepping back did not find the way, so the position
    may not move on.
    """

    since: int | None = None
    offset: int = 0
    anchors: tuple[str, ...] = ()
    high: int | None = None
    cap: int | None = None
    steps_back: int = 0
    is_torn: bool = False

    @classmethod
    def resume(cls, position: Json, cursor: Json) -> Sweep:
        """The sweep that begins from `position`, or goes on from `cursor`."""
        if cursor is not None:
            return cls(**{**cursor, "anchors": tuple(cursor["anchors"])})
        since = position.get("updated_at") if isinstance(position, dict) else None
        return cls(since=since if isinstance(since, int) else None)

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back."""
        return {**asdict(self), "anchors": list(self.anchors)}

    @property
    def position(self) -> Json:
        """Where the next sweep begins from, once this one is complete."""
        ends = [instant for instant in (self.high, self.cap) if instant is not None]
        if self.is_torn or self.high is None:
            return None if self.since is None else {"updated_at": self.since}
        return {"updated_at": min(ends) if self.since is None else max(self.since, min(ends))}


def turn(sweep: Sweep, listing: Listing, page_size: int, platform_now_ms: int | None) -> tuple[Sweep, bool]:
    """The sweep after a page, and whether it is complete. `platform_now_ms`: the answer's `Date`."""
    seen_at = [order.platform_updated_at for order in listing.orders if order.platform_updated_at is not None]
    high = max([*seen_at, *([] if sweep.high is None else [sweep.high])], default=None)
    is_first = sweep.offset == 0 and sweep.steps_back == 0
    cap = (high if platform_now_ms is None else platform_now_ms) if is_first else sweep.cap
    sweep = replace(sweep, high=high, cap=cap)
    if sweep.anchors and sweep.offset and not set(sweep.anchors).intersection(listing.ids):
        if sweep.steps_back < _MAX_STEPS_BACK:
            back = max(1, page_size - OVERLAP_ROWS)
            return replace(sweep, offset=max(0, sweep.offset - back), steps_back=sweep.steps_back + 1), False
        sweep = replace(sweep, is_torn=True)
    if _is_last(sweep, listing, page_size):
        return sweep, True
    overlap = max(1, min(OVERLAP_ROWS, listing.rows // 2))
    return replace(sweep, offset=sweep.offset + listing.rows - overlap, anchors=listing.ids[-_ANCHORS:]), False


def _is_last(sweep: Sweep, listing: Listing, page_size: int) -> bool:
    """The count tells the end; where it is missing or too large, a page that ends where the last one ended does."""
    is_nothing_new = bool(listing.ids) and listing.ids[-1:] == sweep.anchors[-1:]
    if listing.rows == 0:
        return True
    if listing.total is None:
        return is_nothing_new
    return sweep.offset + listing.rows >= listing.total or (is_nothing_new and listing.rows < page_size)
