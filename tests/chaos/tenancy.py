"""Whether each shop was driven by the node that had its lease, as the database noted it and the platforms saw it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from orchestrator.sandbox.ledger import READS, Call
from tests.chaos.servers import Lease
from tests.chaos.world import Finding

_CLOCKS_MS: Final = 2
"""By how much the database's time of a lease may be behind the platforms' time of a call: both are rounded."""


def tenancy(calls: Iterable[Call], leases: Iterable[Lease], shops: Mapping[tuple[str, str], str]) -> Iterator[Finding]:
    """The steps of a shop come from the nodes that had it, one after the other. A node that had it, lost it and has it
    again may go on; whoever comes too late has been overtaken by a step of the next one.

    Each step is taken for one of the earliest lease that it can be of: that began before the step arrived, is of the
    node that sent it, and is not before the lease of the step before it. Where there is none, the node had no right.
    """
    history: dict[str, list[Lease]] = defaultdict(list)
    for lease in leases:
        if lease.holder is not None:
            history[lease.shop].append(lease)
    place: dict[str, int] = defaultdict(int)
    for call in calls:
        if call.order is None or call.step in READS or not call.agent.startswith("node/"):
            continue
        shop, node = shops[call.platform, call.shop], call.agent.removeprefix("node/")
        for number, lease in enumerate(history[shop][place[shop] :], place[shop]):
            if _is_of(lease, node) and lease.at_ms <= call.at_ms + _CLOCKS_MS:
                place[shop] = number
                break
        else:
            known = [(each.epoch, each.holder, each.at_ms) for each in history[shop][place[shop] :][:4]]
            detail = f"{shop}: node {node} at {call.at_ms} sent {call.step} of {call.order}; leases since {known}"
            yield Finding("a shop is driven by the node that has its lease", detail)


def takeovers(deaths: Iterable[tuple[int, int]], leases: Sequence[Lease]) -> list[float]:
    """How many seconds it took after each death until another node had the shops of the one that died."""
    found = []
    for pid, died_at_ms in deaths:
        last: dict[str, Lease] = {}
        for lease in leases:
            before = last.get(lease.shop)
            if lease.at_ms <= died_at_ms or (before is not None and _is_of(lease, str(pid))):  # committed as it died
                last[lease.shop] = lease
            elif before is not None and lease.holder is not None:
                if _is_of(before, str(pid)):
                    found.append((lease.at_ms - died_at_ms) / 1000)
                del last[lease.shop]
    return found


def untaken(holders: Iterable[Lease], deaths: Iterable[tuple[int, int]]) -> Iterator[Finding]:
    """The shops that nobody has, or a node that has died."""
    dead = {str(pid) for pid, _ in deaths}
    for lease in holders:
        if lease.holder is None or any(_is_of(lease, pid) for pid in dead):
            yield Finding(
                "a killed node's shops become another's", f"{lease.shop} is still {lease.holder or 'nobody'}'s"
            )


def late(taken_over: Iterable[float], most_seconds: float) -> Iterator[Finding]:
    """The takeovers that took longer than that."""
    for seconds in taken_over:
        if seconds > most_seconds:
            detail = f"one was another's after {seconds:.2f} s, more than {most_seconds:g} s"
            yield Finding("a killed node's shops become another's in time", detail)


def _is_of(lease: Lease, node: str) -> bool:
    """Whether it is of the process with this id, which is the second part of every node's name."""
    return (lease.holder or "").split(":")[1:2] == [node]
