"""The bodies of Selldone's writes, validated as Laravel does, handed on to the shop's rules (selldone.md §2, §6)."""

from __future__ import annotations

from orchestrator.sandbox.platform import parse_object
from orchestrator.sandbox.selldone.baskets import Basket, Json
from orchestrator.sandbox.selldone.shop import CHAIN, REJECT_REASONS, Invalid, Outcome, SelldoneShop, is_web_link


def parse_body(body: bytes) -> dict[str, Json]:
    """Laravel takes a body that is not a JSON object as no input at all: the fields that it should have are missing."""
    return parse_object(body) or {}


def perform(shop: SelldoneShop, basket: Basket, step: str, sent: dict[str, Json]) -> Outcome:
    """Validates the body of a write and does what it asks for; `step` is `state` for all of endpoint 3."""
    match step:
        case "state":
            return _set_state(shop, basket, sent)
        case "return_delivery":
            return shop.return_delivery(basket)
        case "set_tracking":
            return _set_tracking(shop, basket, sent)
        case "reject":
            reason, express = sent.get("reject"), sent.get("express", False)
            if not isinstance(reason, str) or reason not in REJECT_REASONS:
                return Invalid({"reject": ["The selected reject is invalid."]})
            if not isinstance(express, bool):
                return Invalid({"express": ["The express field must be true or false."]})
            return shop.reject(basket, reason, is_express=express)
        case _:
            return shop.unreject(basket)


def _set_state(shop: SelldoneShop, basket: Basket, sent: dict[str, Json]) -> Outcome:
    state, items, delivery_info = sent.get("state"), sent.get("list"), sent.get("delivery_info")
    errors: dict[str, list[str]] = {}
    if state is None or state == "":
        errors["state"] = ["The state field is required."]
    elif state not in CHAIN:
        errors["state"] = ["The selected state is invalid."]
    if items is not None and not (isinstance(items, list) and items and all(type(item) is int for item in items)):
        errors["list"] = ["The list must be an array of integers."]
    if delivery_info is not None and not isinstance(delivery_info, dict):
        errors["delivery_info"] = ["The delivery info must be an array."]
    if errors:
        return Invalid(errors)
    return shop.set_state(basket, str(state), items, delivery_info)


def _set_tracking(shop: SelldoneShop, basket: Basket, sent: dict[str, Json]) -> Outcome:
    code, url = sent.get("tracking_code"), sent.get("tracking_url")
    errors: dict[str, list[str]] = {}
    if code is not None and not isinstance(code, str):
        errors["tracking_code"] = ["The tracking code must be a string."]
    if url is not None and not (isinstance(url, str) and is_web_link(url)):
        errors["tracking_url"] = ["The tracking url format is invalid."]
    if not code and not url and not errors:
        errors["tracking_code"] = ["The tracking code field is required when tracking url is not present."]
    return Invalid(errors) if errors else shop.set_tracking(basket, code, url)
