"""What tests do to PostgreSQL servers: ended without a word they have what they confirmed, and replicas take over."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from orchestrator.testing import postgres


def test_a_server_is_restarted_and_its_replica_takes_over() -> None:
    if (tools := postgres.programs()) is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    first = postgres.Server(tools)
    url = first.database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    first.restart()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    second = postgres.Server(tools, first)
    first.end()
    second.promote()
    with closing(psycopg.connect(second.url("t0"), autocommit=True)) as connection:
        connection.execute("INSERT INTO kept VALUES (3)")
        assert connection.execute("SELECT n FROM kept ORDER BY n").fetchall() == [(1,), (2,), (3,)]
    folders = first.folder, second.folder
    first.stop()
    second.stop()
    assert not any(folder.exists() for folder in folders)
