"""Pages on terminals of any width: nothing runs over the edge, nothing is lost, numbers and headings stay whole."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.cli.blocks import Page, column_widths, grid, line, plain, rich_page
from orchestrator.cli.order_page import order_page
from orchestrator.cli.pages import orders_page
from orchestrator.cli.status_page import status_page
from tests.cli.fake import a_cluster, a_problem, a_status, a_target, an_event, an_order


def shown(page: Page, width: int) -> list[str]:
    """The lines that a terminal of that width shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(rich_page(page, width))
    return [text.rstrip() for text in out.getvalue().splitlines()]


def a_busy_status() -> dict[str, Any]:
    (acme,) = a_status()["shops"]
    many = {"CheckQueue": 2, "OrderConfirm": 11, "ToCustomer": 7, "Canceled": 1}
    polish = {"Nowe": 3, "Zaimportowano do ERP": 4, "Przygotowywane do wysyłki": 44, "Zrealizowane": 999}
    error = {
        "last_sync_error": "the platform answered 502: Bad Gateway",
        "next_sync_at": "2026-01-02T03:05:06.000Z",
    }
    paused = {"paused": True, "paused_by": "person", "paused_reason": "stocktaking until Monday"}
    return a_status(
        shops=[
            acme | {"by_state": many, "by_situation": {"held": 3}},
            acme | {"name": "cs", "platform": "cloudsuite", "waiting": 0, "queued": 0, **error},
            acme | {"name": "xs-warehouse-poland", "platform": "xsale", "by_state": polish, **paused},
        ],
        delivery=[{"name": "orders_url", "lag_events": 12, "lag_seconds": 3, "last_error": "no answer " * 9}],
    )


def test_the_status_page_is_read_in_80_columns() -> None:
    lines = shown(status_page(a_busy_status()), 80)
    assert max(map(len, lines)) <= 80
    assert "SHOP                 WORK         LAST SYNC" in lines
    assert "SHOP                 QUEUED  WAITING  BLOCKED  HELD  OLDEST" in lines
    does, counts, *_ = [line.split() for line in lines if line.startswith("acme ") and "CheckQueue" not in line]
    assert does == ["acme", "ok", "03:04:05Z"]
    assert counts == ["acme", "1", "4711", "1", "3", "5", "min"]
    text = "\n".join(lines)
    assert "acme                 CheckQueue 2, OrderConfirm 11, ToCustomer 7, Canceled 1" in lines
    assert "stocktaking until Monday" in text
    assert "tried again at" in text


def test_a_shop_at_rest_has_one_row_in_80_columns_and_one_that_works_too() -> None:
    (acme,) = a_status()["shops"]
    resting = acme | {"name": "cs", "queued": 0, "waiting": 0, "blocked": 0, "oldest_pending_seconds": None}
    lines = shown(status_page(a_status(shops=[acme, resting])), 80)
    at = lines.index("SHOP  WORK  LAST SYNC  QUEUED  WAITING  BLOCKED  OLDEST")
    assert lines[at + 1].split() == ["acme", "ok", "03:04:05Z", "1", "4711", "1", "5", "min"]
    assert lines[at + 2].split() == ["cs", "ok", "03:04:05Z"]


def test_a_very_narrow_terminal_gets_what_is_pending_in_words() -> None:
    text = " ".join(" ".join(shown(status_page(a_busy_status()), 50)).split())
    assert "1 queued, 4711 waiting, 1 blocked," in text
    assert "QUEUED" not in text


def test_what_follows_a_label_stays_beside_it_on_a_narrow_terminal() -> None:
    allowed = ["PreparingOrder", "SentOrder", "ToCustomer", "Canceled"]
    lines = shown(order_page(an_order(allowed=allowed)), 50)
    at = next(number for number, text in enumerate(lines) if text.startswith("state "))
    assert lines[at + 1].startswith(" " * 11 + "PreparingOrder")
    unbroken = "x" * 60
    assert [text.split() for text in shown([line("path ", unbroken, hang=4)], 40)] == [
        ["path"],
        [unbroken[:36]],
        [unbroken[36:]],
    ]


def test_the_orders_page_is_read_in_80_columns_with_what_people_know_orders_by() -> None:
    order = an_order(id="gid67890123", reference="CS48193", situation="retrying", targets=[{"state": "SentOrder"}])
    header, row = shown(orders_page([order]), 80)
    assert header.split() == ["SHOP", "ORDER", "REFERENCE", "STATE", "SITUATION", "TARGET"]
    assert row.split() == ["acme", "gid67890123", "CS48193", "OrderConfirm", "retrying", "SentOrder"]
    header, row = shown(orders_page([order]), 90)
    assert (header.split()[-1], row.split()[-2:]) == ("UPDATED", ["2026-01-02", "03:04Z"])
    header, row = shown(orders_page([order | {"reference": None}]), 72)
    assert header.split() == ["SHOP", "ORDER", "STATE", "SITUATION", "TARGET", "UPDATED"]
    assert row.split() == ["acme", "gid67890123", "OrderConfirm", "retrying", "SentOrder", "2026-01-02", "03:04Z"]


@pytest.mark.parametrize("width", [45, 60, 80])
def test_an_order_is_broken_between_words_and_never_inside_them(width: int) -> None:
    steps = ["accept", "confirm", "prepare", "set_tracking", "send"]
    until = "2026-01-02T03:04:05.000Z"
    events = [
        an_event(1, type="target.submitted", data={"state": "ToCustomer", "steps": steps}),
        an_event(2, type="order.waiting", data={"reason": "payment", "until": until}),
    ]
    order = an_order(timeline=events, targets=[a_target(finished_at=until)], allowed=["PreparingOrder", "Canceled"])
    words = [word for text in shown(order_page(order), width) for word in text.replace(",", " ").split()]
    assert {*steps[:4], "send"} <= {word.removeprefix("steps=") for word in words}
    times = {word.removeprefix("until=") for word in words if "2026" in word}
    assert times == {until, order["updated_at"]}


def test_a_wide_terminal_and_a_pipe_get_every_column_whole() -> None:
    page = [*status_page(a_busy_status()), *orders_page([an_order(reference="CS48193")])]
    for lines in (shown(page, 300), plain(page).splitlines()):
        text = "\n".join(lines)
        assert "SHOP                 PLATFORM    WORK" in text
        assert "QUEUED  RUNNING  RETRYING  WAITING  BLOCKED  HELD  OLDEST  ORDERS" in text
        assert "sync failed: the platform answered 502: Bad Gateway; tried again at 03:05:06Z" in text
        assert "Nowe 3, Zaimportowano do ERP 4, Przygotowywane do wysyłki 44, Zrealizowane 999" in text
        assert "CS48193" in text
        assert "2026-01-02T03:04:06.000Z" in text


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 120, 200])
def test_no_page_runs_over_the_edge(width: int) -> None:
    events = [an_event(1), an_event(2, type="order.blocked", data={"problem": a_problem()})]
    for page in (
        status_page(a_busy_status()),
        status_page(a_cluster()),
        order_page(an_order(problem=a_problem(), timeline=events)),
    ):
        assert max(map(len, shown(page, width))) <= width


cells = st.text(st.characters(categories=["L", "N"], max_codepoint=0x17F), max_size=40)


@given(st.lists(st.tuples(cells, cells, cells), max_size=4), st.sets(st.integers(0, 2)), st.integers(12, 120))
def test_a_table_keeps_every_character_at_any_width(
    rows: list[tuple[str, str, str]], wraps: set[int], width: int
) -> None:
    block = grid(("A", "B", "C"), rows, right=(1,), wraps=wraps)
    widths = column_widths(block, width)
    assert sum(widths) + 4 <= max(width, 7)
    lines = shown([block], width)
    assert max(map(len, lines)) <= width
    kept = sorted("".join(lines).replace(" ", ""))
    assert kept == sorted("ABC" + "".join(cell for row in rows for cell in row))


@pytest.mark.parametrize(
    ("at", "words"), [("2026-11-02T10:00:00.000Z", "at 2026-11-02T10"), (None, "no time is known")]
)
def test_a_withdrawn_order_says_so_in_the_list_and_on_its_page(at: str | None, words: str) -> None:
    order = an_order(withdrawn=True, withdrawn_at=at)
    assert any("withdrawn" in text and words in text for text in shown(order_page(order), 120))
    assert "withdrawn" in shown(orders_page([order]), 120)[1]
    assert not any("withdrawn" in text for text in shown(order_page(an_order()), 120))


def test_the_status_page_shows_how_many_orders_are_left_out_as_history() -> None:
    status = a_status()
    status["shops"][0]["skipped"] = 1234
    assert "1234 left out as history" in plain(status_page(status))
    status["shops"][0]["skipped"] = 0
    assert "history" not in plain(status_page(status))


def test_nodes_are_shown_with_their_versions_while_they_differ() -> None:
    node = {"shops": ["acme"], "seen_at": "2026-01-02T03:04:05.000Z", "draining": False}
    nodes = [{"name": "a:1", "version": "0.4.0", **node}, {"name": "b:2", "version": "0.3.0", **node, "draining": True}]
    lines = [line.split() for line in shown(status_page(a_status(nodes=nodes)), 80)]
    assert ["NODE", "VERSION", "SHOPS", "SEEN", "WORKS", "FOR"] in lines
    assert ["a:1", "0.4.0", "1", "03:04:05Z", "acme"] in lines
    assert ["b:2", "0.3.0", "1", "03:04:05Z", "hands", "over", "acme"] in lines
