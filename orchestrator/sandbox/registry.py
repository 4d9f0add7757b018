"""Webhooks that clients ask a simulated shop for: which there are, who is notified, and when one is disabled."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from orchestrator.clock import Clock
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.platform import Json
from orchestrator.sandbox.webhooks import Delivery, PendingWebhook, WebhookCounts, WebhookSender

PING = "ping"
"""The topic of what is sent to a new address, before anything has happened."""


@dataclass(slots=True, eq=False)
class Registered:
    """One of them. `fields`: what a read shows; `failures`: how many there were in a row."""

    fields: dict[str, Json]
    secret: str = field(default_factory=partial(secrets.token_hex, 25))
    failures: int = 0


class WebhookRegistry:
    """The webhooks of one shop by their ids, as fields with `id`, `topic`, `delivery_url` and `status`.

    `made`: what is sent about a subject; `ping`: what is sent to a new address.
    """

    def __init__(
        self, made: Callable[[Registered, int], Delivery], ping: Callable[[Mapping[str, Json]], Delivery]
    ) -> None:
        self.kept: dict[int, Registered] = {}
        self.counts = WebhookCounts()
        self.sender: RegistrySender | None = None
        self._made = made
        self._ping = ping

    def put(self, fields: dict[str, Json], secret: Json = None) -> Registered:
        """Keeps one under its id, in the place of what it was; `secret`: None keeps that."""
        found = self.kept.setdefault(fields["id"], Registered({}))
        has_moved = found.fields.get("delivery_url") != fields["delivery_url"]
        found.fields, found.secret = fields, str(secret or found.secret)
        if has_moved:
            self._offer(found, 0, PING, partial(self._ping, fields))
        return found

    def notify(self, topic: str, subject: int) -> None:
        """Something happened: those who asked for it are notified, of how it is by then."""
        for each in self.kept.values():
            if each.fields["topic"] == topic and each.fields["status"] == "active":
                self._offer(each, subject, topic, partial(self._made, each, subject))

    def _offer(self, to: Registered, subject: int, topic: str, make: Callable[[], Delivery]) -> None:
        if self.sender is not None:
            self.sender.offer(to, to.fields["delivery_url"], subject, topic, make)


class RegistrySender(WebhookSender[Registered]):
    """Sends the webhooks of a registry. `successes`: answers that are good; `most_failures`: in a row, one more
    disables; pings are not counted. Nothing is sent again."""

    def __init__(
        self,
        registry: WebhookRegistry,
        account: str,
        clock: Clock,
        faults: FaultPlan,
        successes: range,
        *,
        most_failures: int,
        deadline_seconds: float = 60,
        late_seconds: float = 5,
    ) -> None:
        super().__init__(
            account, clock, faults, registry.counts, deadline_seconds=deadline_seconds, late_seconds=late_seconds
        )
        self._registry = registry
        self._successes = successes
        self._most_failures = most_failures
        registry.sender = self

    def is_kept(self, subscription: Registered) -> bool:
        """As `WebhookSender.is_kept`."""
        return subscription.fields["status"] == "active" and subscription in self._registry.kept.values()

    def note(self, webhook: PendingWebhook[Registered], status: int) -> bool:
        """As `WebhookSender.note`."""
        asked, is_good = webhook.subscription, status in self._successes
        if is_good:
            asked.failures = 0
        elif webhook.topic != PING:
            asked.failures += 1
            if asked.failures > self._most_failures:
                asked.fields["status"] = "disabled"
        return is_good
