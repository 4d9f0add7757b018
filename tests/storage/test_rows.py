"""Rows become records by the names of the fields, whatever stands before or behind them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from storage.rows import Columns
from tests.support.memory import memory_connection


@dataclass(frozen=True, slots=True)
class Thing:
    size: int
    inserted: str | None
    names: tuple[str, ...]


class Pair(NamedTuple):
    left: int
    right: str | None


THING = Columns(Thing, named={"inserted": "late_column"}, readers={"names": lambda text: tuple(text.split())})


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = memory_connection()
    made.execute("CREATE TABLE things (names TEXT, late_column TEXT, size INTEGER)")
    made.execute("INSERT INTO things VALUES ('a b', NULL, 3)")
    return made


def test_the_list_is_that_of_the_fields_and_not_of_the_table(connection: sqlite3.Connection) -> None:
    assert THING.sql == "size, late_column, names"
    row = connection.execute(f"SELECT {THING.sql} FROM things").fetchone()
    assert THING.read(row) == Thing(3, None, ("a", "b"))
    row = connection.execute(f"SELECT {THING.of('t')}, 7 FROM things t JOIN things u").fetchone()
    assert (THING.read(row[:-1]), row[-1]) == (Thing(3, None, ("a", "b")), 7)


def test_null_is_none_whatever_reads_the_field() -> None:
    assert Columns(Thing, readers={"inserted": str.upper}).read((1, None, ())) == Thing(1, None, ())


def test_a_field_without_a_reader_is_the_value_itself() -> None:
    assert Columns(Pair).sql == "left, right"
    assert Columns(Pair).read((1, None)) == Pair(1, None)


@pytest.mark.parametrize("wrong", [{"named": {"sise": "size"}}, {"readers": {"sise": int}}])
def test_a_field_that_the_record_has_not_is_said_at_once(wrong: dict[str, dict[str, str]]) -> None:
    with pytest.raises(TypeError, match="Thing has no field sise"):
        Columns(Thing, **wrong)  # type: ignore[arg-type]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(TypeError):
        THING.read((1, None, "a", "one too many"))
