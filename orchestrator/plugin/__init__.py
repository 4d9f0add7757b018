"""What a platform of another package may import, version `API`: these five modules and nothing else.

Here is what a `Platform` is made of; `plugin.machine` is for its order machine, `plugin.client` for its client,
`plugin.webhooks` for what it pushes and `plugin.sandbox` for its simulation. They are apart because they are needed
apart: to read a config loads no client, and a simulation must share nothing with the client that it is to try. A name
that stands here keeps its meaning as long as `API` keeps its number; a platform says by `Platform.api` which one it was
made for.

The suite that a platform has to pass is `orchestrator.testing.platform_suite`; docs/add-a-platform.md says the rest.
"""

from __future__ import annotations

from orchestrator.platforms.base.options import Section, WebAddress
from orchestrator.platforms.base.signing import signature_of, verify
from orchestrator.platforms.platform import ClientSettings, DefaultLimits, Platform
from orchestrator.platforms.points import PointsLimit
from orchestrator.platforms.secrets import Secret, Token
from orchestrator.platforms.window import WindowLimit
from orchestrator.registry import API, GROUP

__all__ = [
    "API",
    "GROUP",
    "ClientSettings",
    "DefaultLimits",
    "Platform",
    "PointsLimit",
    "Secret",
    "Section",
    "Token",
    "WebAddress",
    "WindowLimit",
    "signature_of",
    "verify",
]
