"""What the CloudSuite client sends is what the guide shows, and what it holds against an order before it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.cloudsuite.notes import note
from orchestrator.platforms.cloudsuite.page_walk import Search
from orchestrator.platforms.failures import NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder
from orchestrator.sandbox.cloudsuite.shop import CloudsuiteOptions
from orchestrator.testing.stage import Move, Stage, moves_of, staged
from statemachines.cloudsuite.machine import MACHINE
from statemachines.target import TargetRequest

SAMPLES = Path(__file__).parents[2] / "samples" / "cloudsuite"
WAY = moves_of("cloudsuite")
CANCEL = Move("cancel", "cancel", TargetRequest("cancel"))


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


async def refusal(stage: Stage, move: Move) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await stage.perform(move)
    return caught.value


@pytest.mark.parametrize(
    ("place", "name"),
    [(0, "patch_state_processing_request"), (5, "patch_shipment_sent_request"), (6, "patch_state_done_request")],
)
async def test_a_move_sends_the_body_of_the_guide(place: int, name: str) -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[: place + 1])
        (call,) = stage.sandbox.ledger.calls(stage.order, WAY[place].step)
        assert (call.method, call.sent) == ("PATCH", sample(name))


async def test_a_cancellation_sends_the_body_of_the_guide() -> None:
    async with staged("cloudsuite") as stage:
        await stage.perform(CANCEL)
        (call,) = stage.sandbox.ledger.calls(stage.order, "cancel")
        assert call.sent == sample("patch_state_cancel_request")


def test_the_list_is_asked_as_the_guide_asks() -> None:
    search = Search(100, None, takes_offline=False, confirmed_since="2021-06-29", modified_filter=None)
    path, _, query = search.first_page(None).partition("?")
    documented = sample("orders_list_request")
    assert path == documented["path"]
    assert {tuple(pair.split("=")) for pair in query.split("&")} == {tuple(pair) for pair in documented["query"]}


def test_a_note_has_the_members_of_the_wiki() -> None:
    from datetime import datetime

    documented = sample("custom_order_status_request_assembled")
    at = datetime.fromisoformat(documented["dateTime"])
    body = json.loads(note("CS48193", {"nl_NL": "Verzonden"}, "list", at))
    assert body == {name: documented[name] for name in ("CloudsuiteOrderId", "dateTime", "state")}
    assert json.loads(note("CS48193", {"nl_NL": "Verzonden"}, "object", at))["state"] == documented["state"][0]


@pytest.mark.parametrize("state", ["done", "cancel", "draft", "unheard-of"])
@pytest.mark.parametrize("move", [WAY[0], WAY[2], WAY[3], WAY[4], WAY[5], WAY[6], CANCEL], ids=lambda move: move.step)
async def test_no_step_touches_an_order_that_is_elsewhere(state: str, move: Move) -> None:
    async with staged("cloudsuite") as stage:
        stage.operate("move", order=stage.order, state=state)
        assert isinstance(await refusal(stage, move), OutOfSequence)
        assert stage.sandbox.ledger.effects(stage.order) == []


async def test_an_order_that_keeps_changing_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[:1])
        shop, shown = stage.sandbox.cloudsuite.shop, CloudsuiteOrder.detail

        def restless(order: CloudsuiteOrder) -> str:
            shop.touch(order)
            return shown(order)

        monkeypatch.setattr(CloudsuiteOrder, "detail", restless)
        failure = await refusal(stage, WAY[2])
        assert isinstance(failure, Transient)
        assert not failure.is_ambiguous
        assert stage.sandbox.ledger.effects(stage.order) == ["process"]


async def test_a_line_that_went_away_is_out_of_sequence() -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[:1])
        stage.sandbox.cloudsuite.panel.order(stage.order).lines.clear()
        assert isinstance(await refusal(stage, WAY[2]), OutOfSequence)


async def test_a_despatch_whose_line_numbers_went_away_is_out_of_sequence() -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[:2])
        assert isinstance(await refusal(stage, WAY[4]), OutOfSequence)
        assert stage.sandbox.cloudsuite.shop.slips == {}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"state": ["no"]}', Rejected),
        (400, b'{"non_field_errors": ["no"]}', Rejected),
        (403, b'{"detail": "no"}', Rejected),
        (404, b'{"detail": "no"}', NotFound),
        (405, b'{"detail": "no"}', Rejected),
        (409, b'{"detail": "no"}', Rejected),
        (200, b'{"state": "cancel", "note": "no"}', OutOfSequence),
        (200, b"[]", Transient),
        (200, b"no", Transient),
    ],
)
async def test_what_a_write_is_answered_with_decides(status: int, body: bytes, kind: type[PlatformFailure]) -> None:
    async with staged("cloudsuite") as stage:
        stage.sandbox.faults.script_answer(status, body, step="process")
        failure = await refusal(stage, WAY[0])
        assert isinstance(failure, kind)
        assert "no" in failure.detail or kind is OutOfSequence or body == b"[]"


@pytest.mark.parametrize(("status", "kind"), [(400, Rejected), (403, Rejected), (404, Rejected), (422, Rejected)])
async def test_a_despatch_that_is_refused_for_another_reason_is_rejected(
    status: int, kind: type[PlatformFailure]
) -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[:3])
        stage.sandbox.faults.script_answer(
            status, b"<Response><Error>unknown user</Error></Response>", step="send_despatch"
        )
        assert type(await refusal(stage, WAY[4])) is kind


async def test_a_conflict_says_that_the_despatch_is_there_where_an_answer_was_lost() -> None:
    async with staged("cloudsuite") as stage:
        await stage.walk(WAY[:3])
        stage.sandbox.faults.script_answer(409, b"", step="send_despatch", times=2)
        assert type(await refusal(stage, WAY[4])) is Rejected
        current = (await stage.client.read(stage.order)).order_state()
        facts = MACHINE.after_lost_answer(current, "send_despatch", WAY[4].request)
        assert (await stage.perform(WAY[4], replace(current, facts=facts))).is_found


async def test_a_shipment_that_the_platform_derives_from_despatches_is_seen() -> None:
    async with staged("cloudsuite", simulated={"cloudsuite": CloudsuiteOptions(marks_sent=True)}) as stage:
        await stage.walk(WAY[:4])
        await stage.perform(Move("send_despatch", "sent", TargetRequest("sent", despatch=({"number": "ALL"},))))
        assert (await stage.client.read(stage.order)).state == "sent"


async def test_doctor_says_that_despatches_need_proxy_values() -> None:
    from orchestrator.platforms.platform import ClientSettings
    from orchestrator.registry import PLATFORMS

    async with staged("cloudsuite") as stage:
        shop = stage.sandbox.config()["shops"]["cs"]
        spec = PLATFORMS["cloudsuite"]
        client = spec.open(ClientSettings("cs", spec.options(credentials=shop["credentials"]), shop["base_url"]))
        found = await client.check()
        await client.aclose()
        assert [(finding.check, finding.status) for finding in found][-1] == ("proxy", "warning")
