"""The one table of what the API offers: the router, the OpenAPI document and the tests are made from it.

A route says what it takes and every answer that it can give. `slugs` are its own problems; those that every call can
end in (no token, an unknown parameter, a store that fails) are added where the table is read.
"""

from __future__ import annotations

from typing import Final

from orchestrator.api.route import Route
from orchestrator.api.routes import daemon, delivery, events, jobs, orders, shops, targets

ROUTES: Final[tuple[Route, ...]] = (
    *orders.ROUTES,
    *jobs.ROUTES,
    *targets.ROUTES,
    *events.ROUTES,
    *shops.ROUTES,
    *delivery.ROUTES,
    *daemon.ROUTES,
)
