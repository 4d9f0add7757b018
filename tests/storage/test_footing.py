"""A store whose files are removed or replaced under it: nothing that is written then is believed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.errors import AnotherLog, StoreUnavailable
from storage.events import append_event, list_events
from storage.orders import step_row
from storage.sqlite.backup import backup
from storage.sqlite.store import SqliteStore, open_sqlite
from storage.transaction import Transaction


def note(text: str) -> Callable[[Transaction], int]:
    return lambda tx: append_event(tx, NOW, text)


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("other")
    shutil.copyfile(path, other)
    other.replace(path)


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def linked(path: Path) -> None:
    moved(path)
    path.symlink_to(path.with_name("elsewhere"))


def overwritten(path: Path) -> None:
    copy = path.with_name("copy.db")
    backup(path, copy, NOW)
    path.write_bytes(copy.read_bytes())


async def refused(store: SqliteStore) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await store.write(note("after"))
    return str(caught.value)


CASES = [(how, suffix) for how in (removed, replaced, moved, linked) for suffix in ("", "-wal", "-shm", ".lock")]


@pytest.mark.parametrize(("how", "suffix"), [*CASES, (overwritten, "")])
async def test_a_commit_is_not_believed_once_a_file_is_another(
    how: Callable[[Path], None], suffix: str, tmp_path: Path
) -> None:
    path, lock = tmp_path / "s.db", tmp_path / "s.db.lock"
    lock.touch()
    async with open_sqlite(path, NOW, guarded=[lock]) as store:
        await store.write(note("before"))
        how(path.with_name(path.name + suffix))
        reported = await refused(store)
        assert str(tmp_path / f"s.db{suffix}") in reported
        assert "start the daemon again" in reported
        with pytest.raises(StoreUnavailable):
            await store.read(lambda tx: list_events(tx, 0, 9))
        with pytest.raises(StoreUnavailable):
            await store.change(Change("acme", "1", 1, step_row(order())))
        await store.watch(0.01)  # has been reported already


async def test_a_store_that_is_lost_while_nothing_is_written_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite(path, NOW) as store:
        path.unlink()
        with anyio.fail_after(60):
            await store.watch(0.01)
        assert store.lost is not None


@pytest.mark.parametrize("has_log", [True, False])
async def test_a_backup_that_was_copied_over_the_open_file_stays_as_it_is(has_log: bool, tmp_path: Path) -> None:
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(note("kept"))
        backup(path, copy, NOW)
        await store.write(note("too late"))
        if not has_log:
            path.with_name("s.db-wal").unlink()
        path.write_bytes(copy.read_bytes())
        await refused(store)
    assert path.read_bytes() == copy.read_bytes()


def cut_off(log: Path) -> None:
    os.truncate(log, 4096)


def emptied(log: Path) -> None:
    os.truncate(log, 0)


def scribbled_over(log: Path) -> None:
    with log.open("r+b") as file:
        file.write(b"x" * 2000)


@pytest.mark.parametrize("how", [cut_off, emptied, scribbled_over])
async def test_a_log_that_another_program_wrote_into_is_noticed_and_spoils_nothing_that_was_in_the_file(
    how: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(note("in the file"))
    async with open_sqlite(path, NOW) as store:
        await store.write(note("in the log"))
        how(path.with_name("s.db-wal"))
        assert f"{path}-wal was written by another program" in await refused(store)
    async with open_sqlite(path, NOW) as again:
        assert (await again.read(lambda tx: list_events(tx, 0, 9)))[0].type == "in the file"


async def test_a_folder_that_gave_way_to_a_file_is_noticed_by_the_look_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    async with open_sqlite(folder / "s.db", NOW) as store:
        folder.rename(tmp_path / "aside")
        folder.write_text("in the way")
        assert store.gauges() == {"wal_bytes": 0}
        assert str(folder / "s.db") in await refused(store)


async def test_a_store_that_is_named_by_a_link_is_lost_when_the_link_leads_elsewhere(tmp_path: Path) -> None:
    path, link = tmp_path / "s.db", tmp_path / "link.db"
    link.symlink_to(path)
    async with open_sqlite(link, NOW) as store:
        await store.write(note("before"))
        shutil.copyfile(path, tmp_path / "other.db")
        link.unlink()
        link.symlink_to(tmp_path / "other.db")
        assert str(link) in await refused(store)


async def test_a_copy_beside_the_log_of_the_store_before_is_refused(tmp_path: Path) -> None:
    path, copy = tmp_path / "s.db", tmp_path / "copy.db"
    killed = tmp_path / "killed"
    killed.mkdir()
    async with open_sqlite(path, NOW) as store:
        await store.write(note("before"))
        backup(path, copy, NOW)
        await store.write(note("after"))
        for name in ("s.db", "s.db-wal"):
            shutil.copyfile(tmp_path / name, killed / name)
    shutil.copyfile(copy, killed / "s.db")
    with pytest.raises(AnotherLog, match=r"s\.db-wal beside it belongs to the store that was there before"):
        async with open_sqlite(killed / "s.db", NOW):
            pass
    with pytest.raises(AnotherLog):
        backup(killed / "s.db", tmp_path / "second.db", NOW)
    assert not (tmp_path / "second.db").exists()
    (killed / "s.db-wal").unlink()
    async with open_sqlite(killed / "s.db", NOW) as restored:
        found = await restored.read(lambda tx: list_events(tx, 0, 9))
    assert [event.type for event in found] == ["before"]


async def test_what_was_committed_before_the_log_was_removed_is_in_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with open_sqlite(path, NOW) as store:
        await store.write(note("before"))
        path.with_name("s.db-wal").unlink()
        await refused(store)
    with closing(sqlite3.connect(path)) as reading:
        assert ("before",) in reading.execute("SELECT type FROM events").fetchall()


async def test_a_store_that_grows_over_its_checkpoints_stays_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.writer._CHECKPOINT_SECONDS", 0.0)
    async with open_sqlite(tmp_path / "s.db", NOW) as store:
        for _ in range(5):
            await store.write(note("x" * 2_000_000))
        assert store.lost is None
