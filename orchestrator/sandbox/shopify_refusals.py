"""How a simulated Shopify shop says no."""

from __future__ import annotations


class Refused(Exception):
    """A user error: `field` and message, and whether the order was not where the step begins."""

    def __init__(self, message: str, field: list[str] | None = None, *, is_elsewhere: bool = True) -> None:
        super().__init__(message)
        self.message, self.field, self.is_elsewhere = message, field, is_elsewhere
