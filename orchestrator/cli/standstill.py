"""What stands still until a person does something: an order that is held, a shop that is paused or not in the config.
Pure: JSON of the API in, text out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple


class Standstill(NamedTuple):
    """`why` in words, `detail` as the person or the daemon gave it (empty for none), and what ends it."""

    why: str
    detail: str
    remedy: str

    @property
    def text(self) -> str:
        """Why, with the detail."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


SILENT_REMEDY = "another node takes over, unless it comes back"
"""What ends it that the node that works for a shop has missed heartbeats."""

_BY_REASON = {
    "paused": ("shop {shop} is paused", "`fulfilld resume {shop}`"),
    "access_denied": (
        "the platform does not accept the credentials of shop {shop}",
        "check its credentials and address in the config and send SIGHUP, or `fulfilld resume {shop}`",
    ),
    "restore": (
        "shop {shop} waits until a person has checked it",
        "check what is pending, then `fulfilld resume {shop}`",
    ),
    "another_account": (
        "the name of shop {shop} means another account now",
        "fix the config, or `fulfilld resume {shop}` if it is the same shop",
    ),
    "not_configured": (
        "shop {shop} is not in the config any more",
        "put it back into the config under its name and send SIGHUP, or `fulfilld cancel {shop} {order}`",
    ),
}
"""By `wait.reason`: those that do not end by themselves."""


def of_order(order: Mapping[str, Any]) -> Standstill | None:
    """Why nothing more is done for an order before a person does something; None where it goes on by itself."""
    shop, id_ = str(order["shop"]), str(order["id"])
    if order.get("held_at"):
        release = f"`fulfilld release {shlex.quote(shop)} {shlex.quote(id_)}`"
        if is_blocked_too(order):
            remedy = f"{release} ends the hold and leaves it blocked; what helps with its problem may be done before"
            return Standstill("the order is held, and blocked", order.get("held_reason") or "", remedy)
        return Standstill("the order is held", order.get("held_reason") or "", f"{release} lets it go on")
    return _of_wait(order.get("wait"), shop, shlex.quote(id_))


def is_blocked_too(order: Mapping[str, Any]) -> bool:
    """Whether an order that is held would be blocked if it were not: that its platform has it no more is a problem to
    be shown, which blocks nothing."""
    problem = order.get("problem")
    return bool(order.get("held_at")) and problem is not None and problem["type"] != "order-not-found"


def of_target(order: Mapping[str, Any], target: str) -> Standstill | None:
    """As `of_order`, for one target of its queue."""
    return behind_blocked(order, target) or of_order(order)


def behind_blocked(order: Mapping[str, Any], target: str) -> Standstill | None:
    """The blocked target that this one waits behind; None where there is none."""
    if all(each["id"] != target for each in (order.get("targets") or [])[1:]):
        return None
    return behind_all(order)


def behind_all(order: Mapping[str, Any]) -> Standstill | None:
    """The blocked target that one more waits behind; None where there is none."""
    queue = order.get("targets") or []
    head = queue[0] if queue else None
    if head is None or head["status"] != "blocked":
        return None
    place = f"{shlex.quote(str(order['shop']))} {shlex.quote(str(order['id']))}"
    problem = head.get("problem") or {}
    detail = problem.get("detail") or problem.get("title") or ""
    remedy = (
        f"`fulfilld retry {place}` or `fulfilld skip {place} --reason …`, or `fulfilld cancel {place}` drops them all"
    )
    return Standstill(f"it waits behind target {head['id']} ({head['state']}), which is blocked", detail, remedy)


def of_shop(shop: Mapping[str, Any]) -> Standstill | None:
    """As `of_order`, for a shop."""
    return _of_wait(shop.get("wait"), str(shop["name"]), "ID")


def no_orders(shop: Mapping[str, Any]) -> str:
    """Why no order of a shop is known, though none was counted as history: most lists show open orders alone."""
    if not shop.get("configured", True):
        return ""
    return "none open; those from before are history" if shop.get("last_sync_at") else "not synced yet"


def access_remedy(shop: str) -> str:
    """What helps a shop whose credentials its platform does not accept."""
    return _BY_REASON["access_denied"][1].format(shop=shlex.quote(shop))


def _of_wait(wait: Mapping[str, Any] | None, shop: str, order: str) -> Standstill | None:
    if wait is None or wait["reason"] not in _BY_REASON:
        return None
    why, remedy = _BY_REASON[wait["reason"]]
    # What a shop that left waits for is said in full by the two.
    detail = "" if wait["reason"] == "not_configured" else wait.get("detail") or ""
    return Standstill(why.format(shop=shop), detail, remedy.format(shop=shlex.quote(shop), order=order))
