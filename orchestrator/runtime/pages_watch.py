"""Whether the pages of a walk through a shop's orders fit together: each list of the walk is checked by itself.
Pure."""

from __future__ import annotations

import json

from orchestrator.platforms.client import Page
from orchestrator.platforms.progress import Progress


class PagesWatch:
    """The pages of one walk, also of one that was taken up again after a failure."""

    def __init__(self) -> None:
        self._part: int | None = None
        self._list = Progress()

    def flaw(self, page: Page) -> str | None:
        """Takes a page in; returns what is wrong with the list, None if nothing is."""
        if page.flaw is not None or page.next is None:
            return page.flaw
        if page.part != self._part:
            self._part, self._list = page.part, Progress()
        cursor = page.cursor if page.cursor is not None else json.dumps(page.next)
        return self._list.complaint(page.rows(), cursor)
