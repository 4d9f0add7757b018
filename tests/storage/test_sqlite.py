"""What is SQLite's own: its file, its faults, its one writer, its backup, what a killed process leaves."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.errors import NewerStore, NotAStore, StoreError, StoreUnavailable
from storage.events import append_event, event_rows, list_events
from storage.leases import acquire
from storage.order_search import list_orders
from storage.orders import get_order, insert_order, step_row
from storage.payloads import get_payload
from storage.sqlite.backup import backup
from storage.sqlite.connection import SqliteTransaction
from storage.sqlite.store import SqliteStore, open_sqlite
from storage.transaction import Transaction

TOO_MUCH = random.Random(1).randbytes(2**22)  # of what no compression makes less


def pragma(tx: Transaction, name: str) -> object:
    return tx.query(f"PRAGMA {name}")[0][0]


async def set_disk_size(store: SqliteStore, spare_pages: int) -> None:
    """Makes the disk as good as full, `spare_pages` beyond what the file has."""

    def unit(tx: Transaction) -> None:
        tx.query(f"PRAGMA max_page_count = {int(str(pragma(tx, 'page_count'))) + spare_pages}")

    await store.write(unit)


async def test_commits_are_synced_and_readers_are_not_in_their_way(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        assert await store.write(lambda tx: pragma(tx, "synchronous")) == 2
        assert await store.write(lambda tx: pragma(tx, "journal_mode")) == "wal"
        assert await store.write(lambda tx: pragma(tx, "wal_autocheckpoint")) == 8000
        assert await store.write(lambda tx: pragma(tx, "cache_size")) == -4096
        assert await store.write(lambda tx: pragma(tx, "mmap_size")) in (0, None)


async def test_after_a_clean_end_the_file_alone_has_everything(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        await store.write(lambda tx: insert_order(tx, order("7"), b"{}"))
        await store.read(lambda tx: list_orders(tx, 0, 9))
    assert os.listdir(tmp_path) == ["s.db"]
    (tmp_path / "copy.db").write_bytes((tmp_path / "s.db").read_bytes())
    async with open_sqlite(tmp_path / "copy.db", NOW) as store:
        assert [each.id for each in await store.read(lambda tx: list_orders(tx, 0, 9))] == ["7"]


async def test_a_full_disk_fails_whole_groups_and_the_store_works_again_afterwards(tmp_path: Path) -> None:
    received: list[object] = []
    async with open_sqlite(tmp_path / "s.db", NOW, on_commit=received.extend) as store:
        await set_disk_size(store, 20)
        failed: list[str] = []

        def small(tx: Transaction) -> None:
            append_event(tx, NOW, "with the large one")

        def large(tx: Transaction) -> None:
            insert_order(tx, order("large"), TOO_MUCH)

        async def one(unit: Callable[[Transaction], None]) -> None:
            with pytest.raises(StoreUnavailable, match=r"full.*free disk space"):
                await store.write(unit)
            failed.append(unit.__name__)

        async with anyio.create_task_group() as group:
            for unit in (small, large, small):
                group.start_soon(one, unit)
        assert sorted(failed) == ["large", "small", "small"]
        assert await store.read(lambda tx: list_events(tx, 0, 9)) == []
        assert received == []
        await set_disk_size(store, 100_000)
        await store.write(large)
        assert await store.read(lambda tx: get_payload(tx, "acme", "large")) == TOO_MUCH


async def test_a_full_disk_fails_changes_with_their_group(tmp_path: Path) -> None:
    received: list[object] = []
    async with open_sqlite(tmp_path / "s.db", NOW, on_commit=received.extend) as store:
        kept = await store.write(lambda tx: insert_order(tx, order(), b""))
        await store.write(lambda tx: acquire(tx, "acme", "example", "here"))
        await set_disk_size(store, 20)
        events = event_rows(NOW, "acme", "1", [("moved", None, None)])
        change = Change("acme", "1", 1, step_row(replace(kept, attempts=1)), events=events)
        failed: list[int] = []

        async def one(write: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(StoreUnavailable, match=r"full.*free disk space"):
                await write()
            failed.append(1)

        async with anyio.create_task_group() as group:
            group.start_soon(one, lambda: store.change(change))
            group.start_soon(one, lambda: store.write(lambda tx: insert_order(tx, order("large"), TOO_MUCH)))
        assert len(failed) == 2
        assert await store.read(lambda tx: get_order(tx, "acme", "1")) == kept
        assert received == []
        await set_disk_size(store, 100_000)
        assert await store.change(change) is True
        assert received == [(1, "acme", "1", None, "moved")]


async def test_a_group_of_changes_is_a_few_statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a few for each: the interpreter lock changes hands at every statement."""
    groups: list[int] = []
    async with open_sqlite(tmp_path / "s.db", NOW, on_group=lambda units, _: groups.append(units)) as store:
        orders = [order(str(number)) for number in range(40)]
        kept = await store.write(lambda tx: [insert_order(tx, each, b"") for each in orders])
        await store.write(lambda tx: acquire(tx, "acme", "example", "here"))
        del groups[:]
        calls: list[str] = []
        for name in ("execute", "execute_many", "insert", "insert_many", "query"):
            plain = getattr(SqliteTransaction, name)

            def counted(self: object, *given: object, plain: Callable[..., object] = plain, name: str = name) -> object:
                calls.append(name)
                return plain(self, *given)

            monkeypatch.setattr(SqliteTransaction, name, counted)
        async with anyio.create_task_group() as group:
            for each in kept:
                events = event_rows(NOW, "acme", each.id, [("done", None, None), ("started", None, None)])
                group.start_soon(store.change, Change("acme", each.id, 1, step_row(each), events=events))
        assert len(calls) <= 4 * len(groups)
        assert sum(groups) == 40


async def test_a_unit_does_not_wait_for_the_bulk_before_it(tmp_path: Path) -> None:
    names = [f"bulk {number}" for number in range(20)]
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(store.write_bulk, lambda tx, n=name: append_event(tx, NOW, n))
            group.start_soon(store.write, lambda tx: append_event(tx, NOW, "step"))
        events = await store.read(lambda tx: list_events(tx, 0, 99))
        assert [event.type for event in events] == ["step", *names]


async def test_a_failed_checkpoint_is_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpoint(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("storage.sqlite.writer._CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("storage.sqlite.writer._truncate_wal", checkpoint)
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        for number in range(3):
            await store.write(lambda tx, n=number: insert_order(tx, order(str(n)), b""))  # type: ignore[misc]
        assert len(await store.read(lambda tx: list_orders(tx, 0, 9))) == 3


async def test_the_log_is_cut_by_the_periodic_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sqlite.writer._CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "s.db"
    log = Path(f"{path}-wal")
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: insert_order(tx, order("1"), TOO_MUCH))
        await store.write(lambda tx: insert_order(tx, order("2"), b""))
        assert (await anyio.to_thread.run_sync(log.stat)).st_size < len(TOO_MUCH)


def damage(path: Path, table: str) -> None:
    """Overwrites the first page of a table or index."""
    reading = sqlite3.connect(path)
    (page,) = reading.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    (size,) = reading.execute("PRAGMA page_size").fetchone()
    reading.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


async def test_a_broken_page_fails_the_group_and_not_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await _make(path)
    damage(path, "payloads")
    async with open_sqlite(path, NOW) as store:
        with pytest.raises(StoreUnavailable, match="malformed"):
            await store.write(lambda tx: insert_order(tx, order("2"), b""))
        with pytest.raises(StoreUnavailable, match="malformed"):
            await store.read(lambda tx: get_payload(tx, "acme", "1"))
        assert await store.write(lambda tx: append_event(tx, NOW, "still there")) == 1


async def test_a_store_that_is_damaged_where_it_is_opened_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await _make(path)
    damage(path, "sqlite_autoindex_schema_migrations_1")
    with pytest.raises(StoreUnavailable, match=r"s\.db is damaged.*restore a backup"):
        async with open_sqlite(path, NOW):
            pass


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: tx.execute("INSERT INTO schema_migrations VALUES (999, 'later', 1)"))
        await store.write(lambda tx: tx.execute("UPDATE store_identity SET least_schema = 999"))
    with pytest.raises(NewerStore, match=r"schema version 999.*knows up to \d+.*restore a backup") as caught:
        async with open_sqlite(path, NOW):
            pass
    assert "\n" not in str(caught.value)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n" * 100)
    with pytest.raises(NotAStore, match=r"notes\.txt is not a fulfilld store"):
        async with open_sqlite(path, NOW):
            pass
    assert path.read_text() == "remember the milk\n" * 100


@pytest.mark.parametrize("table", ["orders", "schema_migrations", "customers"])
async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, table: str) -> None:
    path = tmp_path / "shop.db"
    theirs = sqlite3.connect(path)
    theirs.execute(f"CREATE TABLE {table} (version TEXT)")
    theirs.execute(f"INSERT INTO {table} VALUES ('20260101')")
    theirs.commit()
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(NotAStore, match="another program"):
        async with open_sqlite(path, NOW):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["missing/s.db", "file/s.db", "folder"])
async def test_a_place_where_no_file_can_be_is_refused_with_its_name(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreUnavailable, match=rf"{place} cannot be opened.*check that the folder exists"):
        async with open_sqlite(tmp_path / place, NOW):
            pass


async def test_others_cannot_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: insert_order(tx, order(), b"where people live"))
        files = [path, Path(f"{path}-wal")]
        assert [file.stat().st_mode & 0o007 for file in files] == [0, 0]
    backup(path, tmp_path / "copy.db", NOW)
    assert (tmp_path / "copy.db").stat().st_mode & 0o007 == 0


async def test_odd_names_of_files_are_taken_literally(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=ro#%41.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: insert_order(tx, order(), b""))
    assert path.exists()


# -- backup ------------------------------------------------------------------------------------------------------------


async def test_a_backup_is_consistent_while_the_daemon_writes(tmp_path: Path) -> None:
    """Each unit adds an order and an event: every copy has as many of the one as of the other."""
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        is_done = False

        def unit(number: int, tx: Transaction) -> None:
            insert_order(tx, order(str(number)), b"x" * 500)
            append_event(tx, NOW, "order.imported", order=str(number))

        async def write() -> None:
            number = 0
            while not is_done:
                await store.write(lambda tx, n=number: unit(n, tx))  # type: ignore[misc]
                number += 1

        async with anyio.create_task_group() as group:
            group.start_soon(write)
            for copy in range(3):
                await anyio.to_thread.run_sync(backup, store.path, tmp_path / f"{copy}.db", NOW)
            is_done = True
    for copy in range(3):
        async with open_sqlite(tmp_path / f"{copy}.db", NOW) as restored:
            orders = await restored.read(lambda tx: list_orders(tx, 0, 10**6))
            events = await restored.read(lambda tx: list_events(tx, 0, 10**6))
            assert [each.id for each in orders] == [event.order for event in events]
            assert await restored.read(lambda tx: pragma(tx, "integrity_check")) == "ok"


def test_a_backup_never_overwrites_and_never_leaves_half_a_copy(tmp_path: Path) -> None:
    store, there, copy = tmp_path / "s.db", tmp_path / "there.db", tmp_path / "copy.db"
    anyio.run(_make, store)
    there.write_text("precious")
    with pytest.raises(StoreError, match=r"there\.db exists already"):
        backup(store, there, NOW)
    assert there.read_text() == "precious"
    with pytest.raises(StoreError, match=r"nothing\.db does not exist"):
        backup(tmp_path / "nothing.db", copy, NOW)
    with pytest.raises(StoreError, match="cannot be copied"):
        backup(there, copy, NOW)
    with pytest.raises(StoreError, match="cannot be written"):
        backup(store, tmp_path / "missing" / "copy.db", NOW)
    assert not copy.exists()


async def _make(path: Path) -> None:
    async with open_sqlite(path, NOW) as store:
        await store.write(lambda tx: insert_order(tx, order(), b""))


# -- processes ---------------------------------------------------------------------------------------------------------

_CHILD = """
import os, sys
from pathlib import Path
import anyio
from storage.orders import insert_order
from storage.sqlite.store import open_sqlite
from orchestrator.testing.engine_suite.samples import order

async def main(path, orders):
    async with open_sqlite(path, 1) as store:
        for number in range(orders):
            await store.write(lambda tx: insert_order(tx, order(str(number)), b'{}'))
        if orders:
            print('committed', flush=True)
            await anyio.sleep_forever()

anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
"""


def child(path: Path, orders: int) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path), str(orders)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


async def test_a_process_killed_right_after_its_commits_has_lost_none(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with child(path, 30) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    backup(path, tmp_path / "copy.db", NOW)  # before anybody has opened it to write
    for found in (tmp_path / "copy.db", path):
        async with open_sqlite(found, NOW) as store:
            assert len(await store.read(lambda tx: list_orders(tx, 0, 99))) == 30
            assert await store.read(lambda tx: pragma(tx, "integrity_check")) == "ok"


@pytest.mark.parametrize("place", ["missing/s.db", "notes.txt", "newer.db"])
async def test_a_process_whose_store_cannot_be_opened_ends(tmp_path: Path, place: str) -> None:
    """aiosqlite's threads keep a process alive until they are closed (pitfalls S3)."""
    (tmp_path / "notes.txt").write_text("no database " * 1000)
    async with open_sqlite(tmp_path / "newer.db", NOW) as store:
        await store.write(lambda tx: tx.execute("INSERT INTO schema_migrations VALUES (999, 'later', 1)"))
        await store.write(lambda tx: tx.execute("UPDATE store_identity SET least_schema = 999"))
    with child(tmp_path / place, 0) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "storage.errors." in errors
