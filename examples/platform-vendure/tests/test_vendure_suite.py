"""What every platform has to do, against the real Vendure."""

from __future__ import annotations

from orchestrator.testing.platform_suite import *  # noqa: F403
from platform_vendure.sandbox.server import REMEDY, missing
from tests.support.skips import skip

if (trouble := missing()) is not None:
    skip(trouble, REMEDY)

PLATFORMS = ("vendure",)
