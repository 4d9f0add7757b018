"""Puts the figures of `performance.json` into docs/performance.md and draws its pictures.

The page's text is written by hand. Its figures stand between comments, `<!-- NAME: written by `make bench` -->` and
`<!-- end of NAME -->`, and are those of the file beside it: a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.goals import GOALS, PAGES, Run, at, shown
from benchmarks.machine import LIBRARIES
from benchmarks.pictures import pictures
from benchmarks.runs import NAMES, Data, sizes

DATA, PAGE, PICTURES = "performance.json", "performance.md", "performance"


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The runs that a folder has; of none where nothing was measured yet."""
    path = folder / DATA
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(folder: Path, data: Data) -> None:
    """Writes a folder's runs."""
    (folder / DATA).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write(folder: Path) -> None:
    """Writes page and pictures of a folder anew, from its data."""
    data = read(folder)
    page = folder / PAGE
    page.write_text(filled(page.read_text(encoding="utf-8"), data), encoding="utf-8")
    (folder / PICTURES).mkdir(exist_ok=True)
    for name, drawn in pictures(data).items():
        (folder / PICTURES / name).write_text(drawn, encoding="utf-8")


def filled(text: str, data: Data) -> str:
    """The page with the figures of these runs. Raises ValueError where it has no place for some of them."""
    for name, section in SECTIONS.items():
        begin, end = f"<!-- {name}: written by `make bench` -->\n", f"<!-- end of {name} -->"
        above, has_begin, rest = text.partition(begin)
        _, has_end, below = rest.partition(end)
        if not has_begin or not has_end:
            raise ValueError(f"the page has no place for {name}: {begin.strip()} and {end}")
        text = f"{above}{begin}\n{section(data)}\n{end}{below}"
    return text


# -- sections --------------------------------------------------------------------------------------------------------


def _goals(data: Data) -> str:
    rows, earlier = [], _earlier(data)
    for goal in GOALS:
        before, now = goal.of(earlier), goal.of(data.get("now", {}))
        verdict = "" if now is None else "yes" if goal.is_met(now) else "no"
        rows.append((goal.name, goal.first, _cell(before), goal.wanted, _cell(now, goal.unit), verdict))
    return _table(("", "3b4f016", "73c1235", "wanted", "now", "as wanted"), rows)


def _earlier(data: Data) -> Run:
    """The run before, with what it was beside the bare client in the cycles of now: there it was one of the sides."""
    beside = {}
    for latency, series in (at(data, "now", "driving") or {}).items():
        if "before" in series["sides"]:
            beside[latency] = {"sides": {"daemon": series["sides"]["before"]}}
    return {**data.get("before", {}), "driving": beside}


def _run(data: Data) -> str:
    parts, machines, skipped = [], [], []
    for name in ("before", "now"):
        if machine := at(data, name, "machine"):
            hardware = (
                f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['kernel']}"
            )
            libraries = ", ".join(f"{each} {version}" for each, version in machine.items() if each in LIBRARIES)
            machines.append((name, hardware, f"{machine['python']}, SQLite {machine['sqlite']}, {libraries}"))
        for part, ran in (at(data, name, "parts") or {}).items():
            parts.append((name, part, ran["day"], f"{ran['commit']}", f"{ran['seconds'] / 60:.1f}"))
            skipped += [f"* Skipped: {line}.\n" for line in ran["skipped"] if name == "now"]
    lines = [
        _table(("run", "machine", "versions"), machines),
        _table(("run", "part", "day", "commit", "minutes"), parts),
    ]
    if peers := at(data, "now", "peer_versions"):
        lines.append("Peers: " + ", ".join(f"{name} {version}" for name, version in peers.items()) + ".\n")
    return "\n".join([*lines, *(["".join(skipped)] if skipped else [])])


def _driving(data: Data) -> str:
    rows: list[tuple[str, ...]] = []
    for latency, series in (at(data, "now", "driving") or {}).items():
        rows += _sides(f"{latency} ms", series)
    head = (
        "latency",
        "",
        "µs a step",
        "share of bare",
        "CPU loop + other",
        "CPU × bare",
        "commits a step",
        "calm",
        "load",
    )
    return _table(head, rows)


def _peers(data: Data) -> str:
    rows = []
    for name, by_latency in (at(data, "now", "peers") or {}).items():
        for latency, series in by_latency.items():
            side, ours = series["sides"][name], series["sides"]["daemon"]
            rows.append(
                (
                    NAMES[name],
                    f"{latency} ms",
                    shown(side["us"]),
                    _ranged(side, "share"),
                    shown(side["loop_us"] + side["other_us"]),
                    _ranged(ours, "share"),
                    f"{side['daemon_is_times']}",
                    _calm(series),
                    _load(series),
                )
            )
    head = (
        "",
        "latency",
        "µs a step",
        "share of bare",
        "CPU a step",
        "fulfilld's share",
        "fulfilld is times",
        "calm",
        "load",
    )
    return _table(head, rows)


def _sides(latency: str, series: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, side in series["sides"].items():
        is_bare = name == "bare"
        yield (
            latency,
            NAMES[name],
            shown(side["us"]),
            "1" if is_bare else _ranged(side, "share"),
            shown(side["loop_us"]) + ("" if is_bare else f" + {shown(side['other_us'])}"),
            "1" if is_bare else _ranged(side, "cpu_x_bare"),
            "" if is_bare else f"{side['commits_a_step']:.3f}",
            _calm(series),
            _load(series),
        )


_GROWTH = (
    ("status p50 / p95, paused, ms", ("paused", "status"), ("p50_ms", "p95_ms")),
    ("status p50 / p95, driving, ms", ("driving", "status"), ("p50_ms", "p95_ms")),
    ("submit p50 / p95, paused, ms", ("paused", "submit"), ("p50_ms", "p95_ms")),
    ("submit p50 / p95, driving, ms", ("driving", "submit"), ("p50_ms", "p95_ms")),
    ("order page of 100 p50 / p95, driving, ms", ("driving", "order_page"), ("p50_ms", "p95_ms")),
    ("feed page of 500 p50 / p95, driving, ms", ("driving", "feed_page"), ("p50_ms", "p95_ms")),
    *((f"page by {name}: CPU / p95, ms", ("pages", name), ("cpu_ms", "p95_ms")) for name in PAGES),
    ("import: orders/s / CPU µs each", ("import",), ("orders_a_second", "cpu_us_an_order")),
    ("bulk: targets/s / CPU µs each", ("bulk",), ("targets_a_second", "cpu_us_a_target")),
    ("driven: calls/s / cores", ("driving",), ("steps_a_second", "cpu_of_a_core")),
    ("idle, cores", (), ("idle_cores",)),
    ("RSS at start, MB", (), ("rss_start_mb",)),
    ("RSS importing, MB", ("import",), ("rss_mb",)),
    ("RSS driving, MB", ("driving",), ("rss_mb",)),
    ("loop lag p99 / max, importing, ms", ("import", "loop_lag"), ("p99_ms", "max_ms")),
    ("loop lag p99 / max, bulk, ms", ("bulk", "loop_lag"), ("p99_ms", "max_ms")),
    ("loop lag p99 / max, asked while paused, ms", ("paused", "loop_lag"), ("p99_ms", "max_ms")),
    ("loop lag p99 / max, asked while driving, ms", ("driving", "loop_lag"), ("p99_ms", "max_ms")),
    ("start to ready, s", (), ("start_driving_seconds",)),
    ("start to first step, s", (), ("first_step_seconds",)),
    ("bytes an order at rest", (), ("bytes_an_order_at_rest",)),
    ("other programs' share of the cores, paused / driving", (), ("foreign_paused", "foreign_driving")),
)


def _growth(data: Data) -> str:
    runs = [(name, size) for size in sizes(data) for name in ("before", "now") if at(data, name, "scale", size)]
    rows = []
    for title, path, keys in _GROWTH:
        cells = [" / ".join(_cell(at(data, name, "scale", size, *path, key)) for key in keys) for name, size in runs]
        rows.append((title, *cells))
    head = tuple(f"{int(size):,}{'' if name == 'now' else ' before'}" for name, size in runs)
    return _table(("orders", *head), rows)


def _weight(data: Data) -> str:
    rows = []
    for name in ("before", "now"):
        if (found := at(data, name, "weight", "store")) is not None:
            tables = ", ".join(f"{table} {size:,}" for table, size in found["bytes_by_table"].items() if size >= 50)
            rows.append((name, _cell(found["bytes_an_order"]), tables, _cell(found["fsyncs_a_step"])))
    return _table(("", "bytes an order", "of them", "fsyncs a step"), rows)


def _crowd(data: Data) -> str:
    rows = []
    for name in ("before", "now"):
        if (found := at(data, name, "crowd", "flood")) is not None:
            little = ", ".join(shown(value) for value in found["little_first_step_seconds"])
            cells = (found["seconds"], found["cpu_us_a_target"], found["loop_lag_p99_ms"])
            rows.append((name, f"{found['targets']:,}", *map(_cell, cells), little, _load(found)))
    head = ("", "targets", "seconds", "CPU µs a target", "loop lag p99, ms", "little shops' first step, s", "load")
    return _table(head, rows)


def _webhooks(data: Data) -> str:
    rows = []
    for name in ("before", "now"):
        if (found := at(data, name, "webhooks", "shopify")) is not None:
            for burst in ("median_burst", "worst_burst"):
                times = (f"{found[burst]['half_ms']} ms", f"{found[burst]['all_ms']} ms")
                rows.append((name, burst.replace("_", " "), *times, _load(found)))
    return _table(
        ("", f"of {at(data, 'now', 'webhooks', 'webhooks') or 300} at once", "half within", "all within", "load"), rows
    )


SECTIONS: Mapping[str, Callable[[Data], str]] = {
    "goals": _goals,
    "run": _run,
    "driving": _driving,
    "peers": _peers,
    "growth": _growth,
    "crowd": _crowd,
    "weight": _weight,
    "webhooks": _webhooks,
}


# -- cells -----------------------------------------------------------------------------------------------------------


def _cell(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{shown(value)}{unit}"


def _ranged(side: Mapping[str, Any], key: str) -> str:
    low, high = side[f"{key}_range"]
    return f"{side[key]:.2f} ({low:.2f}–{high:.2f})"


def _calm(series: Mapping[str, Any]) -> str:
    return f"{series['calm']} of {len(series['cycles'])}"


def _load(part: Mapping[str, Any]) -> str:
    return " → ".join(f"{value:.1f}" for value in part["load"])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
