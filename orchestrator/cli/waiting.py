"""Waiting for a target's end, with its plan alive on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

from orchestrator.cli.blocks import is_terminal
from orchestrator.cli.failures import Failure
from orchestrator.cli.standstill import SILENT_REMEDY, behind_blocked, of_order

if TYPE_CHECKING:
    from orchestrator.cli.client import Answer, Client

LONGEST_WAIT_SECONDS = 300
"""What the API waits at most in one call; longer waits are several calls."""

_LIVE_SECONDS = 0.5
_QUEUED_SECONDS = 5.0
"""How often it is looked whether what is before a queued target is blocked."""
_OVER = ("reached", "blocked", "failed", "cancelled")


def wait_for_target(
    client: Client,
    submitted: Answer,
    wait_seconds: float,
    *,
    is_shown: bool,
    order_now: Callable[[], Mapping[str, Any] | None] = lambda: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Answer:
    """The target once it is reached, blocked, failed or cancelled, or as it is when the time has run out or it waits
    behind a blocked one. `order_now` asks for its order, None where that cannot be known.

    `submitted` is the answer to the submission; the target is durable already, so a wait that is cut loses nothing.
    """
    from orchestrator.cli.client import segment

    path = f"/v1/targets/{segment(submitted.json()['id'])}"
    deadline = monotonic() + wait_seconds
    is_live = is_shown and is_terminal()
    answer = submitted
    with _Live() if is_live else _Still() as view:
        while not is_over(answer.json()):
            left_seconds = deadline - monotonic()
            target = answer.json()
            is_queued = target["status"] == "queued"
            if left_seconds <= 0 or (is_queued and _is_behind_blocked(order_now(), target)):
                break
            view.update(target)
            at_most = _QUEUED_SECONDS if is_queued else LONGEST_WAIT_SECONDS
            wait = min(left_seconds, _LIVE_SECONDS if is_live else at_most)
            answer = client.get(path, {"wait": f"{wait:.3f}"}, wait_seconds=wait)
    return answer


def is_over(target: Mapping[str, Any]) -> bool:
    """Whether waiting longer is pointless; a blocked target waits for a person."""
    return target["status"] in _OVER


def _is_behind_blocked(order: Mapping[str, Any] | None, target: Mapping[str, Any]) -> bool:
    return order is not None and behind_blocked(order, target["id"]) is not None


def judge(
    target: Mapping[str, Any],
    wait_seconds: float,
    order: Mapping[str, Any] | None = None,
    silent_node: Callable[[], str | None] = lambda: None,
) -> None:
    """Raises Failure (1) unless the target is reached. `order`: its order as it is now, where that is known.
    `silent_node` asks for the node that works for its shop, None unless it has missed heartbeats."""
    name = f"{target['shop']} {target['order']}"
    match target["status"]:
        case "reached":
            return
        case "blocked":
            raise Failure(
                f"the target is blocked at {_blocked_step(target)}",
                remedy=f"`fulfilld retry {name}`, `fulfilld skip {name} --reason …` or `fulfilld cancel {name}`",
            )
        case "failed" | "cancelled" as end:
            raise Failure(f"the target was {end}" if end == "cancelled" else "the target failed")
        case status:
            if order is not None and (block := behind_blocked(order, target["id"])) is not None:
                raise Failure(f"the target is {status}: {block.text}", remedy=block.remedy)
            still = f"the target is still {status} after {wait_seconds:g} s"
            if order is not None and (found := of_order(order)) is not None:
                raise Failure(f"{still}, for {found.why}", remedy=found.remedy)
            wait = (order or {}).get("wait")
            if wait is None and (node := silent_node()) is not None:
                raise Failure(
                    f"{still}: node {node}, which works for shop {target['shop']}, is silent",
                    remedy=f"{SILENT_REMEDY}; the target is kept, `fulfilld order {name}` shows it",
                )
            raise Failure(
                f"{still}, waiting for {wait['reason']}" if wait else still,
                remedy=f"it goes on in the daemon; `fulfilld order {name}` shows it",
            )


def _blocked_step(target: Mapping[str, Any]) -> str:
    step = (target.get("problem") or {}).get("step")
    return f"step {step}" if step else "its present step"


class _Still:
    """Shows nothing while it waits."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, target: Mapping[str, Any]) -> None:
        """Does nothing."""


class _Live(_Still):
    """Shows the target's plan on the terminal, and takes it away in the end."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, target: Mapping[str, Any]) -> None:
        """Shows the plan as it is now."""
        from orchestrator.cli.blocks import rich_page
        from orchestrator.cli.target_page import target_page

        self._live.update(rich_page(target_page(target)), refresh=True)
