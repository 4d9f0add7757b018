"""Calls about the state machines."""

from __future__ import annotations

from aiohttp import web

from orchestrator.api.answers import answer, text_answer
from orchestrator.api.bodies import shown
from orchestrator.api.call import Call
from orchestrator.api.parameters import MachineQuery, Query
from orchestrator.operations.refusals import Refused
from statemachines import BUILDERS
from statemachines.machine import PlatformMachine


async def list_machines(call: Call[Query]) -> web.StreamResponse:
    """Every platform's machine with its default options."""
    del call
    return answer({"machines": [BUILDERS[platform]({}).describe() for platform in sorted(BUILDERS)]})


async def read_machine(call: Call[MachineQuery]) -> web.StreamResponse:
    """One platform's machine, as data or drawn."""
    from orchestrator import diagrams

    machine = _machine(call)

    match call.query.format:
        case "json":
            return answer(machine.describe())
        case "mermaid":
            return text_answer(diagrams.mermaid(machine), "text/vnd.mermaid")
        case "svg":
            return text_answer(diagrams.svg(machine), "image/svg+xml")
        case "text":
            return text_answer(diagrams.text(machine), "text/plain")


def _machine(call: Call[MachineQuery]) -> PlatformMachine:
    platform, shop = call.path["platform"], call.query.shop
    if platform not in BUILDERS:
        raise Refused(
            "platform-not-found", f"no platform is named {shown(platform)!r}; known are {', '.join(BUILDERS)}"
        )
    if shop is None:
        return BUILDERS[platform]({})
    facts = call.services.node.shops().get(shop)
    if facts is None or facts.platform != platform:
        raise Refused("shop-not-found", f"no shop on {platform} is named {shop!r}")
    return facts.machine
