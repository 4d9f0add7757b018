"""A list may be as long as it likes, and no list goes on for ever (`platforms/progress`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, cycle, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.platforms.progress import PATIENCE_PAGES, Progress

Shown = tuple[list[str], str | None]


def complaint_about(pages: Iterable[Shown]) -> tuple[str | None, int]:
    """The first complaint and the pages that it took."""
    progress, taken = Progress(), 0
    for rows, cursor in pages:
        taken += 1
        if (words := progress.complaint(rows, cursor)) is not None:
            return words, taken
    return None, taken


def named(numbers: Iterable[int]) -> list[str]:
    return [str(number) for number in numbers]


@given(st.lists(st.integers(1, 40), max_size=60), st.booleans())
def test_a_list_that_shows_something_new_on_each_page_is_never_complained_about(sizes: list[int], counts: bool) -> None:
    numbers = count()
    pages = [(named(islice(numbers, size)), None if counts else f"after-{at}") for at, size in enumerate(sizes)]
    assert complaint_about(pages)[0] is None


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(0, 30), max_size=10), min_size=1, max_size=30),
    st.lists(st.lists(st.integers(0, 30), max_size=10), min_size=1, max_size=30),
)
def test_pages_that_come_again_and_again_end_whatever_was_before_and_however_they_are_called(
    before: list[list[int]], again: list[list[int]]
) -> None:
    fresh_cursors = (f"cursor-{n}" for n in count())
    for cursors in (cycle([None]), fresh_cursors):
        pages = zip(map(named, (*before, *islice(cycle(again), 4000))), cursors, strict=False)
        words, taken = complaint_about(pages)
        assert words is not None
        assert taken <= len(before) + len(again) + 2 * PATIENCE_PAGES


@given(st.integers(0, 50), st.integers(1, 50))
def test_cursors_that_go_round_are_noticed_while_every_row_is_new(before: int, length: int) -> None:
    numbers, names = count(), [*range(before), *islice(cycle(range(before, before + length)), 4000)]
    words, taken = complaint_about(([str(next(numbers))], f"cursor-{name}") for name in names)
    assert words is not None
    assert "go round in circles" in words
    assert taken <= 4 * (before + length) + 2


def test_a_cursor_that_names_itself_is_noticed_at_once() -> None:
    assert complaint_about([(["1"], "a"), (["2"], "a")])[1] == 2


def test_pages_that_stay_empty_are_noticed() -> None:
    words, taken = complaint_about(([], f"cursor-{n}") for n in count())
    assert (words, taken) == (f"{PATIENCE_PAGES} pages in a row were empty, and each said that more follows", 25)


@pytest.mark.parametrize("size", [100, 2])
def test_a_very_large_shop_gets_through_and_is_remembered_in_little_room(size: int) -> None:
    numbers, progress = count(), Progress()
    for page in range(300_000 // size):
        assert progress.complaint(named(islice(numbers, size)), f"after-{page}") is None
    assert len(progress._sample) <= 4096


def test_a_very_large_list_that_begins_again_is_noticed_soon() -> None:
    def pages() -> Iterator[Shown]:
        for at in count():
            first = at * 100 % 300_000
            yield named(range(first, first + 100)), f"cursor-{at}"

    words, taken = complaint_about(pages())
    assert words is not None
    assert taken < 3000 * 1.2


def test_rows_that_show_twice_because_they_moved_are_no_reason_to_complain() -> None:
    numbers, progress = count(), Progress()
    for _ in range(200):
        rows = named(islice(numbers, 10))
        for _ in range(PATIENCE_PAGES):
            assert progress.complaint(rows, None) is None
