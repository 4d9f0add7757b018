"""Submitting targets and looking at them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from orchestrator.decisions.refusals import Refused
from statemachines.target import TargetRequest
from storage.errors import StoreUnavailable
from storage.records import TargetStatus
from tests.api.bench import an_order, bench


async def test_a_target_is_accepted_with_its_plan() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("shipped", tracking={"code": "3SABC"}, notify_customer=True)
        assert got.status == 202
        target = got.json()
        assert target["state"] == "SentOrder"
        assert target["milestone"] == "shipped"
        assert target["status"] == "queued"
        assert target["unused"] == ["notify_customer"]
        assert target["finished_at"] is None
        assert [(p["step"], p["from"], p["to"], p["status"]) for p in target["plan"]] == [
            ("confirm", "CheckQueue", "OrderConfirm", "next"),
            ("prepare", "OrderConfirm", "PreparingOrder", "next"),
            ("set_tracking", "PreparingOrder", "PreparingOrder", "next"),
            ("send", "PreparingOrder", "SentOrder", "next"),
        ]
        assert (await b.get(f"/v1/targets/{target['id']}")).json() == target


@pytest.mark.parametrize(
    "tracking",
    [
        {},
        {"code": ""},
        {"code": " "},
        {"url": ""},
        {"code": "", "url": " "},
        {"code": "", "carrier": "DHL"},
        {"code": None, "url": None},
        [{"code": "A"}, {"code": ""}],
    ],
)
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_tracking_that_holds_nothing_is_refused_and_not_left_out(tracking: Any, query: str) -> None:
    async with bench(an_order()) as b:
        got = await b.submit("shipped", query=query, tracking=tracking)
        assert got.status == 422
        assert got.json()["type"] == "invalid-target"
        (error,) = got.json()["errors"]
        assert error["path"].startswith("tracking")
        assert "code and url are blank" in error["message"]


@pytest.mark.parametrize(
    "tracking", [{"code": "A", "url": "", "carrier": ""}, {"carrier": "DHL"}, {"url": "https://t.example"}]
)
async def test_blank_members_beside_a_code_are_left_out(tracking: Any) -> None:
    async with bench(an_order()) as b:
        assert (await b.submit("shipped", tracking=tracking)).status == 202


async def test_a_dry_run_answers_the_plan_and_keeps_nothing() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", query="?dry_run=true")
        assert got.status == 200
        assert set(got.json()) == {"state", "milestone", "plan", "unused"}
        assert (await b.get("/v1/status")).json()["totals"]["targets_pending"] == 0


async def test_a_target_that_is_reached_already_ends_at_once() -> None:
    async with bench(an_order(state="PreparingOrder")) as b:
        got = await b.submit("accepted", query="?wait=60")
        assert (got.status, got.json()["status"], got.json()["plan"]) == (200, "reached", [])


@pytest.mark.parametrize("status", [TargetStatus.REACHED, TargetStatus.BLOCKED, TargetStatus.FAILED])
async def test_waiting_ends_as_soon_as_the_target_has_settled(status: TargetStatus) -> None:
    async with bench(an_order()) as b, anyio.create_task_group() as group:
        submitted = (await b.submit("accepted")).json()

        async def settle() -> None:
            await b.end(submitted["id"], status)

        group.start_soon(settle)
        got = await b.get(f"/v1/targets/{submitted['id']}?wait=100")
        assert got.json()["status"] == status.value


async def test_a_submission_that_waits_answers_200_once_it_is_reached() -> None:
    async with bench(an_order()) as b, anyio.create_task_group() as group:

        async def settle() -> None:
            await b.feed.wait_beyond(0)
            target = (await b.get("/v1/shops/acme/orders/67890")).json()["targets"][0]
            await b.end(target["id"])

        group.start_soon(settle)
        got = await b.submit("accepted", query="?wait=100")
        assert (got.status, got.json()["status"]) == (200, "reached")


async def test_a_submission_that_waited_in_vain_answers_202() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", query="?wait=0.01")
        assert (got.status, got.json()["status"]) == (202, "queued")


async def test_the_same_key_and_body_answer_with_the_same_target() -> None:
    async with bench(an_order()) as b:
        path, headers = "/v1/shops/acme/orders/67890/targets", {"Idempotency-Key": "k 1"}
        first = await b.post(path, {"state": "accepted"}, headers=headers)
        again = await b.post(path, {"state": "accepted"}, headers=headers)
        other = await b.post(path, {"state": "shipped"}, headers=headers)
        assert first.json() == again.json()
        assert other.slug == "idempotency-key-reused"


@pytest.mark.parametrize("key", ["", "x" * 300, "żółw"])
async def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    async with bench(an_order()) as b:
        got = await b.post(
            "/v1/shops/acme/orders/67890/targets", {"state": "accepted"}, headers={"Idempotency-Key": key}
        )
        assert got.slug == "invalid-request"


async def test_every_error_of_a_target_is_reported_with_its_path() -> None:
    body = {
        "state": 5,
        "colour": "red",
        "items": ["1", 2, True, {"id": "3", "quantity": 0}, {"quantity": 1}],
        "tracking": {"code": 7, "link": "x"},
        "erp_lines": [{"line": "1", "erp_line_number": "2"}],
        "despatch": {"number": "D1", "date": "2026-02-30", "lines": []},
        "notify_customer": "yes",
    }
    async with bench(an_order()) as b:
        got = await b.post("/v1/shops/acme/orders/67890/targets", body)
        assert got.slug == "invalid-target"
        assert {error["path"] for error in got.json()["errors"]} == {
            "state",
            "colour",
            "items[2]",
            "items[3].quantity",
            "items[4].id",
            "tracking.code",
            "tracking.link",
            "erp_lines[0].erp_line_number",
            "despatch.date",
            "despatch.lines",
            "notify_customer",
        }
        assert all(error["message"] for error in got.json()["errors"])


async def test_a_list_of_packing_slips_is_checked_one_by_one() -> None:
    async with bench(an_order()) as b:
        line = {"erp_line_number": 1, "quantity": 0}
        got = await b.submit("shipped", despatch=[{"number": "D1", "lines": [line]}])
        assert [error["path"] for error in got.json()["errors"]] == ["despatch[0].lines[0].quantity"]


async def test_numbers_are_taken_as_ids_however_big() -> None:
    async with bench(an_order()) as b:
        big = 2**70
        await b.submit("accepted", items=[1, big, {"id": 3, "quantity": 2}], query="?dry_run=true")
        got = await b.submit("accepted", items=[1, "2"])
        assert got.status == 202
        assert b.commands.submitted[-1][2].items == ("1", "2")


async def test_null_means_absent() -> None:
    names = ("items", "delivery_info", "tracking", "erp_order_number", "erp_lines", "despatch", "confirmation")
    async with bench(an_order()) as b:
        nothing: dict[str, Any] = dict.fromkeys((*names, "reason", "notify_customer", "replace"))
        got = await b.submit("accepted", **nothing)
        assert got.status == 202
        assert b.commands.submitted[-1][2].to_json() == {"state": "accepted"}


async def test_all_that_a_target_can_bring_arrives() -> None:
    body = {
        "state": "accepted",
        "items": ["1"],
        "delivery_info": {"weight": 1.5, "deep": [{"a": None}]},
        "tracking": {"code": "3S", "url": "https://t.example/3S", "carrier": "PostNL"},
        "erp_order_number": "ERP-1",
        "erp_lines": [{"line": "1", "erp_line_number": 10}],
        "despatch": [{"number": "D1", "date": "2026-03-01", "lines": [{"erp_line_number": 1, "quantity": 1.0}]}],
        "confirmation": "cxml",
        "reason": "why",
        "notify_customer": True,
        "replace": False,
    }
    async with bench(an_order()) as b:
        assert (await b.post("/v1/shops/acme/orders/67890/targets", body)).status == 202
        assert b.commands.submitted[-1][2].to_json() == body


@pytest.mark.parametrize(
    ("given", "kept"), [(1, 1), (1.0, 1), ("1", 1), ("1.0", 1), (1.5, "1.5"), ("0.250", "0.25"), ("007", 7)]
)
async def test_a_quantity_is_a_whole_number_or_a_decimal(given: Any, kept: Any) -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", items=["1", {"id": 2, "quantity": given}], query="?dry_run=true")
        assert got.status == 200
        await b.submit("accepted", items=["1", {"id": 2, "quantity": given}])
        assert b.commands.submitted[-1][2].items == ("1", {"id": "2", "quantity": kept})


async def test_a_parcel_comes_through_as_it_was_sent() -> None:
    parcel = {
        "number": "B-14",
        "carrier": "DHL",
        "url": "https://t.example/3SABC",
        "location": "7",
        "tracking": ["3SABC", "3SABD"],
        "lines": [{"id": "1", "quantity": 1.0}, 2],
        "last": True,
    }
    async with bench(an_order()) as b:
        assert (await b.submit("shipped", parcel=parcel)).status == 202
        kept = {**parcel, "lines": [{"id": "1", "quantity": 1}, "2"]}
        assert b.commands.submitted[-1][2].to_json() == {"state": "shipped", "parcel": kept}
        await b.submit("delivered", parcel={"number": " 14", "carrier": " ", "lines": None, "last": False})
        assert b.commands.submitted[-1][2].to_json() == {"state": "delivered", "parcel": {"number": "14"}}


async def test_a_parcel_may_have_several_numbers() -> None:
    numbers = [{"code": f"C{n}", "url": f"https://t.example/{n}"} for n in range(20)]
    async with bench(an_order()) as b:
        assert (await b.submit("shipped", tracking=numbers)).status == 202
        request = b.commands.submitted[-1][2]
        assert request.to_json() == {"state": "shipped", "tracking": numbers}
        assert TargetRequest.from_json(request.to_json()) == request
        assert [each.code for each in request.trackings] == [f"C{n}" for n in range(20)]
        got = await b.submit("shipped", tracking=numbers[:3], query="?dry_run=true")
        assert got.json()["unused"] == ["tracking[1]", "tracking[2]"]


@pytest.mark.parametrize(
    ("state", "status", "slug"),
    [("Bestellt", 422, "unknown-state"), ("Returned", 409, "unreachable")],
)
async def test_a_refused_target_says_what_is_allowed(state: str, status: int, slug: str) -> None:
    async with bench(an_order()) as b:
        got = await b.submit(state)
        assert (got.status, got.slug) == (status, slug)
        assert isinstance(got.json()["allowed"], list)


async def test_an_unknown_shop_comes_before_anything_else_that_is_wrong() -> None:
    async with bench() as b:
        b.node.is_draining = True
        got = await b.call("POST", "/v1/shops/nope/orders/%00/targets?x=1", data=b"{", headers={"Content-Type": "x/y"})
        assert (got.status, got.slug) == (404, "shop-not-found")


async def test_a_draining_daemon_takes_no_targets_but_still_answers() -> None:
    async with bench(an_order()) as b:
        b.node.is_draining = True
        got = await b.submit("accepted")
        assert (got.status, got.slug) == (503, "draining")
        assert int(got.headers["Retry-After"]) > 0
        assert (await b.post("/v1/shops/acme/orders/67890/hold")).slug == "draining"
        assert (await b.post("/v1/shops/acme/pause")).slug == "draining"
        assert (await b.call("DELETE", "/v1/targets/x")).slug == "draining"
        assert (await b.get("/v1/shops/acme/orders/67890")).status == 200
        assert (await b.get("/v1/status")).json()["daemon"]["draining"] is True


async def test_a_store_that_fails_is_an_overload_that_shows_no_paths() -> None:
    async with bench(an_order()) as b:
        b.commands.failure = StoreUnavailable("writing secret.db failed: disk full")
        got = await b.submit("accepted")
        assert (got.status, got.slug) == (503, "overloaded")
        assert int(got.headers["Retry-After"]) > 0
        assert b"secret" not in got.body


async def test_a_platform_that_cannot_be_asked_is_worth_another_try() -> None:
    async with bench(an_order()) as b:
        b.commands.failure = Refused("platform-unreachable", "it is down", retry_after_seconds=17)
        got = await b.submit("accepted")
        assert (got.status, got.slug, got.headers["Retry-After"]) == (503, "platform-unreachable", "17")


async def test_a_mistake_of_ours_shows_nothing() -> None:
    async with bench(an_order()) as b:
        b.commands.failure = RuntimeError("the secret is 42")
        got = await b.submit("accepted")
        assert (got.status, got.slug) == (500, "internal-error")
        assert b"42" not in got.body


async def test_a_target_can_be_cancelled_once() -> None:
    async with bench(an_order()) as b:
        target = (await b.submit("shipped")).json()["id"]
        got = await b.call("DELETE", f"/v1/targets/{target}")
        assert (got.status, got.json()["status"]) == (200, "cancelled")
        assert got.json()["finished_at"] is not None
        assert (await b.call("DELETE", f"/v1/targets/{target}")).slug == "already-finished"


@pytest.mark.parametrize("target", ["nope", "x" * 256, "%F0%9F%90%A2"])
async def test_a_target_that_is_not_there_is_not_found(target: str) -> None:
    async with bench() as b:
        assert (await b.get(f"/v1/targets/{target}")).slug == "target-not-found"
        assert (await b.call("DELETE", f"/v1/targets/{target}")).slug == "target-not-found"


@pytest.mark.parametrize("target", ["%00", "a%0Ab", "x" * 257])
async def test_what_can_be_no_target_id_is_refused_and_not_repeated(target: str) -> None:
    async with bench() as b:
        for got in (await b.get(f"/v1/targets/{target}"), await b.call("DELETE", f"/v1/targets/{target}")):
            assert (got.status, got.slug) == (422, "invalid-request")
            assert [error["path"] for error in got.json()["errors"]] == ["target"]
            assert b"xxx" not in got.body


@pytest.mark.parametrize("path", ["/v1/shops/{}", "/v1/machines/{}"])
async def test_a_long_name_that_is_not_known_is_not_repeated_whole(path: str) -> None:
    async with bench() as b:
        got = await b.get(path.format("x" * 3000))
        assert got.status == 404
        assert len(got.body) < 500


async def test_a_despatch_may_leave_out_its_lines_and_their_quantities() -> None:
    async with bench(an_order()) as b:
        slips = [{"number": "P-1"}, {"number": "P-2", "lines": [{"erp_line_number": 10}]}]
        assert (await b.submit("accepted", despatch=slips)).status == 202
        assert b.commands.submitted[0][2].despatch == tuple(slips)
        got = await b.submit("accepted", despatch={"number": "P-3", "lines": []})
        assert got.json()["errors"] == [{"path": "despatch.lines", "message": "must have at least 1 entry"}]


A_NUMBER = 'must be a number above 0, such as 2, 1.5 or "1.5"'


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"state": 5}, "state", "must be text"),
        ({"state": ""}, "state", "must have at least 1 character"),
        ({"items": "1"}, "items", "must be a list"),
        ({"items": [""]}, "items[0]", "must have at least 1 character"),
        ({"items": ["x" * 257]}, "items[0]", "must have at most 256 characters"),
        ({"items": [{"id": "1", "quantity": 0}]}, "items[0].quantity", "must be above 0"),
        (
            {"items": [{"id": "1", "quantity": "-1"}]},
            "items[0].quantity",
            'must be a number above 0, such as 2, 1.5 or "1.5"',
        ),
        (
            {"items": [{"id": "1", "quantity": "1,5"}]},
            "items[0].quantity",
            'must be a number above 0, such as 2, 1.5 or "1.5"',
        ),
        ({"items": [{"id": "1", "quantity": True}]}, "items[0].quantity", "must be a number"),
        ({"tracking": []}, "tracking", "must have at least 1 entry"),
        ({"tracking": [{"code": "1"}] * 21}, "tracking", "must have at most 20 entries"),
        ({"tracking": [{"code": "1"}, {"code": 2}]}, "tracking[1].code", "must be text"),
        ({"location": ["1"]}, "location", "must be text"),
        ({"tracking": {"code": None, "link": "x"}}, "tracking.link", "is not known"),
        ({"tracking": "3S"}, "tracking", "must be an object"),
        ({"erp_lines": [{"line": "1"}]}, "erp_lines[0].erp_line_number", "is missing"),
        (
            {"erp_lines": [{"line": "1", "erp_line_number": 1.5}]},
            "erp_lines[0].erp_line_number",
            "must be a whole number",
        ),
        ({"parcel": "B-1"}, "parcel", "must be an object"),
        ({"parcel": {"number": "B-1", "carier": "DHL"}}, "parcel.carier", 'is not known, did you mean "carrier"?'),
        ({"parcel": {"number": "B-1", "tracking": "3S"}}, "parcel.tracking", "must be a list"),
        ({"parcel": {"number": "B-1", "tracking": [" "]}}, "parcel.tracking[0]", "must not be blank"),
        ({"parcel": {"number": "B-1", "lines": []}}, "parcel.lines", "must have at least 1 entry"),
        (
            {"parcel": {"number": "B-1", "lines": [{"id": "1", "quantity": 0}]}},
            "parcel.lines[0].quantity",
            "must be above 0",
        ),
        ({"parcel": {"number": "B-1", "last": "yes"}}, "parcel.last", "must be true or false"),
        (
            {"parcel": {"carrier": "DHL"}},
            "parcel",
            "number and tracking are missing: give one of them, the parcel is known by it",
        ),
        (
            {"parcel": {"number": "B-1"}, "items": ["1"], "tracking": {"code": "3S"}},
            "parcel",
            "cannot come with items, tracking: say it in parcel alone",
        ),
        ({"confirmation": "xml"}, "confirmation", "must be 'json' or 'cxml'; did you mean \"cxml\"?"),
        ({"notify_customer": "yes"}, "notify_customer", "must be true or false"),
    ],
)
async def test_a_wrong_target_is_reported_in_words_for_people(fields: dict[str, Any], path: str, message: str) -> None:
    async with bench(an_order()) as b:
        got = await b.post("/v1/shops/acme/orders/67890/targets", {"state": "accepted", **fields})
        assert got.slug == "invalid-target"
        assert got.json()["errors"] == [{"path": path, "message": message}]


async def test_a_waiter_is_let_go_when_the_daemon_ends() -> None:
    async with bench(an_order()) as b, anyio.create_task_group() as group:
        target = (await b.submit("accepted")).json()["id"]

        async def end() -> None:
            b.feed.close()

        group.start_soon(end)
        assert (await b.get(f"/v1/targets/{target}?wait=100")).json()["status"] == "queued"
