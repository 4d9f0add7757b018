"""Which kinds of databases a store can be in: those built in, a line each.

A kind is a class that is made from a URL: an `Engine`. Everybody else sees `Engine` and `Store` alone, so another kind
needs its own folder and its line here. Nothing of an engine is imported before somebody asks for its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

from storage.errors import Holder
from storage.store import OnCommit, OnGroup, Store, no_listener
from storage.tokens import TokenRows
from storage.transaction import Transaction

T = TypeVar("T")

ENGINES: Final[dict[str, str]] = {
    "sqlite": "storage.sqlite.engine:SqliteEngine",
    "postgresql": "storage.postgres.engine:PostgresEngine",
}
"""The class of each kind of database, by the scheme of its URLs: a new one is registered here."""


class Exclusion(Protocol):
    """What makes this process the only one that works on a store, where the engine wants that."""

    def acquire(self) -> None:
        """Takes it at once. Raises StoreLocked when somebody else has it, StoreLockUnusable when nobody can."""
        ...

    async def wait_acquire(self) -> None:
        """Takes it as soon as it is free; may be cancelled. Raises StoreLockUnusable."""
        ...

    def release(self) -> None:
        """Gives it up; does nothing when it is not held."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: `name` says which, `detail` what was found, for people."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str


class Engine(Protocol):
    """The store that a URL names, whether it is there or not; nothing is opened before it is asked for."""

    def __init__(self, url: str) -> None: ...

    @staticmethod
    def located(url: str, directory: Path) -> str:
        """The URL, relative to no directory any more. Raises ValueError with what to write; never repeats the URL."""
        ...

    @property
    def url(self) -> str:
        """Where the data is, without secrets."""
        ...

    @property
    def secrets(self) -> Sequence[str]:
        """What of the URL must never be shown."""
        ...

    @property
    def place(self) -> str:
        """Where the data is, the same for every name of one store: a store that is found elsewhere is a copy. Raises
        StoreUnavailable where that has to be asked for."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether the data lies on this machine: on another machine it is a copy, whatever its place is called."""
        ...

    @property
    def state_directory(self) -> Path:
        """As `Store.state_directory`."""
        ...

    @property
    def token_rows(self) -> TokenRows | None:
        """Where tokens of platforms are kept for all nodes; None: each machine has files of its own."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """Every file of the store: none of them may be used for anything else."""
        ...

    def is_there(self) -> bool:
        """Whether there is a store; False: opening would make one. Makes nothing. Raises StoreError where something
        else is in its place, or the server cannot be asked."""
        ...

    def exclusive(self, now_ms: Callable[[], int]) -> Exclusion:
        """What to hold while the store is open. `now_ms`: Unix time in milliseconds."""
        ...

    def open(self, now_ms: int, *, on_commit: OnCommit, on_group: OnGroup) -> AbstractAsyncContextManager[Store]:
        """Opens the store, makes it where there is none, migrates it. Raises StoreError."""
        ...

    def glance(self, unit: Callable[[Transaction], T], /) -> T:
        """What a unit reads of the store, whether a daemon works on it or not. Raises StoreError."""
        ...

    def backup(self, target: Path, now_ms: int) -> None:
        """A copy in one consistent state, while a daemon may be running. Raises StoreError."""
        ...

    def holder(self) -> Holder | None:
        """The process of this machine that says it holds the store, if it lives."""
        ...

    def checks(self) -> Sequence[Check]:
        """Whether a daemon could work here. Changes nothing."""
        ...


def engine_of(url: str) -> Engine:
    """The store that a storage URL names. Raises ValueError for a kind that is not known, without repeating the URL."""
    return _kind(url)(url)


def located(url: str, directory: Path) -> str:
    """A storage URL as somebody wrote it, relative to no directory any more. Raises ValueError with what to write."""
    return _kind(url).located(url, directory)


def open_store(
    url: str, now_ms: int, *, on_commit: OnCommit = no_listener, on_group: OnGroup = no_listener
) -> AbstractAsyncContextManager[Store]:
    """Opens the store that a URL names, as `Engine.open`."""
    return engine_of(url).open(now_ms, on_commit=on_commit, on_group=on_group)


def _kind(url: str) -> type[Engine]:
    scheme, separator, _rest = url.partition("://")
    if not separator or scheme not in ENGINES:
        if scheme.split("+")[0] in ("postgres", "postgresql"):
            raise ValueError("must begin with postgresql://, such as postgresql://fulfilld@db.example/fulfilld")
        raise ValueError(
            "must be sqlite:///FILE (relative to the config file), sqlite:////ABSOLUTE/FILE or "
            "postgresql://USER@HOST/DATABASE"
        )
    module, _, name = ENGINES[scheme].partition(":")
    kind: type[Engine] = getattr(import_module(module), name)
    return kind
