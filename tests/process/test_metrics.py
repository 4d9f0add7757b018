import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.metrics import Metrics
from tests.support.made_metrics import made_metrics

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def shop(name: str = "acme", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "platform": "selldone",
        "held": True,
        "paused": False,
        "circuit": "closed",
        "last_sync_at": "2026-03-01T12:00:00.000Z",
        "by_situation": {"idle": 7, "queued": 2, "blocked": 1},
        "oldest_pending_seconds": 12.5,
        **more,
    }


def status(*shops: dict[str, Any]) -> dict[str, Any]:
    return {
        "daemon": {"version": "1.2.3", "draining": False},
        "totals": {"orders": 10, "targets_pending": 3, "events_last_cursor": 99},
        "shops": list(shops),
    }


def scraped(
    metrics: Metrics, dump: dict[str, Any] | None = None
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render(dump or status()).decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, dump: dict[str, Any] | None = None, /, **labels: str) -> float | None:
    return scraped(metrics, dump).get((name, frozenset(labels.items())))


def test_a_finished_step_is_counted_timed_and_is_a_call() -> None:
    metrics = Metrics()
    metrics.step_finished("acme", "selldone", "send", "done", 0.2)
    metrics.step_finished("acme", "selldone", "send", "transient", 4.0)

    step = {"shop": "acme", "platform": "selldone", "step": "send"}
    assert value(metrics, "fulfilld_steps_total", **step, outcome="done") == 1
    assert value(metrics, "fulfilld_steps_total", **step, outcome="transient") == 1
    assert value(metrics, "fulfilld_step_seconds_count", platform="selldone", step="send") == 2
    assert value(metrics, "fulfilld_step_seconds_sum", platform="selldone", step="send") == pytest.approx(4.2)
    within = {"0.1": 0, "0.25": 1, "2.5": 1, "5.0": 2, "+Inf": 2}
    for edge, count in within.items():
        assert value(metrics, "fulfilld_step_seconds_bucket", platform="selldone", step="send", le=edge) == count
    assert value(metrics, "fulfilld_platform_calls_total", shop="acme", kind="step", result="done") == 1


def test_orders_that_the_erp_asks_about_are_counted_by_shop() -> None:
    dump = status(shop("acme", attention=2), shop("b"))
    assert value(Metrics(), "fulfilld_orders_attention", dump, shop="acme") == 2
    assert value(Metrics(), "fulfilld_orders_attention", dump, shop="b") == 0


def test_counters_grow_where_things_happen() -> None:
    metrics = Metrics()
    metrics.call_finished("acme", "read", "done")
    metrics.orders_adopted("acme", imported=5, drifted=2)
    metrics.orders_adopted("acme", imported=1)
    metrics.sync_finished("acme", "done", 3.0)
    metrics.target_submitted("acme")
    metrics.target_finished("acme", "reached")

    assert value(metrics, "fulfilld_platform_calls_total", shop="acme", kind="read", result="done") == 1
    assert value(metrics, "fulfilld_orders_imported_total", shop="acme") == 6
    assert value(metrics, "fulfilld_orders_drifted_total", shop="acme") == 2
    assert value(metrics, "fulfilld_sync_total", shop="acme", result="done") == 1
    assert value(metrics, "fulfilld_sync_seconds_count", shop="acme") == 1
    assert value(metrics, "fulfilld_targets_submitted_total", shop="acme") == 1
    assert value(metrics, "fulfilld_targets_finished_total", shop="acme", status="reached") == 1


def test_a_sync_that_found_nothing_makes_no_series() -> None:
    metrics = Metrics()
    metrics.orders_adopted("acme", imported=0, drifted=0)

    assert value(metrics, "fulfilld_orders_imported_total", shop="acme") is None


def test_odd_methods_of_requests_do_not_make_new_series() -> None:
    metrics = Metrics()
    for number in range(20):
        metrics.api_finished(f"BREW{number}", "/v1/status", 405, 0.01)

    assert value(metrics, "fulfilld_api_requests_total", method="other", route="/v1/status", status="405") == 20


def test_store_and_loop_measures_are_shown() -> None:
    metrics = Metrics()
    metrics.committed(12, 0.003)
    metrics.store_measured({"wal_bytes": 4096, "store_deadlocks": 2, "store_lock_waits": 3, "of_another_engine": 1})
    metrics.loop_lagged(0.25)

    assert value(metrics, "fulfilld_commit_units_sum") == 12
    assert value(metrics, "fulfilld_commit_seconds_count") == 1
    assert value(metrics, "fulfilld_wal_bytes") == 4096
    assert value(metrics, "fulfilld_store_deadlocks") == 2
    assert value(metrics, "fulfilld_store_lock_waits") == 3
    assert value(metrics, "fulfilld_event_loop_lag_seconds") == 0.25


def test_a_scrape_shows_the_status_dump() -> None:
    metrics, dump = Metrics(), status(shop(), shop("north", paused=True, held=False, circuit="open"))

    assert value(metrics, "fulfilld_orders", dump, shop="acme", situation="idle") == 7
    assert value(metrics, "fulfilld_orders", dump, shop="acme", situation="blocked") == 1
    assert value(metrics, "fulfilld_shop_paused", dump, shop="acme") == 0
    assert value(metrics, "fulfilld_shop_paused", dump, shop="north") == 1
    assert value(metrics, "fulfilld_shop_held", dump, shop="north") == 0
    assert value(metrics, "fulfilld_circuit_state", dump, shop="north") == 2
    assert value(metrics, "fulfilld_oldest_pending_seconds", dump, shop="acme") == 12.5
    assert value(metrics, "fulfilld_last_sync_timestamp_seconds", dump, shop="acme") == 1772366400
    assert value(metrics, "fulfilld_nodes", dump) == 1
    two = {"name": "b", "shops": [], "seen_at": "2026-03-01T12:00:00.000Z"}
    assert value(metrics, "fulfilld_nodes", {**dump, "nodes": [{**two, "name": "a"}, two]}) == 2
    assert value(metrics, "fulfilld_nodes_silent", dump) == value(metrics, "fulfilld_nodes_lost", dump) == 0
    late = {**dump, "nodes": [{**two, "name": "a"}, {**two, "silent": True}], "lost_nodes": [two, two, two]}
    assert value(metrics, "fulfilld_nodes_silent", late) == 1
    assert value(metrics, "fulfilld_nodes_lost", late) == 3
    assert value(metrics, "fulfilld_targets_pending", dump) == 3
    assert value(metrics, "fulfilld_events_last_cursor", dump) == 99
    assert value(metrics, "fulfilld_build_info", dump, version="1.2.3") == 1
    assert value(metrics, "fulfilld_draining", dump) == 0


def test_a_shop_paused_for_its_credentials_is_distinguished_from_one_that_a_person_paused() -> None:
    dump = status(
        shop("acme", paused=True, paused_by="access_denied"),
        shop("north", paused=True, paused_by="person"),
    )

    assert value(Metrics(), "fulfilld_shop_access_denied", dump, shop="acme") == 1
    assert value(Metrics(), "fulfilld_shop_access_denied", dump, shop="north") == 0


def test_what_a_platform_said_is_left_is_shown_in_its_unit_and_not_where_it_said_nothing() -> None:
    left = {"remaining": 1984, "unit": "points"}
    dump = status(shop(rate_limit=left), shop("north", rate_limit={"remaining": None, "unit": None}), shop("west"))
    metrics, name = Metrics(), "fulfilld_rate_limit_remaining"
    assert value(metrics, name, dump, shop="acme", unit="points") == 1984
    shown = [dict(labels) for series, labels in scraped(metrics, dump) if series == name]
    assert shown == [{"shop": "acme", "unit": "points"}]


def test_a_removed_shop_leaves_the_gauges_with_the_next_scrape() -> None:
    metrics = Metrics()
    metrics.circuit_changed("north", "open")
    scraped(metrics, status(shop(), shop("north")))

    left = scraped(metrics, status(shop()))
    assert not any(("shop", "north") in labels for _, labels in left)


def test_a_circuit_that_changed_counts_before_the_next_dump() -> None:
    metrics = Metrics()
    metrics.circuit_changed("acme", "half_open")

    assert metrics.registry.get_sample_value("fulfilld_circuit_state", {"shop": "acme"}) == 1


def test_a_dump_with_little_in_it_is_rendered() -> None:
    bare = {"shops": [{"name": "acme", "queued": 4, "last_sync_at": "nonsense"}]}

    assert value(Metrics(), "fulfilld_orders", bare, shop="acme", situation="queued") == 4


def test_two_daemons_in_one_process_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    one.target_submitted("acme")

    assert value(other, "fulfilld_targets_submitted_total", shop="acme") is None


def test_no_series_shows_only_when_it_was_made() -> None:
    metrics = Metrics()
    metrics.target_submitted("acme")

    assert not [name for name, _ in scraped(metrics) if name.endswith("_created")]


def test_the_docs_list_every_metric_with_its_labels() -> None:
    rows = re.findall(r"^\| `(fulfilld_\w+)` \| (\w+) \| ([^|]*)\|", DOCS.read_text("utf-8"), re.MULTILINE)
    documented = {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    built = {name: (kind, labels) for name, kind, labels in made_metrics()}

    assert len(rows) == len(documented)
    assert documented == built


def test_a_consumer_that_has_stopped_pulling_shows() -> None:
    metrics = Metrics()
    behind = {"name": "erp", "cursor": 5, "lag_events": 812, "lag_seconds": 86_400.0, "last_seen_at": "x"}
    shown = metrics.render({"consumers": [behind]}).decode()
    assert 'fulfilld_consumer_lag_events{name="erp"} 812.0' in shown
    assert 'fulfilld_consumer_lag_seconds{name="erp"} 86400.0' in shown
    assert "erp" not in metrics.render({"consumers": []}).decode(), "one that is gone disappears"
