"""Everything that only reads: what the API, the status file and the metrics show of the store.

Each answer comes from one snapshot of the store. Waiting (long polls, `?wait=`) happens between snapshots and never
inside one, so a reader that waits for minutes holds nothing. Units of work run in a reader's thread; the configured
shops belong to the event loop, so they are read before and handed in.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import cast

import anyio

from orchestrator.clock import Clock
from orchestrator.decisions.bulk import Action
from orchestrator.decisions.refusals import Refused, no_job, no_shop
from orchestrator.operations import documents
from orchestrator.operations.bulk_preview import count_refused
from orchestrator.operations.causes import list_causes
from orchestrator.operations.content_view import with_payment_status
from orchestrator.operations.deliveries import (
    EndpointFacts,
    attempt_view,
    consumer_views,
    delivery_views,
    no_consumer,
    no_receiver,
    receiver_views,
)
from orchestrator.operations.dump import DumpLine, dump_lines
from orchestrator.operations.event_pages import EventPage, beginning, event_page, refuse_foreign_cursor
from orchestrator.operations.feed import Feed
from orchestrator.operations.history import Span, history
from orchestrator.operations.inclusions import Included, included_of_order
from orchestrator.operations.order_filter import Configured, Wanted, check_shop, select_orders
from orchestrator.operations.order_pages import OrderQuery, order_page
from orchestrator.operations.ports import NodeFacts
from orchestrator.operations.status import NodeNow, read_counts, status_dump
from orchestrator.operations.timeline import newest_events
from orchestrator.operations.views import event_view, left_shop_view, order_view, rejected_view, shop_view, target_view
from orchestrator.operations.writing import to_json
from storage.attempts import KeptAttempt, list_attempts
from storage.counts import count_pending
from storage.errors import StoreError
from storage.events import (
    EventFilter,
    acknowledge,
    forget_consumer,
    known_consumer,
    note_seen,
    seek_consumer,
)
from storage.identity import feed_id
from storage.jobs import Job, get_job, list_jobs
from storage.order_columns import show_order
from storage.orders import get_order
from storage.products import StoredProduct, list_products
from storage.records import Shop, Target, TargetStatus
from storage.rejected import list_rejected
from storage.shops import get_shop, list_shops
from storage.store import Store
from storage.targets import get_target, pending_targets, show_target
from storage.transaction import Transaction

_TIMELINE_LIMIT = 1000
_SAMPLE = 10
_SEEN_MS = 10_000  # a reader that polls without a pause must not write each time
_PROBE = ".ready"  # no consumer of the API can have this name


class Queries:
    """Reads the store for the outside. `endpoints` returns the receivers of events, as the config has them now."""

    def __init__(
        self,
        store: Store,
        node: NodeFacts,
        feed: Feed,
        clock: Clock,
        endpoints: Callable[[], Sequence[EndpointFacts]] = tuple,
    ) -> None:
        self._store, self._node, self._feed, self._clock = store, node, feed, clock
        self._endpoints = endpoints

    # -- the daemon ------------------------------------------------------------------------------------------------

    async def status(self) -> documents.Status:
        """The status dump."""
        return await self._store.read(self._status_unit())

    async def status_text(self) -> bytes:
        """The status dump as JSON."""
        unit = self._status_unit()
        return await self._store.read(lambda tx: to_json(unit(tx)))

    def _status_unit(self) -> Callable[[Transaction], documents.Status]:
        """Makes the dump in a reader's thread, of the node as it is now."""
        now, endpoints, node = self._clock.now_ms(), self._endpoints(), NodeNow.of(self._node)

        def unit(tx: Transaction) -> documents.Status:
            counts, deliveries, consumers = read_counts(tx), delivery_views(tx, endpoints, now), consumer_views(tx, now)
            return status_dump(counts, node, self._store.url, now, deliveries, consumers)

        return unit

    async def delivery(self, name: str) -> documents.Delivery:
        """One receiver of events. Raises Refused `delivery-not-found`."""
        now, wanted = self._clock.now_ms(), [self._endpoint(name)]
        return (await self._store.read(lambda tx: delivery_views(tx, wanted, now)))[0]

    async def receivers(self) -> list[documents.Receiver]:
        """Every receiver of events."""
        now, endpoints = self._clock.now_ms(), self._endpoints()
        return await self._store.read(lambda tx: receiver_views(tx, endpoints, now))

    async def receiver(self, name: str) -> documents.Receiver:
        """One receiver of events. Raises Refused `delivery-not-found`."""
        now, wanted = self._clock.now_ms(), [self._endpoint(name)]
        return (await self._store.read(lambda tx: receiver_views(tx, wanted, now)))[0]

    async def attempts(
        self, name: str, before_id: int, limit: int, *, cursor: int | None = None, only_failed: bool = False
    ) -> tuple[list[documents.PushAttempt], int | None]:
        """A page of attempts to push to a receiver, newest first, and the position of the next page. `before_id`: the
        position of this one, 0 for the newest. Raises Refused `delivery-not-found`."""
        before, wanted = before_id or None, self._endpoint(name).name

        def unit(tx: Transaction) -> list[KeptAttempt]:
            return list_attempts(tx, wanted, limit + 1, before_id=before, cursor=cursor, only_failed=only_failed)

        found = await self._store.read(unit)
        page = found[:limit]
        return [attempt_view(each) for each in page], page[-1].id if len(found) > limit else None

    async def check_feed(self, cursor: int, feed: str | None) -> None:
        """Raises Refused `cursor-ahead` for a cursor that the feed has not come to, or of another feed."""
        await self._store.read(lambda tx: refuse_foreign_cursor(tx, cursor, feed))

    def _endpoint(self, name: str) -> EndpointFacts:
        known = self._endpoints()
        for endpoint in known:
            if endpoint.name == name:
                return endpoint
        raise no_receiver(name, known)

    async def probe_storage(self) -> None:
        """Writes to the store, so that a full or broken disk shows. Raises StoreUnavailable."""
        now = self._clock.now_ms()
        await self._store.write(lambda tx: acknowledge(tx, _PROBE, now, now))

    def dump(self, include: Collection[str] = ()) -> AsyncGenerator[DumpLine, None]:
        """Everything, line by line (dump.py)."""
        return dump_lines(self._store, self._node, self._clock, include)

    # -- shops -----------------------------------------------------------------------------------------------------

    async def shops(self) -> list[documents.Shop]:
        """Every configured shop, and those that have left the config while targets wait for them."""

        def unit(tx: Transaction) -> tuple[list[Shop], dict[str, int]]:
            return list_shops(tx), count_pending(tx)[1]

        kept, pending = await self._store.read(unit)
        rows, configured, now = {shop.name: shop for shop in kept}, self._node.shops(), self._clock.now_ms()
        left = [shop for shop in kept if shop.name not in configured and shop.name in pending]
        views = [shop_view(facts, rows.get(facts.name), now) for facts in configured.values()]
        return [*views, *map(left_shop_view, left)]

    async def has_left(self, name: str) -> bool:
        """Whether the store knows the name as that of a shop, which is not in the config any more."""
        return name.isprintable() and await self._store.read(lambda tx: get_shop(tx, name)) is not None

    async def shop(self, name: str) -> documents.Shop:
        """One shop, also one that has left the config. Raises Refused `shop-not-found`."""
        facts, row = self._node.shops().get(name), await self._store.read(lambda tx: get_shop(tx, name))
        if facts is not None:
            return shop_view(facts, row, self._clock.now_ms())
        if row is None:
            raise no_shop(name, self._node.shops())
        return left_shop_view(row)

    async def history(
        self, shop: str | None, step: Span, since_ms: int | None, until_ms: int | None
    ) -> documents.History:
        """What a shop, or all together, did in each minute or hour from `since_ms` on and before `until_ms` (None: all
        that is kept, up to now). Raises Refused `shop-not-found`."""
        configured, until = self._node.shops(), self._clock.now_ms() if until_ms is None else until_ms

        def unit(tx: Transaction) -> documents.History:
            check_shop(tx, configured, shop)
            return history(tx, shop, step, since_ms or 0, until)

        return await self._store.read(unit)

    # -- orders ----------------------------------------------------------------------------------------------------

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

    # -- jobs ------------------------------------------------------------------------------------------------------

    async def job(self, job: str) -> Job:
        """One job. Raises Refused `job-not-found`."""
        found = await self._store.read(lambda tx: get_job(tx, job))
        if found is None:
            raise no_job(job)
        return found

    async def jobs(self, before: int, limit: int) -> tuple[list[Job], int | None]:
        """A page of jobs below the position `before` (0: the newest), newest first, and the position of the next."""
        found = await self._store.read(lambda tx: list_jobs(tx, before, limit + 1))
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    # -- one order -------------------------------------------------------------------------------------------------

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

    # -- targets ---------------------------------------------------------------------------------------------------

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

    # -- the feed --------------------------------------------------------------------------------------------------

    async def events(
        self,
        after: int,
        limit: int,
        wanted: EventFilter,
        wait_seconds: float = 0,
        feed: str | None = None,
        include: Collection[str] = (),
    ) -> EventPage:
        """Events above `after`; where there are none yet, waits for one at most `wait_seconds`.

        A reader of few types moves on over the others: `next` is the newest cursor that was read.
        `feed`: the feed that the reader's cursor is of, if it says so. `include`: what to show in each event's data.
        Raises Refused: `shop-not-found`; `cursor-ahead` for a cursor that the feed has not come to, or of another feed.
        """

        def unit(tx: Transaction, position: int, configured: Configured) -> EventPage:
            check_shop(tx, configured, wanted.shop)
            return event_page(tx, position, limit, wanted, include)

        deadline = self._clock.monotonic() + wait_seconds
        await self._check_cursor(after, feed)
        while True:
            newest = self._feed.last_cursor
            page = await self._store.read(partial(unit, position=after, configured=self._node.shops()))
            after = max(page.next, newest)  # retention may have deleted the newest events already
            left = deadline - self._clock.monotonic()
            if page.events or left <= 0 or self._feed.is_closed:
                return page
            with anyio.move_on_after(left):
                await self._feed.wait_beyond(after)

    async def beginning(self, wanted: EventFilter, tail: int | None, since: int | None) -> int:
        """The cursor to read from for the newest `tail` events, and those from `since` (Unix milliseconds) on; 0 where
        neither is asked for."""
        if tail is None and since is None:
            return 0
        return await self._store.read(lambda tx: beginning(tx, wanted, tail, since))

    async def _check_cursor(self, cursor: int, feed: str | None) -> None:
        """Raises Refused `cursor-ahead`."""
        if cursor > self._feed.last_cursor or feed is not None:
            await self._store.read(lambda tx: refuse_foreign_cursor(tx, cursor, feed))

    async def consumer_cursor(self, name: str) -> int:
        """Up to where a consumer that reads now has acknowledged; 0 for one that never has. That it was seen is noted
        once in a while, where the store takes writes."""
        now = self._clock.now_ms()
        cursor, seen_at = await self._store.read(lambda tx: known_consumer(tx, name))
        if seen_at is not None and not 0 <= now - seen_at < _SEEN_MS:
            with suppress(StoreError):
                await self._store.write(lambda tx: note_seen(tx, name, now))
        return cursor

    async def acknowledge(self, name: str, cursor: int, feed: str | None = None) -> tuple[int, str]:
        """Moves a consumer on to `cursor` (never back); returns where it is, and in which feed.

        Raises Refused `cursor-ahead` for a cursor that the feed has not come to, or of another feed.
        """

        def unit(tx: Transaction) -> tuple[int, str]:
            refuse_foreign_cursor(tx, cursor, feed)
            return acknowledge(tx, name, cursor, self._clock.now_ms()), feed_id(tx)

        return await self._store.write(unit)

    async def consumers(self) -> list[documents.ConsumerStatus]:
        """Every consumer whose cursor is kept here, by name, and how far it is behind."""
        now = self._clock.now_ms()
        return await self._store.read(lambda tx: consumer_views(tx, now))

    async def seek(self, name: str, cursor: int, feed: str | None = None) -> str:
        """Sets a consumer's cursor, also back; returns the id of the feed.

        Raises Refused `cursor-ahead` as `acknowledge`, `consumer-not-found`.
        """

        def unit(tx: Transaction) -> str:
            refuse_foreign_cursor(tx, cursor, feed)
            if not seek_consumer(tx, name, cursor):
                raise no_consumer(tx, name)
            return feed_id(tx)

        return await self._store.write(unit)

    async def forget_consumer(self, name: str) -> tuple[int, str]:
        """Forgets a consumer, which begins at 0 should it come again; returns where it was, and in which feed.

        Raises Refused `consumer-not-found`.
        """

        def unit(tx: Transaction) -> tuple[int, str]:
            if (cursor := forget_consumer(tx, name)) is None:
                raise no_consumer(tx, name)
            return cursor, feed_id(tx)

        return await self._store.write(unit)

    # -- what could not be read ------------------------------------------------------------------------------------

    async def rejected(
        self, shop: str | None, after: int, limit: int
    ) -> tuple[list[documents.RejectedPayload], int | None]:
        """A page of rejected payloads above the position `after`, and the position of the next page."""
        configured = self._node.shops()

        def unit(tx: Transaction) -> tuple[list[documents.RejectedPayload], int | None]:
            check_shop(tx, configured, shop)
            found = list_rejected(tx, after, limit + 1, shop)
            page = found[:limit]
            return [rejected_view(each) for each in page], page[-1].id if len(found) > limit else None

        return await self._store.read(unit)

    # -- what webhooks brought -------------------------------------------------------------------------------------

    async def products(self, shop: str | None, after: int, limit: int) -> tuple[list[StoredProduct], int | None]:
        """A page of products above the position `after`, and the position of the next page."""

        configured = self._node.shops()

        def unit(tx: Transaction) -> tuple[list[StoredProduct], int | None]:
            check_shop(tx, configured, shop)
            found = list_products(tx, after, limit + 1, shop)
            page = found[:limit]
            return page, page[-1].seq if len(found) > limit else None

        return await self._store.read(unit)


def is_settled(target: Target) -> bool:
    """Whether somebody who waits for a target has waited enough: it has ended, or waits for a person."""
    return target.status.is_end or target.status is TargetStatus.BLOCKED
