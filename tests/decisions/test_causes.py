"""Causes: what differs from order to order is folded away, what says why is not."""

from __future__ import annotations

import pytest

from orchestrator.decisions.causes import cause_of, type_and_step


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 422: order 67890 is locked", "HTTP 422: order 67891 is locked"),
        ("order 9b1f0d4c-5e6f-7a8b-9c0d-1e2f3a4b5c6d is gone", "order 00000000-5e6f-4a8b-9c0d-1e2f3a4b5c6e is gone"),
        (
            "fulfilment gid://shopify/FulfillmentOrder/12 is closed",
            "fulfilment gid://shopify/FulfillmentOrder/9 is closed",
        ),
        ("lines 1, 2 and 3 are sold out", "lines 7 are sold out"),
        ("since 2026-11-30T10:00:00Z nobody paid 12.50", "since 2026-12-01T09:30:00Z nobody paid 7.00"),
        ("mail to anna@shop.example bounced", "mail to bo.b@other.example bounced"),
        ("see https://shop.example/a/b?c=d for more", "see https://shop.example/e for more"),
        ("no answer  within 5.0 s", "no answer within 30.0 s"),
        ("tracking 3SABC123 is unknown", "tracking 1Z999 is unknown"),
    ],
)
def test_what_differs_from_order_to_order_is_one_cause(one: str, other: str) -> None:
    assert cause_of("rejected", "send", one) == cause_of("rejected", "send", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 422: the order is locked", "HTTP 500: the order is locked"),
        ('field "tracking" is required', 'field "carrier" is required'),
        ("the order is locked", "the order is paid"),
    ],
)
def test_what_says_why_makes_another_cause(one: str, other: str) -> None:
    assert cause_of("rejected", "send", one).name != cause_of("rejected", "send", other).name


def test_type_and_step_are_part_of_a_cause_and_of_its_name() -> None:
    asked = (("rejected", "send"), ("rejected", None), ("quarantined", "send"))
    causes = [cause_of(type_, step, "no") for type_, step in asked]
    assert len({cause.name for cause in causes}) == 3
    assert [type_and_step(cause.name) for cause in causes] == [(cause.type, cause.step) for cause in causes]


@pytest.mark.parametrize(
    "name", ["", "rejected", "rejected.send", "rejected.send.zz", "rejected.send.0123456789.x", "a\nb"]
)
def test_what_is_no_name_of_a_cause_is_known_as_such(name: str) -> None:
    assert type_and_step(name) is None


def test_words_that_are_very_long_or_no_text_end_somewhere() -> None:
    assert len(cause_of("rejected", None, "word " * 10_000).words) <= 500
    assert cause_of("rejected", None, "half \ud800 of it").name
