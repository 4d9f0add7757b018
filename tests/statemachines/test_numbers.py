"""Numbers are read exactly or not at all, and written without an exponent."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.numbers import decimal_of, exact_float, plain, shortest, total, written


@pytest.mark.parametrize(
    ("value", "own", "short"),
    [
        (1, "1", "1"),
        ("1.0", "1.0", "1"),
        (1.0, "1.0", "1"),
        ("2e0", "2", "2"),
        (Decimal("1E+3"), "1000", "1000"),
        ("1E+3", "1000", "1000"),
        (0.00001, "0.00001", "0.00001"),
        (Decimal("12.30"), "12.30", "12.3"),
        (" 0012.50 ", "12.50", "12.5"),
        (".5", "0.5", "0.5"),
        ("-0.00", "0.00", "0"),
        (-0.0, "0.0", "0"),
        ("+7", "7", "7"),
        (Decimal("-1.50"), "-1.50", "-1.5"),
        (10**30 + 1, "1000000000000000000000000000001", "1000000000000000000000000000001"),
        (
            "1234567890123456789012345678901.10",
            "1234567890123456789012345678901.10",
            "1234567890123456789012345678901.1",
        ),
    ],
)
def test_a_number_keeps_its_digits(value: float | str | Decimal, own: str, short: str) -> None:
    number = decimal_of(value)
    assert number is not None
    assert (written(number), plain(number)) == (own, short)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "1,5",
            "1.234,50",
            "1 000",
            "1_000",
            "1'000",
            "٣",
            "１",
            "½",
            "0x10",
            "NaN",
            "Infinity",
            "-inf",
            "",
            " ",
            "1e",
        ),
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), True, None, [], {}, "1e999999", "9" * 900),
        *(Decimal("1e-999999"), 10**500, "1e9999999999"),
    ],
)
def test_what_is_no_number_is_not_guessed(value: object) -> None:
    assert decimal_of(value) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_whatever_is_written_is_the_same_number(number: Decimal) -> None:
    assert Decimal(written(number)) == Decimal(plain(number)) == shortest(number) == number
    assert "E" not in written(number) + plain(number)


def test_sums_are_exact() -> None:
    assert total([Decimal(10) ** 40, Decimal("0.01")]) == Decimal("1" + "0" * 40 + ".01")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_was_written_by_a_program_is_read(number: float) -> None:
    assert exact_float(repr(number)) == number


@pytest.mark.parametrize(
    "text", ["1.00000000000000000001", "9007199254740993.0", "1e-400", "0.12345678901234567890123"]
)
def test_a_number_that_would_lose_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more digits"):
        json.loads(f"[{text}]", parse_float=exact_float)
