"""An ERP that wants every order delivered: it reads the feed at any node, submits a target for each order that it reads
of, one by one and many at once, and asks again under the same key where no answer came."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio

from tests.chaos.talk import call
from tests.chaos.world import Ref, World
from tests.support.process import Unreachable

ENDS = frozenset({"target.reached", "target.failed", "target.cancelled"})
_MOST_LINES = 40


@dataclass
class Desk:
    """What it read and wanted. `targets`: by order, once it has an answer; `ends`: how often an order's target ended in
    a way, as the feed says; `refused`: the last refusal."""

    world: World
    cursor: int = 0
    imported: Counter[Ref] = field(default_factory=Counter)
    targets: dict[Ref, str] = field(default_factory=dict)
    ends: Counter[tuple[Ref, str]] = field(default_factory=Counter)
    refused: dict[Ref, str] = field(default_factory=dict)

    @property
    def reached(self) -> int:
        """How many orders arrived, as the feed says."""
        return sum(kind == "target.reached" for _, kind in self.ends)

    async def read(self) -> None:
        """Reads on and on."""
        while True:
            await anyio.sleep(0.05)
            try:
                answer = await call(self.world, "GET", f"/v1/events?after={self.cursor}&limit=500&wait=2")
            except Unreachable:
                continue
            if answer.status != 200:
                continue
            for event in answer.body["events"]:
                if event["cursor"] != self.cursor + 1:
                    self.world.broken("the feed is gapless", f"{event['cursor']} after {self.cursor}")
                self.cursor = event["cursor"]
                ref = Ref(event["shop"], event["order"])
                if event["type"] == "order.imported":
                    self.imported[ref] += 1
                elif event["type"] in ENDS:
                    self.ends[ref, event["type"]] += 1

    async def submit(self, number: int) -> None:
        """Wants what is not wanted yet, by one or by many."""
        rng = self.world.settings.rng(f"desk {number}")
        while True:
            await anyio.sleep(rng.uniform(0.02, 0.3))
            waiting = [ref for ref in self.imported if ref not in self.targets]
            if not waiting:
                continue
            try:
                if rng.random() < 0.3:
                    await self._many(rng.sample(waiting, min(len(waiting), rng.randint(1, _MOST_LINES))))
                else:
                    await self._one(rng.choice(waiting))
            except Unreachable:
                self.world.did["erp unanswered"] += 1

    async def _one(self, ref: Ref) -> None:
        path = f"/v1/shops/{ref.shop}/orders/{ref.order}/targets"
        answer = await call(self.world, "POST", path, {"state": "delivered"}, {"Idempotency-Key": _key(ref)})
        self._answered(ref, answer.status, answer.body)

    async def _many(self, refs: list[Ref]) -> None:
        lines = [{"shop": ref.shop, "order": ref.order, "state": "delivered", "key": _key(ref)} for ref in refs]
        connector = aiohttp.UnixConnector(str(self.world.any_node().socket))
        body = "".join(json.dumps(line) + "\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20)) as session,
                session.post("http://localhost/v1/targets", data=body, headers=headers) as response,
            ):
                while line := await response.content.readline():  # a line that came counts, whatever comes of the rest
                    if response.status == 200:
                        found = json.loads(line)
                        ref, status = refs[found["line"] - 1], found["status"]
                        self._answered(ref, status, found.get("target") or found["problem"])
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable from error

    def _answered(self, ref: Ref, status: int, body: Any) -> None:
        self.world.did[f"submitted {status}"] += 1
        if status not in (200, 202):
            self.refused[ref] = f"{status} {body}"
            return
        target = str(body["id"])
        if self.targets.setdefault(ref, target) != target:
            self.world.broken("a key is one target", f"{ref} was {self.targets[ref]}, is {target}")


def _key(ref: Ref) -> str:
    return f"{ref.shop}/{ref.order}"


async def customers(world: World, added: Counter[str], many: int) -> None:
    """Buy so many times at each shop, while everything else happens."""
    rng = world.settings.rng("customers")
    shops = [shop for shop in world.shops for _ in range(many)]
    rng.shuffle(shops)
    pause = world.settings.seconds * 0.6 / max(1, len(shops))
    for shop in shops:
        world.panel(shop, "add")
        added[shop] += 1
        await anyio.sleep(_exponential(rng, pause))


def _exponential(rng: random.Random, mean: float) -> float:
    return rng.expovariate(1 / mean)
