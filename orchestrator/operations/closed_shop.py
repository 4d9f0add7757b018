"""Why a shop is not asked now, for people."""

from __future__ import annotations

from orchestrator.runtime.admission import Admission
from storage.records import Shop

ACCESS_REMEDY = "replace them in their files, or in the config and send SIGHUP, or resume the shop"
"""What to do when a platform refuses our credentials."""

_CLOSED = {"retry_after": "asked us to wait", "circuit": "does not answer and is left alone"}


def why_closed(admission: Admission, shop: Shop | None) -> str:
    """Why no call is admitted, and what to do about it; `shop` is its row, which knows who paused it."""
    if admission.is_draining:
        return "the daemon is shutting down"
    if admission.is_paused:
        return _why_paused(shop)
    if admission.is_unsure:
        return "whether its lease is still this daemon's shows in a moment"
    reason = admission.reason()
    if reason is None:
        return "its platform is being tried again with one call"
    return f"its platform {_CLOSED[reason[0]]} for {reason[1]:.0f} s more ({reason[2]})"


def _why_paused(shop: Shop | None) -> str:
    why = f" ({shop.paused_reason})" if shop is not None and shop.paused_reason else ""
    match None if shop is None else shop.paused_by:
        case "access_denied":
            return f"its platform refused our credentials{why}; {ACCESS_REMEDY}"
        case "restore":
            return f"it waits until a person has checked it{why}; resume it then"
        case "another_account":
            return f"its name means another account now{why}; fix the config, or resume it if it is the same shop"
        case _:
            return f"it is paused by a person{why}; resume it"
