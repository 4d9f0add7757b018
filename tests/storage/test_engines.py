"""How a store is found by its URL: every kind of database is known by the scheme, and opened without knowing which it
is."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.engines import ENGINES, engine_of, located, open_store
from storage.errors import StoreLocked
from storage.events import append_event, last_cursor
from storage.store import Commits
from storage.transaction import Published


@pytest.mark.parametrize("url", ["mysql://u:pass-word@h/db", "fulfilld.db", "SQLITE:///s.db", "sqlite3:///s.db", ""])
def test_a_kind_that_is_not_known_is_refused_without_repeating_the_url(url: str, tmp_path: Path) -> None:
    for ask in (engine_of, lambda text: located(text, tmp_path)):
        with pytest.raises(ValueError, match="must be sqlite:///FILE") as caught:
            ask(url)
        assert "pass-word" not in str(caught.value)


def test_every_kind_that_is_registered_can_be_loaded(engine: Engine) -> None:
    kinds = {engine_of(f"{scheme}:///x.db").url.partition(":")[0] for scheme in ENGINES}
    assert kinds == set(ENGINES)
    shown = engine_of(engine.url).url
    assert engine_of(shown).url == shown, "what is shown says where it is"


async def test_a_store_says_where_it_is_as_its_engine_does(engine: Engine) -> None:
    async with engine.open() as store:
        assert store.url == engine_of(engine.url).url
        assert store.state_directory == engine_of(engine.url).state_directory
        assert all(value >= 0 for value in store.gauges().values())


async def test_who_joins_later_hears_of_what_is_committed_from_then_on(tmp_path: Path) -> None:
    commits, first, second = Commits(), list[Published](), list[Published]()
    commits.follow(first.extend)
    async with open_store(f"sqlite:///{tmp_path}/s.db", NOW, on_commit=commits) as store:
        await store.write(lambda tx: append_event(tx, NOW, "one"))
        commits.follow(second.extend)
        await store.write(lambda tx: append_event(tx, NOW, "two"))
        assert await store.read(last_cursor) == 2
    assert [[each.type for each in received] for received in (first, second)] == [["one", "two"], ["two"]]


async def test_a_store_that_is_opened_under_its_lock_is_lost_with_it(tmp_path: Path) -> None:
    engine = engine_of(f"sqlite:///{tmp_path}/s.db")
    lock = engine.exclusive(lambda: NOW)
    lock.acquire()
    with pytest.raises(StoreLocked):
        engine_of(engine.url).exclusive(lambda: NOW).acquire()
    async with engine.open(NOW, on_commit=Commits(), on_group=lambda _units, _seconds: None) as store:
        (tmp_path / "s.db.lock").unlink()
        assert str(tmp_path / "s.db.lock") in str(await store.watch(0.001))
    lock.release()


def test_every_file_of_a_store_is_named_though_a_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "s.db")
    names = [path.name for path in engine_of(f"sqlite:///{tmp_path}/link.db").files]
    assert names == ["s.db", "s.db-wal", "s.db-shm", "s.db.lock"]
