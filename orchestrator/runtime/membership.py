"""This node among those that share the store: it says at each heartbeat that it lives, and hears who else does.

A heartbeat is one transaction, in which everything else that a node has to renew is renewed, too (`Renewed`). Whoever
changes what others plan by (a shop was released, a node joins or drains) notifies them, so that they look at once: they
read what a heartbeat reads and plan anew, and write nothing, for a node that drains releases its shops one by one. On a
store that only one node can open there is nobody to notify, and nothing of this happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
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
_BETWEEN_SECONDS: Final = 0.05  # whatever happens, nobody beats or looks more often
_PART_LOOKING: Final = 10  # looks take no more than a tenth of the time where there are many shops and nodes
_LONGEST_BETWEEN_SECONDS: Final = 0.5


class Renewed(Protocol):
    """What a node renews at each heartbeat."""

    def renew(self, tx: Transaction, nodes: list[Node]) -> Callable[[float], object]:
        """Renews it. `nodes`: all that live. The answer is called in the event loop once that is durable, with when the
        heartbeat began, by the monotonic clock."""
        ...

    def look(self, tx: Transaction, nodes: list[Node]) -> Callable[[float], object]:
        """As `renew`, and writes nothing."""
        ...


class Membership:
    """Of one node. `name`: the same in no other process. `describe` returns what it says of itself. `run` lasts until
    it is cancelled."""

    def __init__(
        self, store: Store, name: str, clock: Clock, describe: Callable[[], Presence], term_seconds: float
    ) -> None:
        self.name, self.term_ms = name, int(term_seconds * 1000)
        self.nodes: tuple[Node, ...] = ()
        """All that lived at the last heartbeat or look, this one included."""
        self._store, self._clock, self._describe = store, clock, describe
        self._pause_seconds = term_seconds / _BEATS
        self._next_seconds = self._pause_seconds
        self._beaten_at = self._looks_from = clock.monotonic()
        self._look_at = math.inf
        self._logged: dict[str, Node] = {}  # those that are there as the log has it
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

    def look_in(self, seconds: float) -> None:
        """Plans anew once so many seconds have passed, by a read alone."""
        self._look_at = min(self._look_at, max(self._clock.monotonic() + seconds, self._looks_from))
        self._wake.ring()

    def notify_after(self) -> None:
        """Has the other nodes look, once the heartbeat that is on its way is durable."""
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
                beats = await self._rest()
                began = self._clock.monotonic()
                try:
                    await (self._beat() if beats else self._look_until_due())
                except NewerStore:  # it was taken for dead, and a newer node took away what it needs
                    raise
                except StoreError as error:  # what is not renewed ends by itself
                    log.warning("node.heartbeat_failed", node=self.name, detail=str(error))
                    self.beat_in(_AGAIN_SECONDS)
                except Exception as error:  # noqa: BLE001 - supervised: a row that cannot be read must not end the daemon
                    self._log_crash(error)
                self._ended(began, beats=beats)

    def _ended(self, began: float, *, beats: bool) -> None:
        """A heartbeat or a look ended, whatever it came to."""
        now = self._clock.monotonic()
        if beats:
            self._beaten_at, self._looks_from = now, now + _BETWEEN_SECONDS
        else:
            rest = max(_BETWEEN_SECONDS, (now - began) * _PART_LOOKING)
            self._looks_from = now + min(rest, _LONGEST_BETWEEN_SECONDS)

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
        """Has the other nodes look at once, for what they plan by has changed."""
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

    def _log_changes(self, nodes: Sequence[Node], gone: Sequence[GoneNode], *, is_beat: bool) -> None:
        """Logs who has joined and who is gone since the last time. `gone`: what is known of the latter, and of those
        that were gone before this node knew of them. What a node that is gone came to says a heartbeat at the latest,
        which ends it where no other one has."""
        known, found = self._logged, {each.name: each for each in gone}
        for node in nodes:
            if known and node.name not in known and not node.is_mover:
                log.info("node.joined", node=node.name, version=node.version)
        self._logged = {node.name: node for node in nodes if not node.is_mover}
        for name in sorted({*known, *found} - {each.name for each in nodes}):
            if (of := found.get(name)) is None and not is_beat:
                self._logged[name] = known[name]
                continue
            if of is None:  # a node of an older version keeps nothing of it
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
                self.look_in(0)

    async def _rest(self) -> bool:
        """Returns once a heartbeat is due, or a look; whether it is a heartbeat, which looks as well."""
        while True:
            now = self._clock.monotonic()
            to_beat, to_look = self._next_seconds - (now - self._beaten_at), self._look_at - now
            if to_beat <= 0 or to_look <= 0:
                break
            with anyio.move_on_after(min(to_beat, to_look)):
                await self._wake.wait()  # the next one may be due sooner by now
        self._look_at = math.inf
        if to_beat > 0:
            return False
        self._next_seconds = self._pause_seconds
        return True

    async def _beat(self) -> None:
        """Raises StoreError."""
        began, presence, known = self._clock.monotonic(), self._describe(), set(self._logged)
        self._has_joined = True

        def unit(tx: Transaction) -> tuple[list[Node], list[GoneNode], list[Callable[[float], object]]]:
            dead = beat(tx, self.name, presence, self.term_ms)
            nodes = live_nodes(tx)
            return nodes, _found_gone(tx, {*dead, *known}, nodes), [each.renew(tx, nodes) for each in self._renewed]

        nodes, gone, after = await self._store.write_first(unit)
        self._log_changes(nodes, gone, is_beat=True)
        self.nodes = tuple(nodes)
        for act in after:
            act(began)
        if self._is_to_notify:
            self._is_to_notify = False
            await self.notify()

    async def _look_until_due(self) -> None:
        """As `_look`, no longer than until the next heartbeat, which looks as well: a read may wait behind others for a
        reader, or for a lock, and no lease is to end by that."""
        with anyio.move_on_after(self._next_seconds - (self._clock.monotonic() - self._beaten_at)):
            await self._look()

    async def _look(self) -> None:
        """Raises StoreError."""
        began, known = self._clock.monotonic(), set(self._logged)

        def unit(tx: Transaction) -> tuple[list[Node], list[GoneNode], list[Callable[[float], object]]]:
            nodes = live_nodes(tx)
            return nodes, _found_gone(tx, known, nodes), [each.look(tx, nodes) for each in self._renewed]

        nodes, gone, after = await self._store.read(unit)
        if all(node.name != self.name for node in nodes):
            self.beat_in(0)  # it was taken for dead: it joins anew before it plans
            return
        self._log_changes(nodes, gone, is_beat=False)
        self.nodes = tuple(nodes)
        for act in after:
            act(began)


def _found_gone(tx: Transaction, known: Collection[str], nodes: Sequence[Node]) -> list[GoneNode]:
    """What is kept of those of the known nodes that live no more."""
    gone = set(known) - {each.name for each in nodes}
    return [each for each in gone_nodes(tx) if each.name in gone] if gone else []
