"""Recorded parcels in an order's row, with their instants and their events. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.decisions.draft import Draft, recorded_parcels
from statemachines.machine import Milestone, PlatformMachine
from statemachines.parcel import RecordedParcel
from statemachines.target import Json


def keep_parcels(draft: Draft, parcels: Sequence[RecordedParcel], target: str, now: int) -> None:
    """Writes the order's parcels as a target left them, with an event for each one that it reported something of."""
    known = {each["number"]: each for each in recorded_parcels(draft.order)}
    kept: list[RecordedParcel] = []
    for each in parcels:
        before = known.get(each["number"])
        if before == each:
            kept.append(each)
            continue
        recorded_at = now if before is None else each["recorded_at"]
        delivered_at = now if each["is_delivered"] and each["delivered_at"] is None else each["delivered_at"]
        kept.append({**each, "recorded_at": recorded_at, "delivered_at": delivered_at})
        draft.emit("parcel.recorded", target, **_event_data(each))
    if kept != list(known.values()):
        draft.change(parcels=kept)


def _event_data(parcel: RecordedParcel) -> dict[str, Json]:
    lines = [{"id": line, "quantity": quantity} for line, quantity in parcel["lines"].items()]
    return {
        "number": parcel["number"],
        "carrier": parcel["carrier"],
        "tracking": parcel["tracking"],
        "url": parcel["url"],
        "location": parcel["location"],
        "lines": lines,
        "last": parcel["last"],
        "delivered": parcel["is_delivered"],
    }


def take_parcels_back(draft: Draft, machine: PlatformMachine, before: str) -> None:
    """What an order that came back was sent in is back as well: its goods are to be sent anew, in parcels of their
    own. `before`: the order's state until then."""
    if not draft.order.parcels:
        return
    parcels, state = recorded_parcels(draft.order), machine.states.get(draft.order.state)
    is_back = state is not None and Milestone.RETURNED in state.milestones and before != draft.order.state
    if is_back and not all(each["is_back"] for each in parcels):
        draft.change(parcels=[{**each, "is_back": True} for each in parcels])
