"""What is answered where the node that works for a shop is silent: which it is, when it was last seen, and when asking
again helps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from orchestrator.decisions.refusals import Refused
from orchestrator.operations.commands.holder import RETRY_SECONDS
from storage.leases import Lease, lease_of
from storage.nodes import Node, live_nodes
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Holding:
    """Who has a shop. `lease`: None for one that nobody has had yet; `node`: its holder, None where that is gone."""

    lease: Lease | None
    node: Node | None

    @property
    def is_free(self) -> bool:
        """Whether any node may take the shop."""
        return self.lease is None or self.lease.is_over

    @property
    def _left_seconds(self) -> int:
        """After how long the shop is free, unless its holder lives."""
        left = self.lease.left_ms if self.lease is not None else None
        return max(1, math.ceil((left or 0) / 1000))

    @property
    def retry_seconds(self) -> int | None:
        """When to ask again: a node that has missed heartbeats is most likely dead. None: any time."""
        return self._left_seconds if not self.is_free and (self.node is None or self.node.is_silent) else None

    @property
    def seen(self) -> str:
        """When the holder last said that it lives, in words."""
        return "it is gone" if self.node is None else f"last seen {max(0, self.node.silent_ms) // 1000} s ago"

    @property
    def end(self) -> str:
        """What ends the holder's silence, in words; empty while it is not silent."""
        seconds = self.retry_seconds
        return "" if seconds is None else f"; unless it comes back, another node has the shop in {seconds} s"


def holding(tx: Transaction, shop: str) -> Holding:
    """Who has a shop now."""
    lease = lease_of(tx, shop)
    return Holding(lease, next((each for each in live_nodes(tx) if lease and each.name == lease.holder), None))


def unanswered(shop: str, found: Holding) -> Refused:
    """The refusal of what nobody has done, and nobody will."""
    if found.lease is None or found.is_free:
        detail = f"no node works for shop {shop} right now, and nothing of this is kept; try again in a moment"
        return Refused("overloaded", detail, retry_after_seconds=RETRY_SECONDS)
    node = f"node {found.lease.holder}, which works for shop {shop}"
    detail = f"{node}, does not answer ({found.seen}), and nothing of this is kept"
    return Refused("overloaded", f"{detail}{found.end}", retry_after_seconds=found.retry_seconds or RETRY_SECONDS)


def unconfirmed(shop: str, what: str, found: Holding) -> Refused:
    """The answer to what is written and counts, while the node that works for the shop may not know of it yet. `what`:
    `pause` or `resume`."""
    holder = found.lease.holder if found.lease is not None else None
    meanwhile = "may still call the platform" if what == "pause" else "may still stand still"
    detail = (
        f"the {what} of shop {shop} is kept and counts, also for the next node that works for it; node {holder}, which"
        f" works for it now, has not confirmed it yet ({found.seen}) and {meanwhile} until it does{found.end}. Repeat"
        f" the {what} to have it confirmed"
    )
    return Refused("overloaded", detail, retry_after_seconds=found.retry_seconds, extra={"kept": True})
