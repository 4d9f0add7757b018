"""The planner on Selldone's machine: examples from the facts and the documentation, and what holds for every order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import MachineError

from orchestrator.registry import PLATFORMS
from statemachines.machine import (
    DefinitionError,
    Milestone,
    OrderState,
    Plan,
    PlannedStep,
    PlatformMachine,
    Refusal,
    State,
    Step,
)
from statemachines.selldone import MACHINE, REJECT_COUNTDOWN_MS
from statemachines.target import ErpLine, Json, TargetRequest, Tracking

STATES = ["CheckQueue", "OrderConfirm", "PreparingOrder", "SentOrder", "ToCustomer", "Returned", "Canceled"]
CODE, URL = "1Z827WK74630", "https://example.com/track/1Z827"
TRACKING = Tracking(CODE, URL)
STEP_STATE = {"confirm": "OrderConfirm", "prepare": "PreparingOrder", "send": "SentOrder", "deliver": "ToCustomer"}


def order_state(state: str, **facts: Json) -> OrderState:
    shown = {"Returned": "PreparingOrder", "Canceled": "CheckQueue"}.get(state, state)
    status = "Canceled" if state == "Canceled" else "Payed"
    return OrderState(state, shown, "paid", {"status": status, "items": ["1", "2"], **facts})


def steps(plan: Plan | Refusal) -> list[str]:
    assert isinstance(plan, Plan), plan
    return [step.step for step in plan.steps]


def refusal(plan: Plan | Refusal) -> Refusal:
    assert isinstance(plan, Refusal), plan
    return plan


# -- plans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "target", "way"),
    [
        ("CheckQueue", "CheckQueue", []),
        ("CheckQueue", "OrderConfirm", ["confirm"]),
        ("CheckQueue", "delivered", ["confirm", "prepare", "send", "deliver"]),
        ("PreparingOrder", "accepted", []),
        ("PreparingOrder", "shipped", ["send"]),
        ("SentOrder", "returned", ["return_delivery"]),
        ("SentOrder", "delivered", ["deliver"]),
        ("ToCustomer", "new", []),
        ("Returned", "preparing", []),
        ("Returned", "returned", []),
        ("Returned", "shipped", ["send"]),
        ("Returned", "delivered", ["send", "deliver"]),
        ("Canceled", "cancelled", []),
        ("CheckQueue", "attention", ["record"]),
        ("SomethingNew", "attention", ["record"]),
    ],
)
def test_a_target_is_reached_by_the_steps_that_are_missing(state: str, target: str, way: list[str]) -> None:
    assert steps(MACHINE.plan(order_state(state), TargetRequest(target))) == way


@pytest.mark.parametrize("name", ["SentOrder", "sentorder", " SENTORDER ", "shipped", "Shipped"])
def test_names_are_matched_without_regard_to_case(name: str) -> None:
    plan = MACHINE.plan(order_state("PreparingOrder"), TargetRequest(name))
    assert isinstance(plan, Plan)
    assert (plan.state, plan.milestone) == ("SentOrder", "shipped")


@pytest.mark.parametrize(
    ("state", "target", "slug", "allowed"),
    [
        ("CheckQueue", "nowhere", "unknown-state", MACHINE.names()),
        ("ToCustomer", "cancelled", "unreachable", ()),
        ("ToCustomer", "returned", "unreachable", ()),
        ("CheckQueue", "returned", "unreachable", ("OrderConfirm", "Canceled")),
        ("OrderConfirm", "Returned", "unreachable", ("PreparingOrder", "Canceled")),
        ("PreparingOrder", "returned", "unreachable", ("SentOrder", "Canceled")),
        ("Canceled", "returned", "unreachable", ()),
        ("Canceled", "shipped", "unreachable", ()),
        ("SomethingNew", "shipped", "unreachable", ()),
        ("SomethingNew", "Canceled", "unreachable", ()),
    ],
)
def test_what_cannot_be_reached_is_refused(state: str, target: str, slug: str, allowed: tuple[str, ...]) -> None:
    refused = refusal(MACHINE.plan(order_state(state), TargetRequest(target)))
    assert (refused.slug, refused.allowed) == (slug, allowed)


@pytest.mark.parametrize("state", ["CheckQueue", "OrderConfirm", "PreparingOrder", "SentOrder", "Returned"])
def test_an_order_is_cancelled_in_one_step_from_wherever_it_is_before_the_end(state: str) -> None:
    here = order_state(state)
    plan = MACHINE.plan(here, TargetRequest("cancelled", reason="fraud", notify_customer=True))
    assert isinstance(plan, Plan)
    assert plan.steps == (PlannedStep("cancel", state, "Canceled"),)
    assert plan.unused == ("notify_customer",)
    assert MACHINE.after(here, "cancel", TargetRequest("cancelled"), None, {}).state == "Canceled"
    canceled = order_state("Canceled")
    assert MACHINE.is_done("cancel", here, canceled, TargetRequest("cancelled")) is True
    assert MACHINE.is_done("cancel", here, here, TargetRequest("cancelled")) is False


@pytest.mark.parametrize(
    ("facts", "request_", "reason"),
    [
        ({"status": "Open"}, TargetRequest("cancelled"), "payment status is Open"),
        ({"type": "FILE"}, TargetRequest("cancelled"), "type is FILE"),
        ({}, TargetRequest("cancelled", items=("1",)), "about the whole order"),
        ({}, TargetRequest("cancelled", despatch=({"number": "1"},)), "goods leave"),
    ],
)
def test_an_order_that_cannot_be_cancelled_is_refused_with_the_reason(
    facts: dict[str, Json], request_: TargetRequest, reason: str
) -> None:
    refused = refusal(MACHINE.plan(order_state("CheckQueue", **facts), request_))
    assert refused.slug == "not-allowed"
    assert reason in (refused.reason or "")


@pytest.mark.parametrize(
    "facts", [{"status": "Reserved"}, {"status": "COD"}, {"withdrawn": {"at": None, "reason": None}}]
)
def test_an_order_is_cancelled_whether_it_was_paid_or_withdrawn(facts: dict[str, Json]) -> None:
    assert steps(MACHINE.plan(order_state("CheckQueue", **facts), TargetRequest("cancelled"))) == ["cancel"]


def test_strict_chaining_takes_one_step_at_a_time() -> None:
    far = refusal(MACHINE.plan(order_state("CheckQueue"), TargetRequest("shipped"), "strict"))
    assert (far.slug, far.allowed) == ("not-adjacent", ("OrderConfirm", "Canceled"))
    near = MACHINE.plan(order_state("PreparingOrder"), TargetRequest("shipped", tracking=TRACKING), "strict")
    assert steps(near) == ["set_tracking", "send"]


def test_names_are_what_a_target_may_carry() -> None:
    assert {"SentOrder", "shipped", "Returned", "attention", "Canceled", "cancelled"} <= set(MACHINE.names())


# -- tracking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "target", "way"),
    [
        ("CheckQueue", "shipped", ["confirm", "prepare", "set_tracking", "send"]),
        ("CheckQueue", "preparing", ["confirm", "prepare", "set_tracking"]),
        ("PreparingOrder", "preparing", ["set_tracking"]),
        ("SentOrder", "shipped", ["set_tracking"]),
        ("SentOrder", "delivered", ["set_tracking", "deliver"]),
        ("Returned", "shipped", ["set_tracking", "send"]),
        ("CheckQueue", "accepted", ["confirm"]),
        ("ToCustomer", "delivered", []),
    ],
)
def test_tracking_is_set_as_soon_as_the_platform_takes_it_and_before_send(
    state: str, target: str, way: list[str]
) -> None:
    plan = MACHINE.plan(order_state(state), TargetRequest(target, tracking=TRACKING))
    assert steps(plan) == way
    assert isinstance(plan, Plan)
    assert ("tracking" in plan.unused) is ("set_tracking" not in way)


@pytest.mark.parametrize("tracking", [TRACKING, Tracking(code=CODE), Tracking(url=URL), Tracking(), Tracking("", "")])
def test_tracking_that_the_order_carries_is_not_sent_again(tracking: Tracking) -> None:
    here = order_state("PreparingOrder", tracking_code=CODE, tracking_url=URL)
    plan = MACHINE.plan(here, TargetRequest("shipped", tracking=tracking))
    assert steps(plan) == ["send"]
    assert isinstance(plan, Plan)
    assert plan.unused == ()


@pytest.mark.parametrize(
    "url",
    ["example.com", "ftp://example.com", "https://", "http://[", "javascript:alert(1)", "https://a b", "https://a\n"],
)
@pytest.mark.parametrize("state", ["CheckQueue", "SentOrder"])
def test_a_tracking_link_has_to_be_a_web_link(url: str, state: str) -> None:
    refused = refusal(MACHINE.plan(order_state(state), TargetRequest("shipped", tracking=Tracking(url=url))))
    assert refused.slug == "not-allowed"
    assert "tracking.url" in (refused.reason or "")


# -- guards and waits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Open", "Reserved", "Pending"])
def test_an_order_that_is_not_released_does_not_move(status: str) -> None:
    refused = refusal(MACHINE.plan(order_state("CheckQueue", status=status), TargetRequest("accepted")))
    assert refused.slug == "not-allowed"
    assert status in (refused.reason or "")
    assert steps(MACHINE.plan(order_state("CheckQueue", status=status), TargetRequest("new"))) == []


@pytest.mark.parametrize("kind", ["FILE", "SERVICE"])
def test_an_order_that_is_not_physical_does_not_move(kind: str) -> None:
    refused = refusal(MACHINE.plan(order_state("CheckQueue", type=kind), TargetRequest("accepted")))
    assert refused.slug == "not-allowed"
    assert kind in (refused.reason or "")
    assert steps(MACHINE.plan(order_state("CheckQueue", type="PHYSICAL"), TargetRequest("accepted"))) == ["confirm"]


@pytest.mark.parametrize(
    ("items", "is_allowed"),
    [
        (None, True),
        (("1",), True),
        (("1", {"id": "2", "quantity": 1}), True),
        (("3",), False),
        ((3,), False),
        ((), False),
    ],
)
def test_only_the_orders_own_items_are_confirmed(items: tuple[Json, ...] | None, is_allowed: bool) -> None:
    plan = MACHINE.plan(order_state("CheckQueue"), TargetRequest("accepted", items=items))
    assert isinstance(plan, Plan) is is_allowed
    if not is_allowed:
        assert refusal(plan).slug == "not-allowed"


@pytest.mark.parametrize(
    ("reject_at", "until_ms"),
    [
        ("2024-08-19T10:00:00.000000Z", 1_724_061_600_000 + REJECT_COUNTDOWN_MS),
        ("2024-08-19T12:00:00+02:00", 1_724_061_600_000 + REJECT_COUNTDOWN_MS),
        ("2024-08-19 10:00:00", 1_724_061_600_000 + REJECT_COUNTDOWN_MS),
        ("soon", None),
        (17, None),
    ],
)
def test_a_reject_countdown_is_a_wait_with_an_end(reject_at: Json, until_ms: int | None) -> None:
    wait = MACHINE.wait(
        order_state("CheckQueue", reject="LackOfInventory", reject_at=reject_at), TargetRequest("shipped")
    )
    assert wait is not None
    assert (wait.reason, wait.until_ms) == ("platform", until_ms)
    assert "LackOfInventory" in wait.detail


@pytest.mark.parametrize("state", ["Canceled", "ToCustomer"])
def test_an_order_at_its_end_waits_for_nothing(state: str) -> None:
    assert MACHINE.wait(order_state(state, reject_at="2024-08-19T10:00:00.000000Z"), TargetRequest("shipped")) is None
    assert MACHINE.wait(order_state("CheckQueue"), TargetRequest("shipped")) is None


# -- what is seen ------------------------------------------------------------------------------------------------------


def test_a_returned_order_keeps_our_name_while_the_platform_shows_the_same() -> None:
    returned = MACHINE.after(
        order_state("SentOrder"), "return_delivery", TargetRequest("returned"), "PreparingOrder", {}
    )
    assert (returned.state, returned.platform_state) == ("Returned", "PreparingOrder")
    assert MACHINE.observe(returned, order_state("PreparingOrder")) == "Returned"
    assert MACHINE.observe(returned, order_state("SentOrder")) == "SentOrder"
    assert MACHINE.observe(None, order_state("PreparingOrder")) == "PreparingOrder"


@pytest.mark.parametrize(
    ("known", "shown", "is_returned"),
    [
        ("SentOrder", "PreparingOrder", True),
        ("SentOrder", "CheckQueue", True),
        ("SentOrder", "Returned", True),
        ("SentOrder", "ToCustomer", False),
        ("SentOrder", "Somewhere", False),
        ("OrderConfirm", "PreparingOrder", False),
        ("ToCustomer", "PreparingOrder", False),
    ],
)
def test_an_order_that_can_be_shipped_again_after_it_was_sent_was_returned(
    known: str, shown: str, is_returned: bool
) -> None:
    observed = OrderState(shown, shown, "paid", {"status": "Payed"})
    assert (MACHINE.observe(order_state(known), observed) == "Returned") is is_returned
    assert MACHINE.observe(order_state(known), replace(observed, facts={"status": "Canceled"})) == "Canceled"


def test_tracking_of_a_parcel_that_comes_back_is_not_sent() -> None:
    plan = MACHINE.plan(order_state("SentOrder"), TargetRequest("returned", tracking=TRACKING))
    assert isinstance(plan, Plan)
    assert (steps(plan), plan.unused) == (["return_delivery"], ("tracking",))


def test_what_has_to_come_before_a_return_is_said() -> None:
    refused = refusal(MACHINE.plan(order_state("PreparingOrder"), TargetRequest("returned")))
    assert "only from SentOrder" in refused.detail
    assert "submit SentOrder first" in refused.detail
    assert "submit" not in refusal(MACHINE.plan(order_state("ToCustomer"), TargetRequest("returned"))).detail


@pytest.mark.parametrize(
    ("shown", "allowed", "is_accepted"),
    [
        ("CheckQueue", ("OrderConfirm", "Canceled"), False),
        ("OrderConfirm", ("PreparingOrder", "Canceled"), True),
        ("PreparingOrder", ("SentOrder", "Canceled"), True),
        ("SentOrder", ("SentOrder", "Canceled"), True),
        ("Returned", ("SentOrder", "Canceled"), True),
        ("Somewhere", ("SentOrder", "Canceled"), True),
    ],
)
def test_a_returned_order_goes_on_from_where_the_platform_put_it(
    shown: str, allowed: tuple[str, ...], is_accepted: bool
) -> None:
    returned = MACHINE.after(order_state("SentOrder"), "return_delivery", TargetRequest("returned"), shown, {})
    assert MACHINE.allowed(returned) == allowed
    assert MACHINE.has_reached(returned, "OrderConfirm") is is_accepted
    assert not MACHINE.has_reached(returned, "SentOrder")
    plan = MACHINE.plan(returned, TargetRequest("returned", tracking=Tracking(code=CODE)))
    assert isinstance(plan, Plan)
    assert (plan.steps, plan.unused) == ((), ("tracking",)), "a parcel that comes back is told nobody"
    again = MACHINE.plan(returned, TargetRequest("shipped", tracking=Tracking(code=CODE)))
    assert steps(again)[-2:] == ["set_tracking", "send"]


def test_items_are_checked_where_a_returned_order_is_confirmed_again() -> None:
    returned = OrderState("Returned", "CheckQueue", "paid", {"status": "Payed", "items": ["1"]})
    assert isinstance(MACHINE.plan(returned, TargetRequest("shipped", items=("2",))), Refusal)


def test_cancelled_wins_over_the_delivery_state() -> None:
    assert MACHINE.observe(order_state("SentOrder"), order_state("SentOrder", status="Canceled")) == "Canceled"


def test_set_tracking_leaves_the_state_and_is_remembered() -> None:
    request = TargetRequest("shipped", tracking=Tracking(code=CODE))
    for state in ("PreparingOrder", "SentOrder", "Returned"):
        before = order_state(state)
        after = MACHINE.after(before, "set_tracking", request, None, {})
        assert (after.state, after.platform_state) == (before.state, before.platform_state)
        assert after.facts["tracking_code"] == CODE
        assert "tracking_url" not in after.facts


@pytest.mark.parametrize(
    ("step", "before", "shown", "is_done"),
    [
        ("confirm", "CheckQueue", "CheckQueue", False),
        ("confirm", "CheckQueue", "OrderConfirm", True),
        ("confirm", "CheckQueue", "SentOrder", True),
        ("send", "PreparingOrder", "PreparingOrder", False),
        ("send", "Returned", "PreparingOrder", False),
        ("send", "Returned", "SentOrder", True),
        ("deliver", "SentOrder", "SentOrder", False),
        ("return_delivery", "SentOrder", "SentOrder", False),
        ("return_delivery", "SentOrder", "PreparingOrder", True),
        ("return_delivery", "SentOrder", "ToCustomer", False),
    ],
)
def test_a_fresh_read_shows_whether_a_step_took_effect(step: str, before: str, shown: str, is_done: bool) -> None:
    assert MACHINE.is_done(step, order_state(before), order_state(shown), TargetRequest("x")) is is_done


def test_a_fresh_read_shows_whether_tracking_was_set() -> None:
    request = TargetRequest("shipped", tracking=TRACKING)
    here = order_state("PreparingOrder")
    assert MACHINE.is_done("set_tracking", here, here, request) is False
    observed = order_state("PreparingOrder", tracking_code=CODE, tracking_url=URL)
    assert MACHINE.is_done("set_tracking", here, observed, request) is True


# -- what always holds -------------------------------------------------------------------------------------------------

texts = st.none() | st.sampled_from(["", CODE, URL, "other"])
trackings = st.none() | st.builds(Tracking, texts, texts, st.none() | st.just("UPS"))
requests = st.builds(
    TargetRequest,
    state=st.sampled_from([*STATES, *Milestone, "nowhere"]),
    items=st.none() | st.lists(st.sampled_from(["1", "2", "3"]), max_size=3).map(tuple),
    delivery_info=st.none() | st.just({"type": "Cargo"}),
    tracking=trackings,
    erp_order_number=st.none() | st.just("4711"),
    erp_lines=st.none() | st.just((ErpLine("1", 10),)),
    reason=st.none() | st.just("because"),
    notify_customer=st.none() | st.booleans(),
    replace=st.none() | st.booleans(),
)
standings = st.builds(
    lambda state, status, code: order_state(state, tracking_code=code, **({"status": status} if status else {})),
    st.sampled_from([*STATES, "SomethingNew"]),
    st.sampled_from([None, None, "COD", "Open", "Reserved"]),
    texts,
)


@given(standings, requests, st.sampled_from(["auto", "strict"]))
def test_a_plan_is_a_way_that_the_machine_can_walk(here: OrderState, request: TargetRequest, chaining: Any) -> None:
    plan = MACHINE.plan(here, request, chaining)
    if isinstance(plan, Refusal):
        assert plan.detail
        assert set(plan.allowed) <= {*STATES, *MACHINE.names()}
        return
    at = here
    for n, step in enumerate(plan.steps):
        assert step.source == at.state
        assert MACHINE.apply(at.state, step.step) == step.to
        if step.step == "record":
            continue
        at = MACHINE.after(at, step.step, request, STEP_STATE.get(step.step), {})
        assert at.state == step.to
        rest = MACHINE.plan(at, request)
        assert isinstance(rest, Plan)
        assert rest.steps == plan.steps[n + 1 :], "planning again on the way gives the rest of the way"
    assert at.state == plan.state or MACHINE.has_reached(at, plan.state) or MACHINE.states[plan.state].record_only
    if chaining == "strict":
        assert len([step for step in plan.steps if step.source != step.to]) <= 1


@given(standings, requests)
def test_every_field_is_used_or_named_as_unused(here: OrderState, request: TargetRequest) -> None:
    plan = MACHINE.plan(here, request)
    if isinstance(plan, Plan):
        assert set(plan.unused) <= set(request.brings())
        used = {name for step in plan.steps if step.step != "record" for name in MACHINE.steps[step.step].uses}
        assert not used & set(plan.unused)
        assert not {"erp_order_number", "erp_lines", "tracking.carrier"} & (set(request.brings()) - set(plan.unused))


@given(standings, requests)
def test_an_order_that_is_not_released_is_never_moved_but_cancelled(here: OrderState, request: TargetRequest) -> None:
    plan = MACHINE.plan(here, request)
    status = here.facts["status"]
    if isinstance(plan, Plan) and status not in ("Payed", "COD"):
        moves = [step for step in plan.steps if step.source != step.to]
        assert all(step.step == "cancel" and status == "Reserved" for step in moves)


@given(st.sampled_from(["CheckQueue", "PreparingOrder", "SentOrder"]), requests, st.lists(st.booleans(), max_size=12))
def test_lost_answers_are_resolved_by_reading_whatever_got_lost(
    start: str, request: TargetRequest, losses: list[bool]
) -> None:
    """A model of the driver: each call takes effect or not, every answer is lost, the read-back decides."""
    plan = MACHINE.plan(order_state(start), request)
    if isinstance(plan, Refusal):
        return
    here, platform, done, lost = order_state(start), order_state(start), list[str](), list(losses)
    moves = [step for step in plan.steps if step.step != "record"]
    while moves:
        step = moves[0].step
        if not (lost and lost.pop(0)):
            platform = _moved(platform, step, request)
            done.append(step)
        if MACHINE.is_done(step, here, platform, request):
            here = MACHINE.after(here, step, request, platform.platform_state, {})
            moves.pop(0)
    assert done == [step.step for step in plan.steps if step.step != "record"]
    assert MACHINE.observe(here, platform) == here.state


def _moved(platform: OrderState, step: str, request: TargetRequest) -> OrderState:
    """The platform's own state after a call that it took."""
    if step == "set_tracking":
        assert request.tracking is not None
        tracking = {"tracking_code": request.tracking.code, "tracking_url": request.tracking.url}
        return replace(platform, facts={**platform.facts, **{name: value for name, value in tracking.items() if value}})
    if step == "cancel":
        return replace(platform, facts={**platform.facts, "status": "Canceled"})
    state = STEP_STATE.get(step, "PreparingOrder")
    return replace(platform, state=state, platform_state=state)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("step", [*MACHINE.steps])
def test_the_table_lets_a_step_begin_only_where_it_may(state: str, step: str) -> None:
    row = MACHINE.steps[step]
    if state in row.sources:
        assert MACHINE.apply(state, step) == (row.to or state)
    else:
        with pytest.raises(MachineError):
            MACHINE.apply(state, step)


@given(requests)
def test_a_request_survives_being_stored(request: TargetRequest) -> None:
    stored = TargetRequest.from_json(request.to_json())
    assert stored.to_json() == request.to_json()
    assert stored == request


def test_the_description_names_every_state_and_step() -> None:
    described = PLATFORMS["selldone"].machine({}).describe()
    assert [state["name"] for state in described["states"]] == [*STATES[:5], "Returned", "Canceled", "attention"]
    assert {step["step"] for step in described["steps"]} == set(MACHINE.steps)
    assert described["milestones"]["shipped"] == "SentOrder"


# -- tables that contradict themselves ---------------------------------------------------------------------------------

A, B = State("a"), State("b")
GO = Step("go", ("a",), "b")


@pytest.mark.parametrize(
    ("states", "table", "mainline", "initial"),
    [
        ([A, A], [GO], ["a"], "a"),
        ([A, B], [GO, GO], ["a"], "a"),
        ([A, B], [GO], ["a", "c"], "a"),
        ([A, B], [GO], ["a"], "c"),
        ([A, B], [Step("go", ("a",), "c")], ["a"], "a"),
        ([A, B], [Step("go", ("c",), "b")], ["a"], "a"),
        ([A, B], [], ["a"], "a"),
        ([A, B, State("c")], [GO], ["a"], "a"),
        ([A, State("A"), B], [GO], ["a"], "a"),
        ([State("a", is_end=True), B], [GO], ["a"], "a"),
        ([A, State("b", record_only=True)], [GO], ["a"], "a"),
        ([State("a", (Milestone.NEW,)), State("b", (Milestone.NEW,))], [GO], ["a"], "a"),
        ([A, State("b", (Milestone.NEW,)), State("new")], [GO, Step("on", ("a",), "new")], ["a"], "a"),
    ],
)
def test_a_table_that_contradicts_itself_is_no_machine(
    states: list[State], table: list[Step], mainline: list[str], initial: str
) -> None:
    with pytest.raises(DefinitionError):
        PlatformMachine("toy", states, table, mainline, initial)


def test_the_shortest_way_is_taken() -> None:
    states = [State(name) for name in "abcd"]
    table = [Step("ab", ("a",), "b"), Step("bc", ("b",), "c"), Step("cd", ("c",), "d"), Step("bd", ("b",), "d")]
    plan = PlatformMachine("toy", states, table, (), "a").plan(OrderState("a", "a"), TargetRequest("d"))
    assert isinstance(plan, Plan)
    assert plan.steps == (PlannedStep("ab", "a", "b"), PlannedStep("bd", "b", "d"))
