"""Tokens that platforms give, kept in the database for all nodes: sealed, a row a shop.

What is in a row only its writers can read (`orchestrator.platforms.sealing`). Whoever wants to fetch tokens claims the
row first, for so long as a fetch may take; who comes back after that writes nothing over what another one has put there
meanwhile, for a row is replaced only by those who have read what is in it. The epoch of the shop's lease says less: a
node whose lease ran out while the platform answered it has the only tokens that are good, unless another one fetched.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class KeptTokens(NamedTuple):
    """A shop's row. `version` grows each time it is replaced."""

    sealed: bytes
    version: int


class TokenRows(Protocol):
    """The rows of one database. Each call blocks, and raises StoreUnavailable."""

    @property
    def where(self) -> str:
        """The URL that may be shown."""
        ...

    def claim(self, shop: str, claimant: str, seconds: float) -> bool:
        """Claims a shop's row for so long, or for longer; False while another one has claimed it."""
        ...

    def release(self, shop: str, claimant: str) -> None:
        """Gives a claim up; does nothing to another one's."""
        ...

    def read(self, shop: str) -> KeptTokens | None:
        """What is kept of a shop; None: nothing."""
        ...

    def replace(self, shop: str, sealed: bytes, version: int) -> bool:
        """Keeps this in place of that version (0: of nothing); False: another one has replaced it."""
        ...

    def shops(self) -> list[str]:
        """The shops of which something is kept."""
        ...
