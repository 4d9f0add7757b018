"""Tracking numbers that an order is given by a step of its own, `set_tracking`, and that no read is sure to show.

So the numbers that we sent are kept among the facts, beside those that a read shows. No read of the order shows either
whether a call took effect whose answer was lost: the step is made again, and its client looks for the number where the
platform keeps it before it sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from statemachines.machine import OrderState, PlatformMachine, Refusal, State
from statemachines.target import Json, TargetRequest, Tracking, is_web_link

SET_TRACKING: Final = "set_tracking"
TRACKING_FIELDS: Final = ("tracking", "tracking.carrier")
"""What the step carries of a target (`Step.uses`)."""

_NUMBERS = "trackings"


class TrackingMachine(PlatformMachine):
    """A machine with the step `set_tracking`; the fact `trackings` has the numbers that the order carries."""

    takes_several_trackings: ClassVar[bool] = True

    def guard(self, current: OrderState, request: TargetRequest, wanted: State) -> Refusal | None:
        """A tracking link has to be one that the buyer can open."""
        del current, wanted
        if not (foreign := [each.url for each in request.trackings if each.url and not is_web_link(each.url)]):
            return None
        reason = f"tracking.url {foreign[0]!r} is not an http(s) link"
        return Refusal("not-allowed", reason, reason=reason)

    def pending_actions(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """set_tracking, when the target brings a number or link that the order does not carry yet."""
        return (SET_TRACKING,) if missing_trackings(current.facts, request) else ()

    def satisfied(self, current: OrderState, request: TargetRequest) -> tuple[str, ...]:
        """Tracking that the order carries already."""
        return () if missing_trackings(current.facts, request) else TRACKING_FIELDS

    def merged_facts(self, current: OrderState, observed: OrderState) -> dict[str, Json]:
        """What the platform shows, and the numbers that we sent."""
        known = [*(observed.facts.get(_NUMBERS) or ()), *(current.facts.get(_NUMBERS) or ())]
        return {**observed.facts, _NUMBERS: list(dict.fromkeys(known))}

    def is_done(self, step: str, before: OrderState, observed: OrderState, request: TargetRequest) -> bool | None:
        """As the base; set_tracking is made again, and repeats nothing."""
        return False if step == SET_TRACKING else super().is_done(step, before, observed, request)

    def after(
        self, current: OrderState, step: str, request: TargetRequest, answered: str | None, facts: Mapping[str, Json]
    ) -> OrderState:
        """As the base; set_tracking leaves its numbers in the facts."""
        if step == SET_TRACKING:
            sent = missing_trackings(current.facts, request)
            facts = {_NUMBERS: [*(current.facts.get(_NUMBERS) or ()), *sent], **facts}
        return super().after(current, step, request, answered, facts)


def missing_trackings(facts: Mapping[str, Json], request: TargetRequest) -> dict[str, Tracking]:
    """Those of the target's parcels that the order does not carry, as far as is known: by their code, or by their link
    where they have none."""
    wanted = {each.code or each.url or "": each for each in request.trackings}
    return {number: each for number, each in wanted.items() if number not in ("", *(facts.get(_NUMBERS) or ()))}
