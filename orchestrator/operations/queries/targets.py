"""What is shown of targets; who waits for one is woken by the feed."""

from __future__ import annotations

import anyio

from orchestrator.decisions.refusals import Refused
from orchestrator.operations import documents
from orchestrator.operations.queries.services import QueryGroup
from orchestrator.operations.views.orders import target_view
from storage.order_columns import show_order
from storage.orders import get_order
from storage.records import Target, TargetStatus
from storage.targets import get_target, show_target


class TargetQueries(QueryGroup):
    """Reads targets."""

    async def target(self, target: str, wait_seconds: float = 0) -> Target:
        """One target; with `wait_seconds` once it has ended or is blocked, or when the time is up.

        Raises Refused `target-not-found`.
        """
        with self._feed.watching(target) as watch:
            deadline = self._clock.monotonic() + wait_seconds
            while True:
                found = await self._store.read(lambda tx: get_target(tx, target, show_target))
                if found is None:
                    raise Refused("target-not-found", f"there is no target {target}")
                left = deadline - self._clock.monotonic()
                if is_settled(found) or left <= 0 or self._feed.is_closed:
                    return found
                with anyio.move_on_after(left):
                    await watch.changed()

    async def shown(self, target: Target) -> documents.Target:
        """A target as the outside sees it. What its order does right now counts only while it runs."""
        if target.status is not TargetStatus.RUNNING:
            return target_view(target, None)
        order = await self._store.read(lambda tx: get_order(tx, target.shop, target.order, show_order))
        return target_view(target, None if order is None else order.situation)


def is_settled(target: Target) -> bool:
    """Whether somebody who waits for a target has waited enough: it has ended, or waits for a person."""
    return target.status.is_end or target.status is TargetStatus.BLOCKED
