"""Commands that refuse, or that say they change nothing, leave the folder and the database as they were."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import psycopg
import pytest
from anyio.from_thread import start_blocking_portal

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import engine_of, open_store
from storage.events import append_event
from storage.identity import settle_identity
from storage.migrations import newest_schema
from storage.movable import UNFINISHED
from storage.nodes import Presence, join
from storage.sqlite.lock import StoreLock
from storage.transaction import Transaction
from tests.cli.fake import Run
from tests.cli.test_upkeep import write_config


@dataclass(frozen=True, slots=True)
class Stores:
    """The old and the new store of a move, below one folder or as databases."""

    folder: Path
    old: str
    new: str

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    def traces(self) -> list[str]:
        """Every file, and every table of each database."""
        found = self.files()
        for url in (self.old, self.new):
            if not engine_of(url).is_local:
                with psycopg.connect(url) as connection:
                    tables = connection.execute(
                        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
                    )
                    found += [f"{url} {name}" for (name,) in tables]
        return found


@pytest.fixture(params=["sqlite-postgresql", "postgresql-sqlite"])
def stores(request: pytest.FixtureRequest, alone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setenv("STATE_DIRECTORY", str(alone / "state"))
    kinds = request.param.split("-")
    urls = [
        f"sqlite:///{alone}/{n}.db" if kind == "sqlite" else postgres.server().database()
        for n, kind in enumerate(kinds)
    ]
    yield Stores(alone, *urls)
    postgres.server().forget()


def write(url: str, *units: Callable[[Transaction], object]) -> None:
    """Makes a store that units have written to."""

    async def act() -> None:
        async with open_store(url, NOW) as store:
            for unit in units:
                await store.write(unit)

    anyio.run(act)


def used(tx: Transaction) -> None:
    append_event(tx, NOW, "own")


def half(tx: Transaction) -> None:
    settle_identity(tx, "f-old", None, f"{UNFINISHED}f-older")


def newer(tx: Transaction) -> None:
    sql = "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, 'later', ?)"
    tx.execute(sql, (newest_schema() + 1, NOW))


def of_another_program(url: str) -> None:
    if engine_of(url).is_local:
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute("CREATE TABLE theirs (x)")
        file.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE theirs (x int)")


def no_store(stores: Stores) -> str:
    return "there is no store in"


def half_a_store(stores: Stores) -> str:
    write(stores.old, used, half)
    return "a move into this store was not finished"


def one_of_a_newer_version(stores: Stores) -> str:
    write(stores.old, used, newer)
    return "a newer fulfilld has worked on the store"


def no_store_but_another_programs(stores: Stores) -> str:
    of_another_program(stores.old)
    return "another program's"


def a_target_that_is_used(stores: Stores) -> str:
    write(stores.old, used)
    write(stores.new, used)
    return "the new store is not empty"


def a_target_of_a_newer_version(stores: Stores) -> str:
    write(stores.old, used)
    write(stores.new, newer)
    return "a newer fulfilld has worked on the store"


def a_target_of_another_program(stores: Stores) -> str:
    write(stores.old, used)
    of_another_program(stores.new)
    return "another program's"


REFUSALS = [
    no_store,
    half_a_store,
    one_of_a_newer_version,
    no_store_but_another_programs,
    a_target_that_is_used,
    a_target_of_a_newer_version,
    a_target_of_another_program,
]


@pytest.mark.parametrize("prepare", REFUSALS)
def test_a_move_that_is_refused_leaves_nothing_behind(
    run: Run, stores: Stores, prepare: Callable[[Stores], str]
) -> None:
    said = prepare(stores)
    before = stores.traces()
    result = run("migrate-store", stores.old, stores.new)
    assert result.exit_code == 1
    assert said in result.stderr
    assert stores.traces() == before


def test_a_move_of_a_store_that_is_in_use_leaves_nothing_behind(run: Run, stores: Stores) -> None:
    write(stores.old, used, lambda tx: join(tx, "node-1", Presence("1"), 60_000))
    lock = StoreLock(stores.folder / "0.db", lambda: NOW)
    if engine_of(stores.old).is_local:
        lock.acquire()
    before = stores.traces()
    result = run("migrate-store", stores.old, stores.new)
    lock.release()
    assert result.exit_code == 1
    assert "the store" in result.stderr
    assert stores.traces() == before


@pytest.mark.parametrize("target", ["0.db", "link.db", "nowhere/1.db", "folder", "text.db"])
def test_a_move_to_a_place_that_cannot_be_one_leaves_nothing_behind(run: Run, alone: Path, target: str) -> None:
    write(f"sqlite:///{alone}/0.db", used)
    (alone / "folder").mkdir()
    (alone / "text.db").write_text("no database")
    (alone / "link.db").symlink_to(alone / "0.db")
    stores = Stores(alone, f"sqlite:///{alone}/0.db", f"sqlite:///{alone}/{target}")
    before = stores.traces()
    assert run("migrate-store", stores.old, stores.new).exit_code == 1
    assert stores.traces() == before


def test_a_second_move_says_that_it_was_done_and_what_is_there(run: Run, stores: Stores) -> None:
    write(stores.old, used, used)
    assert run("migrate-store", stores.old, stores.new).exit_code == 0
    write(stores.new, used)
    again = run("migrate-store", stores.old, stores.new)
    assert again.exit_code == 0
    rows = [line for line in again.stdout.splitlines() if line.startswith("Nothing to do: all 2 rows of ")]
    assert len(rows) == 1
    assert rows[0].endswith("before, which has 3 now.")
    lock = StoreLock(stores.folder / "1.db", lambda: NOW)
    if engine_of(stores.new).is_local:
        lock.acquire()
    else:
        write(stores.new, lambda tx: join(tx, "node-1", Presence("1"), 60_000))
    busy = run("migrate-store", stores.old, stores.new)
    lock.release()
    assert busy.exit_code == 1
    assert "all that is here was moved to" in busy.stderr
    assert "where a daemon works" in busy.stderr


LOOKS = [
    ("config", "check"),
    ("doctor",),
    ("webhooks", "acme"),
    ("status",),
    ("orders",),
    ("dump",),
    ("backup", "copy.db"),
    ("migrate-store", "sqlite:///store.db", "sqlite:///new.db"),
]


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_what_looks_at_a_folder_without_a_store_makes_none(run: Run, alone: Path, command: tuple[str, ...]) -> None:
    at = {"base_url": "http://127.0.0.1:9"}
    client = {"client_id": "c", "client_secret": "s"}
    shops = {
        "acme": {"platform": "selldone", "shop_id": 1, "token": "s3cret", **at},
        "shopy": {"platform": "shopify", "domain": "a.myshopify.com", "credentials": client, **at},
    }
    write_config(alone, shops=shops)
    run(*command)
    assert [path.name for path in alone.rglob("*")] == ["config.json"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(SandboxSettings(orders=1, has_real_limits=True))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(made.running()):
        yield made


def test_doctor_changes_no_file_whatever_is_there(run: Run, alone: Path, sandbox: Sandbox) -> None:
    (alone / "config.json").write_text(json.dumps(sandbox.config()))

    def looked() -> list[str]:
        for command in (("doctor",), ("webhooks", "shopy")):
            assert run(*command).exit_code == 0
        return sorted(path.name for path in alone.iterdir())

    assert looked() == ["config.json"], "no daemon has worked here yet"
    write(f"sqlite:///{alone}/fulfilld.db", used)
    assert looked() == ["config.json", "fulfilld.db"], "a daemon was stopped"
    (alone / "acme.calls").touch()
    assert looked() == ["acme.calls", "config.json", "fulfilld.db"]
    assert (alone / "acme.calls").stat().st_size > 0, "calls count where a daemon counts them"
