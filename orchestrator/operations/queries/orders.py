"""What is shown of orders: pages, causes, one of them, and what is asked for in bulk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import cast

from orchestrator.decisions.bulk import ENDS_BLOCKS, Action
from orchestrator.decisions.refusals import Refused, no_job
from orchestrator.operations import documents
from orchestrator.operations.bulk_preview import count_refused
from orchestrator.operations.causes import list_causes
from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.inclusions import Included, included_of_order
from orchestrator.operations.order_filter import Wanted, check_shop, select_orders
from orchestrator.operations.order_pages import OrderQuery, order_page
from orchestrator.operations.queries.services import QueryGroup
from orchestrator.operations.timeline import newest_events
from orchestrator.operations.views.events import event_view
from orchestrator.operations.views.jobs import job_view
from orchestrator.operations.views.orders import order_view
from storage.jobs import Job, count_blocked_again, get_job, list_jobs
from storage.order_columns import show_order
from storage.orders import get_order
from storage.shops import get_shop
from storage.targets import pending_targets, show_target
from storage.transaction import Transaction

_TIMELINE_LIMIT = 1000
_SAMPLE = 10


class OrderQueries(QueryGroup):
    """Reads orders, and the jobs that operate many of them."""

    async def orders(self, query: OrderQuery, after: int, limit: int) -> tuple[list[bytes], int | None]:
        """A page of orders above the position `after`, each as JSON (`documents.OrderRow`), and the position of the
        next page, None at the end.

        Raises Refused: `shop-not-found`, `invalid-request` for a state that no machine and no order has.
        """
        configured, now = self._node.shops(), self._clock.now_ms()

        def unit(tx: Transaction) -> tuple[list[bytes], int | None]:
            check_shop(tx, configured, query.shop)
            return order_page(tx, configured, query, after, limit, now)

        return await self._store.read(unit)

    async def causes(self, shop: str | None, limit: int) -> documents.CauseList:
        """Why orders wait for a person, the causes of most orders first. Raises Refused `shop-not-found`."""
        configured = self._node.shops()

        def unit(tx: Transaction) -> documents.CauseList:
            check_shop(tx, configured, shop)
            return list_causes(tx, shop, limit)

        return await self._store.read(unit)

    async def bulk(self, action: Action, wanted: Wanted, limit: int | None) -> tuple[int, int, list[bytes]]:
        """How many orders a job would have, how many of them it could not operate as they are now, and the first of
        them as JSON. Raises Refused as `orders`."""
        configured, now = self._node.shops(), self._clock.now_ms()

        def unit(tx: Transaction) -> tuple[int, int, list[bytes]]:
            found = select_orders(tx, configured, wanted, limit, now)
            count, refused = count_refused(tx, configured, action, found)
            if not count:
                return 0, 0, []
            query = OrderQuery(**asdict(wanted))
            return count, refused, order_page(tx, configured, query, 0, min(count, _SAMPLE), now)[0]

        return await self._store.read(unit)

    async def job(self, job: str) -> documents.JobDetail:
        """One job, and what came of it. Raises Refused `job-not-found`."""

        def unit(tx: Transaction) -> documents.JobDetail:
            found = get_job(tx, job)
            if found is None:
                raise no_job(job)
            is_counted = found.action in ENDS_BLOCKS and found.status != "running"  # each look at it costs a second one
            again = count_blocked_again(tx, job) if is_counted else None
            return {**job_view(found), "blocked_again": again}

        return await self._store.read(unit)

    async def jobs(self, before: int, limit: int) -> tuple[list[Job], int | None]:
        """A page of jobs below the position `before` (0: the newest), newest first, and the position of the next."""
        found = await self._store.read(lambda tx: list_jobs(tx, before, limit + 1))
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    async def order(
        self, shop: str, order: str, include: Collection[str] = ()
    ) -> tuple[documents.OrderDetail, Included]:
        """One order, and what is shown beside it; `timeline` joins it if it is asked for. Raises Refused
        `order-not-found`."""
        facts, now = self._node.shops().get(shop), self._clock.now_ms()

        def unit(tx: Transaction) -> tuple[documents.OrderDetail, Included]:
            found = get_order(tx, shop, order, show_order)
            if found is None:
                raise Refused("order-not-found", f"no order {order} of shop {shop} is known")
            (found,) = with_payment_status(tx, [found])
            machine = facts.machine if facts is not None else None
            targets, row = pending_targets(tx, shop, order, show_target), get_shop(tx, shop)
            shown = order_view(found, targets, row, machine, now, is_configured=facts is not None)
            view = cast("documents.OrderDetail", shown)  # its own members are optional
            if "timeline" in include:
                view["timeline"] = [event_view(event) for event in newest_events(tx, shop, order, _TIMELINE_LIMIT)]
            return view, included_of_order(tx, found, include)

        return await self._store.read(unit)
