"""The job of a simulated Shopify that a cancellation is (shopify.md §5), and what it says became of it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.sandbox.shopify.orders import Json


@dataclass(slots=True)
class Job:
    """A cancellation of `order`, carried out at `due` (monotonic seconds), or `failure`: why it could not be.

    `refunds`: the money goes back with it.
    """

    order: int
    due: float
    reason: str
    refunds: bool = False
    is_done: bool = False
    failure: str | None = None

    def result(self, number: str) -> dict[str, Json]:
        """As OrderCancelJobResult of version 2026-10 has it."""
        has_failed = self.is_done and self.failure is not None
        errors = [{"field": None, "message": self.failure, "code": "INVALID"}] if has_failed else []
        status = "FAILED" if has_failed else "SUCCEEDED" if self.is_done else "STARTED"
        result = {"id": f"gid://shopify/OrderCancelJobResult/{number}", "done": self.is_done, "status": status}
        return {"__typename": "OrderCancelJobResult", **result, "errors": errors}
