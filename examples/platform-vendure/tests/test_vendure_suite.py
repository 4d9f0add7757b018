"""What every platform has to do, against the real Vendure."""

from __future__ import annotations

import pytest

from orchestrator.testing.platform_suite import *  # noqa: F403
from platform_vendure.sandbox.server import REMEDY, missing
from tests.support.skips import skip

if (trouble := missing()) is not None:
    skip(trouble, REMEDY)

PLATFORMS = ("vendure",)
pytestmark = pytest.mark.timeout(
    1200
)  # Vendure takes a tenth of a second of a whole core for each order that is placed
