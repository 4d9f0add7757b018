"""What the demo asks for, and (as a whole) that everything arrives and nothing is left behind."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook

from orchestrator.api.schema.bodies import TargetBody
from orchestrator.cli.client import Client
from orchestrator.cli.demo.outcome import print_deliveries, print_ledger
from orchestrator.cli.demo.receiver import Receiver
from orchestrator.cli.demo.script import Item, cast, items_of, personal, scenes
from orchestrator.registry import PLATFORMS
from statemachines.machine import OrderState, Refusal
from statemachines.selldone import MACHINE

GOODS = {
    "id": "9",
    "status": "OPEN",
    "location": "1",
    "method": "SHIPPING",
    "actions": ["CREATE_FULFILLMENT", "REPORT_PROGRESS"],
    "hold": None,
    "fulfill_at": None,
    "lines": {"91": ["1", 1], "92": ["2", 2]},
}
FACTS: dict[str, dict[str, Any]] = {
    "shopify": {"fulfillment_orders": [GOODS], "fulfillments": [], "lines": {"1": 1, "2": 2}},
    "selldone": {"status": "Payed", "items": ["1", "2"]},
    "cloudsuite": {
        "payment_status": "paid",
        "lines": {"1": {"quantity": "1", "part": "A"}, "2": {"quantity": "2", "part": "B"}},
    },
}
ITEMS = [Item("1", 1.0), Item("2", 2.5)]


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_the_machine_agrees_with_every_scene(platform: str) -> None:
    machine = PLATFORMS[platform].machine({})
    for scene in scenes(machine.describe()):
        standing = OrderState(machine.initial, machine.initial, "paid", FACTS.get(platform, {}))
        for act in scene.acts:
            request = TargetBody.model_validate_json(json.dumps(act.body("77", ITEMS))).to_request()
            plan = machine.plan(standing, request)
            if isinstance(plan, Refusal):
                assert plan.slug == act.expected, (scene.title, plan)
                continue
            assert act.expected == "reached", scene.title
            for step in plan.steps:
                standing = machine.after(standing, step.step, request, None, {})
        assert machine.milestone(standing.state) == scene.final_state


def test_selldone_plays_returns_and_refusals() -> None:
    titles = {scene.title for scene in scenes(MACHINE.describe())}
    assert {"returned, then delivered again", "requests that are refused", "cancelled"} <= titles


def test_every_scene_is_played_when_there_are_enough_orders() -> None:
    played = scenes(MACHINE.describe())
    roles = cast([str(n) for n in range(8)], played)
    assert {scene.title for scene in roles.values()} == {scene.title for scene in played}


def test_tracking_codes_are_an_orders_own() -> None:
    scene = next(scene for scene in scenes(MACHINE.describe()) if "corrected" in scene.title)
    codes = [
        act.fields["tracking"]["code"]
        for number in range(1, 30)
        for act in personal(scene, number).acts
        if "tracking" in act.fields
    ]
    assert len(set(codes)) == len(codes) == 58


def test_items_are_found_in_what_a_platform_sent() -> None:
    assert items_of({"items": [{"id": 1, "count": 3}, {"id": 2}]}) == [Item("1", 3), Item("2", 1)]
    assert items_of({"order_lines": [{"id": 1, "quantity": "2.5"}]}) == [Item("1", 2.5)]
    assert items_of({"lineItems": {"nodes": [{"id": "gid://shopify/LineItem/7", "quantity": 2}]}}) == [Item("7", 2)]
    assert items_of("raw text") == items_of({"items": 3}) == items_of(None) == []


def signed(receiver: Receiver, cursor: int, **event: Any) -> tuple[dict[str, str], bytes]:
    reported = {"cursor": cursor, "type": "order.updated", "shop": "shopy", "order": "1", "data": {}, **event}
    body = json.dumps(reported).encode()
    at = datetime.now(UTC)
    signature = Webhook(receiver.secret).sign(f"evt_{cursor}", at, body.decode())
    headers = {
        "webhook-id": f"evt_{cursor}",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }
    return headers, body


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_the_receiver_counts_what_is_genuine_once(receiver: Receiver) -> None:
    headers, body = signed(receiver, 1)
    assert [receiver.take("/orders", headers, body) for _ in range(2)] == [204, 204]
    assert receiver.take("/orders", headers, body + b" ") == 401
    assert receiver.take("/orders", {}, body) == 401
    box = receiver.mailbox
    assert (len(box.events), box.repeats, box.forged) == (1, 1, 2)


def test_the_receiver_is_busy_now_and_then(receiver: Receiver) -> None:
    headers, body = signed(receiver, 10)
    assert [receiver.take("/orders", headers, body) for _ in range(2)] == [503, 204]


def test_the_receiver_sees_what_comes_out_of_order(receiver: Receiver) -> None:
    for cursor, order in ((5, "1"), (3, "2"), (4, "1"), (6, "1")):
        receiver.take("/orders", *signed(receiver, cursor, order=order))
    for cursor in (9, 8):
        receiver.take("/products", *signed(receiver, cursor, type="product.updated", order=None, data={"id": "7"}))
    assert receiver.mailbox.out_of_order() == 2


class Feed:
    """The daemon's feed: the receiver gets the second event only after it was looked at for the third time."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._looks = receiver, 0

    def get(self, path: str, query: Mapping[str, Any]) -> Any:
        assert path == "/v1/events"
        if query["after"]:
            return SimpleNamespace(json=lambda: {"events": [], "next": 1})
        self._receiver.take("/orders", *signed(self._receiver, 1 + self._looks // 2))
        self._looks += 1
        events = [{"type": "order.updated"}, {"type": "order.updated"}, {"type": "step.done"}]
        return SimpleNamespace(json=lambda: {"events": events, "next": 1})


def test_the_demo_waits_for_what_comes_late(receiver: Receiver) -> None:
    assert print_deliveries(typing.cast("Client", Feed(receiver)), receiver)


@pytest.mark.parametrize(("repeats", "reported"), [(1, "1 despatch went out"), (2, "2 despatches went out")])
def test_the_demo_counts_despatches_that_went_out_again(
    capsys: pytest.CaptureFixture[str], repeats: int, reported: str
) -> None:
    summary = {
        "by_fault": {}, "repeated_effects": 0, "out_of_sequence": 0, "repeats_after_effect": repeats,
        "calls": 3, "effects": 2,
    }  # fmt: skip
    feed = {"events": [], "next": 0}
    daemon, sandbox = (answering(body) for body in (feed, summary))
    assert print_ledger(daemon, sandbox)
    assert reported in capsys.readouterr().out


def answering(body: Mapping[str, Any]) -> Client:
    """A client whose every answer has this body."""
    answer = SimpleNamespace(json=lambda: body)
    return typing.cast("Client", SimpleNamespace(get=lambda *_: answer))


def test_a_caller_that_hangs_up_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """The demo kills the daemon, whose connections are then reset; stderr is the demo's own."""
    others = set(threading.enumerate())
    receiver = Receiver()
    receiver.open()
    caller = http.client.HTTPConnection(receiver.url.removeprefix("http://"))
    try:
        caller.request("POST", "/orders", b"{}")
        caller.getresponse().read()
        (serving,) = (each for each in set(threading.enumerate()) - others if "process_request_thread" in each.name)
        caller.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
    finally:
        caller.close()
    serving.join(60)
    receiver.close()
    assert receiver.mailbox.forged == 1
    assert capfd.readouterr() == ("", "")


def test_half_a_delivery_is_neither_taken_nor_a_forgery() -> None:
    receiver = Receiver()
    receiver.open()
    host, port = receiver.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(b"POST /orders HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(100) == b""
    receiver.close()
    assert (receiver.mailbox.forged, receiver.mailbox.events) == (0, [])
