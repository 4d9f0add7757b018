"""Counts that are off are put right behind the start, and the log says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from orchestrator.process import recount as process_recount
from orchestrator.process.recount import recount
from orchestrator.testing.engine_suite.samples import order, target
from orchestrator.testing.engine_suite.scratch import NOW
from storage.counts import count_orders, count_pending, wrong_counts
from storage.engines import open_store
from storage.moves import Moves
from storage.orders import insert_order
from storage.targets import insert_target
from storage.transaction import Transaction
from tests.support.engines import store_url

pytestmark = pytest.mark.engines("sqlite", "postgresql")


def spoil(tx: Transaction) -> None:
    tx.execute("UPDATE order_counts SET orders = 3 WHERE shop = 'acme'")
    tx.execute("UPDATE target_counts SET pending = 0 WHERE shop = 'other'")


def fill(tx: Transaction) -> None:
    for shop in ("acme", "other"):
        insert_order(tx, order(shop=shop), b"")
        insert_target(tx, target(f"t-{shop}", shop=shop), None, None)


async def test_what_is_off_is_corrected_and_said(tmp_path: Path) -> None:
    async with open_store(store_url(tmp_path), NOW) as store:
        await store.write(fill)
        await store.write(spoil)
        with capture_logs() as logs:
            await recount(store)
        assert [(each["event"], each["shop"], each["orders"], each["pending"]) for each in logs] == [
            ("counts.corrected", "acme", {"idle CheckQueue new": -2}, 0),
            ("counts.corrected", "other", {}, 1),
        ]
        assert await store.read(count_orders) == [(shop, "idle", "CheckQueue", 1) for shop in ("acme", "other")]
        assert await store.read(count_pending) == (2, {"acme": NOW, "other": NOW})


async def test_of_counts_that_are_right_nothing_is_said(tmp_path: Path) -> None:
    async with open_store(store_url(tmp_path), NOW) as store:
        await store.write(fill)
        with capture_logs() as logs:
            await recount(store)
        assert logs == []


async def test_a_fault_in_counting_is_said_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Transaction] = []

    def broken_once(tx: Transaction) -> Moves:
        counted.append(tx)
        if len(counted) == 1:
            raise KeyError("a state that nobody knows")
        return wrong_counts(tx)

    monkeypatch.setattr(process_recount, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(process_recount, "wrong_counts", broken_once)
    async with open_store(store_url(tmp_path), NOW) as store:
        await store.write(fill)
        with capture_logs() as logs:
            await recount(store)
    assert [(each["event"], each["log_level"]) for each in logs] == [("counts.unchecked", "error")]
