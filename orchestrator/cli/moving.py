"""Moves a store from one engine to another: both are ours alone meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.clock import Clock
from storage.engines import Engine, engine_of, located
from storage.errors import StoreError
from storage.identity import read_identity
from storage.moving import Moved, NotMoved, move
from storage.store import Store, no_listener


def stores_of(source: str, target: str) -> tuple[Engine, Engine]:
    """The stores that two URLs name. Raises Failure (2)."""
    found = []
    for name, url in (("FROM_URL", source), ("TO_URL", target)):
        try:
            found.append(engine_of(located(url, Path.cwd())))
        except ValueError as error:
            raise Failure(f"{name} {error}", ExitCode.USAGE) from None
    return found[0], found[1]


async def move_store(source: Engine, target: Engine) -> list[Moved]:
    """Moves everything; writes a line for each table to stderr. Raises StoreError."""
    if source.url == target.url:
        raise NotMoved("both URLs name the same store")
    source.glance(read_identity)  # opening it would make one where there is none
    clock = Clock()
    with _alone(source, clock), _alone(target, clock):
        async with _opened(source, clock) as old, _opened(target, clock) as new:
            try:
                return await move(old, new, (source.place, target.place), clock.now_ms(), _report)
            except StoreError as error:  # raised here it would come out of the stores' task groups
                failure = error
    raise failure


def _opened(store: Engine, clock: Clock) -> AbstractAsyncContextManager[Store]:
    return store.open(clock.now_ms(), on_commit=no_listener, on_group=no_listener)


def _report(table: Moved) -> None:
    sys.stderr.write(f"{table.table}: {table.rows:,} rows\n")


@contextmanager
def _alone(store: Engine, clock: Clock) -> Iterator[None]:
    lock = store.exclusive(clock.now_ms)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
