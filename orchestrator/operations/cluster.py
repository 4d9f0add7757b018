"""The nodes that share the store, as any of them shows it: who lives, and who holds which shop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator import __version__
from orchestrator.clock import rfc3339
from orchestrator.operations import documents
from orchestrator.runtime.node_facts import as_described
from orchestrator.runtime.reports import ShopFacts
from storage.gone_nodes import GoneNode, gone_nodes
from storage.leases import list_leases
from storage.nodes import Node, live_nodes
from storage.takeovers import Takeover, list_takeovers
from storage.transaction import Transaction

MOST_LOST: Final = 20
"""So many nodes that were lost are shown: a daemon that dies again and again is another one each time."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """`nodes`: those that live, by name; empty where only one can. `holders`: by shop, of those that one has.
    `takeovers`: the last change of each shop's holder. `lost`: nodes whose heartbeats ended within the hour."""

    nodes: Mapping[str, Node]
    holders: Mapping[str, str]
    takeovers: Mapping[str, Takeover] = field(default_factory=dict)
    lost: Sequence[GoneNode] = ()

    def completed(self, facts: ShopFacts) -> ShopFacts:
        """A shop with what the node that holds it says of it, where that is another one."""
        if not self.nodes:
            return facts
        if facts.is_leased:
            return replace(facts, takeover=self._takeover(facts.name, facts.holder))
        holder = self.holders.get(facts.name)
        if holder is None:
            return replace(facts, holder=None)
        node, takeover = self.nodes[holder], self._takeover(facts.name, holder)
        said = node.facts.get(facts.name)
        if said is not None:  # it has the shop for longer than since its last heartbeat
            facts = replace(as_described(facts, said), as_of=node.seen_at)
        return replace(facts, holder=holder, is_holder_silent=node.is_silent, takeover=takeover)

    def _takeover(self, shop: str, holder: str | None) -> Takeover | None:
        """How a shop came to its holder; None where a node of an older version took it, which keeps nothing of it."""
        found = self.takeovers.get(shop)
        return found if found is not None and found.holder == holder else None

    def views(self, name: str, shops: Iterable[ShopFacts], now_ms: int, *, is_draining: bool) -> list[documents.Node]:
        """Every node. `name`: this one's; `shops`: as completed."""
        held: dict[str, list[str]] = {each: [] for each in self.nodes or (name,)}
        found = {**self.holders, **{shop.name: shop.holder for shop in shops}}  # the config here may lack some
        for shop, holder in found.items():
            if holder in held:
                held[holder].append(shop)
        return [
            {
                "name": each,
                "version": __version__ if node is None else node.version,
                "shops": sorted(held[each]),
                "seen_at": rfc3339(now_ms if node is None else node.seen_at),
                "seen_seconds": 0.0 if node is None else max(0, node.silent_ms) / 1000,
                "silent": node is not None and node.is_silent,
                "draining": is_draining if node is None else node.is_draining,
            }
            for each, node in ((each, self.nodes.get(each)) for each in sorted(held))
        ]

    def lost_views(self) -> list[documents.LostNode]:
        """Every node that was lost, the last one first."""
        return [
            {
                "name": each.name,
                "version": each.version,
                "shops": list(each.shops),
                "seen_at": rfc3339(each.seen_at),
                "lost_at": rfc3339(each.gone_at),
            }
            for each in self.lost
        ]


def read_cluster(tx: Transaction) -> Cluster:
    """As the store has it."""
    nodes = {node.name: node for node in live_nodes(tx) if not node.is_mover}
    if not nodes:
        return Cluster({}, {})
    leases = (lease for lease in list_leases(tx) if not lease.is_over)
    holders = {lease.name: lease.holder for lease in leases if lease.holder in nodes}
    lost = [each for each in gone_nodes(tx) if each.is_lost]
    return Cluster(nodes, holders, list_takeovers(tx), lost[:MOST_LOST])
