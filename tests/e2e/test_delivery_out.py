"""Events out of the real daemon, to an ERP that is down, slow, broken or picky, while the daemon is killed."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.push.erp import SECRET, Delivered, Erp, is_genuine, running_erp
from tests.support.ports import free_port
from tests.support.process import DaemonProcess
from tests.support.shopify_scene import Scene, all_events, configure, of_types, scene
from tests.support.shopify_sender import Webhook, fulfillment, order, product

pytestmark = pytest.mark.e2e

ORDERS_AREAS, PRODUCTS_AREAS = ("order.", "fulfillment."), ("product.",)
PATIENCE_SECONDS = 120
QUICK = {"max_wait_seconds": 0.05}


@asynccontextmanager
async def delivering(folder: Path, orders: int, **settings: Any) -> AsyncIterator[tuple[Scene, Erp, Erp]]:
    """A daemon that is to be started, and two receivers that are down: of orders and of products."""
    receivers = Erp(port=free_port()), Erp(port=free_port())
    async with scene(folder, orders) as it:
        urls = {"orders_url": receivers[0].url(), "products_url": receivers[1].url("/products")}
        configure(it.daemon, delivery={**urls, "secret": SECRET, **QUICK, **settings})
        yield it, *receivers


@asynccontextmanager
async def up(*receivers: Erp) -> AsyncIterator[None]:
    """The receivers are there, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        for each in receivers:
            await stack.enter_async_context(running_erp(each.port, each))
        yield


async def status_of(daemon: DaemonProcess, name: str = "orders_url") -> dict[str, Any]:
    _, status = await daemon.call("GET", "/v1/status")
    found: dict[str, Any] = next(each for each in status["delivery"] if each["name"] == name)
    return found


async def until(
    daemon: DaemonProcess, condition: Callable[[dict[str, Any]], bool], name: str = "orders_url"
) -> dict[str, Any]:
    """Waits until the receiver's status is as wanted."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not condition(found := await status_of(daemon, name)):  # noqa: ASYNC110 - nothing announces a new status
            await anyio.sleep(0.02)
    return found


def _is_served(status: dict[str, Any]) -> bool:
    return bool(status["lag_events"] == 0)


def _ordering_key(event: dict[str, Any]) -> str:
    return str(event["order"] or event["data"]["id"])


def arrived_whole(events: Sequence[dict[str, Any]], erp: Erp, *areas: str) -> None:
    """Asserts that each event of these areas arrived, and the first arrivals of each order or product in order; that
    all that was sent is genuine, shows the event as the feed has it, and carries one id for an event."""
    wanted = {event["cursor"]: event for event in of_types(events, *areas)}
    assert wanted
    ids: dict[int, set[str]] = {}
    for each in erp.seen:
        assert is_genuine(each)
        ids.setdefault(each.cursor, set()).add(each.headers["webhook-id"])
        data = {name: value for name, value in each.body["data"].items() if name != "payload"}
        assert {**each.body, "data": data} == wanted[each.cursor]
    assert all(len(of_event) == 1 for of_event in ids.values())
    assert len(set.union(*ids.values())) == len(ids)
    by_key: dict[str, list[int]] = {}
    for cursor in sorted(wanted):
        by_key.setdefault(_ordering_key(wanted[cursor]), []).append(cursor)
    arrivals: dict[str, list[int]] = {}
    for cursor in dict.fromkeys(each.cursor for each in erp.taken):
        arrivals.setdefault(_ordering_key(wanted[cursor]), []).append(cursor)
    assert arrivals == by_key


async def publish(it: Scene, version: int) -> None:
    """Something new of every order and its parcel, and of as many products: in the feed when this returns."""
    webhooks: list[Webhook] = []
    for number, order_id in enumerate(it.orders, 1):
        it.sandbox.shopify.panel.edit(order_id, f"Jane Doe {version}")
        webhooks += [order("orders/create" if version == 1 else "orders/updated", order_id, version)]
        webhooks += [fulfillment(number, order_id, version), product(number, version)]
    assert set(await it.sender.burst(webhooks)) == {200}
    await it.worked_off()


async def reach(it: Scene, orders: Sequence[str], state: str) -> None:
    """Drives orders to a state."""
    for order_id in orders:
        path = f"/v1/shops/{it.shop}/orders/{order_id}/targets?wait=50"
        status, target = await it.daemon.call("POST", path, {"state": state, "tracking": {"code": f"T{order_id}"}})
        assert (status, target["status"]) == (200, "reached")


@pytest.mark.crash
async def test_everything_arrives_in_order_whatever_the_receiver_does_and_however_often_the_daemon_dies(
    tmp_path: Path,
) -> None:
    async with delivering(tmp_path, orders=6, timeout_seconds=0.3) as (it, erp, shelf):
        bad = it.orders[2]
        troubles: list[tuple[str, Callable[[Delivered], int]]] = [
            ("answered (500)", lambda _: 500),
            ("answered with a redirect, which is not followed (307)", lambda _: 307),
            ("answered with a redirect, which is not followed (301)", lambda _: 301),
        ]
        await it.start()
        await publish(it, 1)
        down = await until(it.daemon, lambda now: now["last_error"] is not None)
        assert down["last_error"] == f"connection refused by 127.0.0.1:{erp.port}"
        await reach(it, it.orders, "shipped")
        assert await it.daemon.call("GET", "/v1/ready") == (200, {"status": "ready"})
        wanted = of_types(await all_events(it.daemon), *ORDERS_AREAS)
        assert (await status_of(it.daemon))["lag_events"] == len(wanted)
        it.daemon.kill()

        async with up(erp, shelf):
            for version, (words, erp.judge) in enumerate(troubles, 2):
                await it.start()
                await publish(it, version)
                reported = await until(it.daemon, lambda now, words=words: now["last_error"] == words)  # type: ignore[misc]
                assert reported["lag_events"] == len(of_types(await all_events(it.daemon), *ORDERS_AREAS))
                await until(it.daemon, _is_served, "products_url")
                it.daemon.kill()
            assert erp.taken == []
            assert {each.path for each in erp.seen} == {"/orders"}, "no redirect was followed"

            erp.silent = anyio.Event()
            await it.start()
            await until(it.daemon, lambda now: now["last_error"] == "no answer within 0.3 s")
            it.daemon.kill()
            erp.silent.set()
            erp.silent = None

            erp.judge = lambda each: 422 if each.body["order"] == bad else 200
            await it.start()
            await publish(it, 5)
            theirs = [event for event in await all_events(it.daemon) if event["order"] == bad]
            left = len(of_types(theirs, *ORDERS_AREAS))
            picky = await until(it.daemon, lambda now: now["lag_events"] == left and "(422)" in str(now["last_error"]))
            assert picky["lag_seconds"] > 0
            assert not any(each.body["order"] == bad for each in erp.taken)
            it.daemon.kill()

        await it.start()  # down again, before the last webhooks
        await publish(it, 6)
        await until(it.daemon, lambda now: (now["last_error"] or "").startswith("connection refused"), "products_url")
        it.daemon.kill()
        erp.judge = lambda _: 204
        async with up(erp, shelf):
            await it.start()
            for name in ("orders_url", "products_url"):
                served = await until(it.daemon, _is_served, name)
                assert served == {
                    "name": name,
                    "lag_events": 0,
                    "lag_seconds": 0.0,
                    "last_error": None,
                    "paused": False,
                }
            events = await all_events(it.daemon)
            arrived_whole(events, erp, *ORDERS_AREAS)
            arrived_whole(events, shelf, *PRODUCTS_AREAS)
            assert it.is_silent()
            assert await it.daemon.terminate() == 0


class Killer:
    """A receiver's whim: refuses everything until it is armed, then fails at random and kills the daemon during its
    nth call, which it takes; the answer is lost."""

    def __init__(self, daemon: DaemonProcess, rng: random.Random) -> None:
        self._daemon, self._rng = daemon, rng
        self._left: int | None = None
        self.is_mild = False

    def arm(self, calls: int) -> None:
        self._left = calls

    def __call__(self, _: Delivered) -> int:
        if self.is_mild:
            return 204
        if self._left is None:
            return 503
        self._left -= 1
        if self._left == 0:
            self._left = None
            assert self._daemon.process is not None
            self._daemon.process.kill()
            return 204
        return self._rng.choice((204, 204, 204, 500, 503, 422))


@pytest.mark.crash
@pytest.mark.parametrize("seed", [1, 2])
async def test_kills_during_calls_to_receivers_that_fail_at_random_lose_nothing(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    async with delivering(tmp_path, orders=8) as (it, erp, shelf):
        judge = erp.judge = shelf.judge = Killer(it.daemon, rng)
        async with up(erp, shelf):
            for life in range(1, 6):
                await it.start()
                await publish(it, life)
                judge.arm(rng.randint(1, 20))
                assert await it.daemon.exited() == -9
            judge.is_mild = True
            await it.start()
            for name in ("orders_url", "products_url"):
                await until(it.daemon, _is_served, name)
            events = await all_events(it.daemon)
            arrived_whole(events, erp, *ORDERS_AREAS)
            arrived_whole(events, shelf, *PRODUCTS_AREAS)
            taken = [each.headers["webhook-id"] for each in (*erp.taken, *shelf.taken)]
            assert len(set(taken)) < len(taken), "what was taken without an answer came again under its id"


async def test_a_receiver_that_never_answers_delays_neither_orders_nor_the_other_receiver_nor_the_end(
    tmp_path: Path,
) -> None:
    async with delivering(tmp_path, orders=4, timeout_seconds=300) as (it, erp, shelf):
        erp.silent = anyio.Event()
        async with up(erp, shelf):
            await it.start()
            await publish(it, 1)
            await erp.until(lambda erp: bool(erp.seen))
            await reach(it, it.orders, "delivered")
            await until(it.daemon, _is_served, "products_url")
            arrived_whole(await all_events(it.daemon), shelf, *PRODUCTS_AREAS)
            behind = await status_of(it.daemon)
            assert behind["lag_events"] == len(of_types(await all_events(it.daemon), *ORDERS_AREAS))
            assert behind["lag_seconds"] > 0
            assert await it.daemon.terminate() == 0, "calls without an answer do not keep the daemon"
            erp.silent.set()
            erp.silent = None
            await it.start()
            await until(it.daemon, _is_served)
            arrived_whole(await all_events(it.daemon), erp, *ORDERS_AREAS)


async def operate(daemon: DaemonProcess, *arguments: str) -> tuple[int, str]:
    """Runs a command of the CLI: exit code, and what it printed."""
    command = [sys.executable, "-m", "orchestrator", "--socket", str(daemon.socket), *arguments]
    done = await anyio.run_process(command, check=False)
    return done.returncode, done.stdout.decode()


async def test_a_receiver_is_paused_and_resumed_over_the_api_and_the_command_line(tmp_path: Path) -> None:
    async with delivering(tmp_path, orders=2) as (it, erp, shelf), up(erp, shelf):
        await it.start()
        status, answer = await it.daemon.call("POST", "/v1/delivery/orders_url/pause")
        assert (status, answer["name"], answer["paused"]) == (200, "orders_url", True)
        assert (await it.daemon.call("POST", "/v1/delivery/nobody/pause"))[0] == 404
        assert (await operate(it.daemon, "delivery", "pause", "nobody"))[0] == 4
        await publish(it, 1)
        await until(it.daemon, _is_served, "products_url")
        it.daemon.kill()
        await it.start()
        await publish(it, 2)
        await until(it.daemon, _is_served, "products_url")
        waiting = await status_of(it.daemon)
        assert waiting["paused"]
        assert waiting["lag_events"] == len(of_types(await all_events(it.daemon), *ORDERS_AREAS)) > 0
        assert erp.seen == []

        code, printed = await operate(it.daemon, "delivery", "resume", "orders_url", "--json")
        assert (code, json.loads(printed)["paused"]) == (0, False)
        await until(it.daemon, _is_served)
        assert (await operate(it.daemon, "delivery", "pause", "products_url"))[0] == 0
        assert (await status_of(it.daemon, "products_url"))["paused"]
        await publish(it, 3)
        await until(it.daemon, _is_served)
        assert (await it.daemon.call("POST", "/v1/delivery/products_url/resume"))[0] == 200
        await until(it.daemon, _is_served, "products_url")
        events = await all_events(it.daemon)
        arrived_whole(events, erp, *ORDERS_AREAS)
        arrived_whole(events, shelf, *PRODUCTS_AREAS)
        await _is_operated_by_hand(it.daemon, erp)


async def _is_operated_by_hand(daemon: DaemonProcess, erp: Erp) -> None:
    """Attempts are shown, an event is sent again, a test is sent, and the feed is replayed."""
    _, receivers = await daemon.call("GET", "/v1/delivery")
    assert [each["name"] for each in receivers["delivery"]] == ["orders_url", "products_url"]
    _, receiver = await daemon.call("GET", "/v1/delivery/orders_url")
    first = next(each for each in erp.taken if each.body["type"].startswith("order."))
    status, sent = await daemon.call("POST", "/v1/delivery/orders_url/send", {"cursor": first.cursor})
    assert (status, sent["attempt"]["http_status"], sent["attempt"]["kind"]) == (200, 204, "again")
    assert erp.taken[-1].headers["webhook-id"] == first.headers["webhook-id"]
    _, page = await daemon.call("GET", f"/v1/delivery/orders_url/attempts?cursor={first.cursor}")
    assert [(each["attempt"], each["order"]) for each in page["attempts"]] == [
        (2, first.body["order"]),
        (1, first.body["order"]),
    ]
    _, newest = await daemon.call("GET", "/v1/delivery/orders_url/attempts?limit=1")
    _, older = await daemon.call("GET", f"/v1/delivery/orders_url/attempts?limit=1&after={newest['next']}")
    assert newest["attempts"] == page["attempts"][:1]
    assert older["attempts"][0]["id"] < newest["attempts"][0]["id"]
    assert (await operate(daemon, "delivery", "test", "orders_url"))[0] == 0
    assert erp.taken[-1].body["type"] == "delivery.test"
    erp.judge = lambda _: 503
    code, printed = await operate(daemon, "delivery", "test", "orders_url", "--json")
    assert (code, json.loads(printed)["error"]) == (1, "answered (503)")
    erp.judge = lambda _: 204
    erp.taken.clear()
    erp.seen.clear()
    status, replayed = await daemon.call("POST", "/v1/delivery/orders_url/replay", {"cursor": 0})
    assert (status, replayed["name"]) == (200, "orders_url")
    await until(daemon, _is_served)
    arrived_whole(await all_events(daemon), erp, *ORDERS_AREAS)
    assert (await daemon.call("POST", "/v1/delivery/orders_url/send", {"cursor": 10**9}))[1][
        "type"
    ] == "event-not-found"
    above = {"cursor": receiver["cursor"] + 10**6}
    assert (await daemon.call("POST", "/v1/delivery/orders_url/replay", above))[1]["type"] == "cursor-ahead"


async def test_shopifys_own_bodies_go_to_an_erp_that_wants_them(tmp_path: Path) -> None:
    async with delivering(tmp_path, orders=1, format="platform") as (it, erp, shelf), up(erp, shelf):
        (known,) = it.orders
        webhooks = [
            order("orders/create", known),
            fulfillment(1, known),
            fulfillment(1, known, 2),
            product(1),
            product(1, 2),
        ]
        await it.start()
        for each in webhooks:
            assert await it.sender.send(each) == 200
            await it.worked_off()
        await erp.takes(3)
        await shelf.takes(2)
        sent = {each.topic: each.body.decode() for each in webhooks}
        assert len(erp.taken) + len(shelf.taken) == len(sent) == 5
        for taken in (*erp.taken, *shelf.taken):
            assert is_genuine(taken)
            assert taken.raw == sent[taken.headers["X-Fulfilld-Topic"]], "byte for byte as Shopify sent it"
            assert taken.headers["X-Fulfilld-Payload"] == "webhook"
            assert taken.headers["X-Fulfilld-Shop"] == it.shop
        assert [each.headers["X-Fulfilld-Event"] for each in erp.taken] == [
            "order.imported",
            "fulfillment.created",
            "fulfillment.updated",
        ]
        assert [each.headers["X-Fulfilld-Event"] for each in shelf.taken] == ["product.created", "product.updated"]

        it.sandbox.shopify.panel.edit(known, "Jane Doe 2")
        assert (await it.daemon.call("POST", f"/v1/shops/{it.shop}/orders/{known}/refresh"))[0] == 200
        await erp.takes(4)
        read = erp.taken[-1]
        assert (read.headers["X-Fulfilld-Topic"], read.headers["X-Fulfilld-Payload"]) == ("orders/updated", "read")
        assert read.body["id"] == f"gid://shopify/Order/{known}"
