"""Alert rules and the Grafana dashboard ask for what `/metrics` has: names, labels, and what labels can be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.metrics import Metrics
from storage.records import Situation
from tests.support.made_metrics import made_metrics
from tests.support.skips import skip

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = (DEPLOY / "alerts.yml").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
OF_PROMETHEUS = {"instance", "job"}
OF_THE_PROCESS = ("process_resident_memory_bytes", "process_cpu_seconds_total")
VALUES = {"situation": {each.value for each in Situation}, "status": {"500"}, "outcome": {"done"}, "job": {"fulfilld"}}


def known() -> dict[str, set[str]]:
    """The labels of every series that there is, by its name."""
    found = {
        name + part: {*labels, *OF_PROMETHEUS, *({"le"} if part == "_bucket" else ())}
        for name, kind, labels in made_metrics()
        for part in (("_bucket", "_count", "_sum") if kind == "histogram" else ("",))
    }
    return {**found, "up": OF_PROMETHEUS, **dict.fromkeys(OF_THE_PROCESS, OF_PROMETHEUS)}


def variables() -> Iterator[dict[str, Any]]:
    yield from (each for each in DASHBOARD["templating"]["list"] if each["type"] == "query")


def queries() -> Iterator[str]:
    """Everything that is asked of Prometheus."""
    yield ALERTS
    yield from EXPRESSIONS
    yield from (each["definition"] for each in variables())


@pytest.mark.parametrize("query", [*queries()])
def test_every_metric_and_label_that_is_asked_for_is_there(query: str) -> None:
    series = known()
    names = set(re.findall(r"\b(?:fulfilld|process)_[a-z_]+", query))
    assert names <= set(series)
    for name, inside in re.findall(r"\b((?:fulfilld|process)_[a-z_]+)\{(.*?)\}", query):
        for label, value in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', inside):
            assert label in series[name], f"{name} has no label {label}"
            assert "$" in value or value in VALUES.get(label, {value})
    for labels in re.findall(r"\bby \(([\w, ]+)\)", query):
        reached = set().union(*(series[name] for name in names), {"le"})
        assert set(labels.split(", ")) <= reached


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_names_labels_that_its_query_leaves(panel: dict[str, Any]) -> None:
    series = known()
    for target in panel["targets"]:
        (name,) = set(re.findall(r"\b(?:fulfilld|process)_[a-z_]+", target["expr"]))
        groups = re.findall(r"\bby \(([\w, ]+)\)", target["expr"])
        left = set(groups[0].split(", ")) if groups else series[name]
        left = set() if not groups and re.match(r"(sum|count)\(", target["expr"]) else left
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left
        assert target["datasource"]["uid"] == "${source}"


def test_the_dashboard_has_variables_for_what_it_asks() -> None:
    names = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert names == {"source", "instance", "shop"}
    assert set(re.findall(r"\$(\w+)", " ".join(EXPRESSIONS))) <= names


def test_panels_have_ids_of_their_own_and_places_that_do_not_overlap() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken: dict[tuple[int, int], str] = {}
    for panel in every:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_every_metric_is_shown_or_left_out_on_purpose() -> None:
    shown = set(re.findall(r"\bfulfilld_[a-z_]+", " ".join([*EXPRESSIONS, ALERTS])))
    names = {name for name, _, _ in made_metrics()}
    left_out = {"events_last_cursor", "draining", "build_info", "commit_units"} | {
        "nodes",
        "nodes_silent",
        "nodes_lost",
        "store_deadlocks",
        "store_lock_waits",
    }
    parts = {name + part for name in names for part in ("_bucket", "_count", "_sum")}
    assert {name for name in names if not shown & {name, f"{name}_bucket"}} == {f"fulfilld_{name}" for name in left_out}
    assert shown <= names | parts


def test_the_process_series_are_those_of_the_daemon() -> None:
    registered = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    assert set(OF_THE_PROCESS) <= registered


@pytest.mark.parametrize(
    ("what", "metric"),
    [
        ("late delivery", "fulfilld_delivery_lag_seconds"),
        ("missing webhooks", "fulfilld_webhook_topics_missing"),
        ("never synced", "fulfilld_last_sync_timestamp_seconds"),
        ("attention", "fulfilld_orders_attention"),
        ("stalled consumers", "fulfilld_consumer_lag_seconds"),
    ],
)
def test_there_is_an_alert_for(what: str, metric: str) -> None:
    assert re.search(rf"expr: [^\n]*\b{metric}\b", ALERTS), what


def test_prometheus_reads_the_rules_and_the_dashboards_queries(tmp_path: Path) -> None:
    if (promtool := shutil.which("promtool")) is None:
        skip("there is no promtool", "apt-get install prometheus")
    rules = [{"record": f"panel:{n}", "expr": re.sub(r"\$\w+", ".*", each)} for n, each in enumerate(EXPRESSIONS)]
    queries = tmp_path / "queries.yml"
    queries.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    for path in (DEPLOY / "alerts.yml", queries):
        done = subprocess.run([promtool, "check", "rules", path], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


OF_EACH_NODE = {"fulfilld_shop_held", "fulfilld_rate_limit_remaining"}
"""What the node that works for a shop knows, and others show as 0 or not at all."""
PAGE = (DEPLOY.parent / "docs" / "metrics.md").read_text("utf-8")
OF_THE_STORE = set(re.findall(r"^\| `(fulfilld_\w+)` \| gauge \|.*\(\*store\*\)", PAGE, re.MULTILINE)) | OF_EACH_NODE
RULES = re.findall(r"^ +expr: (?:>-\n)?(.*)$", ALERTS, re.MULTILINE)


@pytest.mark.parametrize("query", [*RULES, *EXPRESSIONS])
def test_what_every_node_shows_is_counted_once(query: str) -> None:
    """Several nodes show the same store: their highest is taken before anything is summed, or nodes are counted."""
    assert OF_THE_STORE
    left = query.partition(" unless ")[0]  # beyond it only that there is one counts
    for name in OF_THE_STORE & set(re.findall(r"\bfulfilld_[a-z_]+", left)):
        highest = rf"max (?:without \(instance, pod\)|by \(instance\)) \({name}\b"
        aggregated = re.findall(rf"{highest}|count without \(instance, pod\) \({name} == 1\)", left)
        assert len(aggregated) == len(re.findall(rf"\b{name}\b", left)), query


TWO_NODES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'fulfilld_shop_held{{shop="acme", instance="a"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="acme", instance="b"}}', values: "0x60"}}
      - {{series: 'fulfilld_shop_held{{shop="xs", instance="a"}}', values: "0x60"}}
      - {{series: 'fulfilld_shop_held{{shop="xs", instance="b"}}', values: "0x60"}}
      - {{series: 'fulfilld_orders{{shop="acme", situation="blocked", instance="a"}}', values: "3x60"}}
      - {{series: 'fulfilld_orders{{shop="acme", situation="blocked", instance="b"}}', values: "3x60"}}
    alert_rule_test:
      - eval_time: 30m
        alertname: FulfilldShopHeldTwice
      - eval_time: 30m
        alertname: FulfilldShopNotHeld
        exp_alerts:
          - exp_labels: {{severity: page, shop: xs}}
            exp_annotations:
              summary: "nobody works for xs"
              description: "Its worker ends again and again; the log says why. A full disk is the likeliest reason."
      - eval_time: 30m
        alertname: FulfilldOrdersBlocked
        exp_alerts:
          - exp_labels: {{severity: ticket, shop: acme, situation: blocked}}
            exp_annotations: {{summary: "3 orders of acme wait for a person"}}
"""

TWO_STORES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'fulfilld_shop_held{{shop="acme", instance="a"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="acme", instance="b"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="xs", instance="a"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="other", instance="b"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="alike", store="one", instance="a"}}', values: "1x60"}}
      - {{series: 'fulfilld_shop_held{{shop="alike", store="two", instance="b"}}', values: "1x60"}}
      - {{series: 'fulfilld_oldest_pending_seconds{{shop="alike", store="one", instance="a"}}', values: "7200x60"}}
      - {{series: 'fulfilld_oldest_pending_seconds{{shop="alike", store="two", instance="b"}}', values: "7200x60"}}
      - {{series: 'fulfilld_shop_paused{{shop="alike", store="two", instance="b"}}', values: "1x60"}}
    alert_rule_test:
      - eval_time: 30m
        alertname: FulfilldShopHeldTwice
        exp_alerts:
          - exp_labels: {{severity: page, shop: acme}}
            exp_annotations:
              summary: "2 daemons work for acme and do not share a store"
              description: "Its orders may be driven twice: stop all of them but one."
      - eval_time: 30m
        alertname: FulfilldTargetsLate
        exp_alerts:
          - exp_labels: {{severity: ticket, shop: alike, store: one}}
            exp_annotations: {{summary: "a target of alike is pending since 2h 0m 0s"}}
"""
"""A shop that two have is not the two shops of one name, which the label of their store distinguishes."""


@pytest.mark.parametrize("case", [TWO_NODES, TWO_STORES], ids=["two nodes", "two stores"])
def test_shops_and_orders_of_several_daemons_are_counted_once(tmp_path: Path, case: str) -> None:
    if (promtool := shutil.which("promtool")) is None:
        skip("there is no promtool", "apt-get install prometheus")
    cases = tmp_path / "two.yml"
    cases.write_text(case.format(rules=DEPLOY / "alerts.yml"))
    done = subprocess.run([promtool, "test", "rules", cases], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
