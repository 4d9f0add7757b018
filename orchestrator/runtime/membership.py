"""This node among those that share the store: it says at each heartbeat that it lives, and hears who else does.

A heartbeat is one transaction, in which everything else that a node has to renew is renewed, too (`Renewed`). Whoever
changes what others plan by (a shop was released, a node joins or drains) notifies them, so that they beat at once.
On a store that only one node can open there is nobody to notify, and nothing of this happens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import anyio
import structlog

from orchestrator.clock import Clock, rfc3339
from orchestrator.runtime.wakeups import Wakeup
from storage.errors import NewerStore, StoreError
from storage.gone_nodes import GoneNode, gone_nodes
from storage.nodes import Node, Presence, beat, join, leave, live_nodes
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

TERM_SECONDS: Final = 15.0
"""How long a node that died keeps its shops."""

_CHANGED: Final = "nodes"  # a channel; the text says nothing
_BEATS: Final = 3  # in a term: two may fail
_AGAIN_SECONDS: Final = 1.0  # after one that failed
_BETWEEN_SECONDS: Final = 0.05  # whatever happens, nobody beats more often


class Renewed(Protocol):
    """What a node renews at each heartbeat."""

    def renew(self, tx: Transaction, nodes: list[Node]) -> Callable[[float], object]:
        """Renews it. `nodes`: all that live. The answer is called in the event loop once that is durable, with when the
        heartbeat began, by the monotonic clock."""
        ...


class Membership:
    """Of one node. `name`: the same in no other process. `describe` returns what it says of itself. `run` lasts until
    it is cancelled."""

    def __init__(
        self, store: Store, name: str, clock: Clock, describe: Callable[[], Presence], term_seconds: float
    ) -> None:
        self.name, self.term_ms = name, int(term_seconds * 1000)
        self.nodes: tuple[Node, ...] = ()
        """All that lived at the last heartbeat, this one included."""
        self._store, self._clock, self._describe = store, clock, describe
        self._pause_seconds = term_seconds / _BEATS
        self._next_seconds = self._pause_seconds
        self._renewed: list[Renewed] = []
        self._has_joined = False
        self._wake = Wakeup()
        self._is_to_notify = False

    def include(self, renewed: Renewed) -> None:
        """Renews this, too, at each heartbeat from now on."""
        self._renewed.append(renewed)

    def beat_in(self, seconds: float) -> None:
        """Beats once so many seconds have passed since the last heartbeat, unless it is due before."""
        self._next_seconds = min(self._next_seconds, max(_BETWEEN_SECONDS, seconds))
        self._wake.ring()

    def notify_after(self) -> None:
        """Has the other nodes beat, too, once the heartbeat that is on its way is durable."""
        self._is_to_notify = True

    async def join(self) -> None:
        """The others know of this node from now on, and it of them; again: they know at once what has changed of it.
        Raises StoreMoving, NewerStore, StoreUnavailable."""
        if self._store.is_exclusive:
            return
        if not self._has_joined:
            presence = self._describe()
            self._has_joined = True  # whether or not the answer arrives
            await self._store.write(lambda tx: join(tx, self.name, presence, self.term_ms))
        await self._beat()
        await self.notify()

    async def run(self) -> None:
        """Beats; returns at once where there can be no other node. Raises NewerStore."""
        if self._store.is_exclusive:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen)
            while True:
                await self._rest()
                try:
                    await self._beat()
                except NewerStore:  # it was taken for dead, and a newer node took away what it needs
                    raise
                except StoreError as error:  # what is not renewed ends by itself
                    log.warning("node.heartbeat_failed", node=self.name, detail=str(error))
                    self.beat_in(_AGAIN_SECONDS)
                except Exception as error:  # noqa: BLE001 - supervised: a row that cannot be read must not end the daemon
                    self._log_crash(error)

    async def announce(self) -> None:
        """Says at once what has changed of this node. Where that fails the next heartbeat does."""
        if self._store.is_exclusive:
            return
        try:
            await self._beat()
        except StoreError:
            self.beat_in(_AGAIN_SECONDS)
        except Exception as error:  # noqa: BLE001 - supervised: as in `run`
            self._log_crash(error)
        else:
            await self.notify()

    async def notify(self) -> None:
        """Has the other nodes beat at once, for what they plan by has changed."""
        if not self._store.is_exclusive:
            with suppress(StoreError):  # they beat now and then anyway
                await self._store.notify(_CHANGED, "")

    async def leave(self) -> None:
        """The others count on this node no more; once is enough. Where the store is away its row ends by itself."""
        if self._has_joined:
            self._has_joined = False
            with suppress(StoreError):
                await self._store.write(lambda tx: leave(tx, self.name))
                await self.notify()

    def _log_changes(self, nodes: Sequence[Node], gone: Sequence[GoneNode]) -> None:
        """Logs who has joined and who is gone since the last heartbeat. `gone`: what is known of the latter, and of
        those that were gone before this node knew of them."""
        known = {each.name: each for each in self.nodes if not each.is_mover}
        for node in nodes:
            if known and node.name not in known and not node.is_mover:
                log.info("node.joined", node=node.name, version=node.version)
        found = {each.name: each for each in gone}
        for name in sorted({*known, *found} - {each.name for each in nodes}):
            if (of := found.get(name)) is None:  # a node of an older version keeps nothing of it
                log.info("node.gone", node=name, why="unknown", seen_at=rfc3339(known[name].seen_at))
                continue
            level, why = (log.warning, "heartbeats_ended") if of.is_lost else (log.info, "left")
            level("node.gone", node=name, why=why, seen_at=rfc3339(of.seen_at), shops=of.shops)

    def _log_crash(self, error: Exception) -> None:
        log.error("node.heartbeat_failed", node=self.name, detail=str(error), exc_info=error)
        self.beat_in(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with self._store.listen(_CHANGED) as notices:
            async for _ in notices:
                self.beat_in(0)

    async def _rest(self) -> None:
        began = self._clock.monotonic()
        while (left := self._next_seconds - (self._clock.monotonic() - began)) > 0:
            with anyio.move_on_after(left):
                await self._wake.wait()  # the next one may be due sooner by now
        self._next_seconds = self._pause_seconds

    async def _beat(self) -> None:
        """Raises StoreError."""
        began, presence, known = self._clock.monotonic(), self._describe(), self.nodes
        self._has_joined = True

        def unit(tx: Transaction) -> tuple[list[Node], list[GoneNode], list[Callable[[float], object]]]:
            dead = beat(tx, self.name, presence, self.term_ms)
            nodes = live_nodes(tx)
            gone = {*dead, *(each.name for each in known)} - {each.name for each in nodes}
            found = [each for each in gone_nodes(tx) if each.name in gone] if gone else []
            return nodes, found, [each.renew(tx, nodes) for each in self._renewed]

        nodes, gone, after = await self._store.write_first(unit)
        self._log_changes(nodes, gone)
        self.nodes = tuple(nodes)
        for act in after:
            act(began)
        if self._is_to_notify:
            self._is_to_notify = False
            await self.notify()
