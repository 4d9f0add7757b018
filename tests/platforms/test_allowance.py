"""What headers say is left of a rate limit, in every spelling and in every kind of nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from orchestrator.platforms.allowance import MAX_RESET_SECONDS, Allowance, allowance_of

NOW_MS = 1_796_000_000_000

Pairs = list[tuple[str, str]]


def said(pairs: Pairs) -> Allowance | None:
    return allowance_of(CIMultiDict(pairs), lambda: NOW_MS)


@pytest.mark.parametrize(
    ("pairs", "allowance"),
    [
        ([("X-RateLimit-Limit", "80"), ("X-RateLimit-Remaining", "79")], Allowance(80, 79, None)),
        ([("x-ratelimit-limit", "80"), ("x-ratelimit-remaining", "0")], Allowance(80, 0, None)),
        ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "17")], Allowance(None, 0, 17)),
        ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1796000042")], Allowance(None, 0, 42)),
        ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1796000042500")], Allowance(None, 0, 42.5)),
        ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "0.5")], Allowance(None, 0, 0.5)),
        ([("RateLimit-Limit", "100, 100;w=60"), ("RateLimit-Remaining", "3"), ("RateLimit-Reset", "9")],
         Allowance(100, 3, 9)),
        ([("RateLimit", "limit=100, remaining=50, reset=5")], Allowance(100, 50, 5)),
        ([("RateLimit", '"default";r=50;t=30'), ("RateLimit-Policy", '"default";q=100;w=60')], Allowance(100, 50, 30)),
        ([("RateLimit", '"burst";r=7;t=1, "daily";r=2;t=99'), ("RateLimit-Policy", '"burst";q=10;w=1,"daily";q=50')],
         Allowance(50, 2, 99)),
        ([("X-Shopify-Shop-Api-Call-Limit", "39/40")], Allowance(40, 1, None)),
        ([("X-Shopify-Shop-Api-Call-Limit", "41/40")], Allowance(40, 0, None)),
        ([("x-any-api-call-limit", "3/5")], Allowance(5, 2, None)),
    ],
)  # fmt: skip
def test_each_spelling_in_use_is_understood(pairs: Pairs, allowance: Allowance) -> None:
    assert said(pairs) == allowance


def test_where_several_say_something_the_least_counts() -> None:
    twice = [("X-RateLimit-Remaining", "60"), ("X-RateLimit-Remaining", "3"), ("X-RateLimit-Remaining", "40")]
    assert said(twice) == Allowance(None, 3, None)
    assert said([("X-RateLimit-Remaining", "60, 3")]) == Allowance(None, 3, None)
    both = [("X-RateLimit-Remaining", "60"), ("RateLimit", '"a";r=2;t=4')]
    assert said(both) == Allowance(None, 2, 4)


@pytest.mark.parametrize(
    "text", ["", "-1", "many", "1e3", "0x10", "٣", "1_0", "NaN", "inf", "99999999999999999999", "5 6", "½"]
)
def test_a_count_that_is_none_says_nothing(text: str) -> None:
    assert said([("X-RateLimit-Remaining", text), ("X-RateLimit-Reset", "5")]) is None
    assert said([("X-RateLimit-Remaining", "5"), ("X-RateLimit-Limit", text)]) == Allowance(None, 5, None)
    assert said([("X-Shopify-Shop-Api-Call-Limit", f"{text}/40")]) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("-5", None),
        ("soon", None),
        ("NaN", None),
        ("1e9", None),
        ("999999999999999999", None),
        ("172800", None),
        ("1896000000", None),
        ("86400", MAX_RESET_SECONDS),
        ("1796003000", 3000.0),
        ("1795999990", 0.0),
        ("Sun, 18 Aug 2024 16:53:20 GMT", None),
    ],
)
def test_a_reset_is_believed_within_bounds(text: str, seconds: float | None) -> None:
    assert said([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", text)]) == Allowance(None, 0, seconds)


def test_answers_without_such_headers_say_nothing() -> None:
    assert said([]) is None
    assert said([("X-RateLimit-Limit", "80"), ("X-RateLimit-Reset", "5")]) is None
    assert said([("RateLimit-Policy", '"default";q=100;w=60')]) is None


_NAMES = (
    *(f"{prefix}-{end}" for prefix in ("X-RateLimit", "RateLimit") for end in ("Limit", "Remaining", "Reset")),
    "RateLimit",
    "RateLimit-Policy",
    "X-Shopify-Shop-Api-Call-Limit",
)


@given(st.lists(st.tuples(st.sampled_from(_NAMES), st.text('0123456789-+.,;=/"rtqwaNe inf\t', max_size=24))))
def test_no_header_does_harm(pairs: Pairs) -> None:
    found = said(pairs)
    if found is not None:
        assert 0 <= found.remaining <= 10**9
        assert found.limit is None or 0 <= found.limit <= 10**9
        assert found.reset_seconds is None or 0 <= found.reset_seconds <= MAX_RESET_SECONDS
