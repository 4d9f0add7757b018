"""What a run was, in figures, and what it takes to see a failure again."""

from __future__ import annotations

import json
import time
from collections import Counter

from tests.chaos.calm import Rest
from tests.chaos.erp import Book
from tests.chaos.world import World

_SHOWN = 12


def figures(world: World, book: Book, rest: Rest | None) -> list[str]:
    """The run in a few lines."""
    ledger, did = world.sandbox.ledger.summary(), world.did
    statuses = Counter(each["status"] for each in rest.targets.values()) if rest else Counter()
    problems = Counter(each.problem for each in book.wanted if each.problem)
    lives, kills = sum(node.starts for node in world.nodes), did["nature kill"] + did["nature crash"]
    people = {"merchant": "edits at the platforms", "operator": "operations by API", "typist": "commands"}
    lines = [
        (
            f"seconds {time.monotonic() - world.began:.0f}, lives {lives}, kills {kills} "
            f"({did['nature crash']} at named points), stops {did['nature stop']}, freezes {did['nature freeze']}, "
            f"clock steps {did['nature set_clock']}, reloads {did['nature reload']}"
        ),
        *_outages(world),
        (
            f"calls {ledger['calls']}, effects {ledger['effects']}, faults {sum(ledger['by_fault'].values())} "
            f"{_listed(ledger['by_fault'])}"
        ),
        (
            f"targets {sum(each.target is not None for each in book.wanted)} accepted {_listed(statuses)}, "
            f"refused {sum(problems.values())} {_listed(problems)}"
        ),
        ", ".join(
            f"{title} {sum(n for name, n in did.items() if name.startswith(who))}" for who, title in people.items()
        ),
        f"answers {_listed({n.removeprefix('answers '): c for n, c in did.items() if n.startswith('answers ')})}",
    ]
    if rest:
        lines.append(
            f"orders {len(rest.orders)}, events {len(rest.events)}, pushes {len(world.receiver.seen)} "
            f"({len(world.receiver.taken)} taken)"
        )
    return lines


def _outages(world: World) -> list[str]:
    if world.servers is None:
        return []
    did = world.did
    cuts = f"cut off {did['network cut']}, in silence {did['network silence']}"
    database = f"restarted {did['database restart']}, failed over {did['database fail_over']}"
    return [f"nodes {len(world.nodes)}, {cuts}; database {database}"]


def _listed(counts: dict[str, int] | Counter[str] | Counter[str | None]) -> str:
    return "(" + ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=str)) + ")"


def verdict(world: World, command: str) -> list[str]:
    """What broke, or that nothing did; `command` repeats the run."""
    if not world.findings:
        return [f"no invariant broken; again: {command}"]
    lines = [f"{len(world.findings)} BROKEN; again: {command}"]
    by_name: dict[str, list[str]] = {}
    for finding in world.findings:
        by_name.setdefault(finding.invariant, []).append(finding.detail)
    for name, details in by_name.items():
        lines.append(f"- {name} ({len(details)})")
        lines += [f"  {detail}" for detail in dict.fromkeys(details[:_SHOWN])]
    return lines


def keep(world: World, rest: Rest | None, lines: list[str]) -> None:
    """Leaves what everybody did beside the daemon's log and store."""
    (world.folder / "report.txt").write_text("\n".join(lines) + "\n")
    (world.folder / "journal.txt").write_text("\n".join(world.journal) + "\n")
    calls = (json.dumps(call.to_json(), ensure_ascii=False) for call in world.sandbox.ledger.calls())
    (world.folder / "ledger.ndjson").write_text("\n".join(calls) + "\n")
    if rest:
        events = (json.dumps(event, ensure_ascii=False) for event in rest.events)
        (world.folder / "events.ndjson").write_text("\n".join(events) + "\n")
