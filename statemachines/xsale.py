"""xSale's order machine: one chain of statuses a shop, made from its config; one call leads to any of them.

Facts: xsale.md §5. xSale's statuses are labels: the server refuses no change, so the sequence is ours. The
chain (`flow`) is walked from status to status, because a change can trigger automations and messages to the sales
channel. Beside it stand two: *needs a person*, which every order before the end can go to and come back from, to the
status that a target names, in one change; and *cancelled*, which every order before the end can go to and none leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from statemachines.machine import DefinitionError, Milestone, OrderState, PlatformMachine, State, Step
from statemachines.narrowing import Whole
from statemachines.target import Json, TargetRequest

CHANGE_STATUS = "change_status"
"""The one step: PUT change-status with the id of the new status (xsale.md §2, row 4)."""

DEFAULT_FLOW = (
    "Nowe",
    "Zaimportowano do ERP",
    "W trakcie realizacji",
    "Przygotowywane do wysyłki",
    "Wysłane",
    "Zrealizowane",
)
"""The chain of the vendor's own ERP connector (xsale.md §5)."""

DEFAULT_MILESTONES: Mapping[str, str] = MappingProxyType(
    {
        "new": "Nowe",
        "accepted": "Zaimportowano do ERP",
        "preparing": "Przygotowywane do wysyłki",
        "shipped": "Wysłane",
        "delivered": "Zrealizowane",
        "attention": "Do obsługi ręcznej",
        "cancelled": "Anulowane",
    }
)
"""What the default statuses mean (docs/api.md)."""

_ASIDE = (Milestone.ATTENTION.value, Milestone.CANCELLED.value)
_ANNOUNCED = (Milestone.SHIPPED.value, Milestone.DELIVERED.value)
"""From here on the sales channel and the buyer hear of a status."""
_ON_THE_WAY = tuple(name for name in DEFAULT_MILESTONES if name not in _ASIDE)


class XsaleMachine(PlatformMachine):
    """The machine of one shop. `flow` are the names of the chain's statuses, in sequence; `milestones` maps milestones
    to names: those of the way to names in `flow`, `attention` and `cancelled` to names beside it. Without a status for
    it `attention` is our record only. Facts that it reads: `statuses`, the names by id, and `lines`, how many by line.

    Raises DefinitionError with a sentence for a person when the two contradict themselves.
    """

    def __init__(self, flow: Sequence[str], milestones: Mapping[str, str]) -> None:
        _check(flow, milestones)
        attention, cancelled = (milestones.get(name) for name in _ASIDE)
        meaning = {milestones[name]: (Milestone(name),) for name in _ON_THE_WAY if name in milestones}
        meaning.setdefault(flow[0], (Milestone.NEW,))
        states = [State(name, meaning.get(name, ()), is_end=name == flow[-1]) for name in flow]
        if attention is None:
            states.append(State("attention", (Milestone.ATTENTION,), record_only=True))
        else:
            states.append(State(attention, (Milestone.ATTENTION,), is_aside=True))
        if cancelled is not None:
            states.append(State(cancelled, (Milestone.CANCELLED,), is_end=True))
        announced_from = next((milestones[name] for name in _ANNOUNCED if name in milestones), flow[-1])
        rows = _rows(flow, attention, cancelled, flow.index(announced_from))
        super().__init__("xsale", states, rows, flow, flow[0])
        self.statuses = tuple(state.name for state in states if not state.record_only)
        self._sent = milestones.get("shipped", milestones.get("delivered", flow[-1]))

    def sends(self, current: OrderState, to: str) -> bool:
        """Whether a change to `to` is the one that the buyer hears of goods by that leave."""
        here, there, sent = (self.rank(name) for name in (current.state, to, self._sent))
        return there is not None and sent is not None and there >= sent and (here is None or here < sent)

    def wanted(self, current: OrderState, request: TargetRequest) -> State | None:
        """As the base, and by a status id: which one means what, the last read of the order shows."""
        found = self.resolve(request.state)
        if found is not None:
            return found
        statuses: Mapping[str, str] = current.facts.get("statuses") or {}
        return self.states.get(statuses.get(request.state.strip(), ""))

    def whole(self, current: OrderState) -> Whole:
        """The lines as the last read showed them; no locations, which xSale does not give."""
        return Whole(current.facts.get("lines"))

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """Only the very status that was asked for shows that the change took effect (xsale.md §7).

        An order that went on meanwhile is not done: what is seen is adopted, and planned from.
        """
        return observed.platform_state == self.destination(before, step, request)


def build(options: Mapping[str, Json]) -> XsaleMachine:
    """The machine of a shop from its options `flow` and `milestones`. Raises DefinitionError."""
    flow = tuple(options.get("flow", DEFAULT_FLOW))
    given: Mapping[str, str | None] = options.get("milestones", usual_milestones(flow))
    return XsaleMachine(flow, {name: status for name, status in given.items() if status is not None})


def usual_milestones(flow: Sequence[str]) -> dict[str, str]:
    """The default milestones, without those whose status a shop's own flow does not have, or has on the way."""
    return {name: status for name, status in DEFAULT_MILESTONES.items() if (status in flow) is not (name in _ASIDE)}


def _check(flow: Sequence[str], milestones: Mapping[str, str]) -> None:
    """What the table itself would complain of in words that nobody could fix a config by."""
    if len(flow) < 2:
        raise DefinitionError("the flow needs two statuses at least, where orders begin and where they end")
    if len(folded := {name.casefold() for name in flow}) < len(flow):
        raise DefinitionError("the flow has a status twice; names are matched without regard to case")
    for name in _ASIDE:
        if milestones.get(name, "").casefold() in folded:
            raise DefinitionError(f"{name} stands beside the flow and cannot be a status in it")
    places: list[int] = []
    for name in _ON_THE_WAY:
        if name not in milestones:
            continue
        if milestones[name] not in flow:
            raise DefinitionError(f"{name} names a status that is not in the flow")
        places.append(flow.index(milestones[name]))
    if "new" in milestones and milestones["new"] != flow[0]:
        raise DefinitionError("new must be the first status of the flow: orders are imported from there")
    if places != sorted(set(places)):
        raise DefinitionError("milestones must come one after another in the flow: new, accepted, preparing, …")


def _rows(flow: Sequence[str], attention: str | None, cancelled: str | None, announced_from: int) -> list[Step]:
    """A row for each status that an order can be moved to. From the status that needs a person all are one change.
    `announced_from`: the place in the flow from which on a change cannot be undone."""
    back = () if attention is None else (attention,)
    before_the_end = tuple(flow[:-1])
    rows = [
        Step(CHANGE_STATUS, (*flow[max(at - 1, 0) : at], *back), name, is_irrevocable=at >= announced_from)
        for at, name in enumerate(flow)
    ]
    if attention is not None:
        rows.append(Step(CHANGE_STATUS, before_the_end, attention))
    if cancelled is not None:
        rows.append(Step(CHANGE_STATUS, (*before_the_end, *back), cancelled, is_irrevocable=True))
    return [row for row in rows if row.sources]
