"""Everything that changes something, as the API and the CLI ask for it (ports.Commands): a file a duty."""

from __future__ import annotations

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.metrics import Metrics
from orchestrator.operations.commands.deliveries import DeliveryCommands
from orchestrator.operations.commands.jobs import JobCommands
from orchestrator.operations.commands.orders import OrderCommands
from orchestrator.operations.commands.requests import Requests
from orchestrator.operations.commands.services import CommandServices
from orchestrator.operations.commands.shops import ShopCommands
from orchestrator.operations.commands.targets import TargetCommands
from orchestrator.operations.deliveries import DeliverySwitch
from orchestrator.runtime.supervisor import Supervisor
from storage.store import Store


class DaemonCommands(TargetCommands, OrderCommands, JobCommands, ShopCommands, DeliveryCommands):
    """Carries out commands on the configured shops, and on the receivers of events (`deliveries`; None: nothing is
    pushed). `requests` has to run where another node may work for a shop.

    Nothing here carries the lease's epoch, unlike what workers write: a command decides on rows that its own unit of
    work reads, so there is no older knowledge that a new holder of the shop could have overtaken.
    """

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        clock: Clock,
        chance: Chance,
        checkpoints: Checkpoints,
        metrics: Metrics,
        deliveries: DeliverySwitch | None = None,
    ) -> None:
        self.requests = Requests(store, supervisor, clock, chance)
        services = CommandServices(store, supervisor, clock, chance, checkpoints, metrics, self.requests)
        JobCommands.__init__(self, services)
        DeliveryCommands.__init__(self, deliveries)
