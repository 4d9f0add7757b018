"""What the tests of every platform ask for, as each simulation says it of itself."""

from __future__ import annotations

from orchestrator.registry import PLATFORMS
from orchestrator.sandbox.server import ready_config
from orchestrator.testing.stage import moves_of


def _first_shops() -> dict[str, str]:
    shops = ready_config("http://127.0.0.1:1")["shops"].items()
    return {platform: next(name for name, shop in shops if shop["platform"] == platform) for platform in PLATFORMS}


SHOPS = _first_shops()
"""The name of the sandbox's shop by platform."""

FIRST_STATES = {platform: moves_of(platform)[0].state for platform in SHOPS}
"""The state that one step leads a new order to."""
