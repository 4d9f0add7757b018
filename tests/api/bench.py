"""The API on a real socket over a real store; behind it a daemon that does as little as it can."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from orchestrator.api.app import build_app
from orchestrator.api.server import Served, serving
from orchestrator.api.session import Sessions
from orchestrator.clock import Chance, Clock
from orchestrator.config import ApiSettings, Limits
from orchestrator.decisions.bulk import Action
from orchestrator.decisions.problems import Help
from orchestrator.decisions.refusals import Refused
from orchestrator.decisions.submission import Accepted, Requested, Submission
from orchestrator.metrics import Metrics
from orchestrator.operations.commands.jobs import new_job, refuse_unreasoned
from orchestrator.operations.feed import Feed
from orchestrator.operations.order_filter import Wanted, select_orders
from orchestrator.operations.queries import Queries
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts, SyncReport
from statemachines.machine import OrderState, Plan, Refusal
from statemachines.selldone import MACHINE
from statemachines.target import TargetRequest
from storage.announcements import announced_by, keep_announcement
from storage.attempts import KeptAttempt
from storage.engines import open_store
from storage.events import append_event
from storage.jobs import Job, add_job, end_job, get_job
from storage.leases import acquire
from storage.orders import get_order, insert_order, save_order
from storage.records import Order, PlanEntry, Problem, Situation, Target, TargetStatus
from storage.rejected import get_rejected, remove_rejected
from storage.shops import pause_shop, resume_shop
from storage.store import Store
from storage.targets import get_target, insert_target, pending_targets, save_target, target_by_key
from storage.transaction import Transaction
from tests.support.engines import store_url

SHOPS = ("acme", "żółw & co")
TOKEN = "correct-horse-battery"


@dataclass
class Node:
    """The daemon about itself."""

    node: str = "test-node"
    pid: int = 4711
    started_at: int = 1_700_000_000_000
    is_draining: bool = False
    is_ready: bool = True
    known: dict[str, ShopFacts] = field(default_factory=dict)

    def shops(self) -> Mapping[str, ShopFacts]:
        return self.known


def shop_facts(name: str) -> ShopFacts:
    limit = RateLimitFacts(Limits(concurrency=8, rate_per_second=10.0, burst=20), available=20.0)
    return ShopFacts(name, "selldone", "auto", MACHINE, True, 0, limit)


class FakeCommands:
    """Keeps to the API's answers and calls no platform. `submitted` is what came in, in order."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock, self._chance = store, clock, Chance()
        self.submitted: list[tuple[str, str, TargetRequest, str | None]] = []
        self.may_go_on: anyio.Event | None = None
        self.failure: Exception | None = None
        self.units: list[int] = []
        self.alone: list[tuple[str, str, TargetRequest, str | None]] = []
        self.at_once = 0
        self.most_at_once = 0

    async def submit(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Target:
        self.at_once += 1
        self.alone.append((shop, order, request, key))
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.may_go_on is not None:
                await self.may_go_on.wait()
            if self.failure is not None:
                raise self.failure
            self.submitted.append((shop, order, request, key))
            return await self._store.write(lambda tx: self._accept(tx, shop, order, request, key))
        finally:
            self.at_once -= 1

    async def submit_all(self, wanted: Sequence[Requested]) -> Sequence[Accepted | Exception | None]:
        if self.may_go_on is not None:
            await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure
        results = await self._store.write(lambda tx: self._accept_all(tx, wanted))
        self.units.append(len(wanted))
        self.submitted += [each for each, result in zip(wanted, results, strict=True) if result is not None]
        return results

    def _accept_all(self, tx: Transaction, wanted: Sequence[Requested]) -> list[Accepted | Exception | None]:
        results: list[Accepted | Exception | None] = []
        for each in wanted:
            try:
                result = (
                    None if get_order(tx, each.shop, each.order) is None else Accepted(self._accept(tx, *each), None)
                )
            except Refused as refusal:
                results.append(refusal)
            else:
                results.append(result)
        return results

    def _accept(self, tx: Transaction, shop: str, order: str, request: TargetRequest, key: str | None) -> Target:
        digest = Submission("", shop, order, request, key).digest()
        if key is not None and (known := target_by_key(tx, key)) is not None:
            if known[1] != digest:
                raise Refused("idempotency-key-reused", "use a new key")
            return known[0]
        plan = self._plan(tx, shop, order, request)
        now = self._clock.now_ms()
        entries = tuple(PlanEntry(s.step, s.source, s.to) for s in plan.steps)
        target = Target(
            seq=0,
            id=self._chance.target_id(now),
            shop=shop,
            order=order,
            state=plan.state,
            milestone=plan.milestone,
            status=TargetStatus.QUEUED if entries else TargetStatus.REACHED,
            request=request.to_json(),
            plan=entries,
            steps_done=0,
            unused=plan.unused,
            submitted_at=now,
            finished_at=None if entries else now,
            problem=None,
        )
        target = insert_target(tx, target, key, digest)
        append_event(tx, now, "target.submitted", shop=shop, order=order, target=target.id)
        return target

    def _plan(self, tx: Transaction, shop: str, order: str, request: TargetRequest) -> Plan:
        found = self._order(tx, shop, order)
        standing = OrderState(found.state, found.platform_state, found.payment, found.facts)
        plan = MACHINE.plan(standing, request)
        if isinstance(plan, Refusal):
            extra = Help(allowed=list(plan.allowed))
            if plan.reason:
                extra["reason"] = plan.reason
            raise Refused(plan.slug, plan.detail, extra=extra)
        return plan

    def _order(self, tx: Transaction, shop: str, order: str) -> Order:
        found = get_order(tx, shop, order)
        if found is None:
            raise Refused("order-not-found", f"shop {shop} has no order {order}")
        return found

    async def preview(self, shop: str, order: str, request: TargetRequest, *, key: str | None = None) -> Plan:
        return await self._store.read(lambda tx: self._plan(tx, shop, order, request))

    async def cancel_target(self, target: str) -> Target:
        def unit(tx: Transaction) -> Target:
            found = get_target(tx, target)
            if found is None:
                raise Refused("target-not-found", f"there is no target {target}")
            if found.status.is_end:
                raise Refused("already-finished", "it has ended")
            return finish(tx, found, TargetStatus.CANCELLED, self._clock.now_ms())

        return await self._store.write(unit)

    async def retry(self, shop: str, order: str) -> Order:
        found = await self._read(shop, order)
        if found.situation is not Situation.BLOCKED:
            raise Refused("not-blocked", f"order {order} is {found.situation.value}")
        return found

    async def skip(self, shop: str, order: str, reason: str | None) -> Order:
        if not reason or not reason.strip():
            raise Refused("reason-required", "skip needs a reason")
        return await self.retry(shop, order)

    async def hold(self, shop: str, order: str, reason: str | None) -> Order:
        changes = {"held_at": self._clock.now_ms(), "held_reason": reason, "situation": Situation.HELD}
        return await self._change(shop, order, changes)

    async def release(self, shop: str, order: str) -> Order:
        if (await self._read(shop, order)).held_at is None:
            raise Refused("not-held", f"order {order} is not held")
        return await self._change(shop, order, {"held_at": None, "held_reason": None, "situation": Situation.IDLE})

    async def cancel(self, shop: str, order: str) -> Order:
        def unit(tx: Transaction) -> None:
            for target in pending_targets(tx, shop, order):
                finish(tx, target, TargetStatus.CANCELLED, self._clock.now_ms())

        await self._store.write(unit)
        return await self._read(shop, order)

    async def refresh(self, shop: str, order: str) -> Order:
        if self.failure is not None:
            raise self.failure
        return await self._read(shop, order)

    async def announce(self, shop: str, order: str, *, key: str | None = None) -> None:
        def unit(tx: Transaction) -> None:
            self._order(tx, shop, order)
            if key is not None and (known := announced_by(tx, key)) is not None:
                if known != (shop, order):
                    raise Refused("idempotency-key-reused", "use a new key")
                return
            if key is not None:
                keep_announcement(tx, key, shop, order, self._clock.now_ms())
            append_event(tx, self._clock.now_ms(), "order.announced", shop=shop, order=order)

        await self._store.write(unit)

    async def start_job(self, action: Action, wanted: Wanted, limit: int | None, reason: str | None, by: str) -> Job:
        refuse_unreasoned(action, reason)
        now, known = self._clock.now_ms(), {name: shop_facts(name) for name in SHOPS}

        def unit(tx: Transaction) -> Job:
            orders = [(shop, order) for _, shop, order in select_orders(tx, known, wanted, limit, now)]
            job = new_job(self._chance.target_id(now), action, wanted, len(orders), reason, by, now)
            add_job(tx, job, orders)
            return job

        return await self._store.write(unit)

    async def cancel_job(self, job: str) -> Job:
        def unit(tx: Transaction) -> Job:
            has_ended = not end_job(tx, job, "cancelled", self._clock.now_ms())
            found = get_job(tx, job)
            if found is None:
                raise Refused("job-not-found", f"there is no job {job}")
            if has_ended:
                raise Refused("already-finished", "it has ended")
            return found

        return await self._store.write(unit)

    async def pause(self, shop: str, reason: str | None) -> None:
        await self._store.write(lambda tx: pause_shop(tx, shop, "person", reason or "", self._clock.now_ms()))

    async def resume(self, shop: str) -> None:
        await self._store.write(lambda tx: resume_shop(tx, shop))

    async def sync(self, shop: str, wait_seconds: float | None = None) -> SyncReport | None:
        return None if not wait_seconds else SyncReport(imported=3, seen=5)

    async def pause_delivery(self, name: str) -> None:
        raise Refused("delivery-not-found", f"the config has no receiver {name!r}")

    async def resume_delivery(self, name: str) -> None:
        raise Refused("delivery-not-found", f"the config has no receiver {name!r}")

    async def send_delivery(self, name: str, cursor: int) -> KeptAttempt | None:
        raise Refused("delivery-not-found", f"the config has no receiver {name!r}")

    async def test_delivery(self, name: str) -> KeptAttempt:
        raise Refused("delivery-not-found", f"the config has no receiver {name!r}")

    async def replay_delivery(self, name: str, cursor: int) -> None:
        raise Refused("delivery-not-found", f"the config has no receiver {name!r}")

    async def retry_rejected(self, rejected_id: int) -> Order:
        def unit(tx: Transaction) -> Order:
            found = get_rejected(tx, rejected_id)
            if found is None:
                raise Refused("rejected-not-found", f"there is no rejected payload {rejected_id}")
            if found[1] is None:
                raise Refused("not-allowed", "it names no order", extra={"reason": found[0].error})
            remove_rejected(tx, rejected_id)
            return self._order(tx, found[0].shop, found[1])

        return await self._store.write(unit)

    async def _read(self, shop: str, order: str) -> Order:
        return await self._store.read(lambda tx: self._order(tx, shop, order))

    async def _change(self, shop: str, order: str, changes: dict[str, Any]) -> Order:
        return await self._store.write(lambda tx: save_order(tx, replace(self._order(tx, shop, order), **changes)))


def finish(tx: Transaction, target: Target, status: TargetStatus, now: int) -> Target:
    """Ends or blocks a target and says so in the feed."""
    problem = Problem("rejected", "The platform refused the step", "no", "prepare", now)
    is_blocked = status is TargetStatus.BLOCKED
    changed = replace(target, status=status, finished_at=None if is_blocked else now)
    changed = replace(changed, problem=problem if is_blocked else None)
    save_target(tx, changed)
    type_ = "order.blocked" if is_blocked else f"target.{status.value}"
    append_event(tx, now, type_, shop=target.shop, order=target.order, target=target.id)
    return changed


def an_order(order: str = "67890", shop: str = "acme", **fields: Any) -> Order:
    """An order as the sync would have left it."""
    at = 1_772_000_000_000
    state = fields.pop("state", "CheckQueue")
    made = Order.first_seen(
        shop=shop,
        platform="selldone",
        id=order,
        reference=f"R-{order}",
        state=state,
        platform_state=state,
        milestone=MACHINE.milestone(state),
        payment="paid",
        facts={"items": ["1", "2"]},
        content_hash="",
        platform_updated_at=None,
        observed_at=at,
        now=at,
    )
    return replace(made, **fields)


@dataclass(frozen=True)
class Got:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """The type of the problem that this must be."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        problem = self.json()
        assert problem["status"] == self.status
        assert problem["title"]
        assert problem["detail"]
        return str(problem["type"])


class Bench:
    """What a test works with."""

    def __init__(self, store: Store, node: Node, commands: FakeCommands, feed: Feed, clock: Clock) -> None:
        self.store, self.node, self.commands, self.feed, self.clock = store, node, commands, feed, clock
        self.metrics = Metrics()
        self.queries = Queries(store, node, feed, clock)
        self.served: Served
        self.session: aiohttp.ClientSession

    async def add(self, *orders: Order, payload: bytes = b"{}") -> None:
        def unit(tx: Transaction) -> None:
            for order in orders:
                insert_order(tx, order, payload)

        await self.store.write(unit)

    async def emit(self, type_: str, **fields: Any) -> int:
        return await self.store.write(lambda tx: append_event(tx, self.clock.now_ms(), type_, **fields))

    async def end(self, target: str, status: TargetStatus = TargetStatus.REACHED) -> None:
        def unit(tx: Transaction) -> None:
            found = get_target(tx, target)
            assert found is not None
            finish(tx, found, status, self.clock.now_ms())

        await self.store.write(unit)

    async def call(self, method: str, path: str, **options: Any) -> Got:
        async with self.session.request(method, f"http://localhost{path}", **options) as response:
            return Got(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Got:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Got:
        return await self.call("POST", path, **({} if body is None else {"json": body}), **options)

    async def submit(self, state: str, order: str = "67890", query: str = "", **fields: Any) -> Got:
        return await self.post(f"/v1/shops/acme/orders/{order}/targets{query}", {"state": state, **fields})


def settings(socket: Path, **fields: Any) -> ApiSettings:
    """Where to listen, checked as the config is."""
    return ApiSettings.model_validate({"socket": socket, **fields}, context={"directory": socket.parent})


@asynccontextmanager
async def bench(
    *orders: Order, clock: Clock | None = None, sessions: Sessions | None = None, **api: Any
) -> AsyncIterator[Bench]:
    """A served API with two shops and these orders."""
    clock = clock or Clock()
    with tempfile.TemporaryDirectory(prefix="f-") as name:  # pytest's own paths are too long for a socket
        folder = Path(name)
        feed = Feed()
        async with open_store(store_url(folder), clock.now_ms(), on_commit=feed.publish) as store:
            node = Node(known={name: shop_facts(name) for name in SHOPS})
            made = Bench(store, node, FakeCommands(store, clock), feed, clock)
            for shop in SHOPS:
                await store.write(partial(acquire, name=shop, platform="selldone", holder="test"))
            await made.add(*orders)
            app = build_app(made.queries, made.commands, node, made.feed, made.metrics, clock, sessions)
            async with serving(app, settings(folder / "api.sock", **api)) as made.served:
                connector = aiohttp.UnixConnector(str(folder / "api.sock"))
                async with aiohttp.ClientSession(connector=connector) as made.session:
                    yield made
