"""What the handlers work with, hung on the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.metrics import Metrics
from orchestrator.operations.feed import Feed
from orchestrator.operations.ports import Commands, NodeFacts
from orchestrator.operations.queries import Queries


@dataclass(frozen=True, slots=True)
class Services:
    """The daemon's parts that the API talks to."""

    queries: Queries
    commands: Commands
    node: NodeFacts
    feed: Feed
    metrics: Metrics
    clock: Clock


SERVICES: Final = web.AppKey("services", Services)

TOKEN: Final = web.AppKey("token", str)
"""What calls over TCP have to bring; without one none is let in."""
