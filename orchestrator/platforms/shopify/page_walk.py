"""How a sync over Shopify's orders finds what changed since the last one (shopify.md §2.3, Reconcile). Pure.

Orders are listed by their change time, oldest first, from the last one seen less a look-back. Rows are thin, so each
one that is new is read; a row that the look-back brings again unchanged is left out. Change times are whole seconds: a
row whose second was not over when it was listed may have changed once more in it, and is read again.

The first sync of a shop lists everything that it ever sold, oldest change first, which can take an hour. What is to
be done is among the last of it, so the open orders are listed before, by themselves: they are read then and left out of
the rest. A filter that Shopify overlooked would cost a second list, and lose nothing.

The next sync begins no later than the moment when this one began (`platforms/horizon`): a change time of the future,
or pages in another sequence than the one asked for, hide no later change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

from orchestrator.platforms.base.seen import forget_before, take_in
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.shopify.wire import Row
from statemachines.target import Json

_SETTLED_MS = 2000
_FORGOTTEN_TOGETHER = 1000  # rows at least: to go through all of them at each page would take longer and longer
OPEN_FIRST = "status:open"
"""Orders that are neither archived nor cancelled (Admin schema, `orders(query:)`)."""


@dataclass(frozen=True, slots=True)
class PageWalk:
    """Where a sync stands, as JSON in `Page.next`.

    `query`: what the list is asked for, None: everything. `after`: the cursor of the next page. `known`: change times
    (Unix ms) by id from the last sync, `seen`: those of this one that the next will be shown again, up to the page
    before the last, `last`: those of the last page, None for one that is not to be there (`base.seen`). `kept`: how
    many there were when those from before `begin` were forgotten, which the next will not be shown. `latest`: the
    last change time. `cap`: the latest position, set by the first page.
    """

    query: str | None = None
    after: str | None = None
    known: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    latest: int | None = None
    cap: int | None = None
    last: dict[str, int | None] = field(default_factory=dict)
    begin: int | None = None
    kept: int = 0

    @classmethod
    def resume(cls, position: Json, cursor: Json, lookback_ms: int, now: Present) -> PageWalk:
        """The sync that begins from `position`, or goes on from `cursor`."""
        if cursor is not None:
            return cls(**cursor)
        latest = position.get("latest") if isinstance(position, dict) else None
        if not isinstance(latest, int) or now.is_before(latest):
            return cls(OPEN_FIRST)
        since = datetime.fromtimestamp(max(0, latest - lookback_ms) // 1000, UTC)
        query = f"updated_at:>='{since.strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        return cls(query, None, position.get("seen") or {}, {}, latest)

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back. Not copied: what is known of a large shop is large."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def is_part(self) -> bool:
        """Whether this lists the open orders alone, and everything follows."""
        return self.query == OPEN_FIRST

    def following(self) -> PageWalk | None:
        """The sync behind the last page of this one; None when all is listed."""
        return PageWalk(known=take_in(dict(self.seen), self.last), cap=self.cap) if self.is_part else None

    @property
    def part(self) -> int:
        """Which list of the sync this is (`client.Page`)."""
        return 0 if self.is_part else 1

    def position(self) -> Json:
        """Where the next sync begins."""
        if self.latest is None:
            return None
        seen = take_in(dict(self.seen), self.last)
        begin = self.begin
        kept = seen if begin is None else {id_: at for id_, at in seen.items() if at >= begin}
        return {"latest": self.latest if self.cap is None else min(self.latest, self.cap), "seen": kept}

    def fresh(self, rows: list[Row]) -> list[Row]:
        """The rows that the last sync did not see as they are now."""
        return [row for row in rows if self.known.get(row.id) != row.updated_at]

    def turned(self, rows: list[Row], after: str | None, now: Present, lookback_ms: int) -> PageWalk:
        """The sync after a page; `now`: when it was asked for. One that turns out to have begun in the future becomes
        the first one of a shop again."""
        cap = self.cap
        if cap is None:
            if self.latest is not None and now.is_before(self.latest):
                return PageWalk(OPEN_FIRST)
            cap = now.ceiling
        latest = max((row.updated_at for row in rows), default=None)
        if self.latest is not None:
            latest = self.latest if latest is None else max(latest, self.latest)
        seen, kept, begin = take_in(self.seen, self.last), self.kept, self.begin
        if latest is not None and not self.is_part:
            begin = min(latest, cap) - lookback_ms - 1000  # the query's seconds are cut off
            if len(seen) > 2 * kept + _FORGOTTEN_TOGETHER:
                forget_before(seen, begin)
                kept = len(seen)
        settled_ms = None if now.platform_ms is None else now.platform_ms - _SETTLED_MS
        last = {
            row.id: row.updated_at if settled_ms is not None and row.updated_at <= settled_ms else None for row in rows
        }
        return replace(self, after=after, latest=latest, cap=cap, seen=seen, last=last, begin=begin, kept=kept)
