"""Whether each shop was driven by the node that had its lease, as the database noted it and the platforms saw it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from orchestrator.sandbox.ledger import READS, Call
from orchestrator.sandbox.server import Sandbox
from tests.chaos.servers import Lease
from tests.chaos.world import Finding

_CLOCKS_MS: Final = 2
"""By how much the database's time of a lease may be behind the platforms' time of a call: both are rounded."""


def names(sandbox: Sandbox) -> dict[tuple[str, str], str]:
    """The names that our config has for the shops of the platforms, by the platform's name and its own id of the shop,
    as the ledger has them."""
    found = {}
    for name, platform in sandbox.platforms.items():
        ids: Iterable[str] = getattr(platform, "shops_by_key", ())
        found.update({(name, id_): shop for id_, shop in zip(ids, platform.shops(""), strict=True)})
    return found


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


def _is_of(lease: Lease, node: str) -> bool:
    """Whether it is of the process with this id, which stands in every node's name."""
    return node in (lease.holder or "").split(":")[1:]
