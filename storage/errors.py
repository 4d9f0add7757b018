"""What can go wrong with the store. Each docstring says what happened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PUT_BACK = (
    "stop it before the store is moved, removed or restored; put the files back, or a whole copy without -wal and -shm "
    "beside it, and start the daemon again"
)


class StoreError(Exception):
    """The store failed."""


class StoreUnavailable(StoreError):
    """The store cannot be written or read right now (disk full, input/output error); nothing of the unit was kept."""


class StoreLost(StoreUnavailable):
    """The store is no longer ours: its files are no longer the ones that were opened, or another daemon has it. Nothing
    that is written can be believed any more."""

    def __init__(self, what: str, remedy: str = _PUT_BACK) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}: {remedy}")

    def again(self) -> StoreLost:
        """The same for another task: each raises one of its own."""
        return StoreLost(self.what, self.remedy)


class AnotherLog(StoreError):
    """Beside the store's file lies the log of another store: the one that was in its place before."""

    def __init__(self, database: Path, log: Path) -> None:
        super().__init__(
            f"{database} is a copy, and {log} beside it belongs to the store that was there before: "
            "move that file and the one that ends in -shm away, and start again"
        )


class NewerStore(StoreError):
    """The store was written by a newer version, and can no longer be worked on by this one."""

    def __init__(self, found: int, known: int, least: int) -> None:
        super().__init__(
            f"the store has schema version {found} and needs a fulfilld that knows at least {least}, this one knows up "
            f"to {known}: run the newer fulfilld that wrote it, or restore a backup from before the upgrade"
        )


class StaleLease(StoreError):
    """Another node works for the shop now; nothing was written."""

    def __init__(self, shop: str) -> None:
        super().__init__(f"another node works for shop {shop} now")


class NotAStore(StoreError):
    """The file is not a fulfilld store."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, as written in its file. Fields are None while the holder is just writing them."""

    pid: int | None = None
    host: str | None = None
    started_at: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        where = f" on {self.host}" if self.host else ""
        since = f" since {self.started_at}" if self.started_at else ""
        return f"process {self.pid}{where}{since}"


class StoreLocked(StoreError):
    """Another daemon holds the store. `holder` says which one; the text is one sentence for a person."""

    def __init__(self, store: Path | str, holder: Holder) -> None:
        super().__init__(f"the store {store} is held by {holder}; stop it first, or wait for it with --standby")
        self.store = store
        self.holder = holder


class StoreLockUnusable(StoreError):
    """The lock file cannot be opened or locked (no directory, no permission, a file system without locks)."""

    def __init__(self, path: Path, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            message = f"there is no directory {path.parent} for the store; make it, or name another in storage.url"
        else:
            why = error.strerror or type(error).__name__
            message = f"the lock file {path} cannot be used: {why}; let the daemon's user write there, on a local disk"
        super().__init__(message)
        self.path = path


class StoreRefused(StoreLockUnusable):
    """The server of the store does not let us in: user, password or database are wrong."""

    def __init__(self, message: str) -> None:
        StoreError.__init__(self, message)


class StoreUnreachable(StoreRefused):
    """The server of the store is away; it may come back by itself."""


def store_errors(error: BaseException) -> list[StoreError] | None:
    """The errors of the store that an exception is made of, several where tasks failed together; None where there is
    anything else among them."""
    if isinstance(error, StoreError):
        return [error]
    if not isinstance(error, BaseExceptionGroup):
        return None
    found: list[StoreError] = []
    for each in error.exceptions:
        if (inner := store_errors(each)) is None:
            return None
        found += inner
    return found
