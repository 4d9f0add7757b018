"""Calls to the platforms as metrics: counted plainly where they end, made metrics of when somebody asks.

Each step ends in here, and three children of prometheus_client with a lock each, one of which looks through its
buckets, were a twentieth of what the event loop does for it. All counts are made in the event loop; whoever collects
them in another thread gets them as they are at that moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EDGES: Final = (*map(str, _SECONDS), "+Inf")


class StepEnd(NamedTuple):
    """How the call of a step ended: `outcome` is `done` or the kind of failure."""

    shop: str
    platform: str
    step: str
    outcome: str


class _Ended:
    """The calls that ended alike. `by_seconds`: how many took at most so long as each edge says, and longer than the
    one before."""

    __slots__ = ("by_seconds", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.by_seconds = [0] * len(_EDGES)

    @property
    def count(self) -> int:
        return sum(self.by_seconds)


class CallMetrics(Collector):
    """`fulfilld_steps`, `fulfilld_step_seconds` and `fulfilld_platform_calls`."""

    def __init__(self) -> None:
        self._steps: defaultdict[tuple[str, str, str, str], _Ended] = defaultdict(_Ended)
        self._others: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def step_ended(self, shop: str, platform: str, step: str, outcome: str, seconds: float) -> None:
        """As `Metrics.step_finished`."""
        ended = self._steps[shop, platform, step, outcome]
        ended.seconds += seconds
        ended.by_seconds[bisect_left(_SECONDS, seconds)] += 1

    def call_ended(self, shop: str, kind: str, result: str) -> None:
        """As `Metrics.call_finished`."""
        self._others[shop, kind, result] += 1

    def steps(self) -> dict[StepEnd, int]:
        """How many calls of steps ended how."""
        return {StepEnd(*key): ended.count for key, ended in list(self._steps.items())}

    def calls(self) -> dict[tuple[str, str, str], int]:
        """How many calls there were, by shop, kind and result."""
        found = defaultdict(int, self._others)
        for end, count in self.steps().items():
            found[end.shop, "step", end.outcome] += count
        return found

    def collect(self) -> Iterator[Metric]:
        """The three metrics as they are now."""
        steps = CounterMetricFamily("fulfilld_steps", "Calls of steps, by how they ended", labels=StepEnd._fields)
        for end, count in self.steps().items():
            steps.add_metric(end, count)
        yield steps
        yield self._step_seconds()
        labels = ("shop", "kind", "result")
        calls = CounterMetricFamily(
            "fulfilld_platform_calls", "Calls to the platforms, by how they ended", labels=labels
        )
        for key, count in self.calls().items():
            calls.add_metric(key, count)
        yield calls

    def _step_seconds(self) -> HistogramMetricFamily:
        found: defaultdict[tuple[str, str], _Ended] = defaultdict(_Ended)
        for (_, platform, step, _), ended in list(self._steps.items()):
            all_ = found[platform, step]
            all_.seconds += ended.seconds
            all_.by_seconds = [*map(sum, zip(all_.by_seconds, ended.by_seconds, strict=True))]
        text = "How long the call of a step took"
        family = HistogramMetricFamily("fulfilld_step_seconds", text, labels=("platform", "step"))
        for key, ended in found.items():
            buckets = list(zip(_EDGES, map(float, accumulate(ended.by_seconds)), strict=True))
            family.add_metric(key, buckets, ended.seconds)
        return family
