"""After the storm: faults end, everybody is let go on, and the daemons have to come to rest by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from tests.chaos.erp import Book
from tests.chaos.nature import Nature, set_mood
from tests.chaos.talk import call
from tests.chaos.world import SHOPS, Ref, World
from tests.support.process import Unreachable

PATIENCE_SECONDS = 120
"""The bound of the calm: what is not at rest by then is stuck."""

_ANSWERED_SECONDS = 0.2  # a target that is sent once more

_MOVING = {"queued", "running", "retrying"}
_OVER = {"delivered", "cancelled"}
_PASSING = {"retry_after", "circuit"}


@dataclass(frozen=True)
class Rest:
    """What the API shows at rest. `missed`: orders that a read from the platform found in another state than ours."""

    missed: list[str]
    orders: list[dict[str, Any]]
    events: list[dict[str, Any]]
    targets: dict[str, dict[str, Any]]
    status: dict[str, Any]
    rejected: list[dict[str, Any]]


async def settle(world: World, natures: Sequence[Nature], book: Book) -> Rest:
    """Ends everything that disturbs, waits until nothing moves, and reads what is there."""
    world.note("calm", "begins")
    world.sandbox.faults.set_rates({})
    set_mood(world, world.settings.rng("calm"), "good")
    world.absent.clear()
    world.write_config()
    for nature in natures:
        await nature.begin_again()
    try:
        # Who asked for much is answered for long, where others use the machine, too; then the clock of the calm runs.
        with anyio.fail_after(PATIENCE_SECONDS + len(book.wanted) * _ANSWERED_SECONDS):
            await _let_go_on(world)
            while not all(each.is_answered for each in book.wanted):
                for each in [each for each in book.wanted if not each.is_answered]:
                    await book.send(each)
            for each in [each for each in book.wanted if each.target is not None]:
                await book.send(each)  # every key still answers with its target
        with anyio.fail_after(PATIENCE_SECONDS):
            await _come_to_rest(world)
    except TimeoutError:
        world.broken("everything comes to rest", await _restless(world) or "it came to rest later")
    except Unreachable as error:
        world.broken("the daemon answers in calm", str(error.__cause__))
    world.note("calm", "ends")
    return await read(world, book)


async def _let_go_on(world: World) -> None:
    """The shops are back, and no person holds anything up."""
    for shop in SHOPS:
        while (await call(world, "POST", f"/v1/shops/{shop}/resume")).status != 200:  # noqa: ASYNC110
            await anyio.sleep(0.1)  # it is being started
    await call(world, "POST", "/v1/delivery/orders_url/resume")
    for job in (await call(world, "GET", "/v1/jobs?limit=100")).body["jobs"]:
        if job["status"] == "running":
            await call(world, "DELETE", f"/v1/jobs/{job['id']}")
    for order in await _orders(world):
        if order["situation"] == "held":
            await call(world, "POST", f"/v1/shops/{order['shop']}/orders/{order['id']}/release")


async def _come_to_rest(world: World) -> None:
    for shop in SHOPS:
        while (await call(world, "POST", f"/v1/shops/{shop}/sync?wait=10")).status != 200:  # noqa: ASYNC110
            await anyio.sleep(0.1)
    while await _restless(world):  # noqa: ASYNC110 - no event says that nothing happens any more
        await anyio.sleep(0.2)


async def _restless(world: World) -> str:
    """What still moves; empty at rest."""
    moving = [
        f"{order['shop']}/{order['id']} {order['situation']} {order['wait']}"
        for order in await _orders(world)
        if order["situation"] in _MOVING or (order["wait"] or {}).get("reason") in _PASSING
    ]
    status = (await call(world, "GET", "/v1/status")).body
    moving += [f"{each['name']} lags {each}" for each in status["delivery"] if each["lag_events"]]
    senders = [sender for each in world.sandbox.platforms.values() for sender in getattr(each, "senders", ())]
    moving += [f"{sender.waiting} webhooks" for sender in senders if sender.waiting]
    return "; ".join(moving)


async def read(world: World, book: Book) -> Rest:
    """Everything that the API shows."""
    missed = await _look_again(world)
    targets = {
        each.target: (await call(world, "GET", f"/v1/targets/{each.target}")).body
        for each in book.wanted
        if each.target is not None
    }
    events = await _pages(world, "/v1/events?limit=1000", "events")
    rejected = await _pages(world, "/v1/rejected?limit=100", "rejected")
    return Rest(missed, await _orders(world), events, targets, (await call(world, "GET", "/v1/status")).body, rejected)


async def read_all(world: World) -> Rest:
    """Orders, events and status, nothing asked of a platform."""
    events = await _pages(world, "/v1/events?limit=1000", "events")
    rejected = await _pages(world, "/v1/rejected?limit=100", "rejected")
    return Rest([], await _orders(world), events, {}, (await call(world, "GET", "/v1/status")).body, rejected)


async def _look_again(world: World) -> list[str]:
    """Refreshes every order that is open and can be read: polls and webhooks should have left nothing new."""
    missed = []
    for order in await _orders(world):
        is_garbage = Ref(order["shop"], order["id"]) in world.garbage  # known by its webhook: no read can tell more
        if order["milestone"] not in _OVER and not is_garbage:
            path = f"/v1/shops/{order['shop']}/orders/{order['id']}/refresh"
            status, now = await call(world, "POST", path)
            if status != 200 or now["state"] != order["state"]:
                missed.append(f"{order['shop']}/{order['id']} was {order['state']}, a read says {status} {now}")
    return missed


async def _orders(world: World) -> list[dict[str, Any]]:
    return await _pages(world, "/v1/orders?limit=1000", "orders")


async def _pages(world: World, path: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        status, page = await call(world, "GET", f"{path}{after}")
        assert status == 200, page
        found += page[name]
        if not page[name] or page["next"] is None:
            return found
        after = f"&after={page['next']}"
