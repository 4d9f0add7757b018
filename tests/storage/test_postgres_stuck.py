"""A node that stops, or is cut off, in the midst of a group: the server itself does not end its session there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial

import psycopg
import pytest
from anyio import fail_after, sleep
from structlog.testing import capture_logs

from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.events import append_event
from storage.postgres import session
from storage.postgres.connection import FEED_LOCK, SETTINGS
from storage.postgres.session import Session
from storage.postgres.stuck import end_stuck
from storage.postgres.url import options_of

_PATIENCE_SECONDS = 20
_HAS_FEED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = %s"


@contextmanager
def stopped_in_midst(url: str, writer: str) -> Iterator[psycopg.Connection]:
    """A connection that has sent half of a writer's group, of which the server has done all."""
    patient = f"{url}&options=-c%20idle_in_transaction_session_timeout%3D100ms"  # which does not count
    with (
        psycopg.connect(url, autocommit=True) as asking,
        psycopg.connect(patient, autocommit=True) as stopped,
        stopped.pipeline(),
    ):
        stopped.execute("BEGIN")
        stopped.execute(f"SELECT {SETTINGS}".encode())
        stopped.execute("UPDATE writers SET token = token WHERE name = %s", (writer,))
        stopped.execute(FEED_LOCK.encode())
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while not asking.execute(_HAS_FEED, (stopped.info.backend_pid,)).fetchall()[0][0]:
            assert time.monotonic() < give_up_at
            time.sleep(0.002)
        yield asking


async def test_a_node_that_stops_in_the_midst_of_a_group_holds_up_nobody(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "end_stuck", partial(end_stuck, longest_seconds=0.2))
    with capture_logs() as logs:
        async with open_store(url, NOW) as other:
            with pytest.raises(psycopg.OperationalError), stopped_in_midst(url, "stopped"):
                with fail_after(_PATIENCE_SECONDS):
                    await other.write(lambda tx: append_event(tx, NOW, "one"))
    said = [line for line in logs if line["event"] == "store.session_ended"]
    assert said[0]["silent_seconds"] >= 0.2


def is_open(session: Session) -> bool:
    """Whether it could be opened: a session that is ended goes when the system lets it."""
    try:
        session.open()
    except StoreUnavailable:
        return False
    return True


async def test_a_node_comes_back_though_the_server_still_has_its_old_session(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "end_stuck", partial(end_stuck, longest_seconds=0.2))
    ended: list[bool] = []
    async with open_store(url, NOW):
        pass
    before, anew = (Session(options_of(url), "here", "it", NOW, lambda: 0.5) for _ in range(2))
    with closing(before), closing(anew), suppress(psycopg.OperationalError):  # the stopped one is not there any more
        before.open()
        with stopped_in_midst(url, "it"):
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                anew.open()
            with fail_after(_PATIENCE_SECONDS):
                while not is_open(anew):  # noqa: ASYNC110
                    await sleep(0.01)
            ended.append(True)
    assert ended


async def test_a_node_that_is_slow_is_let_go_on(url: str) -> None:
    async with open_store(url, NOW):
        pass
    with stopped_in_midst(url, "slow") as asking:
        assert end_stuck(asking, "here", longest_seconds=60.0) == 0
