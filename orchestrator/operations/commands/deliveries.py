"""What a person does to the receivers of events."""

from __future__ import annotations

from orchestrator.decisions.refusals import Refused
from orchestrator.operations.deliveries import DeliverySwitch, no_receiver


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

    def _no_receiver(self, name: str) -> Refused:
        return no_receiver(name, () if self._deliveries is None else self._deliveries.endpoints)
