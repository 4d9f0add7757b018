"""Every test that asks for `engine` runs once on each engine, on an empty store of its own."""

from orchestrator.testing.engine_suite.scratch import engine

__all__ = ["engine"]
