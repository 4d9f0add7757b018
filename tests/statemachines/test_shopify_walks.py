"""Whatever is asked of a Shopify order, in whatever sequence: each target comes to an end, nothing is shipped twice,
and what a target does not select stays as it is."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachines.machine import OrderState, Plan
from statemachines.shopify.facts import live, shipped, state_of, summed
from statemachines.shopify.machine import MACHINE
from statemachines.target import Json, TargetRequest

MOST_STEPS = 20
PLACES = ("71", "72")
METHODS = ("SHIPPING", "PICK_UP", "LOCAL", "NONE", None)
CODES = ("C1", "C2", "C3")

parts = st.tuples(
    st.integers(1, 3), st.sampled_from(PLACES), st.sampled_from(METHODS), st.sampled_from(["UNSUBMITTED", "ACCEPTED"])
)
items = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(1, 3)), min_size=1, max_size=3, unique_by=lambda each: each[0]
)
trackings = st.none() | st.lists(
    st.fixed_dictionaries({"code": st.sampled_from(CODES)}, optional={"url": st.just("https://t.example/1")}),
    min_size=1,
    max_size=2,
    unique_by=lambda each: each["code"],
)
targets = st.tuples(
    st.sampled_from(["preparing", "shipped", "shipped", "delivered", "delivered", "cancelled"]),
    st.none() | items,
    trackings,
    st.none() | st.sampled_from(PLACES),
    st.none() | st.sampled_from(["K1", "K2"]),
)


def order_of(given_parts: list[tuple[int, str, str | None, str]], uncarried: int | None) -> OrderState:
    orders: list[Json] = [
        {
            "id": f"9{n}",
            "status": "OPEN",
            "location": place,
            "method": method,
            "request": request,
            "is_service": False,
            "actions": ["CREATE_FULFILLMENT", "REPORT_PROGRESS"],
            "hold": None,
            "fulfill_at": None,
            "lines": {f"9{n}-{n}": [str(n), count]},
        }
        for n, (count, place, method, request) in enumerate(given_parts)
    ]
    lines = {str(n): count for n, (count, *_) in enumerate(given_parts)}
    facts: dict[str, Json] = {"fulfillment_orders": orders, "fulfillments": [], "lines": lines}
    if uncarried is not None and uncarried < len(given_parts):
        facts["uncarried"] = [str(uncarried)]
    return OrderState("UNFULFILLED", "UNFULFILLED", "paid", facts)


def request_of(target: tuple[Any, ...]) -> TargetRequest:
    state, asked, tracking, location, key = target
    wish: dict[str, Json] = {"state": state, "key": key}
    if asked is not None:
        wish["items"] = [str(n) if count is None else {"id": str(n), "quantity": count} for n, count in asked]
    wish |= {"tracking": tracking} if tracking else {}
    wish |= {"location": location} if location else {}
    return TargetRequest.from_json(wish)


def walked(here: OrderState, request: TargetRequest, made: list[int]) -> OrderState:
    """Plans anew after each step, as the driver does, with what the platform would show."""
    for _ in range(MOST_STEPS):
        plan = MACHINE.plan(here, request)
        if not isinstance(plan, Plan) or not plan.steps:
            return here
        step = plan.steps[0]
        made.append(1)
        before, facts = here, {"made": str(len(made))} if step.step == "fulfill" else {}
        here = MACHINE.after(here, step.step, request, None, facts)
        assert MACHINE.destination(before, step.step, request) == here.state or step.step == "cancel"
        if step.step in ("fulfill", "update_tracking", "mark_delivered"):
            assert MACHINE.is_done(step.step, before, here, request), (step, before, here)
    raise AssertionError(f"{request} never ends: {plan}")


@settings(max_examples=1000, deadline=None)
@given(st.lists(parts, min_size=1, max_size=4), st.none() | st.integers(0, 3), st.lists(targets, max_size=6))
def test_every_target_ends_and_nothing_is_shipped_twice(
    given_parts: list[tuple[int, str, str | None, str]], uncarried: int | None, wanted: list[tuple[Any, ...]]
) -> None:
    here = order_of(given_parts, uncarried)
    whole = {str(n): count for n, (count, *_) in enumerate(given_parts)}
    made: list[int] = []
    for target in wanted:
        request, before = request_of(target), here
        here = walked(here, request, made)
        if here.state == "CANCELLED":
            return
        left = summed(
            {line: count} for each in here.facts["fulfillment_orders"] for line, count in each["lines"].values()
        )
        assert summed([shipped(here.facts), left]) == whole
        if live(here.facts):
            assert here.state in (state_of(here.facts), "IN_PROGRESS", before.state)
        keeps_others(before, here, request)


def keeps_others(before: OrderState, here: OrderState, request: TargetRequest) -> None:
    """A code that was known changes no parcel but its own; what has arrived stays arrived."""
    codes = {each.code for each in request.trackings if each.code}
    known = [each for each in live(before.facts) if codes & set(each["codes"])]
    now = {each["id"]: each for each in live(here.facts)}
    for each in live(before.facts):
        assert now[each["id"]]["is_delivered"] >= each["is_delivered"]
        if known and each not in known:
            assert now[each["id"]]["codes"] == each["codes"]
            if request.state == "delivered":
                assert now[each["id"]] == each
