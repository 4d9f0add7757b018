"""What calls show to be let in, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar


class Tokens(Protocol):
    """What calls show to be let in."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call."""
        ...


A = TypeVar("A", bound=Tokens)


class Access(Protocol[A]):
    """Where tokens come from, if they are fetched and renewed (`TokenKeeper`). Raises AccessDenied and Transient."""

    async def tokens(self) -> A:
        """Those that are known, or are fetched now."""
        ...

    async def renewed(self, refused: A, *, is_page: bool) -> tuple[A, bool] | None:
        """Others in place of refused ones, and whether they are the last to try. `is_page`: the refusal may be a
        proxy's own, of one order; None where others were fetched for that lately."""
        ...
