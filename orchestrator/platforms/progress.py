"""Whether the pages of a list lead on: a list may be as long as it likes, but it may not go round in circles.

What a platform says of its own end is not believed for ever. A list has no end when the cursor of a next page was named
before, when page after page is empty, or when page after page shows nothing but rows that were shown before. No number
of pages counts: a shop of millions of orders gets through.

Remembering every row would take memory that grows with the shop. So rows are remembered by a hash while there are few,
then only those whose hash ends in a zero bit, then in two, and so on: a sample of even chance that never exceeds
`_SAMPLE` and that no new rows can stay out of for long. Cursors are compared with one earlier cursor, which moves on at
each power of two (Brent's way to find a cycle). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

PATIENCE_PAGES = 25
"""Pages in a row that may be empty or bring nothing new: rows that move while we read repeat a few (steps back too)."""

_SAMPLE = 4096
_PATIENCE_ROWS = 64  # times what the sample is one of: that so many new rows all stay out of it has a chance of e^-64


class Progress:
    """One list, page by page, from its beginning."""

    def __init__(self) -> None:
        self._sample: set[int] = set()
        self._mask = 0
        self._stale_pages = self._stale_rows = self._empty_pages = 0
        self._landmark: str | None = None
        self._since_landmark, self._reach = 0, 1

    def complaint(self, rows: Iterable[str], cursor: str | None) -> str | None:
        """Takes in a page of a list that says more follows; answers in words why it does not lead on, None if it does.

        `rows`: a name for each row of the page. `cursor`: what the platform calls the next page, None where it names
        none.
        """
        names = list(rows)
        self._empty_pages = 0 if names else self._empty_pages + 1
        if self._shows_new_rows(names):
            self._stale_pages = self._stale_rows = 0
        else:
            self._stale_pages, self._stale_rows = self._stale_pages + 1, self._stale_rows + len(names)
        if cursor is not None and self._is_known(cursor):
            return f"the cursor of its next page was named before, so its pages go round in circles: {cursor[:200]}"
        if self._empty_pages >= PATIENCE_PAGES:
            return f"{self._empty_pages} pages in a row were empty, and each said that more follows"
        if self._stale_pages >= PATIENCE_PAGES and self._stale_rows >= _PATIENCE_ROWS * self._mask:
            shown = f"{self._stale_pages} pages in a row ({self._stale_rows} rows)"
            return f"{shown} showed nothing but rows of earlier pages, and each said that more follows"
        return None

    def _shows_new_rows(self, names: list[str]) -> bool:
        has_new_rows = False
        for mark in map(hash, names):
            if mark & self._mask == 0 and mark not in self._sample:
                self._sample.add(mark)
                has_new_rows = True
        while len(self._sample) > _SAMPLE:
            self._mask = 2 * self._mask + 1
            self._sample = {mark for mark in self._sample if mark & self._mask == 0}
        return has_new_rows

    def _is_known(self, cursor: str) -> bool:
        if cursor == self._landmark:
            return True
        self._since_landmark += 1
        if self._since_landmark == self._reach:
            self._landmark, self._since_landmark, self._reach = cursor, 0, 2 * self._reach
        return False
