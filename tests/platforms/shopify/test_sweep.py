"""How a sweep over Shopify's orders goes on: what is open first, then everything, then what changed."""

from __future__ import annotations

from orchestrator.platforms.client import Age
from orchestrator.platforms.shopify.sweep import OPEN_FIRST, Sweep
from orchestrator.platforms.shopify.wire import Row

NOW = 1_800_000_000_000
LOOKBACK = 120_000


def row(number: str, updated_at: int) -> Row:
    return Row(number, updated_at, False, Age())


def test_what_was_read_among_the_open_orders_is_not_read_again_with_everything() -> None:
    first = Sweep.resume(None, None, LOOKBACK)
    assert first.query == OPEN_FIRST
    old, late = row("1", NOW - 10 * LOOKBACK), row("2", NOW - 500)
    everything = first.turned([old, late], None, NOW, LOOKBACK).following()
    assert everything is not None
    assert everything.query is None
    again = Sweep.resume(None, everything.to_json(), LOOKBACK)
    assert again.fresh([old, late]) == [late], "its second was not over: it may have changed once more"
    assert again.fresh([row("1", NOW)]) == [row("1", NOW)], "it changed since"


def test_only_the_whole_list_says_where_the_next_sweep_begins() -> None:
    first = Sweep.resume(None, None, LOOKBACK).turned([row("1", NOW - 5000)], None, NOW, LOOKBACK)
    everything = first.following()
    assert everything is not None
    done = everything.turned([row("9", NOW - 50_000), row("1", NOW - 5000)], None, NOW, LOOKBACK)
    assert done.following() is None
    position = done.position()
    assert position["latest"] == NOW - 5000
    following = Sweep.resume(position, None, LOOKBACK)
    assert (following.query or "").startswith("updated_at:>=")
    assert following.turned([], None, NOW, LOOKBACK).following() is None


def test_a_shop_without_orders_begins_anew() -> None:
    first = Sweep.resume(None, None, LOOKBACK).turned([], None, NOW, LOOKBACK)
    everything = first.following()
    assert everything is not None
    assert everything.turned([], None, NOW, LOOKBACK).position() is None
