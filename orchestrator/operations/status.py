"""The status dump: what the daemon does right now, in numbers (docs/api.md)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator import __version__
from orchestrator.clock import rfc3339
from orchestrator.operations import documents
from orchestrator.operations.cluster import Cluster, read_cluster
from orchestrator.operations.documents import ConsumerStatus, Delivery, ShopStatus, Status
from orchestrator.operations.ports import NodeFacts
from orchestrator.operations.views.orders import needy_view
from orchestrator.operations.views.shops import left_shop_view, shop_view, shop_wait
from orchestrator.runtime.reports import ShopFacts
from storage.counts import count_orders, count_pending
from storage.events import last_cursor
from storage.identity import feed_id
from storage.orders import attention_orders, blocked_orders, count_attention
from storage.records import HELD_UP, Order, Shop, Situation
from storage.shops import list_shops
from storage.transaction import Transaction

_SITUATIONS = tuple(situation.value for situation in Situation)
_ATTENTION_LIMIT = 100  # of each kind: what a person can go through; the counts are complete


@dataclass(frozen=True, slots=True)
class NodeNow:
    """The daemon as it is at one moment: the dump is made beside the event loop, which may change it meanwhile."""

    node: str
    pid: int
    started_at: int
    is_draining: bool
    shops: Mapping[str, ShopFacts]

    @classmethod
    def of(cls, node: NodeFacts) -> NodeNow:
        """As it is now."""
        return cls(node.node, node.pid, node.started_at, node.is_draining, dict(node.shops()))


@dataclass(frozen=True, slots=True)
class Counts:
    """What the dump needs of the store, from one snapshot."""

    orders: list[tuple[str, str, str, int]]
    pending: int
    oldest_pending: dict[str, int]
    shops: dict[str, Shop]
    blocked: list[Order]
    attention: list[Order]
    in_attention: dict[str, int]
    last_cursor: int
    feed: str
    cluster: Cluster


def read_counts(tx: Transaction) -> Counts:
    """Reads what is kept of it: the time that takes does not grow with the orders."""
    pending, oldest = count_pending(tx)
    return Counts(
        orders=count_orders(tx),
        pending=pending,
        oldest_pending=oldest,
        shops={shop.name: shop for shop in list_shops(tx)},
        blocked=blocked_orders(tx, _ATTENTION_LIMIT),
        attention=attention_orders(tx, _ATTENTION_LIMIT),
        in_attention=count_attention(tx),
        last_cursor=last_cursor(tx),
        feed=feed_id(tx),
        cluster=read_cluster(tx),
    )


def status_dump(
    counts: Counts,
    node: NodeNow,
    storage_url: str,
    now_ms: int,
    deliveries: list[Delivery],
    consumers: list[ConsumerStatus],
) -> Status:
    """The dump. Totals count every order that is kept, also those of shops that the config has no more."""
    configured = {name: counts.cluster.completed(facts) for name, facts in node.shops.items()}
    left = [shop for name, shop in counts.shops.items() if name not in configured]
    waited_for = [shop for shop in left if shop.name in counts.oldest_pending]
    waiting = {name for name, shop in counts.shops.items() if shop_wait(shop, now_ms) is not None}
    waiting |= {shop.name for shop in left}
    doings: dict[str, _Doings] = defaultdict(_Doings)
    for shop, situation, state, n in counts.orders:
        doings[shop].add(_shown(situation, shop in waiting), state, n)
    total = _Doings()
    for each in doings.values():
        total.by_situation.update(each.by_situation)
    return {
        "at": rfc3339(now_ms),
        "daemon": {
            "version": __version__,
            "node": node.node,
            "pid": node.pid,
            "started_at": rfc3339(node.started_at),
            "storage": storage_url,
            "draining": node.is_draining,
            "feed": counts.feed,
        },
        "nodes": counts.cluster.views(node.node, configured.values(), now_ms, is_draining=node.is_draining),
        "lost_nodes": counts.cluster.lost_views(),
        "totals": {
            "orders": total.by_situation.total(),
            "by_situation": total.situations(),
            "targets_pending": counts.pending,
            "events_last_cursor": counts.last_cursor,
        },
        "shops": [
            *(
                _shop_status(shop_view(facts, counts.shops.get(name), now_ms), counts, doings[name], now_ms)
                for name, facts in configured.items()
            ),
            *(_shop_status(left_shop_view(shop), counts, doings[shop.name], now_ms) for shop in waited_for),
        ],
        "attention": list(map(needy_view, _needy(counts))),
        "delivery": deliveries,
        "consumers": consumers,
    }


def _needy(counts: Counts) -> list[Order]:
    """Blocked orders, then those that the ERP asks for a person about; each once."""
    blocked = {order.seq for order in counts.blocked}
    return [*counts.blocked, *(order for order in counts.attention if order.seq not in blocked)]


class _Doings:
    """What the orders of a shop are doing, in numbers."""

    def __init__(self) -> None:
        self.by_situation: Counter[str] = Counter()
        self.by_state: Counter[str] = Counter()

    def add(self, situation: str, state: str, orders: int) -> None:
        self.by_situation[situation] += orders
        self.by_state[state] += orders

    def situations(self) -> dict[str, int]:
        return {name: self.by_situation[name] for name in _SITUATIONS}


def _shop_status(view: documents.Shop, counts: Counts, doings: _Doings, now_ms: int) -> ShopStatus:
    """A shop with what its orders are doing."""
    name, by_situation = view["name"], doings.situations()
    oldest = counts.oldest_pending.get(name)
    return {
        **view,
        "by_state": dict(doings.by_state),
        "queued": by_situation["queued"],
        "running": by_situation["running"],
        "retrying": by_situation["retrying"],
        "waiting": by_situation["waiting"],
        "attention": counts.in_attention.get(name, 0),
        "blocked": by_situation["blocked"],  # `held` is left out: in a shop it says who works for it
        "by_situation": by_situation,
        "oldest_pending_seconds": None if oldest is None else max(0, now_ms - oldest) / 1000,
    }


def _shown(situation: str, is_waiting: bool) -> str:
    """Orders that would go on wait while their shop stands still, as they are shown one by one."""
    return Situation.WAITING.value if is_waiting and situation in HELD_UP else situation
