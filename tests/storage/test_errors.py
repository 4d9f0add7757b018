"""What an exception is made of, where tasks failed together."""

from __future__ import annotations

import pytest

from storage.errors import StaleLease, StoreError, StoreUnavailable, store_errors

STALE, GONE = StaleLease("acme"), StoreUnavailable("full")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (STALE, [STALE]),
        (ExceptionGroup("two", [STALE, GONE]), [STALE, GONE]),
        (ExceptionGroup("nested", [GONE, ExceptionGroup("inner", [STALE])]), [GONE, STALE]),
        (ExceptionGroup("mixed", [STALE, ExceptionGroup("inner", [GONE, ValueError()])]), None),
        (ValueError(), None),
    ],
)
def test_only_errors_of_the_store_are_those(error: Exception, found: list[StoreError] | None) -> None:
    assert store_errors(error) == found
