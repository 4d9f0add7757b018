"""The suite for storage engines, over those that are registered."""

from __future__ import annotations

from orchestrator.testing.engine_suite import *  # noqa: F403 - its tests are ours
