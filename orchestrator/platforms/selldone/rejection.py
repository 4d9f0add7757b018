"""Why an order is rejected: Selldone takes one of ten reasons and no text (selldone.md §5.2)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

RejectReason: TypeAlias = Literal[
    "CantAcceptCOD",
    "PaymentReturned",
    "PaymentFraud",
    "LocationOutOfService",
    "UserNotResponding",
    "ShopOwnerFault",
    "LackOfInventory",
    "LegalRestriction",
    "PricingFault",
    "SystemFault",
]
"""What Selldone takes."""

_BY_WORD: Final[dict[str, RejectReason]] = {
    **{reason.casefold(): reason for reason in get_args(RejectReason)},
    "inventory": "LackOfInventory",
    "fraud": "PaymentFraud",
    "declined": "PaymentReturned",
    "staff": "ShopOwnerFault",
}
"""Its own names, and the reasons of other platforms that mean the same."""


def reject_reason(reason: str | None, otherwise: RejectReason) -> RejectReason:
    """The reason for Selldone of a target's `reason`: one of the ten in any case, with or without blanks and
    underscores, or a word that means one; `otherwise` for any other text and for none."""
    word = "".join(character for character in (reason or "").casefold() if character.isalnum())
    return _BY_WORD.get(word, otherwise)
