"""What the API needs of the running daemon. The runtime implements these; tests may too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.decisions.bulk import Action
from orchestrator.decisions.submission import Accepted, Requested
from orchestrator.operations.order_filter import Wanted
from orchestrator.runtime.reports import ShopFacts, SyncReport
from statemachines.machine import Plan
from statemachines.target import TargetRequest
from storage.attempts import KeptAttempt
from storage.jobs import Job
from storage.records import Order, Target


class NodeFacts(Protocol):
    """The daemon about itself."""

    @property
    def node(self) -> str:
        """This node's name."""
        ...

    @property
    def pid(self) -> int:
        """The process id."""
        ...

    @property
    def started_at(self) -> int:
        """When the daemon started, Unix milliseconds."""
        ...

    @property
    def is_draining(self) -> bool:
        """Whether a shutdown is under way: nothing new is accepted."""
        ...

    @property
    def is_ready(self) -> bool:
        """Start-up is done."""
        ...

    def shops(self) -> Mapping[str, ShopFacts]:
        """The configured shops by name, as they are now (SIGHUP changes them)."""
        ...


class Commands(Protocol):
    """Everything that changes something. Each method raises Refused (refusals.py) with the API's slugs."""

    async def submit(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Target:
        """Accepts a target: durable when this returns. An unknown order is read from the platform first."""
        ...

    async def submit_all(self, wanted: Sequence[Requested]) -> Sequence[Accepted | Exception | None]:
        """Accepts targets in their sequence, each by itself, with one commit for all: durable when this returns.

        Answers for each what was accepted, or why it was not. None: it takes more than the store to say that, so it
        and what follows for its order was left alone; `submit` does it. Raises StoreError.
        """
        ...

    async def preview(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Plan:
        """The plan that `submit` would make; changes nothing (an unknown order is read but not imported)."""
        ...

    async def cancel_target(self, target: str) -> Target:
        """Cancels what has not been done of a target; a call that is out is still recorded."""
        ...

    async def retry(self, shop: str, order: str) -> Order:
        """Tries a blocked step, or one in backoff, now."""
        ...

    async def skip(self, shop: str, order: str, reason: str | None) -> Order:
        """Marks the blocked step as done by hand; needs a reason."""
        ...

    async def hold(self, shop: str, order: str, reason: str | None) -> Order:
        """Stops before the next step until released."""
        ...

    async def release(self, shop: str, order: str) -> Order:
        """Ends a hold, and the ERP's wish that a person looks at the order."""
        ...

    async def announce(self, shop: str, order: str, *, key: str | None = None) -> None:
        """Announces the order once more to all readers of the feed; a `key` that did so before does nothing."""
        ...

    async def cancel(self, shop: str, order: str) -> Order:
        """Drops all targets of the order."""
        ...

    async def start_job(self, action: Action, wanted: Wanted, limit: int | None, reason: str | None, by: str) -> Job:
        """Selects orders and accepts a job that does this to each of them: durable when this returns."""
        ...

    async def cancel_job(self, job: str) -> Job:
        """Ends a job before it came to all of its orders; what it did stays."""
        ...

    async def refresh(self, shop: str, order: str) -> Order:
        """Reads the order from the platform now; imports it if it was unknown."""
        ...

    async def pause(self, shop: str, reason: str | None) -> None:
        """Stops a shop's steps and syncs until it is resumed; running calls finish."""
        ...

    async def resume(self, shop: str) -> None:
        """Ends a pause, whoever caused it, and closes the circuit."""
        ...

    async def sync(self, shop: str, wait_seconds: float | None = None) -> SyncReport | None:
        """Polls now. Without `wait_seconds` returns None at once; with it the report, or None when time ran out."""
        ...

    async def pause_delivery(self, name: str) -> None:
        """Sends a receiver of events nothing until it is resumed. Raises Refused `delivery-not-found`."""
        ...

    async def resume_delivery(self, name: str) -> None:
        """Sends to it again. Raises Refused `delivery-not-found`."""
        ...

    async def send_delivery(self, name: str, cursor: int) -> KeptAttempt | None:
        """Sends an event once more to a receiver; None: it has yet to arrive, and is due now. Raises Refused
        `delivery-not-found`, `event-not-found`."""
        ...

    async def test_delivery(self, name: str) -> KeptAttempt:
        """Sends a receiver a test. Raises Refused `delivery-not-found`."""
        ...

    async def replay_delivery(self, name: str, cursor: int) -> None:
        """Sends a receiver again what lies above `cursor`; one that has not come so far goes on where it is. Raises
        Refused `delivery-not-found`."""
        ...

    async def retry_rejected(self, rejected_id: int) -> Order:
        """Reads a rejected payload's order again from the platform and imports it. Raises Refused `rejected-not-found`
        or, when it still cannot be read, `not-allowed`."""
        ...
