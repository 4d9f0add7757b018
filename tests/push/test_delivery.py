"""Events reach the ERP over real HTTP: signed, in order per order, at least once, whatever the ERP does."""

from __future__ import annotations

import json
import random
from pathlib import Path

import anyio
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from structlog.testing import capture_logs

from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.push.envelope import endpoints_of, signer_of
from orchestrator.push.pusher import EndpointPusher
from orchestrator.push.sender import PushContext
from orchestrator.testing.engine_suite.samples import order as an_order
from orchestrator.testing.engine_suite.scratch import NOW
from storage import retention
from storage.deliveries import park
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.events import append_event
from storage.orders import insert_order
from storage.transaction import Transaction
from storage.webhooks import Arrival, add_webhook
from tests.push.erp import Delivered, Erp, dispatching, is_genuine, running_erp, settings
from tests.support.engines import store_url
from tests.support.ports import free_port

pytestmark = pytest.mark.engines("sqlite", "postgresql")


async def test_an_event_arrives_signed_with_the_payload_in_it(tmp_path: Path) -> None:
    payload = b'{"id": 7, "price": 10.10, "big": 12345678901234567890123}'
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.store.write(lambda tx: insert_order(tx, an_order("7"), payload))
        await it.publish("7", type_="order.imported", state="CheckQueue")
        (event,) = await erp.takes(1)
        assert is_genuine(event)
        assert event.body["type"] == "order.imported"
        assert (event.body["shop"], event.body["order"]) == ("acme", "7")
        assert event.body["data"]["state"] == "CheckQueue"
        assert event.body["data"]["payload"] == json.loads(payload)
        assert '"price": 10.10, "big": 12345678901234567890123' in event.raw
        assert event.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("include", [("payload", "content"), ("content",), ("payload",), ()])
async def test_an_event_carries_of_its_order_what_the_config_says(tmp_path: Path, include: tuple[str, ...]) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp, include=include)) as it:
        await it.store.write(lambda tx: insert_order(tx, an_order("7"), b'{"id": 7}', {"currency": "EUR"}))
        await it.publish("7", type_="order.imported")
        await it.publish("8", type_="order.held", reason="x")
        await erp.takes(2)
        by_order = {each.body["order"]: each.body["data"] for each in erp.taken}
        assert {name for name in by_order["7"] if name in ("payload", "content")} == set(include)
        if "content" in include:
            assert by_order["7"]["content"]["currency"] == "EUR"
            assert "/bill_to" in by_order["7"]["content"]["gaps"]
            assert by_order["8"] == {"reason": "x", **dict.fromkeys(include)}, "an order that is not there any more"
        assert all(is_genuine(each) for each in erp.taken)


def test_what_the_platform_alone_sends_has_no_content() -> None:
    chosen = {"orders_url": "https://erp.example/o", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    with pytest.raises(ValidationError, match='include is for the format "event"'):
        DeliverySettings.model_validate({**chosen, "format": "platform", "include": ("content",)})
    with pytest.raises(ValidationError, match="include"):
        DeliverySettings.model_validate({**chosen, "include": ("contents",)})


async def test_a_node_that_may_have_lost_its_duty_sends_the_next_event_only_once_it_knows(tmp_path: Path) -> None:
    asked: list[int] = []

    def is_ours() -> bool:
        """Asked before each call; the second event has to wait for two heartbeats."""
        asked.append(len(erp.seen))
        return len(asked) not in (2, 3)

    clock = Clock()
    async with running_erp() as erp, open_store(store_url(tmp_path), clock.now_ms()) as store:

        async def refused() -> None:
            raise AssertionError

        context = PushContext(settings(erp), store, clock, Chance(random.Random(1)), 0.01, 60.0, refused, is_ours)
        (endpoint,) = endpoints_of(context.settings)
        await store.write(lambda tx: [append_event(tx, NOW, "order.updated", shop="acme", order="7") for _ in range(3)])
        async with anyio.create_task_group() as group:
            group.start_soon(EndpointPusher(endpoint, context).run)
            await erp.takes(3)
            group.cancel_scope.cancel()
        assert [each.cursor for each in erp.seen] == [1, 2, 3]
        assert asked == [0, 1, 1, 1, 2], "right before each call, and nothing left in between"


async def test_large_payloads_arrive_whole_however_many_wait(tmp_path: Path) -> None:
    payloads = {str(number): {"id": number, "note": str(number) * 300_000} for number in range(1, 10)}
    async with running_erp() as erp:
        erp.judge = lambda _: 503
        async with dispatching(tmp_path, settings(erp)) as it:
            for number, payload in payloads.items():
                raw = json.dumps(payload).encode()
                await it.store.write(lambda tx, n=number, r=raw: insert_order(tx, an_order(n), r))  # type: ignore[misc]
            await it.publish(*payloads)
            await erp.until(lambda erp: len(erp.seen) > 0)
            erp.judge = lambda _: 204
            assert {each.body["order"]: each.body["data"]["payload"] for each in await erp.takes(9)} == payloads


async def test_each_receiver_gets_its_own_kinds(tmp_path: Path) -> None:
    async with running_erp() as erp:
        chosen = settings(erp, products_url=erp.url("/products"), orders_types=("target.*",))
        async with dispatching(tmp_path, chosen) as it:
            for type_ in ("order.held", "step.done", "target.reached", "fulfillment.created", "product.created"):
                await it.publish("7", type_=type_, id="5")
            await erp.takes(4)
            assert {(each.path, each.body["type"]) for each in erp.taken} == {
                ("/orders", "order.held"),
                ("/orders", "target.reached"),
                ("/orders", "fulfillment.created"),
                ("/products", "product.created"),
            }


async def test_the_platforms_payload_can_be_sent_alone_with_its_topic(tmp_path: Path) -> None:
    async with running_erp() as erp:
        chosen = settings(erp, products_url=erp.url("/products"), format="platform")
        async with dispatching(tmp_path, chosen) as it:

            def unit(tx: Transaction) -> None:
                add_webhook(tx, Arrival("acme", "signed", "products/create", "w", None, None, b'{"id":9,"p":1.50}'), 1)
                data = {"id": "9", "topic": "products/create", "webhook": "1"}
                append_event(tx, 1, "product.created", shop="acme", data=data)

            await it.store.write(unit)
            (product,) = await erp.takes(1)
            assert product.raw == '{"id":9,"p":1.50}'
            assert is_genuine(product)
            assert product.headers["X-Fulfilld-Topic"] == "products/create"
            assert product.headers["X-Fulfilld-Shop"] == "acme"


@pytest.mark.parametrize(
    ("form", "is_kept", "sent"),
    [("platform", True, '{"id":7,"rest":1}'), ("platform", False, '{"id":7,"read":1}'), ("event", True, None)],
)
async def test_an_order_that_a_webhook_reported_is_sent_as_the_webhook_had_it_where_that_is_wanted(
    tmp_path: Path, form: str, is_kept: bool, sent: str | None
) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp, format=form)) as it:

        def unit(tx: Transaction) -> None:
            kept = 1
            insert_order(tx, an_order("7"), b'{"id":7,"read":1}')
            if is_kept:
                add_webhook(tx, Arrival("acme", "signed", "orders/paid", "w", None, None, b'{"id":7,"rest":1}'), 1)
                ((kept,),) = tx.query("SELECT id FROM webhooks")
            for type_ in ("order.imported", "order.updated"):
                append_event(tx, 1, type_, shop="acme", order="7", data={"topic": "orders/paid", "webhook": str(kept)})

        await it.store.write(unit)
        await erp.takes(2)
        if sent is None:
            assert [each.body["data"]["payload"] for each in erp.taken] == [{"id": 7, "read": 1}] * 2
            return
        assert [each.raw for each in erp.taken] == [sent] * 2
        topics = [each.headers["X-Fulfilld-Topic"] for each in erp.taken]
        assert topics == ["orders/create", "orders/paid"]
        sources = {each.headers["X-Fulfilld-Payload"] for each in erp.taken}
        assert sources == {"webhook" if is_kept else "read"}


async def test_nothing_is_lost_or_out_of_order_while_the_erp_fails(tmp_path: Path) -> None:
    tries: list[int] = []

    def flaky(delivered: Delivered) -> int:
        tries.append(delivered.cursor)
        return 500 if len(tries) % 3 else 200

    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = flaky
        for _ in range(10):
            await it.publish("1", "2", "3", "4")
        await erp.takes(40)
        for order in "1234":
            cursors = [each.cursor for each in erp.taken if each.body["order"] == order]
            assert list(dict.fromkeys(cursors)) == sorted(set(cursors))
            assert len(set(cursors)) == 10
        await it.until(lambda now: now["lag_events"] == 0)


async def test_one_orders_trouble_holds_up_that_order_alone(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = lambda each: 500 if each.body["order"] == "bad" else 200
        await it.publish("bad", "bad", *(f"o{number}" for number in range(100)), "bad")
        await erp.takes(100)
        await it.publish("late")
        await erp.until(lambda erp: any(each.body["order"] == "late" for each in erp.taken))
        now = await it.until(lambda now: now["lag_events"] == 3)
        assert now["last_error"] == "answered (500)"
        assert {each.cursor for each in erp.seen if each.body["order"] == "bad"} == {1}
        erp.judge = lambda _: 200
        await erp.takes(104)
        assert [each.cursor for each in erp.taken if each.body["order"] == "bad"] == [1, 2, 103]
        assert await it.until(lambda now: now["lag_events"] == 0) | {"lag_seconds": 0} == {
            "name": "orders_url",
            "lag_events": 0,
            "lag_seconds": 0,
            "last_error": None,
            "paused": False,
        }


async def test_a_round_whose_time_is_up_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp), round_seconds=0.0) as it:
        for _ in range(10):
            await it.publish("1", "2", "3")
        await erp.takes(30)
        for order in "123":
            cursors = [each.cursor for each in erp.taken if each.body["order"] == order]
            assert cursors == sorted(cursors)
        await it.until(lambda now: now["lag_events"] == 0)


async def test_events_that_are_never_taken_do_not_stand_in_the_way_for_good(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = lambda each: 200 if each.body["order"] == "good" else 503
        await it.publish(*(f"bad{number}" for number in range(30)), "good")
        await erp.takes(1)
        assert (await it.until(lambda now: now["lag_events"] == 30))["last_error"] == "answered (503)"


async def test_an_erp_that_is_down_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    async with dispatching(tmp_path, settings(Erp(port))) as it:
        for _ in range(3):
            await it.publish("1", "2")
        down = await it.until(lambda now: now["last_error"] is not None)
        assert down["last_error"] == f"connection refused by 127.0.0.1:{port}"
        assert down["lag_events"] == 6
        async with running_erp(port) as erp:
            await erp.takes(6)
            assert (await it.until(lambda now: now["lag_events"] == 0))["last_error"] is None


async def test_a_restart_goes_on_where_it_was_and_keeps_what_was_parked(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.judge = lambda each: 422 if each.body["order"] == "bad" else 200
        async with dispatching(tmp_path, settings(erp)) as it:
            await it.publish("bad", "1", "2", "bad")
            await erp.takes(2)
            await it.until(lambda now: now["lag_events"] == 2)
        erp.taken.clear()
        erp.judge = lambda _: 200
        async with dispatching(tmp_path, settings(erp)) as it:
            await it.publish("3")
            await erp.takes(3)
            bad = dict.fromkeys(each.cursor for each in erp.taken if each.body["order"] == "bad")
            assert list(bad) == [1, 4], "in order; what was under way at the end may come twice"
            assert {each.cursor for each in erp.taken} == {1, 4, 5}


async def test_what_was_cut_off_by_a_crash_is_sent_again_under_the_same_id(tmp_path: Path) -> None:
    async with running_erp() as erp:
        erp.silent = anyio.Event()
        async with dispatching(tmp_path, settings(erp)) as it:
            await it.publish("1")
            await erp.until(lambda erp: bool(erp.seen))  # the answer is what is held back
        erp.silent.set()
        async with dispatching(tmp_path, settings(erp)):
            await erp.until(lambda erp: len(erp.seen) == 2)
            first, second = erp.seen
            assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_redirect_is_not_followed_and_is_no_success(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = lambda _: 307
        await it.publish("1")
        now = await it.until(lambda now: now["last_error"] is not None)
        assert "redirect" in now["last_error"]
        assert {each.path for each in erp.seen} == {"/orders"}
        assert now["lag_events"] == 1


@pytest.mark.parametrize("status", [300, 304])
async def test_what_leads_nowhere_is_not_called_a_redirect(tmp_path: Path, status: int) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = lambda _: status
        await it.publish("1")
        now = await it.until(lambda now: now["last_error"] is not None)
        assert now["last_error"] == f"answered ({status})"


async def test_a_store_that_fails_in_the_middle_of_a_round_is_reported_as_such(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.hangs = lambda _: True
        await it.publish("1")
        await erp.until(lambda erp: bool(erp.seen))

        async def fail(unit: object) -> None:
            raise StoreUnavailable("the disk is full")

        it.store.write = fail  # type: ignore[method-assign,assignment]
        with capture_logs() as reported:
            erp.release()
            while not reported:  # noqa: ASYNC110 - logs notify nobody
                await anyio.sleep(0.01)
        assert [(each["event"], each["detail"]) for each in reported] == [("delivery.stopped", "the disk is full")]


async def test_a_receiver_that_never_answers_delays_only_itself(tmp_path: Path) -> None:
    async with running_erp() as slow, running_erp() as quick:
        slow.silent = anyio.Event()
        chosen = settings(slow, products_url=quick.url("/products"), timeout_seconds=0.1)
        async with dispatching(tmp_path, chosen) as it:
            await it.publish("1")
            for number in range(20):
                await it.publish("1", type_="product.updated", id=str(number))
            await quick.takes(20)
            now = await it.until(lambda now: now["last_error"] is not None)
            assert now["last_error"] == "no answer within 0.1 s"
            assert slow.taken == []


async def test_a_paused_receiver_gets_nothing_until_it_is_resumed_even_after_a_restart(tmp_path: Path) -> None:
    async with running_erp() as erp:
        async with dispatching(tmp_path, settings(erp)) as it:
            with capture_logs() as logs:
                assert await it.deliveries.pause("orders_url")
                assert not await it.deliveries.pause("nobody")
            assert [log["paused"] for log in logs if log["event"] == "delivery.switched"] == [True]
            await it.publish("1")
        async with dispatching(tmp_path, settings(erp)) as it:
            assert (await it.status())["paused"]
            await it.publish("2")
            assert erp.seen == []
            assert await it.deliveries.resume("orders_url")
            await erp.takes(2)
            assert not (await it.status())["paused"]


async def test_new_settings_apply_at_once_and_the_cursor_stays(tmp_path: Path) -> None:
    async with running_erp() as old, running_erp() as new, dispatching(tmp_path, settings(old)) as it:
        await it.publish("1")
        await old.takes(1)
        await it.until(lambda now: now["lag_events"] == 0)
        it.deliveries.reload(settings(new))
        await it.publish("2")
        (event,) = await new.takes(1)
        assert event.body["order"] == "2"
        it.deliveries.reload(None)
        assert it.deliveries.endpoints == ()


@pytest.mark.parametrize("secret", ["whsec_ZXJwLXNlY3JldA==", "ZXJwLXNlY3JldA"])
def test_a_secret_is_used_as_the_receivers_library_uses_it(secret: str) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert signer_of(secret).sign("m", at, "{}") == Webhook(secret).sign("m", at, "{}")


@pytest.mark.parametrize("secret", ["erp-secret", "my-long-delivery-secret!", "päss wörd", "five5", "===="])
def test_a_secret_that_is_no_base64_is_used_as_it_is(secret: str) -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert signer_of(secret).sign("m", at, "{}") == Webhook(secret.encode()).sign("m", at, "{}")


async def test_parked_events_that_are_too_old_are_forgotten_with_the_others(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        erp.judge = lambda each: 422 if each.body["order"] == "bad" else 200
        await it.publish("bad", "bad", "good")
        await it.until(lambda now: now["lag_events"] == 2)
        later = 2**45
        keys = await it.store.read(lambda tx: retention.EVENTS.find(tx, later))
        await it.store.write(lambda tx: retention.EVENTS.forget(tx, keys, later))
        assert (await it.status())["lag_events"] == 0
        await it.publish("bad")
        await erp.until(lambda erp: erp.seen[-1].cursor == 4)


async def test_an_event_that_is_gone_is_not_parked(tmp_path: Path) -> None:
    async with running_erp() as erp, dispatching(tmp_path, settings(erp)) as it:
        await it.store.write(lambda tx: park(tx, "orders_url", 0, "acme/order/1", 1, 0))
        await it.publish("1")
        await erp.takes(1)


async def test_a_signing_secret_that_was_replaced_in_its_file_is_read_when_a_receiver_refuses(tmp_path: Path) -> None:
    new = "whsec_bmV3LWVycC1zZWNyZXQtMTIzNDU2Nzg="
    async with running_erp() as erp:
        asked: list[int] = []

        def judge(delivered: Delivered) -> int:
            try:
                return 204 if is_genuine(delivered, new) else 401
            except WebhookVerificationError:
                return 401

        async def reread() -> DeliverySettings | None:
            asked.append(len(erp.seen))
            return settings(erp, secret=new) if len(asked) > 1 else None  # the file is not there yet at first

        erp.judge = judge
        async with dispatching(tmp_path, settings(erp), reread) as it:
            await it.publish("7")
            (event,) = await erp.takes(1)
            assert is_genuine(event, new)
            assert len(asked) == 2
