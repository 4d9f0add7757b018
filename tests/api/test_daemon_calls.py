"""Calls about the daemon, shops, machines, rejected payloads; the dump."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import pytest

from orchestrator import __version__
from orchestrator.metrics import Metrics
from orchestrator.registry import PLATFORMS
from storage.errors import StoreUnavailable
from storage.records import Problem, Situation
from storage.rejected import add_rejected
from storage.shops import pause_shop, save_sync
from tests.api.bench import SHOPS, Bench, an_order, bench, shop_facts
from tests.support.engines import engine_in_use

BLOCKED = Problem("rejected", "The platform refused the step", "not paid", "prepare", 1_772_000_000_001)


async def test_a_daemon_lives_before_it_is_ready() -> None:
    async with bench() as b:
        b.node.is_ready = False
        assert (await b.get("/v1/health")).json() == {"status": "ok"}
        got = await b.get("/v1/ready")
        assert (got.status, got.slug) == (503, "overloaded")
        assert int(got.headers["Retry-After"]) > 0
        b.node.is_ready = True
        assert (await b.get("/v1/ready")).json() == {"status": "ready"}
        b.node.is_draining = True
        assert (await b.get("/v1/ready")).slug == "draining"
        assert (await b.get("/v1/health")).status == 200


async def test_a_node_that_holds_no_shop_is_ready() -> None:
    async with bench() as b:
        b.node.known.clear()
        assert (await b.get("/v1/ready")).status == 200
        assert (await b.get("/v1/shops")).json() == {"shops": []}
        assert (await b.get("/v1/orders?state=shipped")).json()["orders"] == []


async def test_a_store_that_takes_no_writes_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as b:

        async def fail(*_: object) -> None:
            raise StoreUnavailable("disk full")

        monkeypatch.setattr(b.store, "write", fail)
        got = await b.get("/v1/ready")
        assert (got.status, got.slug) == (503, "overloaded")


async def test_the_status_counts_everything() -> None:
    orders = [
        an_order("1"),
        an_order("2", situation=Situation.BLOCKED, problem=BLOCKED),
        an_order("3", state="SentOrder"),
        an_order("4", shop="żółw & co", situation=Situation.QUEUED),
    ]
    async with bench(*orders) as b:
        await b.submit("accepted", order="1")
        status = (await b.get("/v1/status")).json()
        daemon = status["daemon"]
        assert (daemon["version"], daemon["node"], daemon["pid"]) == (__version__, "test-node", 4711)
        assert daemon["started_at"] == "2023-11-14T22:13:20.000Z"
        assert daemon["storage"].startswith(f"{engine_in_use()}://")
        assert daemon["draining"] is False
        totals = status["totals"]
        assert (totals["orders"], totals["targets_pending"], totals["events_last_cursor"]) == (4, 1, 1)
        assert totals["by_situation"] == {
            **dict.fromkeys(("running", "retrying", "waiting", "held"), 0),
            "idle": 2,
            "queued": 1,
            "blocked": 1,
        }
        acme = status["shops"][0]
        assert (acme["name"], acme["platform"], acme["held"], acme["paused"]) == ("acme", "selldone", True, False)
        assert acme["by_state"] == {"CheckQueue": 2, "SentOrder": 1}
        assert (acme["queued"], acme["running"], acme["retrying"], acme["blocked"]) == (0, 0, 0, 1)
        assert acme["oldest_pending_seconds"] >= 0
        assert acme["circuit"] == "closed"
        assert acme["rate_limit"]["rate_per_second"] == 10.0
        assert status["shops"][1]["oldest_pending_seconds"] is None
        [attention] = status["attention"]
        assert (attention["shop"], attention["order"], attention["problem"]["type"]) == ("acme", "2", "rejected")
        assert status["delivery"] == []


async def test_shops_are_paused_and_resumed() -> None:
    async with bench() as b:
        shop = (await b.post("/v1/shops/acme/pause", {"reason": "stocktaking"})).json()
        assert (shop["paused"], shop["paused_by"], shop["paused_reason"]) == (True, "person", "stocktaking")
        assert shop["wait"] == {"reason": "paused", "until": None, "detail": "stocktaking"}
        assert (await b.post("/v1/shops/acme/resume")).json()["paused"] is False
        assert [shop["name"] for shop in (await b.get("/v1/shops")).json()["shops"]] == list(SHOPS)
        assert (await b.get("/v1/shops/nope")).slug == "shop-not-found"


async def test_a_shop_whose_access_was_denied_says_so() -> None:
    async with bench() as b:
        await b.store.write(lambda tx: pause_shop(tx, "acme", "access_denied", "401", 5))
        await b.store.write(lambda tx: save_sync(tx, "acme", None, 1_772_000_000_000))
        shop = (await b.get("/v1/shops/acme")).json()
        assert (shop["wait"]["reason"], shop["paused_by"]) == ("access_denied", "access_denied")
        assert shop["last_sync_at"] == "2026-02-25T06:13:20.000Z"


async def test_a_sync_answers_at_once_or_with_what_it_found() -> None:
    async with bench() as b:
        assert (await b.post("/v1/shops/acme/sync")).status == 202
        got = await b.post("/v1/shops/acme/sync?wait=5")
        assert got.status == 200
        found = {"imported": 3, "updated": 0, "drifted": 0, "rejected": 0, "seen": 5, "skipped": 0}
        assert got.json() == {"shop": "acme", **found}
        assert (await b.post("/v1/shops/acme/sync?wait=301")).slug == "invalid-request"


async def test_rejected_payloads_are_shown_as_they_came() -> None:
    async with bench(an_order()) as b:
        for order, payload in ((None, b"{oops"), ("67890", b"\xff\x00"), ("404", b"x")):
            await b.store.write(
                partial(
                    add_rejected, shop="acme", source="poll", order=order, error="no JSON", payload=payload, now_ms=5
                )
            )
        page = (await b.get("/v1/rejected?limit=2")).json()
        first, second = page["rejected"]
        assert first == {
            "id": "1",
            "shop": "acme",
            "source": "poll",
            "at": "1970-01-01T00:00:00.005Z",
            "error": "no JSON",
            "payload": "{oops",
            "payload_encoding": "utf-8",
        }
        assert (second["payload"], second["payload_encoding"]) == ("/wA=", "base64")
        page = (await b.get(f"/v1/rejected?after={page['next']}")).json()
        assert [each["id"] for each in page["rejected"]] == ["3"]
        assert page["next"] is None
        assert (await b.get(f"/v1/rejected?shop={'%C5%BC%C3%B3%C5%82w%20%26%20co'}")).json()["rejected"] == []
        assert (await b.get("/v1/rejected?shop=nope")).slug == "shop-not-found"


async def test_a_rejected_payload_is_read_again() -> None:
    async with bench(an_order()) as b:
        await b.store.write(lambda tx: add_rejected(tx, "acme", "poll", "67890", "no JSON", b"x", 5))
        await b.store.write(lambda tx: add_rejected(tx, "acme", "poll", None, "no JSON", b"y", 5))
        assert (await b.post("/v1/rejected/1/retry")).json()["id"] == "67890"
        assert (await b.post("/v1/rejected/1/retry")).slug == "rejected-not-found"
        assert (await b.post("/v1/rejected/2/retry")).slug == "not-allowed"


@pytest.mark.parametrize("rejected", ["x", "-1", "99999999999999999999", "1e3", "%D9%A1"])
async def test_a_rejected_payload_that_cannot_be_there_is_not_found(rejected: str) -> None:
    async with bench() as b:
        assert (await b.post(f"/v1/rejected/{rejected}/retry")).slug == "rejected-not-found"


async def test_machines_are_shown_as_data_and_drawn() -> None:
    async with bench() as b:
        listed = (await b.get("/v1/machines")).json()["machines"]
        assert [machine["platform"] for machine in listed] == sorted(PLATFORMS)
        machine = (await b.get("/v1/machines/selldone")).json()
        assert machine in listed
        assert (await b.get("/v1/machines/selldone?shop=acme")).json() == machine
        for form, media_type in (
            ("mermaid", "text/vnd.mermaid"),
            ("svg", "image/svg+xml"),
            ("text", "text/plain"),
        ):
            got = await b.get(f"/v1/machines/selldone?format={form}")
            assert got.headers["Content-Type"] == f"{media_type}; charset=utf-8"
            assert b"PreparingOrder" in got.body
            everything = await b.get(f"/v1/machines?format={form}")
            assert everything.headers["Content-Type"] == f"{media_type}; charset=utf-8"
            assert all(name.encode() in everything.body for name in ("PreparingOrder", "Nowe", "UNFULFILLED"))
        assert (await b.get("/v1/machines/magento")).slug == "platform-not-found"
        assert (await b.get("/v1/machines/selldone?format=png")).slug == "invalid-request"
        assert (await b.get("/v1/machines/selldone?shop=nope")).slug == "shop-not-found"


@pytest.mark.parametrize("form", ["json", "mermaid", "svg", "text"])
async def test_a_shops_own_machine_is_shown_where_its_config_names_the_states(form: str) -> None:
    options = {"flow": ["Nowe", "W drodze", "Zrealizowane"], "milestones": {"new": "Nowe", "shipped": "W drodze"}}
    async with bench() as b:
        own = replace(shop_facts("xs"), platform="xsale", machine=PLATFORMS["xsale"].machine(options))
        b.node.known["xs"] = own
        assert b"W drodze" in (await b.get(f"/v1/machines/xsale?format={form}&shop=xs")).body
        assert b"W drodze" not in (await b.get(f"/v1/machines/xsale?format={form}")).body


async def test_metrics_count_requests_by_route() -> None:
    async with bench(an_order()) as b:
        await b.get("/v1/shops/acme/orders/67890")
        await b.get("/v1/shops/acme/orders/404")
        await b.get("/nowhere/at/all")
        text = (await b.get("/metrics")).body.decode()
        route = 'route="/v1/shops/{shop}/orders/{id}"'
        assert f'fulfilld_api_requests_total{{method="GET",{route},status="200"}} 1.0' in text
        assert f'fulfilld_api_requests_total{{method="GET",{route},status="404"}} 1.0' in text
        assert 'fulfilld_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
        assert 'fulfilld_orders{shop="acme",situation="idle"} 1.0' in text


async def test_metrics_are_written_out_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    write = Metrics.render

    def noted(metrics: Metrics, status: Mapping[str, Any]) -> bytes:
        threads.append(threading.current_thread())
        return write(metrics, status)

    monkeypatch.setattr(Metrics, "render", noted)
    async with bench(an_order()) as b:
        assert (await b.get("/metrics")).status == 200
    assert threads != [threading.current_thread()]
    assert len(threads) == 1


async def test_the_dump_has_a_line_for_each_shop_and_order() -> None:
    async with bench(*(an_order(str(number)) for number in range(120))) as b:
        target = (await b.submit("accepted", order="7")).json()["id"]
        await b.end(target)
        got = await b.get("/v1/dump")
        assert got.headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in got.body.splitlines()]
        assert [line["name"] for line in lines if line["kind"] == "shop"] == list(SHOPS)
        orders = [line for line in lines if line["kind"] == "order"]
        assert [line["id"] for line in orders] == [str(number) for number in range(120)]
        assert [t["status"] for t in orders[7]["targets"]] == ["reached"]
        assert [e["type"] for e in orders[7]["events"]] == ["target.submitted", "target.reached"]


def failing_after(b: Bench, reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the store answer so many reads and no more."""
    real, left = b.store.read, reads

    async def read(unit: Any) -> Any:
        nonlocal left
        if left == 0:
            raise StoreUnavailable("the disk is gone")
        left -= 1
        return await real(unit)

    monkeypatch.setattr(b.store, "read", read)


async def test_a_dump_that_cannot_begin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(an_order()) as b:
        failing_after(b, 0, monkeypatch)
        got = await b.get("/v1/dump")
        assert (got.status, got.slug) == (503, "overloaded")


async def test_a_dump_that_fails_half_way_is_visibly_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(an_order()) as b:
        failing_after(b, 1, monkeypatch)
        with pytest.raises(aiohttp.ClientError):
            await b.get("/v1/dump")
