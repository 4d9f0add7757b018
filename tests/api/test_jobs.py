"""In bulk: what a filter finds is shown first, then accepted as a job; what means nothing is refused."""

from __future__ import annotations

import getpass
from typing import Any

import aiohttp
import pytest

from storage.jobs import next_piece, note_progress
from storage.records import Order, Problem, Situation
from tests.api.bench import TOKEN, Bench, an_order, bench
from tests.support.ports import free_port

ACTIONS = ("retry", "skip", "hold", "release", "cancel")
BLOCKED = {"situation": "blocked"}


def blocked(order: str, **fields: Any) -> Order:
    problem = Problem("rejected", "The platform refused the step", "HTTP 422: locked", "prepare", 1_772_000_000_000)
    return an_order(order, problem=problem, situation=Situation.BLOCKED, **fields)


ORDERS = [*(blocked(str(each)) for each in range(1, 21)), blocked("21", shop="żółw & co"), an_order("22")]


async def ask(b: Bench, action: str, filter_: Any = BLOCKED, **more: Any) -> Any:
    body = {"filter": filter_, "reason": "the platform is back", **more}
    return await b.post(f"/v1/orders/{action}", body)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_dry_run_counts_and_shows_some_and_changes_nothing(action: str) -> None:
    async with bench(*ORDERS) as b:
        got = await ask(b, action, dry_run=True)
        assert got.status == 200
        found = got.json()
        assert found["count"] == 21
        assert [order["id"] for order in found["sample"]] == [str(each) for each in range(1, 11)]
        assert found["sample"][0]["problem"]["detail"] == "HTTP 422: locked"
        assert (await b.get("/v1/jobs")).json() == {"jobs": [], "next": None}


def in_all_ways() -> list[Order]:
    """Orders in each situation, with and without a problem, held and asked about, and of a shop that left."""
    bare = Problem("unknown-state", "The state is not known", "gone", None, 1_772_000_000_000)
    return [
        *(an_order(f"1{n}", situation=each) for n, each in enumerate(Situation)),
        blocked("20"),
        an_order("21", problem=bare, situation=Situation.BLOCKED),
        an_order("22", situation=Situation.HELD, held_at=1_772_000_000_000),
        blocked("23", held_at=1_772_000_000_000),
        an_order("24", attention_at=1_772_000_000_000),
        blocked("25", shop="left"),
    ]


@pytest.mark.parametrize(
    ("action", "refused"),
    [
        ("retry", ["10", "12", "16", "22", "24", "25"]),
        ("skip", ["10", "11", "12", "13", "14", "15", "16", "21", "22", "24", "25"]),
        ("hold", ["25"]),
        ("release", ["10", "11", "12", "13", "14", "15", "16", "20", "21", "25"]),
        ("cancel", []),
    ],
)
async def test_a_dry_run_counts_what_would_be_refused(action: str, refused: list[str]) -> None:
    orders = in_all_ways()
    async with bench(*orders) as b:
        everything = {"updated_after": "2000-01-01T00:00:00Z"}
        found = (await ask(b, action, everything, dry_run=True)).json()
        assert (found["count"], found["refused"]) == (len(orders), len(refused))
        first = (await ask(b, action, everything, dry_run=True, limit=3)).json()
        assert (first["count"], first["refused"]) == (3, len({"10", "11", "12"} & set(refused)))


@pytest.mark.parametrize("action", ACTIONS)
async def test_what_is_asked_for_is_a_job_that_says_who_and_why(action: str) -> None:
    async with bench(*ORDERS) as b:
        got = await ask(b, action, {"situation": "BLOCKED", "shop": "acme"}, limit=5)
        assert got.status == 202
        assert got.json()["count"] == 5
        job = (await b.get(f"/v1/jobs/{got.json()['job']}")).json()
        assert job.pop("started_at").endswith("Z")
        assert job == {
            "id": got.json()["job"],
            "action": action,
            "filter": {"situation": "blocked", "shop": "acme"},
            "status": "running",
            "count": 5,
            "done": 0,
            "refused": 0,
            "refusals": [],
            "reason": "the platform is back",
            "by": f"user {getpass.getuser()}",
            "ended_at": None,
            "blocked_again": None,
        }
        piece = await b.store.read(lambda tx: next_piece(tx, "acme"))
        assert piece is not None
        assert piece.orders == ["1", "2", "3", "4", "5"]


async def test_a_filter_that_finds_nothing_is_done_at_once() -> None:
    async with bench(*ORDERS) as b:
        dry = await ask(b, "retry", {"problem": "quarantined"}, dry_run=True)
        assert dry.json() == {"count": 0, "refused": 0, "sample": []}
        got = await ask(b, "retry", {"problem": "quarantined"})
        assert got.json()["count"] == 0
        assert (await b.get(f"/v1/jobs/{got.json()['job']}")).json()["status"] == "done"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "body", [None, {}, {"filter": {}}, {"filter": None}, {"filter": {"shop": None}}, {"limit": 3, "dry_run": True}]
)
async def test_without_a_filter_nothing_is_done_to_all_orders(action: str, body: Any) -> None:
    async with bench(*ORDERS) as b:
        got = await b.post(f"/v1/orders/{action}", body)
        assert (got.status, got.slug) == (422, "filter-required")
        detail = got.json()["detail"]
        assert '{"filter": {"shop": "NAME"}}' in detail
        assert all(name in detail for name in ("situation", "problem", "step", "cause", "updated_before"))
        assert (await b.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ({"filter": {"stuation": "blocked"}}, "filter.stuation", 'did you mean "situation"'),
        ({"filter": {"situation": "blockd"}}, "filter.situation", 'did you mean "blocked"'),
        ({"filter": {"problem": "refused"}}, "filter.problem", "must be one of rejected"),
        ({"filter": {"state": "shiped"}}, "filter.state", 'did you mean "shipped"'),
        ({"filter": {"cause": "locked"}}, "filter.cause", "/v1/orders/causes"),
        ({"filter": {"updated_before": 5}}, "filter.updated_before", "RFC 3339"),
        ({"filter": {"updated_before": "yesterday"}}, "filter.updated_before", "RFC 3339"),
        ({"filter": {"shop": ""}}, "filter.shop", "at least"),
        ({"filter": "blocked"}, "filter", "must be an object"),
        ({"filter": BLOCKED, "limit": 0}, "limit", "at least 1"),
        ({"filter": BLOCKED, "limit": True}, "limit", "must be"),
        ({"filter": BLOCKED, "dry_run": "yes"}, "dry_run", "true or false"),
        ({"filter": BLOCKED, "dryrun": True}, "dryrun", 'did you mean "dry_run"'),
    ],
)
@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_what_means_nothing_is_refused_with_its_path(action: str, body: Any, path: str, words: str) -> None:
    async with bench(*ORDERS) as b:
        got = await b.post(f"/v1/orders/{action}", body)
        assert (got.status, got.slug) == (422, "invalid-request"), got
        assert [(error["path"], words in error["message"]) for error in got.json()["errors"]] == [(path, True)]


async def test_an_unknown_shop_is_not_found() -> None:
    async with bench(*ORDERS) as b:
        for dry_run in (True, False):
            got = await ask(b, "hold", {"shop": "acmee"}, dry_run=dry_run)
            assert (got.status, got.slug) == (404, "shop-not-found")
            assert 'did you mean "acme"' in got.json()["detail"]


@pytest.mark.parametrize("reason", [None, "", "  "])
async def test_a_skip_in_bulk_says_how_the_steps_were_done(reason: str | None) -> None:
    async with bench(*ORDERS) as b:
        got = await ask(b, "skip", reason=reason)
        assert (got.status, got.slug) == (422, "reason-required")
        assert (await ask(b, "skip", reason=reason, dry_run=True)).json()["count"] == 21


async def test_progress_and_refusals_are_shown_until_all_orders_are_through() -> None:
    async with bench(*ORDERS) as b:
        job = (await ask(b, "retry")).json()["job"]
        refusal = {"changed": {"count": 2, "detail": "order 3 is not", "shop": "acme", "order": "3"}}
        await b.store.write(lambda tx: note_progress(tx, job, 18, refusal, b.clock.now_ms()))
        shown = (await b.get(f"/v1/jobs/{job}")).json()
        assert (shown["status"], shown["done"], shown["refused"]) == ("running", 18, 2)
        assert shown["refusals"] == [{"type": "changed", **refusal["changed"]}]
        more = {"changed": {**refusal["changed"], "count": 1, "order": "21"}}
        await b.store.write(lambda tx: note_progress(tx, job, 0, more, b.clock.now_ms()))
        shown = (await b.get(f"/v1/jobs/{job}")).json()
        assert (shown["status"], shown["done"], shown["refused"]) == ("done", 18, 3)
        assert (shown["refusals"][0]["count"], shown["refusals"][0]["order"]) == (3, "3")
        assert shown["ended_at"] is not None


async def test_jobs_are_listed_newest_first_a_page_at_a_time() -> None:
    async with bench(*ORDERS) as b:
        made = [(await ask(b, action)).json()["job"] for action in ACTIONS]
        seen: list[str] = []
        after: str | None = "0"
        while after is not None:
            page = (await b.get(f"/v1/jobs?limit=2&after={after}")).json()
            seen += [job["id"] for job in page["jobs"]]
            after = page["next"]
        assert seen == made[::-1]


async def test_a_job_is_cancelled_once() -> None:
    async with bench(*ORDERS) as b:
        job = (await ask(b, "retry")).json()["job"]
        got = await b.call("DELETE", f"/v1/jobs/{job}")
        assert (got.status, got.json()["status"], got.json()["done"]) == (200, "cancelled", 0)
        assert got.json()["blocked_again"] == 0  # counted once it has ended
        assert await b.store.read(lambda tx: next_piece(tx, "acme")) is None
        again = await b.call("DELETE", f"/v1/jobs/{job}")
        assert (again.status, again.slug) == (409, "already-finished")


@pytest.mark.parametrize("column", ["wanted", "refusals"])
async def test_a_damaged_job_is_shown_among_the_others_and_can_be_ended(column: str) -> None:
    async with bench(*ORDERS) as b:
        damaged, whole = [(await ask(b, "retry")).json()["job"] for _ in range(2)]
        sql = f"UPDATE jobs SET {column} = '{{' WHERE id = ?"
        await b.store.write(lambda tx: tx.execute(sql, (damaged,)))
        assert [job["id"] for job in (await b.get("/v1/jobs")).json()["jobs"]] == [whole, damaged]
        assert (await b.get(f"/v1/jobs/{damaged}")).json()["count"] == 21
        assert (await b.call("DELETE", f"/v1/jobs/{damaged}")).json()["status"] == "cancelled"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_job_that_there_is_not_is_not_found(method: str) -> None:
    async with bench() as b:
        got = await b.call(method, "/v1/jobs/nothing")
        assert (got.status, got.slug) == (404, "job-not-found")


async def test_nothing_is_accepted_while_the_daemon_shuts_down() -> None:
    async with bench(*ORDERS) as b:
        b.node.is_draining = True
        got = await ask(b, "retry")
        assert (got.status, got.slug) == (503, "draining")


async def test_over_tcp_it_is_the_token_that_asks() -> None:
    async with bench(*ORDERS, tcp={"port": free_port(), "token": TOKEN}) as b:
        assert b.served.tcp is not None
        host, port = b.served.tcp
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"http://{host}:{port}/v1/orders/hold", json={"filter": BLOCKED}) as got,
        ):
            job = (await got.json())["job"]
        assert (await b.get(f"/v1/jobs/{job}")).json()["by"] == "token"
