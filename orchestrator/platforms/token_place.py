"""Where the tokens of one shop outlive the process: a file on this machine (`token_file`), or a row that all nodes see
(`token_row`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from statemachines.target import Json

LOCK_PATIENCE_SECONDS = 90.0
"""How long a fetch of another process is waited for."""


class UnusableTokens(Exception):
    """What is there cannot be used: others may read it, it is another user's, sealed with another key, or cannot be
    read."""


class NotKept(Exception):
    """New tokens cannot be kept, in words for people."""


class Room(Protocol):
    """Where new tokens will be kept. Everything here blocks."""

    def save(self, tokens: Mapping[str, Json]) -> None:
        """Writes them; nobody finds them yet. Raises NotKept."""
        ...

    def publish(self) -> None:
        """Makes what was written what `load` finds, for good. Raises NotKept."""
        ...

    def discard(self) -> None:
        """Gives it up; does nothing after `publish`."""
        ...


class TokenPlace(Protocol):
    """Keeps the tokens of one shop, those of one account alone."""

    @property
    def name(self) -> str:
        """Where that is, for people."""
        ...

    def load(self) -> dict[str, Json] | None:
        """What is kept; None if there is nothing, or it belongs to other credentials. Blocks. Raises
        UnusableTokens."""
        ...

    def reserve(self) -> Room:
        """Room for new tokens, there before they are asked for; only for whoever has the lock. Blocks. Raises
        NotKept."""
        ...

    def locked(self) -> AbstractAsyncContextManager[bool]:
        """Held by one process at a time, which asks for tokens meanwhile; the block gets False where there can be no
        lock. Raises Transient when another process holds it for too long."""
        ...
