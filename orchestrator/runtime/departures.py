"""Shops that leave the config and come back: one event each; a new name of the same account is recognised.

Orders are kept by the shop's name in the config. Pending targets of a shop that has left wait until it is back,
or until somebody cancels them; nothing else happens to its orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from statemachines.target import Json
from storage.counts import count_pending_of
from storage.events import append_event
from storage.shops import Member, list_members, mark_left, queue_running
from storage.transaction import Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Move:
    """A shop left the config (`has_left`) or came back. `pending`: targets that wait for it; `renamed_to`: the name
    that the config has for its account now."""

    shop: str
    has_left: bool
    pending: int
    renamed_to: str | None


def note_moves(tx: Transaction, configured: Mapping[str, str], now_ms: int) -> list[Move]:
    """Compares the shops of the store with those of the config (identities by name), and appends an event for each that
    has left or is back."""
    moves = []
    names = {identity: name for name, identity in configured.items()}
    for member in list_members(tx):
        is_there = member.name in configured
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
