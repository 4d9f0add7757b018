"""What a person does to the receivers of events."""

from __future__ import annotations

from orchestrator.decisions.refusals import Refused
from orchestrator.operations.deliveries import DeliverySwitch, no_receiver
from storage.attempts import KeptAttempt


class DeliveryCommands:
    """What is done with receivers (`deliveries`; None: nothing is pushed)."""

    def __init__(self, deliveries: DeliverySwitch | None) -> None:
        self._deliveries = deliveries

    async def pause_delivery(self, name: str) -> None:
        """Sends a receiver of events nothing until it is resumed."""
        if self._deliveries is None or not await self._deliveries.pause(name):
            raise self._no_receiver(name)

    async def resume_delivery(self, name: str) -> None:
        """Sends to it again."""
        if self._deliveries is None or not await self._deliveries.resume(name):
            raise self._no_receiver(name)

    async def send_delivery(self, name: str, cursor: int) -> KeptAttempt | None:
        """Sends an event once more to a receiver; None: it has yet to arrive, and is due now."""
        return await self._known(name).send(name, cursor)

    async def test_delivery(self, name: str) -> KeptAttempt:
        """Sends a receiver a test."""
        return await self._known(name).test(name)

    async def replay_delivery(self, name: str, cursor: int) -> None:
        """Sends a receiver again what lies above `cursor`."""
        await self._known(name).replay(name, cursor)

    def _known(self, name: str) -> DeliverySwitch:
        deliveries = self._deliveries
        if deliveries is None or name not in {endpoint.name for endpoint in deliveries.endpoints}:
            raise self._no_receiver(name)
        return deliveries

    def _no_receiver(self, name: str) -> Refused:
        return no_receiver(name, () if self._deliveries is None else self._deliveries.endpoints)
