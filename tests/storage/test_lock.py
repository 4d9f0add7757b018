"""The lock file: one holder, whatever becomes of it and of the file."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from storage.errors import Holder, StoreLocked, StoreLockUnusable
from storage.sqlite.lock import StoreLock


def now() -> int:
    return 1_700_000_000_123


HOLD = """
import sys
from pathlib import Path
from storage.sqlite.lock import StoreLock
lock = StoreLock(Path(sys.argv[1]), lambda: 0)
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold_in_a_process(store: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_second_holder_is_refused_in_one_sentence_that_names_the_first(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    process = hold_in_a_process(store)
    try:
        with pytest.raises(StoreLocked) as refused:
            StoreLock(store, now).acquire()
    finally:
        end(process)
    assert refused.value.holder.pid == process.pid
    assert refused.value.holder.host == socket.gethostname()
    assert f"process {process.pid}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_lock_of_a_killed_process_is_free_at_once_though_its_file_names_it(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    end(hold_in_a_process(store))
    assert (tmp_path / "orders.db.lock").stat().st_size > 0
    with StoreLock(store, now) as lock:
        assert lock.is_held


def test_the_holder_signs_with_its_process_and_the_time(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    with StoreLock(store, now), pytest.raises(StoreLocked) as refused:
        StoreLock(store, now).acquire()
    assert refused.value.holder == Holder(os.getpid(), socket.gethostname(), "2023-11-14T22:13:20.123Z")


def test_a_released_lock_leaves_an_empty_file_and_can_be_taken_again(tmp_path: Path) -> None:
    lock = StoreLock(tmp_path / "orders.db", now)
    for _ in range(2):
        lock.acquire()
        lock.release()
        lock.release()
    assert not lock.is_held
    assert lock.path.read_bytes() == b""


def test_a_holder_that_is_still_writing_its_name_is_not_misread(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    with StoreLock(store, now) as lock:
        for cut in (b"", b'{"pid": 12', b"[1]", b'{"pid": true, "host": 5}'):
            lock.path.write_bytes(cut)
            with pytest.raises(StoreLocked, match="held by another process"):
                StoreLock(store, now).acquire()


def test_a_lock_file_that_was_swapped_while_we_locked_it_is_locked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = StoreLock(tmp_path / "orders.db", now)
    first_look = iter([True])
    look = lock._is_current

    def swap_then_look(descriptor: int) -> bool:
        if next(first_look, False):
            lock.path.unlink()
            lock.path.touch()
        return look(descriptor)

    monkeypatch.setattr(lock, "_is_current", swap_then_look)
    lock.acquire()
    with pytest.raises(StoreLocked):
        StoreLock(tmp_path / "orders.db", now).acquire()
    lock.release()


def test_two_names_of_one_store_share_a_lock(tmp_path: Path) -> None:
    (tmp_path / "real.db").touch()
    (tmp_path / "other.db").symlink_to("real.db")
    with StoreLock(tmp_path / "real.db", now), pytest.raises(StoreLocked):
        StoreLock(tmp_path / "other.db", now).acquire()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    lock = StoreLock(store, now)
    lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        StoreLock(store, now).acquire()
        assert child.poll() is None
        child.communicate()


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreLockUnusable, match=r"there is no directory .*; make it"):
        StoreLock(tmp_path / "missing" / "orders.db", now).acquire()


async def test_a_standby_takes_over_as_soon_as_the_holder_lets_go(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    holder, standby = StoreLock(store, now), StoreLock(store, now)
    holder.acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(standby.wait_acquire, 0.001)
        await anyio.wait_all_tasks_blocked()
        assert not standby.is_held
        holder.release()
    assert standby.is_held
    standby.release()


async def test_a_cancelled_standby_holds_nothing(tmp_path: Path) -> None:
    store = tmp_path / "orders.db"
    holder, standby = StoreLock(store, now), StoreLock(store, now)
    holder.acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(standby.wait_acquire, 0.001)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    holder.release()
    assert not standby.is_held
    StoreLock(store, now).acquire()
