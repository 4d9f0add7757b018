"""The nodes that share the store, as any of them shows it: who lives, and who holds which shop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator import __version__
from orchestrator.clock import rfc3339
from orchestrator.operations import documents
from orchestrator.runtime.node_facts import as_described
from orchestrator.runtime.reports import ShopFacts
from storage.leases import list_leases
from storage.nodes import Node, live_nodes
from storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Cluster:
    """`nodes`: those that live, by name; empty where only one can. `holders`: by shop, of those that one has."""

    nodes: Mapping[str, Node]
    holders: Mapping[str, str]

    def completed(self, facts: ShopFacts) -> ShopFacts:
        """A shop with what the node that holds it says of it, where that is another one."""
        if not self.nodes or facts.is_leased:
            return facts
        holder = self.holders.get(facts.name)
        if holder is None:
            return replace(facts, holder=None)
        node = self.nodes[holder]
        said = node.facts.get(facts.name)
        if said is None:  # it has the shop only since
            return replace(facts, holder=holder)
        return replace(as_described(facts, said), holder=holder, as_of=node.seen_at)

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
                "draining": is_draining if node is None else node.is_draining,
            }
            for each, node in ((each, self.nodes.get(each)) for each in sorted(held))
        ]


def read_cluster(tx: Transaction) -> Cluster:
    """As the store has it."""
    nodes = {node.name: node for node in live_nodes(tx) if not node.is_mover}
    if not nodes:
        return Cluster({}, {})
    leases = (lease for lease in list_leases(tx) if not lease.is_over)
    return Cluster(nodes, {lease.name: lease.holder for lease in leases if lease.holder in nodes})
