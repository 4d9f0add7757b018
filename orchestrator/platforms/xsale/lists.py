"""How xSale's lists are asked for: filters in every way that arrays are written, pages, and what a sync visits.

A sync lists the orders in the first status, which are the work to import (xsale.md §3), then those in the other open
statuses, so that few known orders have to be read one by one. Both from the beginning each time: xSale has no change
time to go on from. An order that slips between two pages is in the next sync, for it stays where it is until we move
it. Pure: the client makes the calls.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote

from orchestrator.platforms.xsale.options import ArrayStyle, Paging
from statemachines.target import Json


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a sync stands, as JSON in `Page.next`. `group`: which statuses are being listed. `offset` counts rows,
    `page` pages from 1. `last`: the names of the rows of the page before, to see when a page brings nothing new."""

    group: int = 0
    offset: int = 0
    page: int = 1
    last: tuple[str, ...] = ()

    @classmethod
    def resume(cls, cursor: Json) -> Cursor:
        """The beginning, or where `to_json` left off."""
        return cls() if cursor is None else cls(**{**cursor, "last": tuple(cursor["last"])})

    def to_json(self) -> dict[str, Json]:
        """As JSON; `resume` reads it back."""
        return {**asdict(self), "last": list(self.last)}


def next_cursor(cursor: Cursor, names: Collection[str], *, paging: Paging, groups: int) -> Cursor | None:
    """The cursor behind a page with these rows, None when the sync is complete. `names`: what distinguishes each row.

    A list ends with an empty page or one that brings no new row, not with a short one: the platform may give fewer rows
    a page than it is asked for (xsale.md §3).
    """
    if paging != "none" and not _brings_nothing(cursor, names):
        return replace(cursor, offset=cursor.offset + len(names), page=cursor.page + 1, last=tuple(names))
    return Cursor(cursor.group + 1) if cursor.group + 1 < groups else None


def flaw(cursor: Cursor, names: Collection[str], page_size: int) -> str | None:
    """Why the end of a list is not believed: a second page that is full and shows the first one again may be the first
    page of a platform that overlooks what page it is asked for. One that gives more rows than a page has, or fewer,
    overlooks pages altogether, or has no more rows; one that was at its last page may show that again."""
    if cursor.page == 2 and len(names) == page_size and _brings_nothing(cursor, names):
        return f"its second page shows the {page_size} orders of the first again: check paging in the config"
    return None


def _brings_nothing(cursor: Cursor, names: Collection[str]) -> bool:
    return set(names) <= set(cursor.last)


def filtered(name: str, values: Sequence[int | str], style: ArrayStyle) -> str:
    """A filter with several values as a piece of a query string (xsale.md §3)."""
    texts = [quote(str(value), safe="") for value in values]
    match style:
        case "repeat":
            return "&".join(f"{name}={text}" for text in texts)
        case "brackets":
            return "&".join(f"{name}[]={text}" for text in texts)
        case "indexed":
            return "&".join(f"{name}[{at}]={text}" for at, text in enumerate(texts))
        case "comma":
            return f"{name}={','.join(texts)}"
        case "json":
            text = json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))
            return f"{name}={quote(text, safe='')}"


def paged(cursor: Cursor, page_size: int, paging: Paging) -> str:
    """The parameters that ask for one page, empty where lists are not paged."""
    match paging:
        case "none":
            return ""
        case "limit_offset":
            return f"limit={page_size}&offset={cursor.offset}"
        case "page":
            return f"page={cursor.page}&pageSize={page_size}"


def further(query: Mapping[str, str]) -> str:
    """A shop's own parameters of every list."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
