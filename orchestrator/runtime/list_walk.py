"""Walks through a shop's list of changed orders, page by page. A walk that broke off is taken up at the page that it
could not get, so that a large import gets through in spite of failures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from orchestrator.platforms.client import Page
from orchestrator.platforms.failures import Inconsistent
from orchestrator.runtime.calls import ask
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.list_adoption import ListAdoption, Tally
from orchestrator.runtime.pages_watch import PagesWatch
from orchestrator.runtime.reading import read_begins
from orchestrator.runtime.row_reads import RowReads
from statemachines.target import Json

_TRIES_AT_A_PAGE = 5


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A walk that broke off: what it started from and the page that it could not get."""

    position: Json
    cursor: Json


class ListWalk:
    """Of one shop."""

    def __init__(self, services: ShopServices, adoption: ListAdoption, rows: RowReads) -> None:
        self._services, self._adoption, self._rows = services, adoption, rows
        self._unfinished: _Unfinished | None = None
        self._pages = PagesWatch()  # of the walk at hand
        self._stuck = 0  # consecutive syncs that broke off at the same page

    def broke_off(self) -> None:
        """The sync failed."""
        self._stuck += 1

    def begin_anew(self) -> None:
        """The next walk begins at the first page, not where the last one broke off."""
        self._unfinished = None

    async def walk(self, position: Json, tally: Tally, *, only_new: bool = False) -> Page:
        """Lists and adopts page after page; returns the last one. `only_new`: rows of known orders are not read, for
        another walk reads those. Raises NotAdmitted, PlatformFailure; Inconsistent where the list cannot
        be whole or has no end."""
        services, cursor = self._services, self._take_up(position)
        while True:
            self._unfinished = _Unfinished(position, cursor)
            page = await self._take_page(position, cursor, tally)
            await self._rows.read_page(await self._adoption.worth_reading(page, tally, only_new=only_new), tally)
            self._rows.turn_page()
            await services.checkpoints.reach("after_sync")
            if (flaw := self._pages.flaw(page)) is not None:
                self._unfinished = None
                remedy = "what it showed was taken in, and the next sync begins where this one began"
                raise Inconsistent(f"the list of orders is not to be relied on: {flaw}; {remedy}")
            if page.next is None:
                return page
            cursor = page.next
            del page  # or all shops that wait for a turn would have their last one in memory

    async def _take_page(self, position: Json, cursor: Json, tally: Tally) -> Page:
        """Asks for a page and adopts what it shows as a whole, in its turn. The first page of what changed since the
        last sync is mostly the only one, and short."""
        services = self._services
        is_short = position is not None and cursor is None
        async with (services.short_turns if is_short else services.walk_turns).turn() as turn:
            read_at = await read_begins(services.clock)
            list_page = partial(services.client.list_page, position, cursor)
            page = await turn.during(partial(ask, services, "list", list_page))
            self._stuck = 0
            await self._adoption.adopt_page(page, read_at, tally)
        return page

    def _take_up(self, position: Json) -> Json:
        """The cursor where the last walk broke off; after some failures at the same page it begins anew."""
        left = self._unfinished
        if left is None or left.position != position or self._stuck >= _TRIES_AT_A_PAGE:
            self._stuck = 0
            self._rows.turn_page()
            self._pages = PagesWatch()
            return None
        return left.cursor
