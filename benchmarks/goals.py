"""What was wanted of the speed, figure by figure, and where a run's figure is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Run = Mapping[str, Any]
"""The parts of one run, as `performance.json` keeps them."""

FULL = "1000000"
"""The size of which the goals speak."""


@dataclass(frozen=True)
class Goal:
    """One figure. `first`: as it was measured before anything was done about it (commit 3b4f016, a calm machine);
    `bound` with `is_least`: what is wanted; `of`: the figure of a run, None where it was not measured."""

    name: str
    first: str
    bound: float
    of: Callable[[Run], float | None]
    unit: str = ""
    is_least: bool = False

    @property
    def wanted(self) -> str:
        """The bound as people read it."""
        return f"{'≥' if self.is_least else '≤'} {shown(self.bound)}{self.unit}"

    def is_met(self, value: float) -> bool:
        """Whether a figure is as wanted."""
        return value >= self.bound if self.is_least else value <= self.bound


def shown(value: float) -> str:
    """A number with as many digits as it deserves."""
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def at(run: Run, *path: str) -> Any:
    """What is found under this path; None where a part of it is missing."""
    found: Any = run
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _path(*path: str) -> Callable[[Run], float | None]:
    return lambda run: at(run, *path)


def _driving(latency: Literal["0", "20"], figure: str, side: str = "daemon") -> Callable[[Run], float | None]:
    return _path("driving", latency, "sides", side, figure)


def _scale(*path: str) -> Callable[[Run], float | None]:
    return _path("scale", FULL, *path)


def _worst(paths: list[tuple[str, ...]]) -> Callable[[Run], float | None]:
    def of(run: Run) -> float | None:
        found = [value for path in paths if (value := at(run, "scale", FULL, *path)) is not None]
        return max(found) if len(found) == len(paths) else None

    return of


def _best_peer(run: Run) -> float | None:
    """How many times as fast as the fastest peer the daemon was, each beside it in its own cycles."""
    found = [series["0"]["sides"][name]["daemon_is_times"] for name, series in (run.get("peers") or {}).items()]
    return min(found) if found else None


def _slowest_little(run: Run) -> float | None:
    seconds = at(run, "crowd", "flood", "little_first_step_seconds")
    return max(seconds) if seconds else None


PAGES = ("situation", "milestone", "state", "shop", "reference")

GOALS = (
    Goal("share of the bare client, 20 ms", "0.82–0.88", 0.95, _driving("20", "share"), is_least=True),
    Goal("share of the bare client, 0 ms", "0.27", 0.60, _driving("0", "share"), is_least=True),
    Goal(
        "times the build before, 0 ms, same cycles",
        "1",
        2.2,
        _driving("0", "daemon_is_times", "before"),
        is_least=True,
    ),
    Goal("CPU a step, × bare, 0 ms", "3.7", 1.6, _driving("0", "cpu_x_bare")),
    Goal("times the best durable peer, 0 ms, same cycles", "2.6", 6, _best_peer, is_least=True),
    Goal("status p95, paused", "228", 30, _scale("paused", "status", "p95_ms"), " ms"),
    Goal("status p95, driving", "1,125", 60, _scale("driving", "status", "p95_ms"), " ms"),
    Goal("submit p95, driving", "40", 30, _scale("driving", "submit", "p95_ms"), " ms"),
    Goal("order page p95, driving", "38", 30, _scale("driving", "order_page", "p95_ms"), " ms"),
    Goal("feed page of 500 p95, driving", "34", 30, _scale("driving", "feed_page", "p95_ms"), " ms"),
    Goal(
        "filtered order page, the dearest, CPU",
        "80–90",
        10,
        _worst([("pages", name, "cpu_ms") for name in PAGES]),
        " ms",
    ),
    Goal("bulk, durable", "1,100", 5_000, _scale("bulk", "targets_a_second"), "/s", is_least=True),
    Goal("import", "2,200–4,100", 4_000, _scale("import", "orders_a_second"), "/s", is_least=True),
    Goal("RSS while importing 100 k of 1 M", "860", 250, _scale("import", "rss_mb"), " MB"),
    Goal("RSS while driving", "157", 200, _scale("driving", "rss_mb"), " MB"),
    Goal(
        "loop lag p99: importing, bulk, driving and asked",
        "156",
        25,
        _worst([(part, "loop_lag", "p99_ms") for part in ("import", "bulk", "driving")]),
        " ms",
    ),
    Goal("bytes a finished order", "9,445", 5_000, _path("weight", "store", "bytes_an_order")),
    Goal("50,000 targets in one bulk call", "97", 12, _path("crowd", "flood", "seconds"), " s"),
    Goal("the last little shop's first step meanwhile", "", 1.5, _slowest_little, " s"),
)
