"""Calls about the state machines."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from orchestrator.api.answers import answer, text_answer
from orchestrator.api.call import Call
from orchestrator.api.reading import shown
from orchestrator.api.schema.queries import MachineQuery, MachinesQuery
from orchestrator.decisions.refusals import Refused, no_shop
from orchestrator.operations.machines import machine_list, machine_text, machine_texts, machine_view
from orchestrator.registry import PLATFORMS
from statemachines.machine import PlatformMachine
from statemachines.suggestion import hint


async def list_machines(call: Call[MachinesQuery]) -> web.StreamResponse:
    """Every platform's machine with its default options, as data or drawn one below the other."""
    machines = [PLATFORMS[platform].machine({}) for platform in sorted(PLATFORMS)]
    if call.query.format == "json":
        return answer(machine_list(machines))
    return _drawn(machines, call.query.format)


async def read_machine(call: Call[MachineQuery]) -> web.StreamResponse:
    """One platform's machine, as data or drawn."""
    machine = _machine(call)
    if call.query.format == "json":
        return answer(machine_view(machine))
    if call.query.format == "text":
        return text_answer(machine_text(machine), "text/plain")
    return _drawn([machine], call.query.format)


def _drawn(machines: list[PlatformMachine], form: Literal["mermaid", "svg", "text"]) -> web.StreamResponse:
    from orchestrator.diagrams import drawing as diagrams

    match form:
        case "mermaid":
            return text_answer("\n".join(map(diagrams.mermaid, machines)), "text/vnd.mermaid")
        case "svg":
            drawing = diagrams.svg(machines[0]) if len(machines) == 1 else diagrams.svg_sheet(machines)
            return text_answer(drawing, "image/svg+xml")
        case "text":
            return text_answer(machine_texts(machines), "text/plain")


def _machine(call: Call[MachineQuery]) -> PlatformMachine:
    platform, shop = call.path["platform"], call.query.shop
    if platform not in PLATFORMS:
        known = f"known are {', '.join(PLATFORMS)}"
        unknown = f"no platform is named {shown(platform)!r}{hint(platform, PLATFORMS)}; {known}"
        raise Refused("platform-not-found", PLATFORMS.troubles.get(platform, unknown))
    if shop is None:
        return PLATFORMS[platform].machine({})
    shops = call.services.node.shops()
    facts = shops.get(shop)
    if facts is None or facts.platform != platform:
        there = [name for name, each in shops.items() if each.platform == platform]
        raise no_shop(shop, there, f" on {platform}")
    return facts.machine
