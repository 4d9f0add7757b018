"""The lock file that makes a daemon the only one on its SQLite store.

The lock is `flock` on `<store>.lock`, so the kernel drops it when its holder dies, however that happens: a lock file
that a dead process left behind locks nothing, and taking over needs no guess about process ids. What is written in the
file is only for people; it is never trusted to decide who holds the lock.

The file is never unlinked. A process that waits on the old file and one that creates a new one would both be right;
should somebody else remove it between our opening and locking it, we notice by its inode and begin again.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from storage.errors import Holder, StoreLocked, StoreLockUnusable


def living_holder(store: Path) -> Holder | None:
    """The process of this machine that says it holds the store's lock, if it lives. Takes no lock: it is for people."""
    try:
        descriptor = os.open(os.path.realpath(store) + ".lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        holder = _read_holder(descriptor)
    finally:
        os.close(descriptor)
    if holder.pid is None or holder.host != socket.gethostname():
        return None
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # another user's: it lives
        pass
    return holder


class StoreLock:
    """The lock of one SQLite store; also a context manager that acquires and releases.

    `store` is the database file. Symbolic links in it are followed first, so that two names of one store have one lock.
    `now_ms`: Unix time in milliseconds, for people who read the file.
    """

    def __init__(self, store: Path, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self._descriptor: int | None = None
        self.path = Path(os.path.realpath(store) + ".lock")

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Takes the lock at once. Raises StoreLocked when somebody else has it, StoreLockUnusable when it can't be."""
        if self._descriptor is not None:
            raise RuntimeError("the store lock is held already")
        while self._descriptor is None:
            self._descriptor = self._try_once()
        self._sign(self._descriptor)

    async def wait_acquire(self, poll_seconds: float = 0.2) -> None:
        """Takes the lock as soon as it is free, trying every `poll_seconds`. May be cancelled at any time.

        Raises StoreLockUnusable like `acquire`.
        """
        while True:
            try:
                return self.acquire()
            except StoreLocked:
                await anyio.sleep(poll_seconds)

    def release(self) -> None:
        """Gives the lock up; does nothing when it is not held. The file stays, empty."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            os.ftruncate(descriptor, 0)  # before the lock goes: afterwards the file may be another holder's
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _try_once(self) -> int | None:
        """The locked descriptor, or None when the file was replaced meanwhile and the try has to be repeated."""
        try:
            # O_CLOEXEC: a child process that outlives us must not keep the lock.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        except OSError as error:
            raise StoreLockUnusable(self.path, error) from error
        is_ours = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = self._is_current(descriptor)
        except BlockingIOError:
            raise StoreLocked(self._store, _read_holder(descriptor)) from None
        except OSError as error:
            raise StoreLockUnusable(self.path, error) from error
        finally:
            if not is_ours:
                os.close(descriptor)
        return descriptor if is_ours else None

    def _is_current(self, descriptor: int) -> bool:
        ours = os.fstat(descriptor)
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def _sign(self, descriptor: int) -> None:
        holder = Holder(os.getpid(), socket.gethostname(), _stamp(self._now_ms()))
        text = json.dumps(asdict(holder)).encode() + b"\n"
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text, 0)
        except OSError as error:
            self._descriptor = None
            os.close(descriptor)
            raise StoreLockUnusable(self.path, error) from error


def _stamp(now_ms: int) -> str:
    text = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _read_holder(descriptor: int) -> Holder:
    """What the file says. It may be empty or cut: the holder writes it after it has the lock."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except (OSError, ValueError):
        return Holder()
    if not isinstance(found, Mapping):
        return Holder()
    pid, host, started_at = found.get("pid"), found.get("host"), found.get("started_at")
    return Holder(
        pid if isinstance(pid, int) and not isinstance(pid, bool) else None,
        host if isinstance(host, str) else None,
        started_at if isinstance(started_at, str) else None,
    )
