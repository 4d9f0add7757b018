"""Every statement is one that the engine understands: a word that is free in one dialect is taken in another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from orchestrator.testing.engine_suite.samples import PROBLEM, order
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage import events, history, identity, jobs, orders, passage, rejected, sessions, shops, webhooks
from storage.due_orders import due_ids, ids_with_intent
from storage.leases import acquire
from storage.nodes import live_names
from storage.order_search import OrderFilter, list_orders
from storage.transaction import Transaction

_ASIDE: Final = rejected.Aside(1, "1", None, (), 1, NOW)
_SESSION: Final = sessions.KeptSession("digest", "csrf", NOW + 1)

ASKED: Final[dict[str, Callable[[Transaction], object]]] = {
    "shops.follow_shop": lambda tx: shops.follow_shop(tx, "acme", NOW),
    "shops.keep_identity": lambda tx: shops.keep_identity(tx, "acme", "shop 1"),
    "shops.accept_identity": lambda tx: shops.accept_identity(tx, "acme", "shop 2"),
    "shops.pause_for_another_account": lambda tx: shops.pause_for_another_account(tx, "acme", "another", NOW),
    "shops.pause_for_restore": lambda tx: shops.pause_for_restore(tx, "acme", "example", "restored", NOW),
    "shops.identities": shops.identities,
    "shops.list_members": shops.list_members,
    "shops.mark_left": lambda tx: shops.mark_left(tx, "acme", NOW),
    "orders.is_known": lambda tx: orders.is_known(tx, "acme", "1"),
    "orders.is_unchanged": lambda tx: orders.is_unchanged(tx, list_orders(tx, 0, 1, OrderFilter())[0], 1),
    "orders.touch_order": lambda tx: orders.touch_order(tx, 1, NOW, NOW),
    "orders.forget_observations": orders.forget_observations,
    "orders.forget_observations_since": lambda tx: orders.forget_observations_since(tx, NOW),
    "orders.block_damaged": lambda tx: orders.block_damaged(tx, "acme", "1", PROBLEM),
    "due_ids": lambda tx: due_ids(tx, "acme", NOW, 9),
    "ids_with_intent": lambda tx: ids_with_intent(tx, "acme"),
    "events.list_rows": lambda tx: events.list_rows(tx, 0, 9, events.EventFilter(shop="acme", types=("order.*",))),
    "events.published_above": lambda tx: events.published_above(tx, 0, 9),
    "events.known_consumer": lambda tx: events.known_consumer(tx, "erp"),
    "events.note_seen": lambda tx: events.note_seen(tx, "erp", NOW),
    "events.seek_consumer": lambda tx: events.seek_consumer(tx, "erp", 0),
    "events.forget_consumer": lambda tx: events.forget_consumer(tx, "erp"),
    "history.is_skipped": lambda tx: history.is_skipped(tx, "acme", "1"),
    "history.forget_skipped": lambda tx: history.forget_skipped(tx, "acme", "1"),
    "jobs.job_action": lambda tx: jobs.job_action(tx, "job"),
    "jobs.jobs_of_shop": lambda tx: jobs.jobs_of_shop(tx, "acme"),
    "jobs.get_piece": lambda tx: jobs.get_piece(tx, 1),
    "jobs.end_all_jobs": lambda tx: jobs.end_all_jobs(tx, "cancelled", NOW),
    "rejected.get_aside": lambda tx: rejected.get_aside(tx, "acme", "order 1"),
    "rejected.renew_rejected": lambda tx: rejected.renew_rejected(tx, _ASIDE, "poll", "unreadable", b"<", NOW),
    "rejected.postpone_rejected": lambda tx: rejected.postpone_rejected(tx, _ASIDE),
    "rejected.due_rejected": lambda tx: rejected.due_rejected(tx, "acme", NOW, NOW, 9),
    "rejected.due_rejected of all": lambda tx: rejected.due_rejected(tx, "acme", None, NOW, 9),
    "rejected.next_reread_at": lambda tx: rejected.next_reread_at(tx, "acme"),
    "rejected.hasten_rejected": lambda tx: rejected.hasten_rejected(tx, "acme"),
    "rejected.is_set_aside": lambda tx: rejected.is_set_aside(tx, "acme", "1"),
    "rejected.remove_rejected_by": lambda tx: rejected.remove_rejected_by(tx, 1),
    "sessions.keep_session": lambda tx: sessions.keep_session(tx, _SESSION, NOW, 9),
    "sessions.find_sessions": lambda tx: sessions.find_sessions(tx, ["digest", "another"]),
    "sessions.forget_session": lambda tx: sessions.forget_session(tx, "digest"),
    "webhooks.reopen_webhook": lambda tx: webhooks.reopen_webhook(tx, 1, NOW),
    "webhooks.note_first_look": lambda tx: webhooks.note_first_look(tx, 1, NOW),
    "passage.get_passage": passage.get_passage,
    "passage.measured_now": lambda tx: passage.measured_now(tx, NOW),
    "passage.newest_at": passage.newest_at,
    "identity.read_identity": identity.read_identity,
    "identity.forgotten_of": identity.forgotten_of,
    "identity.mark_copy": lambda tx: identity.mark_copy(tx, NOW),
    "live_names": live_names,
}
"""What no other test of this suite asks."""


async def test_every_statement_is_understood(engine: Engine) -> None:
    refused: dict[str, str] = {}
    async with engine.open() as store:
        await store.write(lambda tx: acquire(tx, "acme", "example", "test"))
        await store.write(lambda tx: orders.insert_order(tx, order(), b"{}"))
        for name, ask in ASKED.items():
            try:
                await store.write(ask)
            except Exception as error:  # noqa: BLE001 - all of them are shown at once
                refused[name] = str(error)
    assert refused == {}
