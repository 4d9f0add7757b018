"""Which shops are this node's: a lease each, renewed while its worker runs and released at the end.

On a store that only one node can open a lease is taken from any holder and never ends. Elsewhere it ends by itself when
its node dies. At each heartbeat a node renews all of its leases in one statement, and plans who is to have which shop
(`decisions.leasing`): it hands over what it has too much, and takes what is free and meant for it. A lease that is its
own although nobody here works under it (its worker failed, or its release did) it keeps as long as the shop is meant
for it, and releases otherwise: no other node could take it while this one lives.

A node that cannot renew in time gives its shop up, for it cannot know whether it still holds the lease. That is decided
by the time since the last renewal was *begun*, on the monotonic clock; when a lease is over for others says the clock
of the database, and the fence rejects what comes too late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import anyio
import structlog

from orchestrator.clock import Clock, optional_rfc3339, rfc3339
from orchestrator.decisions.leasing import Member, spread
from orchestrator.runtime.membership import Membership
from storage.errors import StaleLease
from storage.leases import Lease, Table, acquire, acquire_duty, give_back, lease_of, list_leases, release, renew_all
from storage.nodes import Node
from storage.store import Store
from storage.takeovers import Takeover, note_takeover
from storage.transaction import Transaction

log = structlog.get_logger()

T = TypeVar("T")

_SHORTEST_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2  # after somebody else was faster, or has the shop's row for a moment
_PART_ON_THE_WAY: Final = 6  # of a term: two heartbeats that fail stop nothing yet
_AFTER_END_SECONDS: Final = 0.02  # beyond the end of a lease, so that it is over


class Hold:
    """A lease that this node has. `before`: who had the shop when it was acquired, None for nobody; `moved` is set once
    the shop is to be handed over, and `to` is then the node that is to have it."""

    def __init__(self, name: str, epoch: int, before: str | None, good_until: float | None) -> None:
        self.name, self.epoch, self.before = name, epoch, before
        self.good_until = good_until
        """By the monotonic clock; None: it has no end."""
        self.moved, self.lost = anyio.Event(), anyio.Event()
        self.to: str | None = None


class Leases:
    """The leases of one node, of shops or of duties."""

    def __init__(self, store: Store, membership: Membership, clock: Clock, table: Table = "shops") -> None:
        self._store, self._membership, self._clock, self._table = store, membership, clock, table
        self._node, self._term_ms = membership.name, membership.term_ms
        self._on_the_way_seconds = self._term_ms / 1000 / _PART_ON_THE_WAY
        self._held: dict[str, Hold] = {}
        self._changing: set[str] = set()  # leases that are being acquired or released
        self._meant: set[str] = set()  # shops that this node may take
        self._released: dict[str, int] = {}  # the last epochs: what was read before they ended may come after
        self._left: dict[str, int] = {}  # epochs of leases that nobody here works under, and that are to be released
        self._planned = anyio.Event()
        membership.include(self)

    def is_meant(self, name: str) -> bool:
        """Whether this node may take a shop now."""
        return self._store.is_exclusive or name in self._meant

    async def meant(self, name: str) -> None:
        """Returns once this node may take a shop."""
        while not self.is_meant(name):
            await self._planned.wait()

    async def wait_for_store(self, seconds: float) -> None:
        """Returns when a heartbeat has come through, so the store is there again, or after so long; not at once."""
        await anyio.sleep(min(seconds, _SHORTEST_SECONDS))
        with anyio.move_on_after(seconds - _SHORTEST_SECONDS):
            await self._planned.wait()

    async def acquire(self, name: str, platform: str, first: Callable[[Transaction], T]) -> tuple[Hold, T] | None:
        """Takes a shop, and does `first` in the same transaction; None when another node has it."""
        term_ms = None if self._store.is_exclusive else self._term_ms

        def take(tx: Transaction) -> tuple[int, T] | None:
            shop = acquire(tx, name, platform, self._node, term_ms)
            return None if shop is None else (shop.lease_epoch, first(tx))

        return await self._acquire(name, take)

    async def acquire_duty(self, name: str) -> Hold | None:
        """Takes a duty; None when another node has it."""

        def take(tx: Transaction) -> tuple[int, None] | None:
            epoch = acquire_duty(tx, name, self._node, self._term_ms)
            return None if epoch is None else (epoch, None)

        acquired = await self._acquire(name, take)
        return None if acquired is None else acquired[0]

    async def _acquire(self, name: str, take: Callable[[Transaction], tuple[int, T] | None]) -> tuple[Hold, T] | None:
        began = self._clock.monotonic()

        def unit(tx: Transaction) -> tuple[tuple[int, T], str | None, Takeover | None] | None:
            was = lease_of(tx, name, self._table)
            taken = take(tx)
            if taken is None:
                return None
            is_shared = self._table == "shops" and not self._store.is_exclusive
            takeover = note_takeover(tx, name, was, self._node, taken[0]) if is_shared else None
            return taken, None if was is None else was.holder, takeover

        self._changing.add(name)
        try:
            found = await self._store.write(unit)
        finally:
            self._changing.discard(name)
        self._meant.discard(name)
        if found is None:
            self._membership.look_in(_AGAIN_SECONDS)
            return None
        (epoch, done), before, takeover = found
        good_until = None if self._store.is_exclusive else began + self._term_ms / 1000
        hold = self._held[name] = Hold(name, epoch, None if before == self._node else before, good_until)
        if takeover is not None:
            _log_takeover(takeover)
        return hold, done

    async def log_wait(self, name: str) -> None:
        """Logs who has a shop that this node waits for, and until when, where that node is gone."""
        lease, now = await self._store.read(lambda tx: lease_of(tx, name)), self._clock.now_ms()
        if lease is None or lease.is_over or lease.holder in {each.name for each in self._membership.nodes}:
            return
        log.warning(
            "shop.lease_awaited",
            shop=name,
            holder=lease.holder,
            until=None if lease.left_ms is None else rfc3339(now + lease.left_ms),
            detail="a daemon that is gone has the shop's lease: nothing is done for it until that ends",
        )

    def is_good(self, hold: Hold) -> bool:
        """Whether this node still has a shop, as far as it can know."""
        return not hold.lost.is_set() and (hold.good_until is None or self._clock.monotonic() < hold.good_until)

    def may_send(self, hold: Hold) -> bool:
        """Whether a call of a shop may still go out: it needs a while to arrive, and the next holder reads orders as
        soon as the lease is over."""
        if hold.good_until is None:
            return not hold.lost.is_set()
        return not hold.lost.is_set() and self._clock.monotonic() < hold.good_until - self._on_the_way_seconds

    async def keep(self, hold: Hold) -> None:
        """Raises StaleLease once another node has the shop, or may have it."""
        while self.is_good(hold):
            left = None if hold.good_until is None else hold.good_until - self._clock.monotonic()
            with anyio.move_on_after(left):
                await hold.lost.wait()
        raise StaleLease(hold.name)

    async def release(self, hold: Hold) -> None:
        """Releases a shop, and notifies the nodes that wait for it. Raises StoreUnavailable."""
        self._forget(hold)
        self._changing.add(hold.name)
        try:
            await self._store.write(lambda tx: release(tx, hold.name, hold.epoch, self._table))
            self._released[hold.name] = hold.epoch
        finally:
            self._changing.discard(hold.name)
        await self._membership.notify()

    def retake(self, hold: Hold) -> None:
        """The worker of a shop ended, and the shop was not released: it stays this node's, which acquires it again."""
        if self._forget(hold) and self.is_good(hold):
            self._meant.add(hold.name)
            self._look_again()

    def renew(self, tx: Transaction, nodes: Sequence[Node]) -> Callable[[float], None]:
        """As `Renewed.renew`."""
        left = self._left
        give_back(tx, left, self._table)
        renewed = renew_all(tx, self._node, self._term_ms, self._table)
        return partial(self._renewed, nodes, renewed, list_leases(tx, self._table), has_released=bool(left))

    def look(self, tx: Transaction, nodes: Sequence[Node]) -> Callable[[float], None]:
        """As `Renewed.look`."""
        return partial(self._plan, nodes, {}, list_leases(tx, self._table))

    def _renewed(
        self,
        nodes: Sequence[Node],
        renewed: dict[str, int],
        leases: Sequence[Lease],
        began: float,
        *,
        has_released: bool,
    ) -> None:
        self._plan(nodes, renewed, leases, began)
        if has_released:
            self._membership.notify_after()

    def _plan(self, nodes: Sequence[Node], renewed: dict[str, int], leases: Sequence[Lease], began: float) -> None:
        """Takes over what a heartbeat or a look that began at `began` found. What it read may be of before a lease was
        acquired that is held by now: it says nothing of that one."""
        known = {lease.name: lease for lease in leases}
        for hold in list(self._held.values()):
            lease = known.get(hold.name)
            if lease is None:
                continue
            if lease.epoch > hold.epoch or (lease.epoch == hold.epoch and lease.holder != self._node):
                hold.lost.set()
            elif renewed.get(hold.name) == hold.epoch:  # else another transaction had its row
                hold.good_until = began + self._term_ms / 1000
        members = [
            Member(node.name, node.shops if self._table == "shops" else node.duties, node.is_draining) for node in nodes
        ]
        shops = {shop for member in members for shop in member.shops}
        holders = {shop: known[shop].holder if shop in known and not known[shop].is_over else None for shop in shops}
        plan = spread(members, holders)
        ours = {shop for shop, node in plan.items() if node == self._node}
        for shop in self._held.keys() & plan.keys() - ours:
            if shop in known and known[shop].epoch >= self._held[shop].epoch:
                self._held[shop].to = plan[shop]
                self._held[shop].moved.set()
        self._meant = {shop for shop in ours - self._held.keys() if holders[shop] in (None, self._node)}
        self._look_again()
        left = {
            lease.name: lease.epoch
            for lease in leases
            if lease.holder == self._node
            and lease.name not in {*ours, *self._held, *self._changing}
            and lease.epoch != self._released.get(lease.name)
        }
        if left:
            self._membership.beat_in(_AGAIN_SECONDS if left == self._left else 0)
        self._left = left
        ends = [lease.left_ms for lease in leases if lease.holder != self._node and not lease.is_over]
        if ends:
            self._membership.look_in(min(filter(None, ends)) / 1000 + _AFTER_END_SECONDS)

    def _look_again(self) -> None:
        self._planned.set()
        self._planned = anyio.Event()

    def _forget(self, hold: Hold) -> bool:
        is_held = self._held.get(hold.name) is hold
        if is_held:
            del self._held[hold.name]
        return is_held


def _log_takeover(takeover: Takeover) -> None:
    """Logs that this node has a shop that it did not have before: from whom, why, and since when nobody had it."""
    level = log.warning if takeover.why == "lease_ended" else log.info
    level(
        "shop.taken_over",
        shop=takeover.shop,
        node=takeover.holder,
        why=takeover.why,
        epoch=takeover.epoch,
        since=optional_rfc3339(takeover.idle_since),
        **{"from": takeover.before},
    )
