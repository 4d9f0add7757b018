"""What is shown of the pushes to the ERP: how far each receiver is behind, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.clock import optional_rfc3339, rfc3339
from orchestrator.decisions.refusals import Refused
from orchestrator.event_types import TEST_TYPE
from orchestrator.operations.documents import ConsumerStatus, Delivery, PushAttempt, Receiver
from statemachines.suggestion import hint
from storage.attempts import KeptAttempt
from storage.deliveries import consumer_lags, consumer_of, count_parked, delivery_state, lag_of
from storage.events import consumer_cursor
from storage.transaction import Transaction


class EndpointFacts(Protocol):
    """A receiver as the config has it."""

    @property
    def name(self) -> str:
        """Its name (`orders_url`, `products_url`)."""
        ...

    @property
    def types(self) -> tuple[str, ...]:
        """The types of events that it gets."""
        ...


class DeliverySwitch(Protocol):
    """Operates receivers; `pause` and `resume` answer False for a name that the config does not have."""

    @property
    def endpoints(self) -> Sequence[EndpointFacts]:
        """The receivers that the config has."""
        ...

    async def pause(self, name: str) -> bool:
        """Sends nothing until resumed."""
        ...

    async def resume(self, name: str) -> bool:
        """Sends again."""
        ...

    async def send(self, name: str, cursor: int) -> KeptAttempt | None:
        """Sends an event once more to a receiver that the config has; None: it has yet to arrive, and is due now.
        Raises Refused `event-not-found`."""
        ...

    async def test(self, name: str) -> KeptAttempt:
        """Sends a test to a receiver that the config has."""
        ...

    async def replay(self, name: str, cursor: int) -> None:
        """Sends a receiver that the config has again what lies above `cursor`."""
        ...


def consumer_views(tx: Transaction, now_ms: int) -> list[ConsumerStatus]:
    """Every consumer that pulls, and how far it is behind: one that stopped asking must not go unseen."""
    return [
        {
            "name": each.name,
            "cursor": each.cursor,
            "lag_events": each.lag.events,
            "lag_seconds": 0.0 if each.lag.since is None else max(0, now_ms - each.lag.since) / 1000,
            "last_seen_at": rfc3339(each.last_seen_at),
        }
        for each in consumer_lags(tx)
    ]


def no_consumer(tx: Transaction, name: str) -> Refused:
    """The refusal of an unknown consumer, with the known ones."""
    known = [each.name for each in consumer_lags(tx)]
    there = f"there are {', '.join(known)}" if known else "nobody has acknowledged an event yet"
    detail = f"there is no consumer {name!r}{hint(name, known)}; {there}; acknowledging makes one"
    return Refused("consumer-not-found", detail)


def no_receiver(name: str, endpoints: Sequence[EndpointFacts]) -> Refused:
    """The refusal of an unknown receiver, with the known ones."""
    if not endpoints:
        return Refused("delivery-not-found", f"there is no receiver {name!r}: the config has no delivery")
    known = [endpoint.name for endpoint in endpoints]
    detail = f"there is no receiver {name!r}{hint(name, known)}; the config has {', '.join(known)}"
    return Refused("delivery-not-found", detail)


def delivery_views(tx: Transaction, endpoints: Sequence[EndpointFacts], now_ms: int) -> list[Delivery]:
    """The status dump's `delivery`. `lag_events` ends at `storage.deliveries.MOST_COUNTED`."""
    found: list[Delivery] = []
    for endpoint in endpoints:
        lag, state = lag_of(tx, endpoint.name, endpoint.types), delivery_state(tx, endpoint.name)
        found.append(
            {
                "name": endpoint.name,
                "lag_events": lag.events,
                "lag_seconds": 0.0 if lag.since is None else max(0, now_ms - lag.since) / 1000,
                "last_error": state.last_error,
                "paused": state.paused_at is not None,
            }
        )
    return found


def receiver_views(tx: Transaction, endpoints: Sequence[EndpointFacts], now_ms: int) -> list[Receiver]:
    """The receivers with what is kept of each."""
    found: list[Receiver] = []
    for endpoint, view in zip(endpoints, delivery_views(tx, endpoints, now_ms), strict=True):
        state = delivery_state(tx, endpoint.name)
        found.append(
            {
                **view,
                "cursor": consumer_cursor(tx, consumer_of(endpoint.name)),
                "parked": count_parked(tx, endpoint.name),
                "types": list(endpoint.types),
                "last_error_at": optional_rfc3339(state.last_error_at),
                "delivered_at": optional_rfc3339(state.delivered_at),
            }
        )
    return found


def attempt_view(kept: KeptAttempt) -> PushAttempt:
    """An attempt to push an event."""
    made = kept.made
    return {
        "id": str(kept.id),
        "kind": made.kind,
        "cursor": made.cursor,
        "type": TEST_TYPE if made.kind == "test" else kept.type,
        "shop": kept.shop,
        "order": kept.order,
        "attempt": made.attempt,
        "at": rfc3339(made.at),
        "seconds": made.duration_ms / 1000,
        "http_status": made.status,
        "error": made.error,
    }
