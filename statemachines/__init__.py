"""Order state machines, one module a platform: pure tables, guards and planning. No I/O, no clock, no asyncio."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from statemachines import selldone, xsale
from statemachines.cloudsuite import machine as cloudsuite
from statemachines.machine import PlatformMachine
from statemachines.shopify import machine as shopify
from statemachines.target import Json

BUILDERS: dict[str, Callable[[Mapping[str, Json]], PlatformMachine]] = {
    "selldone": selldone.build,
    "cloudsuite": cloudsuite.build,
    "xsale": xsale.build,
    "shopify": shopify.build,
}
"""Machine builders by platform; a new platform is registered here. The mapping holds a shop's own machine options."""
