"""The ERP: submits targets with idempotency keys until each has an answer, again and again, and with changed bodies."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import anyio

from orchestrator.cli.demo.script import Act, items_of
from tests.chaos.talk import Answer, call
from tests.chaos.world import PLATFORM_OF, Ref, World
from tests.support.process import Unreachable

_STATES = {
    "selldone": ("accepted", "preparing", "shipped", "shipped", "delivered", "delivered", "returned"),
    "cloudsuite": ("accepted", "shipped", "shipped", "delivered", "cancelled"),
    "xsale": ("accepted", "preparing", "shipped", "delivered", "attention", "cancelled"),
    "shopify": ("preparing", "shipped", "shipped", "delivered", "attention", "cancelled"),
}


@dataclass
class Order:
    """A target that the ERP wants, under its key. `target`: its id once accepted; `problem`: the type of a refusal.

    `calls`: how many calls the platform had got when it was sent for the first time.
    """

    key: str
    ref: Ref
    body: dict[str, Any]
    calls: int
    target: str | None = None
    problem: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the ERP knows what became of it."""
        return self.target is not None or self.problem is not None


@dataclass
class Book:
    """Everything that the ERP ever sent."""

    world: World
    wanted: list[Order] = field(default_factory=list)

    async def send(self, order: Order) -> None:
        """Sends it, for the first time or once more. The same key must answer with the same target, always."""
        path = f"/v1/shops/{order.ref.shop}/orders/{order.ref.order}/targets"
        answer = await call(self.world, "POST", path, order.body, {"Idempotency-Key": order.key})
        if _comes_later(answer):
            return
        told = answer.body.get("id") if answer.status in (200, 202) else None
        if order.target is not None and told != order.target:
            self.world.broken(
                "a key is one target", f"{order.key} was {order.target}, answered {answer.status} {answer.body}"
            )
        if told is not None:
            order.target, order.problem = told, None
        elif order.target is None:
            order.problem = str(answer.body.get("type"))
        self.world.note("erp", "sent", key=order.key, answer=answer.status, problem=order.problem, body=order.body)

    async def send_changed(self, order: Order) -> None:
        """The same key with another body: refused once the key is known."""
        if order.target is None:
            return
        path = f"/v1/shops/{order.ref.shop}/orders/{order.ref.order}/targets"
        body = {**order.body, "reason": "changed"}
        answer = await call(self.world, "POST", path, body, {"Idempotency-Key": order.key})
        self.world.note("erp", "changed", key=order.key, answer=answer.status)
        if not _comes_later(answer) and (answer.status, answer.body.get("type")) != (422, "idempotency-key-reused"):
            self.world.broken("a key with another body is refused", f"{order.key}: {answer.status} {answer.body}")

    def want(self, rng: random.Random, ref: Ref, items: Any) -> Order:
        """A new wish for the order."""
        state = rng.choice(_STATES[PLATFORM_OF[ref.shop]])
        is_numbered = PLATFORM_OF[ref.shop] == "cloudsuite" and state == "shipped" and rng.random() < 0.7
        act = Act(state, has_erp=is_numbered and bool(items))
        body = act.body(ref.order, items)
        number = len(self.wanted) + 1
        if state in ("shipped", "delivered") and rng.random() < 0.6:
            body["tracking"] = {"code": f"T{ref.order}", "url": f"https://track.example/T{ref.order}"}
        if PLATFORM_OF[ref.shop] == "shopify" and state == "shipped" and items and rng.random() < 0.3:
            body["items"] = [items[0].id]
        order = Order(f"key-{number}", ref, body, len(self.world.sandbox.ledger.calls()))
        self.wanted.append(order)
        return order


async def submit(world: World, book: Book, number: int) -> None:
    """Wishes for more and more, asks again where no answer came, and at times where one did."""
    rng = world.settings.rng(f"erp {number}")
    lines: dict[Ref, Any] = {}
    while True:
        await anyio.sleep(rng.uniform(0.02, 0.25))
        open_ones = [each for each in book.wanted if not each.is_answered]
        try:
            if open_ones and rng.random() < 0.5:
                await book.send(rng.choice(open_ones))
            elif book.wanted and rng.random() < 0.3:
                await rng.choice((book.send, book.send_changed))(rng.choice(book.wanted))
            elif book.wanted and rng.random() < 0.05:
                await _withdraw(world, rng.choice(book.wanted))
            else:
                ref = world.any_order(rng)
                if not lines.get(ref):
                    lines[ref] = await _lines(world, ref)
                await book.send(book.want(rng, ref, lines[ref]))
        except Unreachable:
            world.did["erp unanswered"] += 1


def _comes_later(answer: Answer) -> bool:
    """Whether the daemon, or the shop that left its config, has to be asked again."""
    return answer.status == 503 or answer.body.get("type") == "shop-not-found"


async def _withdraw(world: World, order: Order) -> None:
    if order.target is not None:
        answer = await call(world, "DELETE", f"/v1/targets/{order.target}")
        world.note("erp", "withdraw", key=order.key, answer=answer.status)


async def _lines(world: World, ref: Ref) -> Any:
    answer = await call(world, "GET", f"/v1/shops/{ref.shop}/orders/{ref.order}?include=payload")
    return items_of(answer.body.get("payload")) if answer.status == 200 else []
