"""What a Selldone answer refuses, in our four kinds (selldone.md §6).

A refusal may come as HTTP 200 with a truthy `error`, or with a status. The backend's constants decide first, wherever
they stand; then the status; texts in the buyer's language never. What is not recognised is taken as "elsewhere than we
think": the order is read again and decided by its state, and the driver makes it `rejected` if that is as expected.
"""

from __future__ import annotations

import re

from orchestrator.platforms.failures import AccessDenied, NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from statemachines.machine import PlatformWait
from statemachines.target import Json

_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_CODES = ("error", "code")
"""Members that are there for constants: what stands in them decides before any text."""
_TEXTS = ("error_msg", "message")
"""Texts that may begin with one; `message` is where Laravel's own 403 and 404 carry it."""

_OUT_OF_SEQUENCE = ("CAN_NOT_APPLY_CHANGE_ERROR", "ORDER_CANCELED_ERROR", "ORDER_NOT_DELIVERED_NOT_CONFIRMED_ERROR")
_OF_ORDER = (
    *_OUT_OF_SEQUENCE,
    "NOT_FOUNT_BASKET_ERROR",
    "NOT_FOUNT_BASKET_ITEM_ERROR",
    "ORDER_ON_REJECT_PERIOD_ERROR",
    "DATABASE_TRANSACTION_FAILED",
)
_ACCESS = ("TOKEN_HAS_NO_ACCESS_ERROR", "NOT_FOUND_SHOP_ERROR")
"""An unknown shop is a wrong `shop_id` or another shop's token: every order of the shop would fail alike, and only a
changed config helps. So it stops the shop, with one alarm, as a refused token does."""


def constants(data: dict[str, Json] | None) -> frozenset[str]:
    """The backend's constants in an answer: those of its codes, where it has any there, else those that its texts
    begin with. One within a sentence may be an echo of what we sent."""
    members = data or {}
    codes = [text for name in _CODES if isinstance(text := members.get(name), str)]
    if found := frozenset(constant for text in codes for constant in _CONSTANT.findall(text)):
        return found
    texts = [text for name in _TEXTS if isinstance(text := members.get(name), str)]
    return frozenset(first[0] for text in texts if (first := _CONSTANT.match(text.lstrip())) is not None)


def is_refusal(status: int, data: dict[str, Json] | None) -> bool:
    """Whether an answer refuses: a 200 is a success only if `error` is absent or falsy."""
    return status >= 400 or (data is not None and bool(data.get("error")))


def refusal(status: int, data: dict[str, Json] | None, words: str, *, is_effect: bool) -> PlatformFailure:
    """The failure that a refusing answer means. `words` are its own, `data` its members (None: no JSON object)."""
    named = constants(data)
    # A 403 that names what is the matter with the order says nothing of our access (selldone.md §6: body first).
    if named.intersection(_ACCESS) or status == 401 or (status == 403 and not named.intersection(_OF_ORDER)):
        return AccessDenied(words)
    if "NOT_FOUNT_BASKET_ERROR" in named:
        return NotFound(words)
    if "ORDER_ON_REJECT_PERIOD_ERROR" in named:
        # Until when is in the order (reject_at), not in the refusal; the next read shows it.
        return Transient(words, wait=PlatformWait("platform", None, words))
    if "DATABASE_TRANSACTION_FAILED" in named:
        return Transient(words, is_ambiguous=is_effect)
    if is_effect and "NOT_FOUNT_BASKET_ITEM_ERROR" in named:
        return Rejected(words)
    if not named.intersection(_OUT_OF_SEQUENCE):
        if status in (404, 410):
            return NotFound(words)
        if is_effect and status == 422 and not named:
            return Rejected(words)
    if not is_effect:
        # A read changes nothing: there is no sequence to be out of, and no step that was refused.
        return Transient(words, is_refused_read=True)
    return OutOfSequence(words)
