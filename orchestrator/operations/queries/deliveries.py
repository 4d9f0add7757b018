"""What is shown of the receivers of events and of the attempts to push to them."""

from __future__ import annotations

from orchestrator.operations import documents
from orchestrator.operations.deliveries import EndpointFacts, attempt_view, delivery_views, no_receiver, receiver_views
from orchestrator.operations.queries.services import QueryGroup
from storage.attempts import KeptAttempt, list_attempts
from storage.transaction import Transaction


class DeliveryQueries(QueryGroup):
    """Reads how far each receiver is."""

    async def delivery(self, name: str) -> documents.Delivery:
        """One receiver of events. Raises Refused `delivery-not-found`."""
        now, wanted = self._clock.now_ms(), [self._endpoint(name)]
        return (await self._store.read(lambda tx: delivery_views(tx, wanted, now)))[0]

    async def receivers(self) -> list[documents.Receiver]:
        """Every receiver of events."""
        now, endpoints = self._clock.now_ms(), self._endpoints()
        return await self._store.read(lambda tx: receiver_views(tx, endpoints, now))

    async def receiver(self, name: str) -> documents.Receiver:
        """One receiver of events. Raises Refused `delivery-not-found`."""
        now, wanted = self._clock.now_ms(), [self._endpoint(name)]
        return (await self._store.read(lambda tx: receiver_views(tx, wanted, now)))[0]

    async def attempts(
        self, name: str, before_id: int, limit: int, *, cursor: int | None = None, only_failed: bool = False
    ) -> tuple[list[documents.PushAttempt], int | None]:
        """A page of attempts to push to a receiver, newest first, and the position of the next page. `before_id`: the
        position of this one, 0 for the newest. Raises Refused `delivery-not-found`."""
        before, wanted = before_id or None, self._endpoint(name).name

        def unit(tx: Transaction) -> list[KeptAttempt]:
            return list_attempts(tx, wanted, limit + 1, before_id=before, cursor=cursor, only_failed=only_failed)

        found = await self._store.read(unit)
        page = found[:limit]
        return [attempt_view(each) for each in page], page[-1].id if len(found) > limit else None

    def _endpoint(self, name: str) -> EndpointFacts:
        known = self._endpoints()
        for endpoint in known:
            if endpoint.name == name:
                return endpoint
        raise no_receiver(name, known)
