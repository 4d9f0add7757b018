"""The real store against a model of dicts: whatever is done in whatever order, both answer the same.

Hypothesis has no async rules (docs/pitfalls.md P3): each machine has a portal with a loop of its own, and the store's
context is entered and left in one task of it. A restart closes the store and opens it again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage import retention
from storage.counts import count_orders, count_pending, wrong_counts
from storage.due_orders import due_orders, next_due_at
from storage.events import EventFilter, acknowledge, append_event, consumer_cursor, list_events
from storage.order_search import OrderFilter, list_orders
from storage.orders import LostUpdate, insert_order, save_order
from storage.payloads import get_payload
from storage.records import Event, Order, Situation, Target, TargetStatus
from storage.targets import insert_target, list_targets, pending_targets, save_target, target_by_key
from storage.transaction import Transaction

T = TypeVar("T")

shops = st.sampled_from(["acme", "other"])
ids = st.sampled_from(["1", "2", "3"])
moments = st.integers(NOW - 3, NOW + 3)
# whoever reads foreign text leaves out what no database takes: halves of surrogate pairs, and NUL
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "reference": st.none() | texts,
        "state": st.sampled_from(["CheckQueue", "SentOrder", "Wysłane"]),
        "milestone": st.none() | st.sampled_from(["new", "shipped"]),
        "situation": st.sampled_from(Situation),
        "facts": st.dictionaries(texts, json, max_size=3),
        "due_at": st.none() | moments,
        "held_reason": st.none() | texts,
        "gone_at": st.none() | moments,
        "gone_detail": st.none() | texts,
        "attention_at": st.none() | moments,
        "attention_reason": st.none() | texts,
        "returned": st.none() | st.dictionaries(texts, st.integers(0, 9), max_size=2),
        "attempts": st.integers(0, 9),
        "updated_at": moments,
    },
)


searches = st.builds(
    OrderFilter,
    shop=st.none() | shops,
    states=st.lists(st.sampled_from(["CheckQueue", "SentOrder", "Wysłane"]), max_size=2, unique=True).map(tuple),
    milestone=st.none() | st.sampled_from(["new", "shipped", "delivered"]),
    passed=st.lists(st.tuples(shops, st.sampled_from(["CheckQueue", "Wysłane"])), max_size=2).map(tuple),
    situation=st.none() | st.sampled_from(Situation).map(str),
    updated_after=st.none() | moments,
    updated_before=st.none() | moments,
    waiting_shops=st.lists(shops, max_size=2, unique=True).map(tuple),
)


def fits(known: Order, wanted: OrderFilter) -> bool:
    """What a filter means."""
    situation = known.situation.value
    if situation in ("queued", "retrying") and known.shop in wanted.waiting_shops:
        situation = "waiting"
    return (
        wanted.shop in (None, known.shop)
        and (not wanted.states or known.state in wanted.states)
        and (wanted.milestone in (None, known.milestone) or (known.shop, known.state) in wanted.passed)
        and wanted.situation in (None, situation)
        and (wanted.updated_after is None or known.updated_at > wanted.updated_after)
        and (wanted.updated_before is None or known.updated_at < wanted.updated_before)
    )


class _Undone(Exception):
    """Raised by a unit on purpose."""


class StoreMachine(RuleBasedStateMachine):
    """One engine and its model."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._engine = self.engine.another(folder)
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._open()
        self._numbers = count(1)
        self.orders: dict[tuple[str, str], Order] = {}
        self.payloads: dict[tuple[str, str], bytes] = {}
        self.targets: dict[str, Target] = {}
        self.keys: dict[str, str] = {}
        self.events: list[Event] = []
        self.last_cursor = 0
        self.consumers: dict[str, int] = {}

    def _open(self) -> None:
        self._session = ExitStack()
        self._store = self._session.enter_context(self._portal.wrap_async_context_manager(self._engine.open()))

    def teardown(self) -> None:
        self._session.close()
        self._stack.close()

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self._portal.call(self._store.write, unit)

    def read(self, unit: Callable[[Transaction], T]) -> T:
        return self._portal.call(self._store.read, unit)

    # -- rules -----------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        assert self.read(lambda tx: list_orders(tx, 0, 1)) == []

    @rule()
    def restart(self) -> None:
        self._session.close()
        self._open()

    @rule(shop=shops, order_id=ids, changed=changes, payload=st.binary(max_size=9))
    def add_order(self, shop: str, order_id: str, changed: dict[str, Any], payload: bytes) -> None:
        new = order(order_id, shop=shop, **changed)
        if (shop, order_id) in self.orders:
            with pytest.raises(Exception, match=r"(?i)unique"):
                self.write(lambda tx: insert_order(tx, new, payload))
            return
        self.orders[shop, order_id] = self.write(lambda tx: insert_order(tx, new, payload))
        self.payloads[shop, order_id] = payload

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), changed=changes, age=st.integers(0, 2))
    def change_order(self, data: st.DataObject, changed: dict[str, Any], age: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.orders)))
        known = self.orders[key]
        wanted = replace(known, **changed, version=known.version - age)
        if age:
            with pytest.raises(LostUpdate):
                self.write(lambda tx: save_order(tx, wanted))
        else:
            self.orders[key] = self.write(lambda tx: save_order(tx, wanted))

    @rule(shop=shops, order_id=ids, key=st.none() | st.sampled_from("abc"), request=st.dictionaries(texts, json))
    def add_target(self, shop: str, order_id: str, key: str | None, request: dict[str, Any]) -> None:
        new = target(f"t-{next(self._numbers)}", order_id, shop=shop, request=request)
        if key in self.keys:
            found = self.read(lambda tx: target_by_key(tx, str(key)))
            assert found == (self.targets[self.keys[str(key)]], "hash")
            return
        self.targets[new.id] = self.write(lambda tx: insert_target(tx, new, key, "hash"))
        if key is not None:
            self.keys[key] = new.id

    @precondition(lambda self: self.targets)
    @rule(data=st.data(), status=st.sampled_from(TargetStatus), at=moments)
    def change_target(self, data: st.DataObject, status: TargetStatus, at: int) -> None:
        known = self.targets[data.draw(st.sampled_from(sorted(self.targets)))]
        wanted = replace(known, status=status, finished_at=at if status.is_end else None)
        self.write(lambda tx: save_target(tx, wanted))
        self.targets[known.id] = wanted

    @rule(units=st.lists(st.tuples(shops, ids, st.integers(1, 3), st.booleans()), min_size=1, max_size=6))
    def publish(self, units: list[tuple[str, str, int, bool]]) -> None:
        """Several units at once; those that fail leave neither events nor gaps."""
        reported: dict[int, tuple[str, str]] = {}

        async def one(shop: str, order_id: str, number: int, is_bad: bool) -> None:
            def unit(tx: Transaction) -> list[int]:
                cursors = [append_event(tx, NOW, "x", shop=shop, order=order_id) for _ in range(number)]
                if is_bad:
                    raise _Undone
                return cursors

            try:
                cursors = await self._store.write(unit)
            except _Undone:
                assert is_bad
            else:
                reported.update(dict.fromkeys(cursors, (shop, order_id)))

        async def all_at_once() -> None:
            async with anyio.create_task_group() as group:
                for unit in units:
                    group.start_soon(one, *unit)

        self._portal.call(all_at_once)
        expected = sum(number for _, _, number, is_bad in units if not is_bad)
        assert sorted(reported) == list(range(self.last_cursor + 1, self.last_cursor + 1 + expected))
        self.last_cursor += expected
        self.events += [
            Event(cursor, NOW, "x", shop, order_id, None) for cursor, (shop, order_id) in sorted(reported.items())
        ]

    @rule(name=st.sampled_from(["erp", "bi"]), cursor=st.integers(0, 20))
    def acknowledge(self, name: str, cursor: int) -> None:
        self.consumers[name] = max(cursor, self.consumers.get(name, 0))
        assert self.write(lambda tx: acknowledge(tx, name, cursor, NOW)) == self.consumers[name]

    @rule(before=moments)
    def forget(self, before: int) -> None:
        for target_id, known in list(self.targets.items()):
            if known.finished_at is not None and known.finished_at < before:
                self._forget_target(target_id)
        for key, known_order in list(self.orders.items()):
            if known_order.situation is Situation.IDLE and known_order.updated_at < before:
                del self.orders[key], self.payloads[key]
                for target_id in [t.id for t in self.targets.values() if (t.shop, t.order) == key]:
                    self._forget_target(target_id)
        self.events = [event for event in self.events if event.at >= before]
        for duty in retention.DUTIES:
            keys = self.read(lambda tx, d=duty: d.find(tx, before))  # type: ignore[misc]
            assert self.write(lambda tx, d=duty, k=keys: d.forget(tx, k, before)) == len(keys)  # type: ignore[misc]

    def _forget_target(self, target_id: str) -> None:
        del self.targets[target_id]
        self.keys = {key: known for key, known in self.keys.items() if known != target_id}

    @rule(wanted=searches, data=st.data(), limit=st.integers(1, 4))
    def search(self, wanted: OrderFilter, data: st.DataObject, limit: int) -> None:
        after = data.draw(st.sampled_from([0, *(known.seq for known in self.orders.values())]))
        found = sorted(known.seq for known in self.orders.values() if known.seq > after and fits(known, wanted))
        page = self.read(lambda tx: list_orders(tx, after, limit, wanted))
        assert [known.seq for known in page] == found[:limit]

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def orders_are_the_same(self) -> None:
        kept = sorted(self.orders.values(), key=lambda known: known.seq)
        assert self.read(lambda tx: list_orders(tx, 0, 99)) == kept
        some = OrderFilter(shop="acme", situation="queued", updated_after=NOW)
        assert self.read(lambda tx: list_orders(tx, 0, 99, some)) == [
            known
            for known in kept
            if known.shop == "acme" and known.situation is Situation.QUEUED and known.updated_at > NOW
        ]
        for (shop, order_id), payload in self.payloads.items():
            assert self.read(lambda tx, s=shop, o=order_id: get_payload(tx, s, o)) == payload  # type: ignore[misc]
        counts: dict[tuple[str, str, str], int] = {}
        for known in kept:
            place = (known.shop, known.situation.value, known.state)
            counts[place] = counts.get(place, 0) + 1
        assert {row[:3]: row[3] for row in self.read(count_orders)} == counts
        assert self.read(wrong_counts).shops == []

    @invariant()
    def the_dispatcher_sees_what_is_due(self) -> None:
        due = {
            known.id: known.due_at
            for known in self.orders.values()
            if known.shop == "acme" and known.due_at is not None and known.due_at <= NOW
        }
        found = self.read(lambda tx: due_orders(tx, "acme", NOW, 99))
        assert {each.id: each.due_at for each in found} == due
        assert all(each == self.orders["acme", each.id] for each in found)
        assert [each.due_at for each in found] == sorted(each.due_at or 0 for each in found)
        later = [o.due_at for o in self.orders.values() if o.shop == "acme" and o.due_at is not None and o.due_at > NOW]
        assert self.read(lambda tx: next_due_at(tx, "acme", NOW)) == min(later, default=None)

    @invariant()
    def queues_are_the_same(self) -> None:
        for shop, order_id in {(known.shop, known.order) for known in self.targets.values()}:
            kept = sorted(
                (known for known in self.targets.values() if (known.shop, known.order) == (shop, order_id)),
                key=lambda known: known.seq,
            )
            assert self.read(lambda tx, s=shop, o=order_id: list_targets(tx, s, o)) == kept  # type: ignore[misc]
            pending = [known for known in kept if known.finished_at is None]
            assert self.read(lambda tx, s=shop, o=order_id: pending_targets(tx, s, o)) == pending  # type: ignore[misc]
        open_targets = [known for known in self.targets.values() if known.finished_at is None]
        oldest = {
            shop: min(known.submitted_at for known in open_targets if known.shop == shop)
            for shop in {known.shop for known in open_targets}
        }
        assert self.read(count_pending) == (len(open_targets), oldest)

    @invariant()
    def the_feed_is_the_same(self) -> None:
        assert self.read(lambda tx: list_events(tx, 0, 999)) == self.events
        of_one = EventFilter(shop="acme", order="1")
        assert self.read(lambda tx: list_events(tx, 2, 999, of_one)) == [
            event for event in self.events if (event.shop, event.order) == ("acme", "1") and event.cursor > 2
        ]
        for name, cursor in self.consumers.items():
            assert self.read(lambda tx, n=name: consumer_cursor(tx, n)) == cursor  # type: ignore[misc]


@pytest.mark.hypothesis
def test_the_store_answers_as_dicts_would(engine: Engine) -> None:
    machine = type("StoreMachineOf" + engine.name.title(), (StoreMachine,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40 if engine.name == "sqlite" else 15,  # a server takes its time
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
