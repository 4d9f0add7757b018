"""What a platform lacks before the suite can try it, all of it at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel, ValidationError

from orchestrator.clock import Clock
from orchestrator.platforms.platform import Platform
from orchestrator.registry import PLATFORMS, load
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import PanelError, SimulatedPlatform, Stock, Walk
from orchestrator.testing.stage import moves_of, walk_of
from statemachines.machine import PlatformMachine

PANEL_ACTIONS = ("add", "add_garbage", "change_token", "delete", "edit")
"""What a simulation's back office has to know: `operate({"action": …})`, with `order`, and `receiver_name` or
`token`."""


@cache
def lacking(name: str) -> list[str]:
    """What the platform of that name lacks, in sentences; nothing: the suite can try it."""
    if name in PLATFORMS.troubles:
        return [PLATFORMS.troubles[name]]
    if name not in PLATFORMS:
        return [f"no platform is called {name!r}: register it in orchestrator/registry.py, or by an entry point"]
    platform = PLATFORMS[name]
    try:
        platform.machine({})
    except Exception as error:  # noqa: BLE001 - whatever a foreign function raises
        return [f"Platform.machine({{}}) has to make a machine without options: {type(error).__name__}: {error}"]
    if platform.sandbox is None:
        return [*_of_platform(platform), "Platform.sandbox is None: name its SimulatedPlatform as module:class"]
    try:
        simulated: type[SimulatedPlatform] = load(platform.sandbox)
        load(platform.client)
    except (ImportError, AttributeError) as error:
        return [*_of_platform(platform), f"Platform.client and Platform.sandbox have to lead somewhere: {error}"]
    if not hasattr(simulated, "walk"):
        return [
            *_of_platform(platform),
            f"{platform.sandbox} has no walk(): it says what an order goes through",
        ]
    return [*_of_platform(platform), *_of_walk(name, platform), *_of_simulation(name, simulated)]


def _of_platform(platform: Platform) -> Iterator[str]:
    """What its `Platform` does not say."""
    shown: set[str] = set()
    for shop, keys in platform.example.items():
        shown |= keys.keys()
        if keys.get("platform") != platform.name:
            yield f"Platform.example: the shop {shop!r} is not one of platform {platform.name!r}"
    if missing := [key for key in platform.options.model_fields if key not in shown]:
        yield f"Platform.example shows no {', '.join(missing)}: every key has to be there once"
    if strange := [key for key in platform.identity if key not in platform.options.model_fields]:
        yield f"Platform.identity names {', '.join(strange)}, which its options do not have"
    sender_key = getattr(platform.webhooks, "sender_key", None)
    if sender_key not in (None, "base_url", *platform.options.model_fields):
        yield f"Platform.webhooks names senders by {sender_key}, which its options do not have"
    if (named := platform.machine({}).platform) != platform.name:
        yield f"its machine says that it is of platform {named!r}"


def _of_walk(name: str, platform: Platform) -> Iterator[str]:
    """What its walk leaves out or has wrong."""
    walk, machine = walk_of(name), platform.machine({})
    try:
        made = {move.step for move in moves_of(name)}
        named = made.union(move.step for variant in walk.variants for move in moves_of(name, variant))
    except ValidationError as error:
        yield f"walk(): a move's target is not a valid body of the API: {error}"
        return
    missing = steps_to_walk(machine) - made - walk.beside
    if missing:
        yield f"walk() does not make {', '.join(sorted(missing))}: add moves, or name them in `beside`"
    if strange := (named | walk.beside | walk.unseen | set(walk.delivered)) - _ours(machine):
        yield f"walk() names {', '.join(sorted(strange))}, which are not steps that the machine lets us make"
    if not walk.delivered:
        yield "walk().delivered is empty: name the steps by which a new order gets to be delivered"
    yield from _of_variants(walk, platform.options)


def _of_variants(walk: Walk, options: type[BaseModel]) -> Iterator[str]:
    for label, variant in walk.variants.items():
        if strange := variant.shop.keys() - options.model_fields.keys():
            yield f"the variant {label!r} sets {', '.join(sorted(strange))}, which its options do not have"


def steps_to_walk(machine: PlatformMachine) -> set[str]:
    """The steps that a walk has to make or name in `beside`: ours, but for those that cancel."""
    return {name for name in _ours(machine) if machine.milestone(machine.steps[name].to or "") != "cancelled"}


def _ours(machine: PlatformMachine) -> set[str]:
    return {name for name, step in machine.steps.items() if step.by == "daemon"}


def _of_simulation(name: str, simulated: type[SimulatedPlatform]) -> Iterator[str]:
    """What its simulation cannot do."""
    clock = Clock()
    it = simulated(clock, Ledger(clock), simulated.options(), Stock(orders=1, seed=1, shops=1))
    if simulated.name != name:
        yield f"its SimulatedPlatform.name is {simulated.name!r}"
    if len(it.order_ids()) != 1:
        yield "its simulation does not begin with as many orders as it is asked for"
    for action in PANEL_ACTIONS:
        try:
            it.operate({"action": action})
        except PanelError as error:
            if "unknown action" in str(error):
                yield f"its back office cannot {action}"
    shops = it.shops("http://127.0.0.1:1")
    if [shop.get("platform") for shop in shops.values()] != [name]:
        yield "its simulation's shops() does not give the config of one shop for one shop"
