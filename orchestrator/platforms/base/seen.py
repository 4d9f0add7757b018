"""What a sync saw of a list, page by page, where the cursor of each page has all of it.

To copy it for each page takes longer with each page: the first sync of a large shop has hundreds of thousands of rows.
So all cursors of a sync share one object, `seen`, which has the pages before the last one, and each has its own page
beside it, `last`. It is taken in when the next page is: a page that is asked for again, for it broke off, finds `seen`
as it was the first time. Only the end of a list copies it, for its last page may be asked for again as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def take_in(seen: dict[str, T], last: Mapping[str, T | None]) -> dict[str, T]:
    """`seen` with the last page, changed in place; None takes a row out. To do it twice changes nothing."""
    for row, value in last.items():
        if value is None:
            seen.pop(row, None)
        else:
            seen[row] = value
    return seen


def forget_before(seen: dict[str, int], begin: int) -> None:
    """Takes out the rows whose value is less than `begin`."""
    for row in [row for row, value in seen.items() if value < begin]:
        del seen[row]
