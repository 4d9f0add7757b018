"""What waits for an engine's writer: units of work and changes, with what came of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from storage.changes import Change, save_change
from storage.transaction import Transaction

T = TypeVar("T")
Unit = Callable[[Transaction], T]


class Pending(Generic[T]):
    """A unit that waits for its commit; then it has its result or its error. `change`: what it writes, if it is no more
    than that."""

    __slots__ = ("change", "error", "result", "unit")

    def __init__(self, unit: Unit[T], change: Change | None = None) -> None:
        self.unit = unit
        self.change = change
        self.result: T | None = None
        self.error: Exception | None = None

    @classmethod
    def of(cls, change: Change) -> Pending[bool]:
        """A change that waits; its result is that of `save_change`."""
        return Pending(partial(save_change, change=change), change)
