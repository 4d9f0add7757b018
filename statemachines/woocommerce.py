"""WooCommerce's order machine: the shop's statuses by milestone, made from its config; one call leads to any of them.

Facts: woocommerce.md §4, §5. The statuses are labels: WooCommerce refuses no change between them, so the sequence is
ours. The way is walked from status to status, because each can mail the buyer. That a payment settles is WooCommerce's
own doing; what it does beside the way (refunded, put into the trash) is seen and not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from statemachines.machine import DefinitionError, Milestone, OrderState, State, Step
from statemachines.narrowing import Whole
from statemachines.target import Json
from statemachines.tracking import SET_TRACKING, TRACKING_FIELDS, TrackingMachine

DRAFTS: Final = ("auto-draft", "checkout-draft", "draft")
_UNPAID: Final = ("pending", "on-hold", "failed")
_SEEN: Final = (
    *(State(name, settable=False) for name in (*_UNPAID, "checkout-draft")),
    State("refunded", (Milestone.RETURNED,), settable=False, is_end=True),
    State("trash", settable=False, is_end=True),
)
_ON_THE_WAY: Final = ("new", "accepted", "preparing", "shipped", "delivered")
_USUAL: Final = {"new": "processing", "shipped": "completed", "delivered": "completed", "cancelled": "cancelled"}


class WooCommerceMachine(TrackingMachine):
    """The machine of one shop. `statuses`: the status of each milestone; milestones that follow one another may share
    one. Facts that it reads: `lines`, how many by line, and those of tracking. Raises DefinitionError, for a person to
    read, where the statuses contradict themselves.
    """

    def __init__(self, statuses: Mapping[str, str | None]) -> None:
        way = [(name, status) for name in _ON_THE_WAY if (status := statuses.get(name)) is not None]
        flow = list(dict.fromkeys(status for _, status in way))
        cancelled = statuses["cancelled"] or ""
        _check([status for _, status in way], flow, cancelled)
        meaning = {each: tuple(Milestone(name) for name, status in way if status == each) for each in flow}
        states = [State(each, meaning[each], is_end=each == flow[-1]) for each in flow]
        states += [State(cancelled, (Milestone.CANCELLED,), is_end=True), *_SEEN]
        ours = [Milestone.ATTENTION, *([] if statuses.get("accepted") else [Milestone.ACCEPTED])]
        states += [State(each.value, (each,), record_only=True) for each in ours]
        sent = flow.index(statuses["shipped"] or "")
        steps = [
            Step("pay", _UNPAID, flow[0], by="platform"),
            *(
                Step("change_status", (flow[n - 1],), flow[n], is_irrevocable=n >= sent, reaches_buyer=n >= sent)
                for n in range(1, len(flow))
            ),
            Step("cancel", (*_UNPAID, *flow[:sent]), cancelled, is_irrevocable=True),
            Step(SET_TRACKING, tuple(flow), None, uses=TRACKING_FIELDS),
        ]
        super().__init__("woocommerce", states, steps, flow, flow[0])

    def whole(self, current: OrderState) -> Whole:
        """The lines as the last read showed them; WooCommerce has no locations."""
        return Whole(current.facts.get("lines"))


def build(options: Mapping[str, Json]) -> WooCommerceMachine:
    """The machine of a shop from its option `statuses`. Raises DefinitionError."""
    return WooCommerceMachine({**_USUAL, **(options.get("statuses") or {})})


def _check(way: list[str], flow: list[str], cancelled: str) -> None:
    """What the table itself would complain of in words that nobody could fix a config by."""
    if len(flow) < 2:
        raise DefinitionError("new and delivered need statuses of their own: an order has to get from one to the other")
    if [each for n, each in enumerate(way) if n == 0 or way[n - 1] != each] != flow:
        raise DefinitionError("milestones that share a status must follow one another: new, accepted, preparing, …")
    seen = {*(state.name for state in _SEEN), *DRAFTS, "attention"}
    if taken := [each for each in (*flow, cancelled) if each in seen or [*flow, cancelled].count(each) > 1]:
        raise DefinitionError(f"{taken[0]} means something else already: name another status")
