"""SQLite's write-ahead log is brought into the file beside the commits, and begins anew once it is long."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.orders import insert_order
from storage.sqlite import log
from storage.sqlite.store import SqliteStore, open_sqlite


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_PIECE_PAGES", 5)
    monkeypatch.setattr(log, "_LONG_PAGES", 20)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """A store whose commits bring nothing into the file by themselves."""
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: tx.query("PRAGMA wal_autocheckpoint=0"))
        yield store


def length(store: SqliteStore) -> int:
    """Of the log, in bytes."""
    return int(store.gauges()["wal_bytes"])


async def add(store: SqliteStore, number: int) -> None:
    await store.write(lambda tx: insert_order(tx, order(str(number)), b"{}"))


async def until_begun_anew(store: SqliteStore, first: int = 0) -> int:
    """Adds orders until the log is far shorter than all that was written; how many there are then."""
    number = first
    with anyio.fail_after(60):
        while number - first < 200 or length(store) > (number - first) * 4096:  # at least two pages each
            await add(store, number)
            number += 1
    return number


async def count(store: SqliteStore) -> int:
    return int(str((await store.read(lambda tx: tx.query("SELECT count(*) FROM orders")))[0][0]))


async def test_a_long_log_begins_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with opened(path) as store:
        added = await until_begun_anew(store)
        assert store.lost is None
        assert await count(store) == added
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert reading.execute("SELECT count(*) FROM orders").fetchone() == (added,)


async def test_commits_go_on_while_the_file_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def sync(_descriptor: int) -> None:
        begun.set()
        ended.wait(60)

    monkeypatch.setattr(log, "_sync_data", sync)
    async with opened(tmp_path / "s.db") as store:
        try:
            added = 0
            with anyio.fail_after(50):
                while not begun.is_set():
                    await add(store, added)
                    added += 1
                for number in range(added, added + 50):
                    await add(store, number)
            assert await count(store) == added + 50
        finally:
            ended.set()


async def test_a_sync_that_fails_is_left_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[int] = []

    def sync(descriptor: int) -> None:
        failed.append(descriptor)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(log, "_sync_data", sync)
    async with opened(tmp_path / "s.db") as store:
        added = await until_begun_anew(store)
        assert await count(store) == added
        assert failed


async def test_a_reader_keeps_the_log_for_as_long_as_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with opened(path) as store:
        await add(store, 0)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reading:
            reading.execute("BEGIN")
            assert reading.execute("SELECT count(*) FROM orders").fetchone() == (1,)
            for number in range(1, 200):
                await add(store, number)
            assert length(store) > 199 * 4096
            assert reading.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        grown = length(store)
        added = await until_begun_anew(store, 200)
        assert await count(store) == added
        assert length(store) < grown + (added - 200) * 4096
