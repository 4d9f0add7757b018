"""What a target comes to on each platform, as docs/erp.md says it.

`make docs` writes it anew (`python -m orchestrator.testing.target_table`), between the two comments of the page: the
plans are those of the platforms' machines for an order of their simulations, the fields those that their steps use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import anyio

from orchestrator.registry import BUILT_IN, PLATFORMS
from orchestrator.testing.stage import Stage, moves_of, staged
from statemachines.description import MachineDescription, ParcelUse
from statemachines.machine import RECORD, Milestone, OrderState, Plan
from statemachines.target import TargetRequest

_PAGE: Final = Path("docs") / "erp.md"
BEGIN, END = "<!-- targets: written by `make docs` -->\n", "<!-- end of targets -->\n"
_FIELDS: Final = (
    *("items", "delivery_info", "tracking", "erp_order_number", "erp_lines", "despatch", "confirmation", "location"),
    *("reason", "notify_customer"),
)
_PARCELS: Final[dict[ParcelUse | None, str]] = {
    "parts": "sent as a part",
    "recorded": "recorded, sent with the last one",
    None: "refused",
}


async def target_tables() -> str:
    """Both tables: of states, and of fields."""
    plans: dict[str, dict[Milestone, str]] = {}
    machines: dict[str, MachineDescription] = {}
    for name in BUILT_IN:
        async with staged(name) as stage:
            machines[name] = stage.machine.describe()
            plans[name] = await _plans(stage)
    heads = [PLATFORMS[name].title for name in BUILT_IN]
    states = [[f"`{each}`", *(plans[name][each] for name in BUILT_IN)] for each in Milestone]
    fields = [["`parcel`", *(_PARCELS[machines[name]["parcels"]["shipped"]] for name in BUILT_IN)]]
    fields += [[f"`{field}`", *(_users(machines[name], field) for name in BUILT_IN)] for field in _FIELDS]
    return "\n".join([_table("state", heads, states), _table("field", heads, fields)])


def _table(corner: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[corner, *heads], ["---"] * (len(heads) + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


async def _plans(stage: Stage) -> dict[Milestone, str]:
    """What each milestone comes to: from a new order where there is a way, else from where its walk first has one."""
    places = [(await stage.client.read(stage.order)).order_state()]
    for move in moves_of(stage.platform):
        await stage.perform(move)
        places.append((await stage.client.read(stage.order)).order_state())
    return {each: _plan(stage, places, each) for each in Milestone}


def _plan(stage: Stage, places: Sequence[OrderState], milestone: Milestone) -> str:
    for place in places:
        plan = stage.machine.plan(place, TargetRequest(state=milestone.value))
        if isinstance(plan, Plan):
            steps = [step.step for step in plan.steps]
            if steps == [RECORD]:
                return "recorded"
            runs = [(step, len([*same])) for step, same in groupby(steps)]
            return ", ".join(f"`{step}`" + f" × {count}" * (count > 1) for step, count in runs) or "nothing to do"
    return "refused"


def _users(machine: MachineDescription, field: str) -> str:
    """The steps that use a field."""
    steps = [each["step"] for each in machine["steps"] if any(used.split(".")[0] == field for used in each["uses"])]
    return ", ".join(f"`{step}`" for step in dict.fromkeys(steps)) or "unused"


def rewritten(page: str, text: str) -> str:
    """The page with its tables as the code has them now."""
    before, begin, rest = page.partition(BEGIN)
    return f"{before}{begin}{text}{END}{rest.partition(END)[2]}" if begin else page


if __name__ == "__main__":
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else _PAGE
    page.write_text(rewritten(page.read_text(encoding="utf-8"), anyio.run(target_tables)), encoding="utf-8")
