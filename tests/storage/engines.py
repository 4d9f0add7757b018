"""The engines that the storage tests run on: one suite, written against `storage.store.Store`, for all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from storage.engines import open_store
from storage.store import OnCommit, Store, unheard

NOW = 1_760_000_000_000


@dataclass(frozen=True, slots=True)
class Engine:
    """Opens a store that keeps what it was given: opening it again is a restart."""

    name: str
    url: str

    def open(self, on_commit: OnCommit = unheard) -> AbstractAsyncContextManager[Store]:
        return open_store(self.url, NOW, on_commit=on_commit)


def sqlite(folder: Path) -> Engine:
    return Engine("sqlite", f"sqlite:///{folder}/fulfilld.db")


ENGINES: dict[str, Callable[[Path], Engine]] = {"sqlite": sqlite}
"""By name; each makes an engine with a store of its own."""
