"""The suite by itself runs on every engine that is registered."""

from orchestrator.testing.engine_suite.scratch import engine

__all__ = ["engine"]
