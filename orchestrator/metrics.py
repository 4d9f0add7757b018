"""What the daemon counts for Prometheus: increments where things happen, and a picture of the store at each scrape.

Counters and histograms are incremented by the runtime on its hot path, so each child (one set of label values) is
looked up in a plain dict instead of going through prometheus_client's lock and label checks. Gauges that describe the
store (orders by situation, pending targets, pauses) are set from the status dump when somebody scrapes: they cost
nothing in between, and a shop that was removed disappears with the next scrape.

The registry is our own: two daemons in one test process do not meet, and nothing that a library registers leaks in.
Label values are bounded: shops come from the config, steps from the machines, routes are templates, never paths.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from orchestrator.call_metrics import CallMetrics
from storage.activity import Activity

Child = TypeVar("Child")

CIRCUIT_VALUES = {"closed": 0, "half_open": 1, "open": 2}
"""The value of `fulfilld_circuit_state` by circuit."""

_SYNC_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_COMMIT_UNITS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SITUATIONS_OF_A_SHOP = ("queued", "running", "retrying", "blocked")


class _Children(dict[tuple[str, ...], Child], Generic[Child]):
    """The children of one metric by label values; a missing one is made once."""

    __slots__ = ("_make", "metric")

    def __init__(self, metric: Collector, make: Callable[..., Child]) -> None:
        super().__init__()
        self.metric = metric
        self._make: Callable[..., Child] = make

    def __missing__(self, key: tuple[str, ...]) -> Child:
        child = self[key] = self._make(*key)
        return child


class Metrics:
    """The daemon's metrics (docs/metrics.md). Every method only counts: none blocks, none raises on odd values.

    `registry`: where the metrics are registered; by default a new one of their own.
    """

    content_type: str = CONTENT_TYPE_LATEST

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # A series with the time of creation beside each counter doubles the scrape and says nothing that we need.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._rendering = threading.Lock()
        self.registry = registry if registry is not None else CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._calls = CallMetrics()
        self.registry.register(self._calls)
        self._imported = self._counters("orders_imported", "Orders imported", "shop")
        self._drifted = self._counters("orders_drifted", "Orders found in another state than ours", "shop")
        self._syncs = self._counters("sync", "Syncs of a shop's orders, by how they ended", "shop", "result")
        self._sync_seconds = self._histograms("sync_seconds", "How long a sync took", _SYNC_SECONDS, "shop")
        self._submitted = self._counters("targets_submitted", "Targets accepted", "shop")
        self._finished = self._counters("targets_finished", "Targets that ended, by status", "shop", "status")
        self._requests = self._counters("api_requests", "Answered API requests", "method", "route", "status")
        self._request_seconds = self._histograms(
            "api_request_seconds", "How long an API request took, waits included", _REQUEST_SECONDS, "method", "route"
        )
        self._commit_seconds = self._histogram("commit_seconds", "How long one commit took", _COMMIT_SECONDS)
        self._commit_units = self._histogram("commit_units", "Units of work in one commit", _COMMIT_UNITS)
        self._store_gauges = {
            "wal_bytes": self._gauge("wal_bytes", "Size of the store's write-ahead log"),
            "store_deadlocks": self._gauge("store_deadlocks", "Groups that the database undid for another's sake"),
            "store_lock_waits": self._gauge("store_lock_waits", "Groups that stood aside for what was locked"),
        }
        self._lines_lost = Gauge(
            "fulfilld_log_lines_lost", "Log lines that could not be written since the start", registry=self.registry
        )
        self._lag = self._gauge("event_loop_lag_seconds", "How late the event loop woke a sleeper last")
        self._paused = self._gauge("shop_paused", "1 while a shop is paused", "shop")
        self._restored = self._gauge(
            "shop_restored", "1 while a shop waits because its store took another one's place", "shop"
        )
        self._denied = self._gauge(
            "shop_access_denied", "1 while a shop is paused because its credentials were refused", "shop"
        )
        self._circuit = self._gauge("circuit_state", "A shop's circuit: 0 closed, 1 half open, 2 open", "shop")
        self._held = self._gauge("shop_held", "1 while this node works for the shop", "shop")
        self._last_sync = self._gauge("last_sync_timestamp_seconds", "When a shop's last sync was complete", "shop")
        self._missing = self._gauge(
            "webhook_topics_missing", "Webhook topics that a shop's platform should send and does not", "shop"
        )
        self._left = self._gauge(
            "rate_limit_remaining", "What a shop's platform said last is left of its rate limit", "shop", "unit"
        )
        self._oldest = self._gauge("oldest_pending_seconds", "Age of a shop's oldest pending target", "shop")
        self._rejected = self._gauge("rejected", "Payloads that are set aside, for they cannot be read", "shop")
        self._attention = self._gauge("orders_attention", "Orders about which the ERP asks for a person", "shop")
        self._orders = self._gauge("orders", "Orders by what they are doing", "shop", "situation")
        self._of_shops = (
            self._paused,
            self._denied,
            self._restored,
            self._circuit,
            self._held,
            self._last_sync,
            self._missing,
            self._left,
            self._oldest,
            self._rejected,
            self._attention,
            self._orders,
        )
        self._lag_events = self._gauge("delivery_lag_events", "Events that a receiver has to get yet", "name")
        self._lag_seconds = self._gauge("delivery_lag_seconds", "Age of the oldest of them", "name")
        self._delivery_paused = self._gauge("delivery_paused", "1 while a receiver is paused", "name")
        self._consumer_events = self._gauge("consumer_lag_events", "Events beyond a pulling consumer's cursor", "name")
        self._consumer_seconds = self._gauge("consumer_lag_seconds", "Age of the oldest of them", "name")
        self._nodes = self._gauge("nodes", "Daemons that share the shops, this one among them")
        self._silent = self._gauge("nodes_silent", "Those of them that have missed heartbeats")
        self._lost = self._gauge("nodes_lost", "Daemons whose heartbeats ended within the hour")
        self._pending = self._gauge("targets_pending", "Targets that have not ended")
        self._cursor = self._gauge("events_last_cursor", "Cursor of the newest event")
        self._draining = self._gauge("draining", "1 while the daemon shuts down")
        self._info = self._gauge("build_info", "Always 1; the version is a label", "version")

    # -- counted where it happens ----------------------------------------------------------------------------------

    def step_finished(self, shop: str, platform: str, step: str, outcome: str, seconds: float) -> None:
        """The call of a step ended. `outcome`: `done` or the kind of failure (platforms/failures.py)."""
        self._calls.step_ended(shop, platform, step, outcome, seconds)

    def call_finished(self, shop: str, kind: str, result: str) -> None:
        """A call other than a step's ended. `kind`: `read` or `list`; `result`: `done` or the kind of failure."""
        self._calls.call_ended(shop, kind, result)

    def orders_adopted(self, shop: str, *, imported: int = 0, drifted: int = 0) -> None:
        """Orders were imported, or found elsewhere than we thought."""
        if imported:
            self._imported[(shop,)].inc(imported)
        if drifted:
            self._drifted[(shop,)].inc(drifted)

    def sync_finished(self, shop: str, result: str, seconds: float) -> None:
        """A sync ended. `result`: `done` or the kind of failure."""
        self._syncs[shop, result].inc()
        self._sync_seconds[(shop,)].observe(seconds)

    def target_submitted(self, shop: str, targets: int = 1) -> None:
        """Targets were accepted."""
        self._submitted[(shop,)].inc(targets)

    def target_finished(self, shop: str, status: str) -> None:
        """A target ended. `status`: `reached`, `failed` or `cancelled`."""
        self._finished[shop, status].inc()

    def api_finished(self, method: str, route: str, status: int, seconds: float) -> None:
        """An API request was answered. `route`: the route's template, such as `/v1/shops/{shop}`, never a path."""
        method = method if method in _METHODS else "other"
        self._requests[method, route, str(status)].inc()
        self._request_seconds[method, route].observe(seconds)

    def committed(self, units: int, seconds: float) -> None:
        """The store committed a group of `units` units of work."""
        self._commit_units.observe(units)
        self._commit_seconds.observe(seconds)

    def store_measured(self, gauges: Mapping[str, float]) -> None:
        """What the store's engine measures now, by the metric's name; what no metric shows is left out."""
        for name in gauges.keys() & self._store_gauges.keys():
            self._store_gauges[name].set(gauges[name])

    def follow_log(self, lines_lost: Callable[[], int]) -> None:
        """`lines_lost` answers at each scrape how many log lines could not be written since the start."""
        self._lines_lost.set_function(lines_lost)

    def loop_lagged(self, seconds: float) -> None:
        """The event loop woke a sleeper this late."""
        self._lag.set(seconds)

    def circuit_changed(self, shop: str, circuit: str) -> None:
        """A shop's circuit is `closed`, `half_open` or `open` now."""
        self._circuit.labels(shop).set(CIRCUIT_VALUES.get(circuit, 0))

    # -- read once a minute ------------------------------------------------------------------------------------------

    def done_since_start(self) -> dict[str, Activity]:
        """What was done by shop since the daemon started, as the counters have it. May be called in any thread."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for end, steps in self._calls.steps().items():
            found[end.shop]["steps_done" if end.outcome == "done" else "steps_failed"] += steps
        for (shop, _, _), calls in self._calls.calls().items():
            found[shop]["calls"] += calls
        for labels, orders in _counted(self._imported):
            found[labels["shop"]]["orders_imported"] += orders
        return {shop: Activity(**counts) for shop, counts in found.items()}

    # -- read at each scrape ---------------------------------------------------------------------------------------

    def render(self, status: Mapping[str, Any]) -> bytes:
        """The metrics in Prometheus' text format, the gauges of the store as `status` (the status dump) has them.

        Members that the dump does not have are left out; a shop's `by_situation` is used where it has one.
        `totals.events_last_cursor` is the newest event's cursor. May be called in any thread: one scrape follows the
        other.
        """
        with self._rendering:
            return self._render(status)

    def _render(self, status: Mapping[str, Any]) -> bytes:
        daemon, totals = status.get("daemon") or {}, status.get("totals") or {}
        if version := daemon.get("version"):
            self._info.clear()
            self._info.labels(str(version)).set(1)
        nodes = status.get("nodes") or ()
        self._nodes.set(max(1, len(nodes)))
        self._silent.set(sum(1 for node in nodes if node.get("silent")))
        self._lost.set(len(status.get("lost_nodes") or ()))
        self._draining.set(1 if daemon.get("draining") else 0)
        self._pending.set(totals.get("targets_pending") or 0)
        if (cursor := totals.get("events_last_cursor")) is not None:
            self._cursor.set(cursor)
        self._show_shops(status.get("shops") or ())
        self._show_deliveries(status.get("delivery") or ())
        self._show_consumers(status.get("consumers") or ())
        return generate_latest(self.registry)

    def _show_shops(self, shops: Iterable[Mapping[str, Any]]) -> None:
        for gauge in self._of_shops:
            gauge.clear()
        for shop in shops:
            name = str(shop["name"])
            self._paused.labels(name).set(1 if shop.get("paused") else 0)
            self._restored.labels(name).set(1 if shop.get("paused_by") == "restore" else 0)
            self._denied.labels(name).set(1 if shop.get("paused_by") == "access_denied" else 0)
            self._held.labels(name).set(1 if shop.get("held") else 0)
            self._circuit.labels(name).set(CIRCUIT_VALUES.get(str(shop.get("circuit")), 0))
            self._oldest.labels(name).set(shop.get("oldest_pending_seconds") or 0)
            self._rejected.labels(name).set(shop.get("rejected") or 0)
            self._attention.labels(name).set(shop.get("attention") or 0)
            if (webhooks := shop.get("webhooks")) is not None:
                self._missing.labels(name).set(len(webhooks["missing"]))
            if (left := (limit := shop.get("rate_limit") or {}).get("remaining")) is not None:
                self._left.labels(name, str(limit["unit"])).set(left)
            if (seconds := _unix_seconds(shop.get("last_sync_at"))) is not None:
                self._last_sync.labels(name).set(seconds)
            for situation, count in _situations(shop).items():
                self._orders.labels(name, situation).set(count)

    def _show_deliveries(self, deliveries: Iterable[Mapping[str, Any]]) -> None:
        for gauge in (self._lag_events, self._lag_seconds, self._delivery_paused):
            gauge.clear()
        for delivery in deliveries:
            name = str(delivery["name"])
            self._lag_events.labels(name).set(delivery["lag_events"])
            self._lag_seconds.labels(name).set(delivery["lag_seconds"])
            self._delivery_paused.labels(name).set(1 if delivery["paused"] else 0)

    def _show_consumers(self, consumers: Iterable[Mapping[str, Any]]) -> None:
        for gauge in (self._consumer_events, self._consumer_seconds):
            gauge.clear()
        for consumer in consumers:
            name = str(consumer["name"])
            self._consumer_events.labels(name).set(consumer["lag_events"])
            self._consumer_seconds.labels(name).set(consumer["lag_seconds"])

    # -- making ----------------------------------------------------------------------------------------------------

    def _counters(self, name: str, text: str, *labels: str) -> _Children[Counter]:
        counter = Counter(f"fulfilld_{name}", text, labels, registry=self.registry)
        return _Children(counter, counter.labels)

    def _histograms(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> _Children[Histogram]:
        histogram = Histogram(f"fulfilld_{name}", text, labels, buckets=buckets, registry=self.registry)
        return _Children(histogram, histogram.labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"fulfilld_{name}", text, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"fulfilld_{name}", text, labels, registry=self.registry)


def _counted(children: _Children[Counter]) -> Iterator[tuple[dict[str, str], int]]:
    """The labels of each child of a counter, and how much it has counted."""
    for family in children.metric.collect():
        for sample in family.samples:
            yield sample.labels, int(sample.value)


def _situations(shop: Mapping[str, Any]) -> dict[str, int]:
    by_situation = shop.get("by_situation")
    if by_situation is not None:
        return {str(situation): int(count) for situation, count in by_situation.items()}
    return {situation: int(shop.get(situation) or 0) for situation in _SITUATIONS_OF_A_SHOP}


def _unix_seconds(at: object) -> float | None:
    """An instant of the status dump (RFC 3339) as Prometheus wants it."""
    if not isinstance(at, str):
        return None
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None
