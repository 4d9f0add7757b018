"""All rows of a SELECT as one: the same rows, whatever is in them."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite.at_once import MANY, AtOnce
from storage.sqlite.connection import SqliteTransaction

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["\0", '{"a": "\\u0000", "b": [1.5, null]}', "\x1f\x7f\u2028\ufeff😀", "null", "1.0", "", "\\", '"']
    ),
)
SELECT = "SELECT id, a, b FROM t WHERE id >= ? ORDER BY id DESC LIMIT ?"


def filled(rows: list[tuple[object, object]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)")
    connection.executemany("INSERT INTO t (a, b) VALUES (?, ?)", rows)
    return connection


@given(st.lists(st.tuples(VALUES, VALUES), min_size=MANY, max_size=3 * MANY))
def test_the_rows_are_those_of_the_plain_statement(rows: list[tuple[object, object]]) -> None:
    connection, at_once = filled(rows), AtOnce()
    for parameters in ((0, 100), (0, 100), (5, 7), (10**6, 100)):
        plain = connection.execute(SELECT, parameters).fetchall()
        assert at_once.query(connection, SELECT, parameters) == plain
    connection.close()


def test_many_rows_come_as_one_from_the_second_time_on() -> None:
    connection, at_once = filled([(n, str(n)) for n in range(MANY)]), AtOnce()
    ran: list[str] = []
    connection.set_trace_callback(ran.append)
    for _ in range(3):
        at_once.query(connection, SELECT, (0, 100))
    assert ["json_group_array" in sql for sql in ran] == [False, True, True]
    few = "SELECT a FROM t WHERE id = ?"
    ran.clear()
    for _ in range(3):
        at_once.query(connection, few, (1,))
    assert not any("json_group_array" in sql for sql in ran)


@pytest.mark.parametrize("odd", [b"\x00\xff", 0.1 + 0.2, 1e300])
@pytest.mark.parametrize("is_late", [False, True])
def test_bytes_and_fractions_come_as_they_are(odd: object, is_late: bool) -> None:
    connection, at_once = filled([(n, None) for n in range(MANY)]), AtOnce()
    if is_late:
        at_once.query(connection, SELECT, (0, 100))
    connection.execute("UPDATE t SET b = ? WHERE id = 3", (odd,))
    for _ in range(3):
        assert at_once.query(connection, SELECT, (0, 100))[-3] == (3, 2, odd)


def test_what_is_no_select_and_what_has_too_many_columns_stays_as_it_is() -> None:
    connection, at_once = filled([(n, None) for n in range(MANY)]), AtOnce()
    wide = f"SELECT {', '.join(['id'] * 120)} FROM t"
    for _ in range(3):
        assert len(at_once.query(connection, "UPDATE t SET a = a + 1 RETURNING a", ())) == MANY
        assert len(at_once.query(connection, wide, ())[0]) == 120
    assert at_once.query(connection, "SELECT a FROM t WHERE id = 1", ()) == [(3,)]


def test_damaged_text_ends_its_own_row_also_where_all_came_as_one() -> None:
    connection = filled([(str(n), None) for n in range(MANY)])
    tx = SqliteTransaction(connection)
    sql = "SELECT id, a FROM t ORDER BY id"
    tx.query(sql)
    connection.execute("UPDATE t SET a = CAST(x'6162ff' AS TEXT) WHERE id = 2")
    for _ in range(3):
        rows = tx.query(sql)
        assert rows[1] == (2, "\ufffdab\ufffd")
        assert rows[2] == (3, "2")


def test_it_is_forgotten_what_too_many_statements_are_like() -> None:
    connection, at_once = filled([(n, None) for n in range(MANY)]), AtOnce()
    for number in range(2000):
        at_once.query(connection, f"SELECT {number}, a FROM t", ())
    ran: list[str] = []
    connection.set_trace_callback(ran.append)
    at_once.query(connection, "SELECT 0, a FROM t", ())
    at_once.query(connection, "SELECT 1999, a FROM t", ())
    assert ["json_group_array" in sql for sql in ran] == [False, True]


def test_more_than_one_text_may_hold_comes_row_by_row() -> None:
    connection, at_once = filled([("x" * 100, None) for _ in range(MANY)]), AtOnce()
    plain = at_once.query(connection, SELECT, (0, 100))
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 800)
    for _ in range(2):
        assert at_once.query(connection, SELECT, (0, 100)) == plain
