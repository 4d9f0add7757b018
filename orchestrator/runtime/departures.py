"""Shops that leave the config and come back: one event each; a new name of the same account is recognised.

Orders are kept by the shop's name in the config. Pending targets of a shop that has left wait until it is back,
or until somebody cancels them; nothing else happens to its orders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import anyio
import structlog

from orchestrator.clock import Clock
from orchestrator.runtime.wakeups import Wakeup
from statemachines.target import Json
from storage.counts import count_pending_of
from storage.errors import StoreError
from storage.events import append_event
from storage.nodes import Node, live_nodes
from storage.shops import Member, list_members, mark_left, queue_running
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

_AGAIN_SECONDS = 5.0


class Departures:
    """Notes which shops have left the config and which are back, for one node. Where several nodes share the store, a
    shop is in the config as long as that of any of them has it. `configured` returns the identities by name that this
    node's config has now. `run` lasts until it is cancelled."""

    def __init__(self, store: Store, clock: Clock, node: str, configured: Callable[[], Mapping[str, str]]) -> None:
        self._store, self._clock, self._node, self._configured = store, clock, node, configured
        self._due = Wakeup()
        self._elsewhere: frozenset[str] | None = None

    async def note(self) -> None:
        """Notes what has changed. Raises StoreError."""
        configured, now = self._configured(), self._clock.now_ms()

        def unit(tx: Transaction) -> list[Move]:
            return note_moves(tx, configured, now, self._of_others(live_nodes(tx)))

        log_moves(await self._store.write(unit))

    def note_soon(self) -> None:
        """Has `run` do it."""
        self._due.ring()

    async def run(self) -> None:
        """Notes what changes, again until the store takes it."""
        while True:
            await self._due.wait()
            try:
                await self.note()
            except StoreError:
                await anyio.sleep(_AGAIN_SECONDS)
                self._due.ring()

    def renew(self, _tx: Transaction, nodes: Sequence[Node]) -> Callable[[float], None]:
        """As `Renewed.renew`: nothing is, but other nodes may have other shops now."""
        return lambda _began: self._compare(self._of_others(nodes))

    look = renew

    def _compare(self, elsewhere: frozenset[str]) -> None:
        if self._elsewhere not in (None, elsewhere):
            self._due.ring()
        self._elsewhere = elsewhere

    def _of_others(self, nodes: Sequence[Node]) -> frozenset[str]:
        return frozenset(shop for node in nodes if node.name != self._node for shop in node.shops)


@dataclass(frozen=True, slots=True)
class Move:
    """A shop left the config (`has_left`) or came back. `pending`: targets that wait for it; `renamed_to`: the name
    that the config has for its account now."""

    shop: str
    has_left: bool
    pending: int
    renamed_to: str | None


def note_moves(
    tx: Transaction, configured: Mapping[str, str], now_ms: int, elsewhere: Collection[str] = ()
) -> list[Move]:
    """Compares the shops of the store with those of the config (identities by name), and appends an event for each that
    has left or is back. `elsewhere`: shops that the config of another node has."""
    moves = []
    names = {identity: name for name, identity in configured.items()}
    for member in list_members(tx):
        is_there = member.name in configured or member.name in elsewhere
        if is_there == (member.left_at is None):
            continue
        move = _move(tx, member, names, has_left=not is_there)
        mark_left(tx, member.name, now_ms if move.has_left else None)
        data: dict[str, Json] = {"targets_pending": move.pending}
        if move.has_left:
            queue_running(tx, member.name)  # they are not driven; their intents are resolved when the shop is back
            data |= {"renamed_to": move.renamed_to} if move.renamed_to is not None else {}
        append_event(tx, now_ms, "shop.left" if move.has_left else "shop.returned", shop=member.name, data=data)
        moves.append(move)
    return moves


def _move(tx: Transaction, member: Member, names: Mapping[str, str], *, has_left: bool) -> Move:
    renamed_to = names.get(member.identity) if has_left and member.identity is not None else None
    return Move(member.name, has_left, count_pending_of(tx, member.name), renamed_to)


def log_moves(moves: list[Move]) -> None:
    """Logs each move, with a remedy where targets wait."""
    for move in moves:
        if not move.has_left:
            log.info("shop.returned", shop=move.shop, targets_pending=move.pending)
        elif move.renamed_to is not None:
            detail = (
                f"the config calls this account {move.renamed_to} now: orders and targets are kept by name, so those of"
                f" {move.shop} wait and its open orders come in anew; name it {move.shop} again, or cancel its targets"
            )
            log.warning("shop.renamed", shop=move.shop, to=move.renamed_to, targets_pending=move.pending, detail=detail)
        elif move.pending:
            detail = "its targets wait: put the shop back into the config, or cancel them"
            log.warning("shop.left", shop=move.shop, targets_pending=move.pending, detail=detail)
        else:
            log.info("shop.left", shop=move.shop, targets_pending=0)
