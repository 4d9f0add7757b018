"""What the xSale client sends and asks for, and how it takes answers, against the simulated platform and a bare one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.xsale.client import XsaleClient
from orchestrator.platforms.xsale.lists import Cursor, filtered, next_cursor
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.platforms.xsale.recent_states import FRESH_SECONDS, RecentReads
from orchestrator.sandbox.xsale.shop import XsaleOptions as Simulated
from orchestrator.testing.stage import Stage, staged
from statemachines.machine import OrderState
from statemachines.target import TargetRequest
from tests.platforms.selldone.shop import serving

SAMPLES = Path(__file__).parents[2] / "samples" / "xsale"
ORGANIZATION = "Futuriti_00000000-0000-0000-0000-000000000000"
NEW = OrderState("Nowe", "Nowe")
ACCEPTED = OrderState("Zaimportowano do ERP", "Zaimportowano do ERP")
ACCEPT = TargetRequest("accepted")


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def platform(**options: Any) -> dict[str, Any]:
    return {"simulated": {"xsale": Simulated(**options)}}


async def failure_of(stage: Stage, request: TargetRequest = ACCEPT, current: OrderState = NEW) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await stage.client.perform("change_status", stage.order, current, request)
    return caught.value


# -- what is sent ------------------------------------------------------------------------------------------------------


class Bare:
    """A platform that notes what it is sent and answers by its samples."""

    def __init__(self, *, change: tuple[int, bytes] = (204, b""), order: bytes | None = None) -> None:
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.change = change
        self.order = sample("orders_list_assumed") if order is None else order

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        match request.path.rpartition("/")[2]:
            case "token":
                return web.Response(body=sample("token_response"), content_type="application/json")
            case "me":
                return web.Response(body=sample("me_response_assembled"), content_type="application/json")
            case "statuses":
                return web.Response(body=sample("statuses_response_assumed"), content_type="application/json")
            case "change-status":
                return web.Response(status=self.change[0], body=self.change[1])
            case "40001":
                return web.Response(body=sample("order_assumed"), content_type="application/json")
            case _:
                return web.Response(body=self.order, content_type="application/json")

    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.got]


def client_of(base_url: str, **options: Any) -> XsaleClient:
    found = XsaleOptions.model_validate(
        {
            "organization": ORGANIZATION,
            "credentials": {
                "client_id": "id-of-erp",
                "client_secret": "s3cr3t-client",
                "username": "erp@example.com",
                "password": "pa55word",
                "login_url": f"{base_url}/oauth/token",
            },
            **options,
        }
    )
    return XsaleClient(ClientSettings("xs", found, base_url))


async def test_every_call_carries_both_tokens_and_asks_as_the_documentation_shows() -> None:
    bare = Bare()
    async with serving(bare.handle) as base_url:
        client = client_of(base_url, verify_changes=False)
        await client.list_page(None, None)
        await client.perform("change_status", "40001", ACCEPTED, TargetRequest("W trakcie realizacji"))
        await client.aclose()
    shown, token = json.loads(sample("orders_list_request")), json.loads(sample("token_response"))
    assert bare.paths() == [
        "POST /oauth/token",
        f"GET /{ORGANIZATION}/statuses",
        f"GET {shown['path']}?statusidin=1",
        f"GET /{ORGANIZATION}/orders/40001",
        f"PUT /{ORGANIZATION}/orders/40001/change-status",
    ]
    for _, _, headers, _ in bare.got[1:]:
        assert headers["Authorization"] == f"Bearer {token['access_token']}"
        assert headers["x-id-token"] == token["id_token"]
        assert headers["Accept"] == shown["headers"]["Accept"]
    assert "x-id-token" not in bare.got[0][2]


@pytest.mark.parametrize(
    ("key", "variant"), [("StatusId", "pascal"), ("statusId", "camel"), ("Id", "id"), ("bare", "bare")]
)
async def test_the_body_of_a_change_is_the_sample_of_its_variant(key: str, variant: str) -> None:
    bare = Bare()
    async with serving(bare.handle) as base_url:
        client = client_of(base_url, status_body=key, look_first=False, verify_changes=False)
        answer = await client.perform("change_status", "40001", NEW, ACCEPT)
        await client.aclose()
    assert answer.state == "Zaimportowano do ERP"
    _, _, headers, body = bare.got[-1]
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == json.loads(sample("change_status_request_variants_assumed"))[variant]


@pytest.mark.parametrize("style", ["repeat", "brackets", "indexed", "comma", "json"])
def test_filters_are_written_as_the_samples_show(style: Any) -> None:
    assert filtered("statusidin", [1, 7], style) == json.loads(sample("orders_list_request_variants_assumed"))[style]


@pytest.mark.parametrize("style", ["repeat", "brackets", "indexed", "comma", "json"])
def test_names_in_filters_arrive_whole(style: Any) -> None:
    text = filtered("statusnamein", ["Do obsługi ręcznej & co", "Nowe"], style)
    assert "&" not in text.replace("&statusnamein", "")
    assert "Do obsługi ręcznej & co" in unquote(text)


async def test_a_shops_own_parameters_go_with_every_list() -> None:
    bare = Bare()
    async with serving(bare.handle) as base_url:
        client = client_of(base_url, list_query={"integrationid": "11 & 12"}, paging="page")
        page = await client.list_page(None, None)
        assert page.next is not None
        await client.list_page(None, page.next)
        await client.aclose()
    assert bare.paths()[-2:] == [
        f"GET /{ORGANIZATION}/orders?statusidin=1&page=1&pageSize=100&integrationid=11%20%26%2012",
        f"GET /{ORGANIZATION}/orders?statusidin=1&page=2&pageSize=100&integrationid=11%20%26%2012",
    ]


async def test_rows_of_another_status_are_never_new_to_the_erp() -> None:
    bare = Bare(
        order=b"[" + sample("order_assumed") + b"," + sample("order_shipped_assumed").replace(b"40001", b"40009") + b"]"
    )
    async with serving(bare.handle) as base_url:
        client = client_of(base_url)
        page = await client.list_page(None, None)
        await client.aclose()
    assert page.skip_if_new == {"40001", "40009"}


@pytest.mark.parametrize("order", ["0", "-1", "abc", "007", "1/change-status", "", "9" * 30, "１"])
async def test_what_cannot_be_an_id_is_not_found_without_a_call(order: str) -> None:
    bare = Bare()
    async with serving(bare.handle) as base_url:
        client = client_of(base_url)
        with pytest.raises(NotFound):
            await client.read(order)
        with pytest.raises(NotFound):
            await client.perform("change_status", order, NEW, ACCEPT)
        await client.aclose()
    assert bare.got == []


async def test_further_calls_inside_one_wait_for_the_rate_and_logins_do_not() -> None:
    waited: list[int] = []
    bare = Bare(change=(200, sample("order_assumed")))

    async def throttle() -> None:
        waited.append(len(bare.got))

    async with serving(bare.handle) as base_url:
        client = client_of(base_url)
        client._throttle = throttle
        await client.read("40001")
        assert waited == [2], "the login is none, statuses has its turn, the order waits"
        await client.list_page(None, None)
        await client.read("40001")
        assert waited == [2]
        await client.aclose()


# -- pages -------------------------------------------------------------------------------------------------------------


def test_a_sync_goes_on_until_a_page_is_empty_or_brings_nothing_new() -> None:
    first = Cursor()
    second = next_cursor(first, ["1", "2"], paging="limit_offset", groups=2)
    assert second == Cursor(0, 2, 2, ("1", "2"))
    assert next_cursor(second, ["2", "1"], paging="limit_offset", groups=2) == Cursor(1)
    assert next_cursor(second, [], paging="limit_offset", groups=1) is None
    third = next_cursor(second, ["2", "3", "a row without an id"], paging="limit_offset", groups=2)
    assert third == Cursor(0, 5, 3, ("2", "3", "a row without an id")), "a row without an id counts for the offset"
    assert next_cursor(first, ["1"], paging="none", groups=2) == Cursor(1)
    assert next_cursor(Cursor(1), ["1"], paging="none", groups=2) is None


def test_a_cursor_survives_being_json() -> None:
    cursor = Cursor(1, 20, 3, ("7", "8"))
    assert Cursor.resume(json.loads(json.dumps(cursor.to_json()))) == cursor
    assert Cursor.resume(None) == Cursor()


# -- what answers mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, b'{"title":"bad","errors":{"StatusId":["no"]}}', Rejected),
        (404, b'{"Message":"Not found."}', NotFound),
        (405, b"{}", Rejected),
        (409, b'{"Message":"busy"}', OutOfSequence),
        (422, b"{}", Rejected),
        (403, b'{"Message":"no"}', AccessDenied),
        (401, b'{"Message":"no"}', AccessDenied),
        (429, b"{}", Transient),
        (500, b"{}", Transient),
        (200, b'{"Message":"Order is locked"}', OutOfSequence),
        (409, b'{"Message":"OK, changed","Success":true}', OutOfSequence),
        (200, b'{"errors":{"StatusId":["no"]}}', OutOfSequence),
        (200, b'{"Id":700040001,"StatusId":1041,"StatusName":"x"}', OutOfSequence),
        (200, b"<html>Checking your browser</html>", Transient),
    ],
)
async def test_a_change_that_is_not_taken_is_one_of_the_four_kinds(
    status: int, body: bytes, failure: type[PlatformFailure]
) -> None:
    async with staged("xsale") as stage:
        stage.sandbox.faults.script_answer(status, body, step="change_status", times=2)
        found = await failure_of(stage)
        assert isinstance(found, failure)
        if isinstance(found, Transient):
            assert found.is_ambiguous is (status in (200, 500))
        assert stage.sandbox.xsale.shop.automations == []


@pytest.mark.parametrize("body", [b"", b"true", b"{}", b"null", b'{"Success":true}', b"17", b'"OK"'])
async def test_an_answer_that_says_nothing_is_looked_behind(body: bytes) -> None:
    async with staged("xsale") as stage:
        stage.sandbox.faults.script_answer(200, body, step="change_status", moment="after")
        assert (await stage.client.perform("change_status", stage.order, NEW, ACCEPT)).state == "Zaimportowano do ERP"
        assert [call.step for call in stage.sandbox.ledger.calls(stage.order)] == ["read", "change_status", "read"]


async def test_an_answer_that_shows_the_new_status_is_enough() -> None:
    async with staged("xsale", **platform(reply="order")) as stage:
        await stage.client.perform("change_status", stage.order, NEW, ACCEPT)
        assert [call.step for call in stage.sandbox.ledger.calls(stage.order)] == ["read", "change_status"]


async def test_the_new_status_counts_whatever_message_comes_with_it() -> None:
    async with staged("xsale") as stage:
        number = int(stage.order)
        body = f'{{"Id": {number}, "StatusName": "Zaimportowano do ERP", "Message": "Error e-mail sent"}}'.encode()
        stage.sandbox.faults.script_answer(200, body, step="change_status", moment="after")
        assert (await stage.client.perform("change_status", stage.order, NEW, ACCEPT)).state == "Zaimportowano do ERP"


@pytest.mark.parametrize(("reply", "between"), [("nothing", ["read"]), ("order", [])])
async def test_a_chain_looks_once_at_most_between_two_changes(reply: str, between: list[str]) -> None:
    async with staged("xsale", **platform(reply=reply)) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        for _ in range(3):
            answer = await stage.client.perform("change_status", stage.order, current, TargetRequest("delivered"))
            assert answer.state is not None
            current = OrderState(answer.state, answer.state)
        steps = [call.step for call in stage.sandbox.ledger.calls(stage.order)]
        # whoever read it before, a target's first change has a read of its own: somebody may have cancelled since
        assert steps == ["read", "read", *(["change_status", *between] * 3)]


async def test_an_order_that_is_elsewhere_is_not_touched() -> None:
    async with staged("xsale") as stage:
        stage.operate("cancel", order=stage.order)
        failure = await failure_of(stage)
        assert isinstance(failure, OutOfSequence)
        assert "the order is in Anulowane" in failure.detail
        assert stage.sandbox.ledger.calls(stage.order, "change_status") == []


async def test_a_look_that_fails_before_a_change_is_not_ambiguous() -> None:
    async with staged("xsale") as stage:
        for fault in ("error_before", "drop_before", "garbage"):
            stage.sandbox.faults.script(fault, step="read")
            failure = await failure_of(stage)
            assert isinstance(failure, Transient)
            assert not failure.is_ambiguous
        assert stage.sandbox.xsale.shop.automations == []


async def test_a_check_that_cannot_be_made_is_ambiguous_and_one_that_is_denied_is_not_needed() -> None:
    async with staged("xsale", options={"look_first": False}) as stage:
        stage.sandbox.faults.script("throttle", step="read")
        failure = await failure_of(stage)
        assert isinstance(failure, Transient)
        assert failure.is_ambiguous
        assert failure.retry_after_seconds == 1
    async with staged("xsale", options={"look_first": False}) as stage:
        stage.sandbox.faults.script_answer(403, b"{}", step="read", times=2)
        assert (await stage.client.perform("change_status", stage.order, NEW, ACCEPT)).state == "Zaimportowano do ERP"


async def test_another_order_than_the_one_asked_for_is_unreadable() -> None:
    async with staged("xsale") as stage:
        stage.sandbox.faults.script_answer(200, sample("order_assumed"), step="read")
        with pytest.raises(Unreadable, match="order 40001 was answered"):
            await stage.client.read(stage.order)


def test_a_look_is_good_for_some_seconds_and_for_one_target() -> None:
    seconds = 0.0
    looks = RecentReads(Clock(monotonic=lambda: seconds))
    wanted, another = TargetRequest("shipped"), TargetRequest("delivered")
    looks.note("1", "Nowe", wanted)
    assert looks.state("1", wanted) == "Nowe"
    assert looks.state("1", another) is None
    assert looks.state("2", wanted) is None
    seconds = FRESH_SECONDS
    assert looks.state("1", wanted) is None
    for order in range(3000):
        looks.note(str(order), "Nowe", wanted)
    assert len(looks._reads) < 3001


# -- statuses and tokens -----------------------------------------------------------------------------------------------


async def test_statuses_are_asked_for_once_and_again_for_one_that_is_unknown_but_not_for_ever() -> None:
    async with staged("xsale", orders=5) as stage:
        for _ in range(3):
            await stage.snapshots()
        assert len(stage.sandbox.ledger.calls(step="statuses")) == 1
        stage.operate("add_status", name="Zaginęło")
        stage.operate("move", order=stage.order, state="Zaginęło")
        for _ in range(3):
            assert (await stage.client.read(stage.order)).state == "Zaginęło"
        assert len(stage.sandbox.ledger.calls(step="statuses")) == 2
        stage.sandbox.xsale.shop.orders[int(stage.order)].status = 9
        for _ in range(3):
            assert (await stage.client.read(stage.order)).state == "status 9"
        assert len(stage.sandbox.ledger.calls(step="statuses")) == 3


async def test_statuses_that_make_no_sense_are_trouble_that_passes() -> None:
    async with staged("xsale") as stage:
        for body in (b"<html>", b'[{"Id": 1}]', b"{}"):
            stage.sandbox.faults.script_answer(200, body, step="statuses")
            with pytest.raises(Transient, match="statuses"):
                await stage.client.list_page(None, None)
        assert len(await stage.snapshots()) == 3


async def test_an_organization_that_is_not_the_accounts_is_reported_with_those_that_are() -> None:
    async with staged("xsale", options={"organization": "Futuriti_x"}) as stage:
        with pytest.raises(AccessDenied, match=f"organizations: {ORGANIZATION}"):
            await stage.client.list_page(None, None)
        found = {finding.check: finding for finding in await stage.client.check()}
        assert found["organization"].status == "failed"
        assert ORGANIZATION in found["organization"].detail


async def test_doctor_names_the_status_that_is_missing() -> None:
    options = {"flow": ("Nowe", "Wyslane"), "milestones": {"cancelled": "Anulowane"}}
    async with staged("xsale", options=options) as stage:
        found = {finding.check: finding for finding in await stage.client.check()}
        assert found["statuses"].status == "failed"
        assert 'did you mean "Wysłane"?' in found["statuses"].detail
        assert found["credentials"].status == "ok"


async def test_doctor_reports_a_login_that_is_refused_and_a_platform_that_is_away() -> None:
    async with staged("xsale") as stage:
        stage.operate("change_token", token="another")
        statuses = [(finding.check, finding.status) for finding in await stage.client.check()]
        assert statuses == [("reachable", "ok"), ("credentials", "failed")]
    async with staged("xsale") as stage:
        stage.sandbox.faults.script("error_before", step="me")
        assert [(finding.check, finding.status) for finding in await stage.client.check()] == [("reachable", "failed")]


async def test_tokens_that_are_refused_again_after_a_login_are_an_alarm() -> None:
    async with staged("xsale") as stage:
        stage.sandbox.faults.script_answer(401, b'{"Message":"denied"}', step="list", times=10)
        with pytest.raises(AccessDenied, match="denied"):
            await stage.client.list_page(None, None)
        assert len(stage.sandbox.ledger.calls(step="login")) == 2
        assert len(stage.sandbox.ledger.calls(step="list")) == 2


async def test_no_secret_shows_in_what_the_platform_says_back() -> None:
    async with staged("xsale") as stage:
        await stage.client.list_page(None, None)
        (access,) = stage.sandbox.xsale.shop.tokens
        echo = json.dumps({"Message": f"{access} sandbox-password-1 sandbox-client-secret-1"}).encode()
        stage.sandbox.faults.script_answer(409, echo, step="change_status")
        failure = await failure_of(stage)
        assert failure.detail == "HTTP 409: *** *** ***"
