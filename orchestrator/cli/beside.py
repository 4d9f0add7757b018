"""A client of one shop for a command that asks its platform beside a daemon, or where none has worked yet.

It counts calls and keeps tokens where a daemon does, for the platform makes no difference between its calls and ours.
Files of its own it leaves none: what no daemon has begun on this machine is not needed by any. But what the platform
replaces is kept in any case, or the config's would have been used up.
"""

from __future__ import annotations

import os
from dataclasses import replace

from orchestrator.clock import Clock
from orchestrator.config import Config, ShopConfig
from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.meter import Meter, calls_path
from orchestrator.registry import PLATFORMS


def open_beside(shop: ShopConfig, config: Config) -> tuple[PlatformClient, Meter]:
    """The client, and what counts its calls. Both are to be closed."""
    directory = config.state_directory
    # of a directory that may not be read nothing is there for us: who checks that says so
    meter = shop.meter(Clock(), directory if os.path.exists(calls_path(directory, shop.name)) else None)
    kept = [path for path in directory.glob("*.tokens") if path.name.partition("-")[2] == f"{shop.name}.tokens"]
    is_needed = kept or PLATFORMS[shop.platform].replaces_credentials(shop.options)
    settings = shop.client_settings(directory if is_needed else None, config.storage.sealed_rows)
    return PLATFORMS[shop.platform].open(replace(settings, meter=meter)), meter
