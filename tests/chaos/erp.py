"""The ERP: submits targets with idempotency keys until each has an answer, again and again, and with changed bodies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from orchestrator.cli.demo.script import Act, Item, items_of
from tests.chaos.talk import Answer, call
from tests.chaos.world import PLATFORM_OF, Ref, World
from tests.support.process import Unreachable

_STATES = {
    "selldone": ("accepted", "preparing", "shipped", "shipped", "delivered", "delivered", "returned"),
    "cloudsuite": ("accepted", "shipped", "shipped", "delivered", "cancelled"),
    "xsale": ("accepted", "preparing", "shipped", "delivered", "attention", "cancelled"),
    "shopify": ("preparing", "shipped", "shipped", "delivered", "attention", "cancelled"),
    "woocommerce": ("shipped", "shipped", "delivered", "delivered", "attention", "cancelled"),
}


@dataclass
class Wish:
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
        """Whether the ERP knows its outcome."""
        return self.target is not None or self.problem is not None


@dataclass
class Book:
    """Everything that the ERP ever sent."""

    world: World
    wanted: list[Wish] = field(default_factory=list)

    async def send(self, wish: Wish) -> None:
        """Sends it, for the first time or once more. The same key must answer with the same target, always."""
        path = f"/v1/shops/{wish.ref.shop}/orders/{wish.ref.order}/targets"
        answer = await call(self.world, "POST", path, wish.body, {"Idempotency-Key": wish.key})
        if _comes_later(answer):
            return
        target = answer.body.get("id") if answer.status in (200, 202) else None
        if wish.target is not None and target != wish.target:
            self.world.broken(
                "a key is one target", f"{wish.key} was {wish.target}, answered {answer.status} {answer.body}"
            )
        if target is not None:
            wish.target, wish.problem = target, None
        elif wish.target is None:
            wish.problem = str(answer.body.get("type"))
        self.world.note("erp", "sent", key=wish.key, answer=answer.status, problem=wish.problem, body=wish.body)

    async def send_changed(self, wish: Wish) -> None:
        """The same key with another body: refused once the key is known."""
        if wish.target is None:
            return
        path = f"/v1/shops/{wish.ref.shop}/orders/{wish.ref.order}/targets"
        body = {**wish.body, "reason": "changed"}
        answer = await call(self.world, "POST", path, body, {"Idempotency-Key": wish.key})
        self.world.note("erp", "changed", key=wish.key, answer=answer.status)
        if not _comes_later(answer) and (answer.status, answer.body.get("type")) != (422, "idempotency-key-reused"):
            self.world.broken("a key with another body is refused", f"{wish.key}: {answer.status} {answer.body}")

    def want(self, rng: random.Random, ref: Ref, items: Sequence[Item]) -> Wish:
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
        wish = Wish(f"key-{number}", ref, body, len(self.world.sandbox.ledger.calls()))
        self.wanted.append(wish)
        return wish


async def submit(world: World, book: Book, number: int) -> None:
    """Wishes for more and more, asks again where no answer came, and at times where one did."""
    rng = world.settings.rng(f"erp {number}")
    lines: dict[Ref, list[Item]] = {}
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


async def _withdraw(world: World, wish: Wish) -> None:
    if wish.target is not None:
        answer = await call(world, "DELETE", f"/v1/targets/{wish.target}")
        world.note("erp", "withdraw", key=wish.key, answer=answer.status)


async def _lines(world: World, ref: Ref) -> list[Item]:
    answer = await call(world, "GET", f"/v1/shops/{ref.shop}/orders/{ref.order}?include=payload")
    return items_of(answer.body.get("payload")) if answer.status == 200 else []
