"""Amounts as they can be paid: rounded to the smallest coin of their currency (ISO 4217). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from statemachines.target import Json

_USUAL: Final = 2
_DIGITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMN", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_UNITS: Final = {digits: Decimal(1).scaleb(-digits) for digits in {_USUAL, *_DIGITS.values()}}
_WIDE: Final = Context(prec=2_000)


def payable(amount: Decimal, currency: Json) -> Decimal:
    """An amount in whole units of what its currency has, half of one up; as it is where no currency is given."""
    if not isinstance(currency, str):
        return amount
    return amount.quantize(_UNITS[_DIGITS.get(currency.upper(), _USUAL)], ROUND_HALF_UP, _WIDE)
