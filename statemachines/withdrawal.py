"""An order that its buyer withdrew: the fact that says so, the same on every platform that knows withdrawals. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from statemachines.target import Json

WITHDRAWN = "withdrawn"
"""The fact's name in an order's facts: `{"at": Unix milliseconds or null, "reason": text or null}`."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The buyer withdrew the order. `at` is Unix time in milliseconds, `reason` the buyer's or the shop's words; None
    where the platform does not say."""

    at: int | None = None
    reason: str | None = None


def withdrawal_of(facts: Mapping[str, Json]) -> Withdrawal | None:
    """The buyer's withdrawal as an order's facts show it, None if there is none."""
    withdrawal = facts.get(WITHDRAWN)
    return Withdrawal(withdrawal.get("at"), withdrawal.get("reason")) if withdrawal else None


def withdrawn_words(facts: Mapping[str, Json]) -> str | None:
    """Why an order with these facts is not shipped, for people; None if nobody withdrew it."""
    withdrawal = withdrawal_of(facts)
    if withdrawal is None:
        return None
    said = f" ({withdrawal.reason})" if withdrawal.reason else ""
    return f"the buyer withdrew the order{said}: it is not shipped unless that is undone on the platform"
