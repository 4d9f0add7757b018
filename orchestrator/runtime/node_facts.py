"""What nodes say to each other of the shops that they work for, as JSON in their rows: any node then shows every shop.

Nodes of two versions read it while a store is upgraded: a member that is missing counts as not known, and one that is
not known is left out.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.platforms.meter import ReportedLimit
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts, WebhookHealth
from storage.records import Json


def described(facts: ShopFacts) -> Json:
    """A shop that this node works for."""
    webhooks, limit = facts.webhooks, facts.rate_limit
    return {
        "running": facts.running,
        "ends": [state.name for state in facts.machine.states.values() if state.is_end],
        "next_sync_at": facts.next_sync_at,
        "available": limit.available,
        "reported": None if limit.reported is None else limit.reported._asdict(),
        "webhooks": None
        if webhooks is None
        else {"checked_at": webhooks.checked_at, "missing": dict(webhooks.missing), "error": webhooks.error},
    }


def as_described(facts: ShopFacts, said: Json) -> ShopFacts:
    """A shop that another node works for, as that one described it; what cannot be read is not known."""
    try:
        reported, webhooks = said.get("reported"), said.get("webhooks")
        return replace(
            facts,
            running=int(said.get("running", 0)),
            next_sync_at=said.get("next_sync_at"),
            rate_limit=RateLimitFacts(
                facts.rate_limit.limits,
                said.get("available"),
                None if reported is None else ReportedLimit(*(reported[name] for name in ReportedLimit._fields)),
            ),
            webhooks=None
            if webhooks is None
            else WebhookHealth(webhooks["checked_at"], webhooks["missing"], webhooks.get("error")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return facts


def ends_described(said: Json) -> list[str] | None:
    """The states in which orders are over at a shop that another node works for; None where that is not known."""
    ends = said.get("ends") if isinstance(said, dict) else None
    return ends if isinstance(ends, list) and all(isinstance(state, str) for state in ends) else None
