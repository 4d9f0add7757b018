"""A made-up platform of another package, as small as one can be: its machine and its options; see the other two files.

Its orders go from open to confirmed, sent and done; open and confirmed ones can be made void.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from orchestrator.plugin import DefaultLimits, Platform, Section, Token
from orchestrator.plugin.machine import Json, Milestone, PlatformMachine, State, Step

_STATES = (
    State("open", (Milestone.NEW,)),
    State("confirmed", (Milestone.ACCEPTED,)),
    State("sent", (Milestone.SHIPPED,)),
    State("done", (Milestone.DELIVERED,), is_end=True),
    State("void", (Milestone.CANCELLED,), is_end=True),
    State("attention", (Milestone.ATTENTION,), record_only=True),
)
_STEPS = (
    Step("confirm", ("open",), "confirmed"),
    Step("send", ("confirmed",), "sent", uses=("tracking",), is_irrevocable=True, reaches_buyer=True),
    Step("finish", ("sent",), "done", is_irrevocable=True),
    Step("cancel", ("open", "confirmed"), "void", is_irrevocable=True),
)


class ExampleOptions(Section):
    """A shop's access to the example platform."""

    token: Annotated[Token, Field(description="API token, from the platform's settings")]


def build(options: Mapping[str, Json]) -> PlatformMachine:
    """The machine of a shop; nothing of it can be chosen."""
    del options
    return PlatformMachine("example", _STATES, _STEPS, ("open", "confirmed", "sent", "done"), "open")


PLATFORM = Platform(
    name="example",
    title="Example",
    default_base_url="https://api.example.com",
    default_limits=DefaultLimits(rate_per_second=5, burst=5, concurrency=4),
    options=ExampleOptions,
    identity=(),
    machine=build,
    client="tests.plugins.example_platform.client:ExampleClient",
    sandbox="tests.plugins.example_platform.sandbox:ExamplePlatform",
    example={"ex": {"platform": "example", "token": {"env": "EX_TOKEN"}}},
)
