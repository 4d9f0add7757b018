"""How a simulated Shopify shop says no."""

from __future__ import annotations


class Refused(Exception):
    """A user error: `field` and message, its code where it has one, and whether the order was not where the step
    begins."""

    def __init__(
        self, message: str, field: list[str] | None = None, *, is_elsewhere: bool = True, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.field, self.is_elsewhere, self.code = message, field, is_elsewhere, code


class Denied(Exception):
    """The app lacks a right: answered beside the data, not as a user error (sample gql_error_access_denied)."""

    def __init__(self, field: str, access: str) -> None:
        self.message = f"Access denied for {field} field. Required access: {access}."
        super().__init__(self.message)


class TooMany(Exception):
    """A list of the input is too long: answered in place of the data, and nothing is run."""

    def __init__(self, path: list[str], count: int, most: int) -> None:
        self.message = f"The input array size of {count} is greater than the maximum allowed of {most}."
        self.path = path
        super().__init__(self.message)
