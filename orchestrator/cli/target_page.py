"""A target, and what a dry run says of one. Pure: JSON in, page out."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.cli.blocks import Cell, Grid, Line, Page, Tone, line
from orchestrator.cli.pages import Json, problem_cell, state_text
from orchestrator.cli.standstill import Standstill, behind_all, of_order

_STATUSES: dict[str, Tone] = {
    "queued": "plain",
    "running": "busy",
    "blocked": "bad",
    "reached": "good",
    "failed": "bad",
    "cancelled": "dim",
}
_STEPS: dict[str, tuple[str, Tone]] = {"done": ("done", "good"), "now": ("now", "busy"), "next": ("next", "dim")}
_RECORD = "record"
"""The step that keeps something with the order and moves it nowhere."""


def target_page(target: Json) -> Page:
    """One target with its plan."""
    status, plan = target["status"], target.get("plan") or ()
    page: list[Line | Grid] = [
        line(
            f"target {target['id']}: {state_text(target)}{_short_of(target['state'], plan)}, ",
            Cell(status, _STATUSES.get(status, "plain")),
            f", submitted {target['submitted_at']}",
            f", finished {target['finished_at']}" if target.get("finished_at") else "",
            hang=2,
        ),
        *plan_lines(plan),
    ]
    if unused := target.get("unused"):
        page.append(line(f"not used by this platform: {', '.join(unused)}", indent=2))
    if problem := target.get("problem"):
        page.append(line(Cell(*problem_cell(problem)), indent=2))
    return page


def standstill_line(found: Standstill) -> Line:
    """What a target waits for that does not end by itself, and what ends it; below the target."""
    return line(Cell(found.text, "bad"), f" - {found.remedy}", indent=2)


def preview_page(preview: Json, order: Json | None = None) -> Page:
    """What a dry run answered. `order`: with the targets that come before it; None where that is not known."""
    steps = preview.get("plan") or ()
    state = state_text(preview)
    heading = f"plan to {state}{_short_of(preview['state'], steps)}:"
    page: list[Line | Grid] = [
        line(heading if steps else _nothing_left(state, order), hang=2),
        *plan_lines(steps),
    ]
    if order is not None and order.get("targets"):
        page += _before(order)
    if unused := preview.get("unused"):
        page.append(line(f"not used by this platform: {', '.join(unused)}", indent=2))
    return page


def _nothing_left(state: str, order: Json | None) -> str:
    if order is not None and not order.get("targets"):
        return f"{state} is reached already, nothing would be done"
    return f"nothing is left to do for it: {state} is reached, or the targets before it lead there"


def _before(order: Json) -> list[Line | Grid]:
    """The targets that come first, and what the first of them waits for."""
    queue = [f"{each['id']} ({state_text(each)}, {each['status']})" for each in order["targets"]]
    found = behind_all(order) or of_order(order)
    return [line(f"before it: {', '.join(queue)}", hang=2), *([standstill_line(found)] if found is not None else [])]


def plan_lines(plan: Iterable[Json]) -> list[Line]:
    """The steps of a plan, a line each."""
    lines = []
    for number, step in enumerate(plan, 1):
        word, tone = _STEPS.get(step.get("status", ""), (str(step.get("status", "")), "plain"))
        way = step["from"] if step["from"] == step["to"] else f"{step['from']} → {step['to']}"
        text = f"{step['step']:<16} {way}"
        lines.append(line(f"{number}. ", Cell(f"{word:<5}", tone), text, indent=2, hang=8))
    return lines


def _short_of(state: str, plan: Iterable[Json]) -> str:
    """Where a target leaves its order if not at the state that it names: a part was asked for."""
    steps = list(plan)
    if not steps or steps[-1]["step"] == _RECORD or steps[-1]["to"] == state:
        return ""
    return f" for a part, which leaves the order at {steps[-1]['to']}"
