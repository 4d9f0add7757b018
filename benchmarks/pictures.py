"""The pictures of the page, from the figures of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import plots
from benchmarks.goals import PAGES, at
from benchmarks.runs import NAMES, Data, sizes


def pictures(data: Data) -> dict[str, str]:
    """The pictures by their file names."""
    answers = {
        "status, paused": ("paused", "status", "p95_ms"),
        "status, driving": ("driving", "status", "p95_ms"),
        "submit, driving": ("driving", "submit", "p95_ms"),
        "order page, driving": ("driving", "order_page", "p95_ms"),
        "feed page, driving": ("driving", "feed_page", "p95_ms"),
    }
    pages = {f"by {name}": ("pages", name, "cpu_ms") for name in PAGES}
    rates = {"import": ("import", "orders_a_second"), "bulk": ("bulk", "targets_a_second")}
    memory = {
        "at start": ("rss_start_mb",),
        "importing": ("import", "rss_mb"),
        "driving": ("driving", "rss_mb"),
    }
    lag = {part: (part, "loop_lag", "p99_ms") for part in ("import", "bulk", "paused", "driving")}
    return {
        "share.svg": plots.bars("Share of the bare client's speed", _shares(data), ""),
        "answers.svg": _grown("Answers, p95 in ms, by orders in the store", data, answers),
        "pages.svg": _grown("CPU of a filtered page of orders in ms", data, pages),
        "rates.svg": _grown("Import and bulk, a second", data, rates),
        "memory.svg": _grown("Resident memory in MB", data, memory),
        "lag.svg": _grown("Loop lag, p99 in ms", data, lag),
    }


def _shares(data: Data) -> list[tuple[str, float, float, float]]:
    found = []
    for latency, series in (at(data, "now", "driving") or {}).items():
        found += [_bar(name, latency, series) for name in series["sides"] if name != "bare"]
    for name, by_latency in (at(data, "now", "peers") or {}).items():
        found += [_bar(name, latency, series) for latency, series in by_latency.items()]
    return found


def _bar(name: str, latency: str, series: Mapping[str, Any]) -> tuple[str, float, float, float]:
    side = series["sides"][name]
    return f"{NAMES[name]}, {latency} ms", side["share"], *side["share_range"]


def _grown(title: str, data: Data, paths: Mapping[str, tuple[str, ...]]) -> str:
    return plots.lines(title, _lines(data, "now", paths), _lines(data, "before", paths))


def _lines(data: Data, run: str, paths: Mapping[str, tuple[str, ...]]) -> dict[str, list[tuple[float, float]]]:
    measured = [size for size in sizes(data) if at(data, run, "scale", size)]
    return {
        name: [(int(size), value) for size in measured if (value := at(data, run, "scale", size, *path)) is not None]
        for name, path in paths.items()
    }
