"""Rows as records. A record's fields are its columns: the list for the SELECT and the decoder are both made from the
fields, once, so a column that is added in the middle shifts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast

from storage.transaction import Row

T = TypeVar("T")
Reader = Callable[[Any], Any]

_NONE: Mapping[str, Any] = {}
_UNREADABLE = (ValueError, TypeError, LookupError, RecursionError)


class DamagedRow(Exception):
    """A row cannot be read: the disk or somebody else changed it. `row`: its table and its first column."""

    def __init__(self, row: str, column: str, error: Exception) -> None:
        super().__init__(f"{row}: column {column} cannot be read: {type(error).__name__}: {error}")


class Columns(Generic[T]):
    """The columns of a record, a dataclass or a NamedTuple.

    `named`: what stands in the SELECT for a field whose column has another name or is an expression. `readers`: what
    turns a column's value into the field's; NULL is None for every field, and no reader sees it. Raises TypeError for
    a field that the record has not. A dataclass field with the metadata `is_column` False has none.
    """

    def __init__(
        self, record: type[T], *, named: Mapping[str, str] = _NONE, readers: Mapping[str, Reader] = _NONE
    ) -> None:
        names = _names(record)
        if unknown := (named.keys() | readers.keys()) - set(names):
            raise TypeError(f"{record.__name__} has no field {', '.join(sorted(unknown))}")
        self._fields, self._record_name = names, record.__name__.lower()
        self._columns = [named.get(name, name) for name in names]
        self._record: Callable[..., T] = record
        self._readers = [(names.index(name), reader) for name, reader in readers.items()]
        self.sql = ", ".join(self._columns)
        """The list for a SELECT."""

    def of(self, table: str) -> str:
        """The list for a SELECT from several tables, of which `table` (or its alias) has the record."""
        return ", ".join(f"{table}.{column}" for column in self._columns)

    def read(self, row: Row) -> T:
        """The record of a row that has exactly these columns. Raises DamagedRow."""
        if not self._readers:
            return self._record(*row)
        values = list(row)
        for place, reader in self._readers:
            if (value := values[place]) is not None:
                try:
                    values[place] = reader(value)
                except _UNREADABLE as error:
                    raise self._damage(row, place, error) from error
        return self._record(*values)

    def salvage(self, row: Row, instead: Mapping[str, Any] = _NONE) -> tuple[T, list[DamagedRow]]:
        """The record of a row as far as it can be read, and what of it cannot: such a field is as `instead` says, None
        where that says nothing. For what is only shown: nobody may decide on it, nor write it."""
        values, damages = list(row), []
        for place, reader in self._readers:
            if (value := values[place]) is not None:
                try:
                    values[place] = reader(value)
                except _UNREADABLE as error:
                    damages.append(self._damage(row, place, error))
                    values[place] = instead.get(self._fields[place])
        return self._record(*values), damages

    def _damage(self, row: Row, place: int, error: Exception) -> DamagedRow:
        name = self._record_name
        return DamagedRow(f"{name} with {self._columns[0]} {row[0]}", self._columns[place], error)


def _names(record: type[Any]) -> list[str]:
    if is_dataclass(record):
        return [field.name for field in fields(record) if field.metadata.get("is_column", True)]
    return list(cast("type[NamedTuple]", record)._fields)
