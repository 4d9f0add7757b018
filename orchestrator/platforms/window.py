"""At most so many calls in any stretch of so many seconds, exactly, as the platform counts them.

A token bucket cannot hold such a limit: 2 a second with a burst of 10 makes 130 in a minute. Here each call has a
slot. The platform receives a call at some instant between its first byte and its answer, and we do not know which; so
a slot is taken before the call leaves and falls free so many seconds after its *end*. Then no stretch on the
platform's side can hold more calls than there are slots: the one of them that left last would have found all the
others in their slots.

What was sent before a restart still counts. So the slots are kept in a small file beside the store, an array of
instants on the machine's monotonic clock, which is one for all processes and makes no steps. kill -9 loses nothing of
it (it needs no fsync for that), `doctor` and the daemon share it under a lock, and after a reboot what is left in it
costs one window at most. A file that cannot be used costs the sharing, no more.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()

_SIZE = 8
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """`calls` in any stretch of `seconds`."""

    calls: int
    seconds: float


class Window:
    """The slots of one account. `longest_seconds` bounds one call: a call of a process that died under way is taken to
    have lasted that long. `path`: where the slots are kept, None: in memory.

    All of it is synchronous and quick; nothing here raises OSError. But for `room` it is for one thread.
    """

    def __init__(
        self,
        limit: WindowLimit,
        monotonic: Callable[[], float],
        *,
        longest_seconds: float = 30.0,
        path: Path | None = None,
    ) -> None:
        self.limit = limit
        self._monotonic = monotonic
        # Our clock and the platform's do not run alike, and many count in whole seconds.
        self._seconds = limit.seconds + min(1.0, limit.seconds / 60)
        self._longest = longest_seconds
        self._reported_limit: int | None = None
        self._slots: list[float] = []
        self._file = None if path is None else _open(path)
        self._load()  # what a file has of before a reboot is put right, whoever looks first

    # -- calls -----------------------------------------------------------------------------------------------------

    def try_claim(self) -> int | None:
        """A slot for a call that leaves now; None where none is free (or another process looks this very moment)."""
        with self._locked() as is_mine:
            if not is_mine:
                return None
            now, slots = self._load()
            busy = sum(until > now for until in slots)
            if busy >= self._size:
                return None
            return self._put(now, slots, now + self._longest + self._seconds)

    def release(self, slot: int) -> None:
        """The call that had this slot has ended; the slot falls free in so many seconds."""
        # Without the lock: nobody else takes a slot that is not free, and one instant is written as a whole.
        self._write(slot, self._monotonic() + self._seconds)

    # -- what is left ----------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Slots in all."""
        return self._size

    def room(self) -> int:
        """Slots that are free now. Changes nothing, so it may be asked in any thread."""
        now = self._monotonic()
        try:
            slots = self._kept()
        except OSError:  # whoever takes the next slot sees to that
            slots = self._slots
        return max(0, self._size - sum(until > now for until in slots))

    def seconds_until_free(self, promised: int = 0) -> float:
        """How long until a slot is free beside so many that are promised, as far as can be foretold; 0 when one is."""
        now, slots = self._load()
        busy = sorted(until for until in slots if until > now)
        lacking = len(busy) + promised + 1 - self._size
        if lacking <= 0:
            return 0.0
        return busy[lacking - 1] - now if lacking <= len(busy) else self._seconds

    def record(self, limit: int | None, remaining: int | None) -> None:
        """The platform counts `remaining` left of `limit`: where that is less than we thought, others use the account.
        Their calls take slots as if they had ended now. None: not said, or not for now."""
        self._reported_limit = limit or self._reported_limit
        with self._locked() as is_mine:
            if not is_mine or remaining is None:
                return  # the next answer says it again
            now, slots = self._load()
            busy = sum(until > now for until in slots)
            for _ in range(min(self._size - busy - remaining, self._size)):
                self._put(now, slots, now + self._seconds)

    def forget(self) -> None:
        """What the platform said of its limit is forgotten; the calls that were made still count."""
        self._reported_limit = None

    # -- slots -----------------------------------------------------------------------------------------------------

    @property
    def _size(self) -> int:
        return min(self.limit.calls, self._reported_limit or self.limit.calls)

    def _put(self, now: float, slots: list[float], until: float) -> int:
        slot = next((n for n, free in enumerate(slots) if free <= now), len(slots))
        if slot == len(slots):
            slots.append(until)
        self._write(slot, until)
        return slot

    def _load(self) -> tuple[float, list[float]]:
        """The instant of the read, and when each slot falls free."""
        now = self._monotonic()
        try:
            self._slots = self._kept()
        except OSError as error:
            self._give_up(error)
        # No slot is taken for longer than this: such an instant is of before a reboot, or was not written by us.
        latest = now + self._longest + self._seconds
        for n, until in enumerate(self._slots):
            if until > latest:
                self._write(n, now + self._seconds)
        return now, self._slots

    def _kept(self) -> list[float]:
        """Raises OSError."""
        if (file := self._file) is None:
            return self._slots
        kept = os.pread(file, _LARGEST_FILE, 0)
        return list(struct.unpack(f"{len(kept) // _SIZE}d", kept[: len(kept) // _SIZE * _SIZE]))

    def _write(self, slot: int, until: float) -> None:
        if slot < len(self._slots):
            self._slots[slot] = until
        if self._file is not None:
            try:
                os.pwrite(self._file, struct.pack("d", until), slot * _SIZE)
            except OSError as error:
                self._give_up(error)

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether the file is ours for a moment. Nobody is waited for: the holder may be a process that was stopped."""
        if self._file is None:
            yield True
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._give_up(error)
            yield self._file is None
            return
        try:
            yield True
        finally:
            if self._file is not None:
                with suppress(OSError):
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def _give_up(self, error: OSError) -> None:
        log.warning("calls.not_kept", detail=f"calls are counted in memory only: {error.strerror or error}")
        self.close()

    def close(self) -> None:
        """Closes the file; what is counted from now on is counted in memory."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None


def _open(path: Path) -> int | None:
    """The file of slots, made when it is missing; None, with a word in the log, where it cannot be used.

    Only whose the directory is makes it: one that root's `doctor` made would be closed to the daemon.
    """
    try:
        made = os.O_CREAT if path.parent.stat().st_uid == os.geteuid() else 0
        file = os.open(path, os.O_RDWR | made | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError("it is not a file")
    except OSError as error:
        detail = f"calls are counted in memory only: {error.strerror or error}"
        log.warning("calls.not_kept", path=str(path), detail=detail)
        return None
    return file
