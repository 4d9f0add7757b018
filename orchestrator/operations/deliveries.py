"""What is shown of the pushes to the ERP: how far each receiver is behind, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.clock import rfc3339
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import ConsumerStatus, Delivery
from statemachines.suggestion import hint
from storage.deliveries import consumer_lags, delivery_state, lag_of
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
    """Pauses and resumes receivers; both answer False for a name that the config does not have."""

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
