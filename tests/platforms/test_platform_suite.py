"""The suite for platforms, over those that are built in."""

from __future__ import annotations

from orchestrator.registry import BUILT_IN
from orchestrator.testing.platform_suite import *  # noqa: F403 - its tests are ours

PLATFORMS = tuple(BUILT_IN)
