"""How shops are spread over nodes: evenly, with few moves, and none is left to nobody."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.decisions.leasing import Member, spread

NODES = ("a", "b", "c", "d")
SHOPS = tuple(f"shop-{number:02}" for number in range(12))


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Member], dict[str, str | None]]:
    """Some nodes with some shops each, and who has which now, dead nodes among them."""
    members = [
        Member(name, draw(st.frozensets(st.sampled_from(SHOPS))), draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(NODES), unique=True))
    ]
    known = sorted({shop for each in members for shop in each.shops})
    holders = {shop: draw(st.sampled_from((*NODES, "dead", None))) for shop in known}
    return members, holders


def moved(plan: dict[str, str], holders: dict[str, str | None]) -> dict[str, str | None]:
    """Who has which shop once each node has done as planned."""
    return {shop: plan.get(shop) for shop in holders}


@given(situations())
def test_a_shop_that_a_living_node_can_have_is_given_to_one_that_can(
    situation: tuple[list[Member], dict[str, str | None]],
) -> None:
    members, holders = situation
    plan = spread(members, holders)
    able = {each.name: each.shops for each in members if not each.is_draining}
    assert plan.keys() == {shop for shop in holders if any(shop in shops for shops in able.values())}
    assert all(shop in able[name] for shop, name in plan.items())


@given(situations())
def test_what_was_planned_is_planned_again(situation: tuple[list[Member], dict[str, str | None]]) -> None:
    members, holders = situation
    plan = spread(members, holders)
    assert spread(members, moved(plan, holders)) == plan


@given(situations())
def test_nodes_that_see_the_same_in_another_order_come_to_the_same(
    situation: tuple[list[Member], dict[str, str | None]],
) -> None:
    members, holders = situation
    assert spread(list(reversed(members)), dict(reversed(holders.items()))) == spread(members, holders)


@given(st.sets(st.sampled_from(NODES), min_size=1), st.data())
def test_nodes_with_the_same_config_come_to_numbers_that_differ_by_one_at_most(
    names: set[str], data: st.DataObject
) -> None:
    holders = {shop: data.draw(st.sampled_from((*NODES, None))) for shop in SHOPS}
    counted = Counter(spread([Member(name, SHOPS) for name in names], holders).values())
    numbers = [counted[name] for name in names]
    assert max(numbers) - min(numbers) <= 1


@given(st.sets(st.sampled_from(NODES), min_size=1), st.data())
def test_no_more_shops_move_than_have_to(names: set[str], data: st.DataObject) -> None:
    holders: dict[str, str | None] = {shop: data.draw(st.sampled_from(sorted(names))) for shop in SHOPS}
    plan = spread([Member(name, SHOPS) for name in names], holders)
    most, rest = divmod(len(SHOPS), len(names))
    counted = Counter(holders.values())
    before = sorted((counted[name] for name in names), reverse=True)
    fair = [most + 1] * rest + [most] * (len(names) - rest)
    too_many = sum(max(0, has - should) for has, should in zip(before, fair, strict=True))
    assert sum(plan[shop] != holder for shop, holder in holders.items()) == too_many


@given(st.data())
def test_all_nodes_come_to_the_spread_in_whatever_sequence_shops_change_hands(data: st.DataObject) -> None:
    """A shop is free for a while when it moves, and other nodes look meanwhile."""
    members = [Member(name, SHOPS) for name in NODES]
    holders: dict[str, str | None] = dict.fromkeys(SHOPS, "a")
    steps = 0
    while (plan := spread(members, holders)) != holders:
        shop = data.draw(st.sampled_from(sorted(name for name in SHOPS if plan[name] != holders[name])))
        holders[shop] = plan[shop] if holders[shop] is None else None
        steps += 1
        assert steps <= 2 * len(SHOPS)
    assert set(Counter(holders.values()).values()) == {3}


def test_a_draining_node_is_planned_nothing() -> None:
    plan = spread([Member("a", SHOPS, is_draining=True), Member("b", SHOPS)], dict.fromkeys(SHOPS, "a"))
    assert set(plan.values()) == {"b"}
