"""The daemon's own metrics as they are registered, whether anything was counted or not."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics import MetricWrapperBase

from orchestrator.metrics import Metrics


def made_metrics() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Name, kind and labels of each; a counter's name is that of its samples."""
    for collector in Metrics().registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            found = [(collector._name, collector._type, collector._labelnames)]
        else:
            found = [(each.name, each.type, getattr(each, "_labelnames", ())) for each in collector.collect()]
        for name, kind, labels in found:
            if kind is not None and name.startswith("fulfilld_"):
                yield (f"{name}_total" if kind == "counter" else name), kind, frozenset(labels)
