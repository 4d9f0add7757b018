"""kill -9 of the real daemon around the moment when webhooks are kept and answered: each is reported, and reported
once.

What was answered 200 is reported by the next life of the daemon; the rest comes again under the same ids, as from
Shopify.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.shopify_scene import imports, of_types, scene
from tests.support.shopify_sender import Webhook, fulfillment, order, product

pytestmark = [pytest.mark.e2e, pytest.mark.crash]


def _one_of_each(orders: Sequence[str]) -> list[Webhook]:
    """Webhooks each of which leads to an event of its own."""
    made: list[Webhook] = []
    for number, order_id in enumerate(orders):
        if number % 2:
            made.append(order("orders/create", order_id))
        else:
            made.append(fulfillment(number + 1, order_id))
        made.append(product(number + 1_000))
    random.Random(3).shuffle(made)
    return made


def _count(events: Sequence[dict[str, Any]], webhook: Webhook) -> int:
    """How often the feed has what the webhook brought."""
    body = json.loads(webhook.body)
    if webhook.topic == "orders/create":
        return imports(events).count(str(body["id"]))
    return sum(event["data"]["id"] == str(body["id"]) for event in of_types(events, "fulfillment.", "product."))


def _split(webhooks: Sequence[Webhook], statuses: Sequence[int | None]) -> tuple[list[Webhook], list[Webhook]]:
    """What was answered, always with 200, and what was not."""
    assert set(statuses) <= {200, None}
    pairs = list(zip(webhooks, statuses, strict=True))
    return [each for each, status in pairs if status], [each for each, status in pairs if not status]


@pytest.mark.parametrize("count", [1, 17, 40])
async def test_a_kill_right_after_a_webhook_was_kept_loses_and_repeats_nothing(tmp_path: Path, count: int) -> None:
    async with scene(tmp_path, orders=30) as it:
        await it.start(f"after_webhook:{count}")
        webhooks = _one_of_each(it.orders)
        answered, waiting = _split(webhooks, await it.sender.burst(webhooks))
        assert await it.daemon.exited() == -9
        assert waiting
        await it.start()
        events = await it.worked_off()
        assert [_count(events, each) for each in answered] == [1] * len(answered)
        assert sum(_count(events, each) for each in webhooks) >= count, "what was kept is reported, answered or not"
        _split(waiting, await it.sender.burst(waiting))
        events = await it.worked_off()
        assert [_count(events, each) for each in webhooks] == [1] * len(webhooks)
        assert await it.daemon.terminate() == 0


async def test_kills_in_the_middle_of_a_burst_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Each daemon lives until the sender has seen so many 200s, whatever else is under way then."""
    answers_of_a_life = [1, 10, 25, 40]
    async with scene(tmp_path, orders=80) as it:
        webhooks = _one_of_each(it.orders)
        waiting, answered = list(webhooks), list[Webhook]()
        for lives, most in enumerate(answers_of_a_life, 1):
            left = [most]

            def count_down(_status: int, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == 0 and it.daemon.process is not None:
                    it.daemon.process.kill()

            await it.start()
            events = await it.worked_off()
            assert [_count(events, each) for each in answered] == [1] * len(answered)
            taken, waiting = _split(waiting, await it.sender.burst(waiting, count_down, at_once=16))
            assert await it.daemon.exited() == -9
            assert it.daemon.starts == lives
            assert len(taken) >= most
            answered += taken
        assert waiting, "the last kill was in the middle, too"
        await it.start()
        _split(waiting, await it.sender.burst(waiting))
        events = await it.worked_off()
        assert [_count(events, each) for each in webhooks] == [1] * len(webhooks)
        assert len(of_types(events, "order.imported")) == 80
        assert len(await it.products()) == 80
        assert await it.daemon.terminate() == 0
