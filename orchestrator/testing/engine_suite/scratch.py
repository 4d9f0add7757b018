"""Empty stores for the suite, of each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.engines import open_store
from storage.store import OnCommit, Store, no_listener

NOW = 1_760_000_000_000
"""When it is, in Unix milliseconds."""

Make = Callable[[Path], str]
"""Makes an empty store, and answers its URL. The directory is empty, and is there for as long as the test."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Opens a store that keeps what it was given: opening it again is a restart."""

    name: str
    make: Make
    url: str

    @classmethod
    def on(cls, name: str, make: Make, folder: Path) -> Engine:
        """An engine with an empty store. `name`: the scheme of its URLs."""
        return cls(name, make, make(folder))

    def another(self, folder: Path) -> Engine:
        """The same engine on another empty store."""
        return Engine.on(self.name, self.make, folder)

    def open(self, on_commit: OnCommit = no_listener) -> AbstractAsyncContextManager[Store]:
        """The store, open for as long as the block lasts."""
        return open_store(self.url, NOW, on_commit=on_commit)


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/fulfilld.db"


def _postgresql(_folder: Path) -> str:
    pytest.importorskip("psycopg")
    from orchestrator.testing import postgres

    return postgres.server().database()


SCRATCH: dict[str, Make] = {"sqlite": _sqlite, "postgresql": _postgresql}
"""How an empty store of each registered engine is made."""


@pytest.fixture(params=sorted(SCRATCH))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine with an empty store of its own; a test that asks for it runs once on each."""
    yield Engine.on(request.param, SCRATCH[request.param], tmp_path)
    if request.param == "postgresql":
        from orchestrator.testing import postgres

        postgres.server().forget()
