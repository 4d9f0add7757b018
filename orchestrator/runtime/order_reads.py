"""Reads of single orders for people, the inbox and orders that were set aside. What the reads show is adopted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from orchestrator.decisions.adoption import Adopted, Observation, adopt, note_gone
from orchestrator.decisions.history import is_history, may_be_history
from orchestrator.platforms.client import Age, OrderSnapshot
from orchestrator.platforms.failures import NotFound
from orchestrator.platforms.subscriptions import PushingClient
from orchestrator.runtime.calls import ask
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.reading import not_adopted, read_begins, read_order
from statemachines.target import Json
from storage.errors import StoreError
from storage.history import note_skipped
from storage.orders import is_known
from storage.records import Order
from storage.rejected import remove_rejected_of
from storage.transaction import Transaction


class OrderReads:
    """Of one shop. `on_adopted` is called when something may be due."""

    def __init__(self, services: ShopServices, on_adopted: Callable[[], None]) -> None:
        self._services, self._shop, self._on_adopted = services, services.policy.shop, on_adopted

    async def read(self, order_id: str) -> OrderSnapshot:
        """Reads an order from the platform. Raises NotAdmitted, PlatformFailure."""
        services = self._services
        return await ask(services, "read", partial(read_order, services.client, order_id))

    async def order_of_part(self, part: str) -> str | None:
        """The order that a part belongs to, where the platform shows it. Raises NotAdmitted, PlatformFailure."""
        client = self._services.client
        if not isinstance(client, PushingClient):
            return None
        return await ask(self._services, "read", partial(client.order_of_part, part))

    async def refresh(self, order_id: str) -> Order:
        """Reads an order and adopts it, importing it if it was unknown; notes a known order that is gone.

        A read during which a step ended may show what was before the step and is not adopted. The caller wants to see
        what the platform shows now, so the read is repeated once, unless a step is out.

        Raises as `read`, StaleLease.
        """
        result = await self._read_and_adopt(order_id, None, imports_any=True)
        assert result is not None
        if result[1] is Adopted.STALE and result[0].intent is None:
            result = await self._read_and_adopt(order_id, None, imports_any=True)
            assert result is not None
        return result[0]

    async def follow(self, order_id: str, cause: Mapping[str, Json] | None = None) -> tuple[Order, Adopted] | None:
        """As `refresh`, because of webhooks (`cause`: as in `Observation`); returns also what the read changed.

        None: an unknown order that is history or not released is left alone, as in a sync; when the latter is paid,
        another webhook will come.
        """
        return await self._read_and_adopt(order_id, cause, imports_any=False)

    async def leaves_out(self, order_id: str, age: Age) -> bool:
        """Whether an order of this age is history, which is noted then: it is not even read. Raises StaleLease."""
        if not may_be_history(self._services.policy, age):
            return False

        def unit(tx: Transaction) -> bool:
            is_left_out = is_history(tx, self._services.context(), order_id, age)
            if is_left_out:
                note_skipped(tx, self._shop, order_id)
            return is_left_out

        return await self._services.store.write(unit)

    async def _read_and_adopt(
        self, order_id: str, cause: Mapping[str, Json] | None, *, imports_any: bool
    ) -> tuple[Order, Adopted] | None:
        read_at = await read_begins(self._services.clock)  # an earlier time makes the observation more careful
        try:
            snapshot = await self.read(order_id)
        except NotFound as failure:
            await self._note_gone(order_id, failure.detail, read_at)
            raise
        observation = Observation(snapshot, read_at, cause, is_whole=True)
        store = self._services.store
        write = store.write if imports_any else store.write_bulk  # nobody waits for what is followed: steps go first
        try:
            result = await write(lambda tx: self._adopt(tx, observation, imports_any=imports_any))
        except StoreError:
            raise
        except Exception as error:
            raise not_adopted(snapshot, error) from error
        if result is not None and result[1] is Adopted.IMPORTED:
            await self._services.checkpoints.reach("after_import")
        self._on_adopted()
        return result

    def _adopt(self, tx: Transaction, observation: Observation, *, imports_any: bool) -> tuple[Order, Adopted] | None:
        ctx, snapshot = self._services.context(), observation.snapshot
        if not imports_any and is_history(tx, ctx, snapshot.id, snapshot.age):
            note_skipped(tx, self._shop, snapshot.id)
            remove_rejected_of(tx, self._shop, snapshot.id)
            return None
        if not (imports_any or snapshot.is_released) and not is_known(tx, self._shop, snapshot.id):
            remove_rejected_of(tx, self._shop, snapshot.id)
            return None
        return adopt(tx, ctx, observation)

    async def _note_gone(self, order_id: str, detail: str, read_at: int) -> None:
        def unit(tx: Transaction) -> None:
            note_gone(tx, self._services.context(), order_id, detail, read_at)

        await self._services.store.write(unit)
