"""Reads of single orders for whoever asks: people, the inbox, what was set aside. What they show is adopted."""

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
from orchestrator.runtime.reading import not_adopted, read_order
from statemachines.target import Json
from storage.errors import StoreError
from storage.history import note_skipped
from storage.orders import get_order
from storage.records import Order
from storage.rejected import remove_rejected_of
from storage.transaction import Transaction


class OrderReads:
    """Of one shop. `on_adopted` is called when something may be due."""

    def __init__(self, services: ShopServices, on_adopted: Callable[[], None]) -> None:
        self._e, self._shop, self._on_adopted = services, services.policy.shop, on_adopted

    async def read(self, order_id: str) -> tuple[OrderSnapshot, int]:
        """Reads an order from the platform and answers when the read began. Raises GateClosed, PlatformFailure."""
        e = self._e
        read_at = e.clock.now_ms()  # before the turn: an earlier time only makes the look more careful
        return await ask(e, "read", partial(read_order, e.client, order_id)), read_at

    async def order_of_part(self, part: str) -> str | None:
        """The order that a part belongs to, where the platform can tell. Raises GateClosed, PlatformFailure."""
        client = self._e.client
        if not isinstance(client, PushingClient):
            return None
        return await ask(self._e, "read", partial(client.order_of_part, part))

    async def refresh(self, order_id: str) -> Order:
        """Reads an order and adopts it, importing it if it was unknown; notes a known one that is gone.

        A read that began within the millisecond of what is known already may be older than that and is not taken over.
        Who asked for it wants to see what the platform shows now, so it is made once more, unless a step is out.

        Raises as `read`, StaleLease.
        """
        looked = await self._look_at(order_id, None, imports_any=True)
        assert looked is not None
        if looked[1] is Adopted.STALE and looked[0].intent is None:
            looked = await self._look_at(order_id, None, imports_any=True)
            assert looked is not None
        return looked[0]

    async def follow(self, order_id: str, cause: Mapping[str, Json] | None = None) -> tuple[Order, Adopted] | None:
        """As `refresh`, because of webhooks (`cause`: as in `Observation`); answers also what the read changed.

        None: an unknown order that is history or not released is left alone, as a poll leaves it; of the latter's
        payment news will come.
        """
        return await self._look_at(order_id, cause, imports_any=False)

    async def leaves_out(self, order_id: str, age: Age) -> bool:
        """Whether an order of this age is history, which is noted then: it is not even read. Raises StaleLease."""
        if not may_be_history(self._e.policy, age):
            return False

        def unit(tx: Transaction) -> bool:
            self._e.fence(tx)
            is_left_out = is_history(tx, self._e.context(), order_id, age)
            if is_left_out:
                note_skipped(tx, self._shop, order_id)
            return is_left_out

        return await self._e.store.write(unit)

    async def _look_at(
        self, order_id: str, cause: Mapping[str, Json] | None, *, imports_any: bool
    ) -> tuple[Order, Adopted] | None:
        asked_at = self._e.clock.now_ms()
        try:
            seen, read_at = await self.read(order_id)
        except NotFound as failure:
            await self._note_gone(order_id, failure.detail, asked_at)
            raise
        look = Observation(seen, read_at, cause)
        try:
            result = await self._e.store.write(lambda tx: self._adopt(tx, look, imports_any=imports_any))
        except StoreError:
            raise
        except Exception as error:
            raise not_adopted(seen, error) from error
        if result is not None and result[1] is Adopted.IMPORTED:
            await self._e.checkpoints.reach("after_import")
        self._on_adopted()
        return result

    def _adopt(self, tx: Transaction, look: Observation, *, imports_any: bool) -> tuple[Order, Adopted] | None:
        self._e.fence(tx)
        ctx, seen = self._e.context(), look.seen
        if not imports_any and is_history(tx, ctx, seen.id, seen.age):
            note_skipped(tx, self._shop, seen.id)
            remove_rejected_of(tx, self._shop, seen.id)
            return None
        if not (imports_any or seen.is_released) and get_order(tx, self._shop, seen.id) is None:
            remove_rejected_of(tx, self._shop, seen.id)
            return None
        return adopt(tx, ctx, look)

    async def _note_gone(self, order_id: str, detail: str, read_at: int) -> None:
        def unit(tx: Transaction) -> None:
            self._e.fence(tx)
            note_gone(tx, self._e.context(), order_id, detail, read_at)

        await self._e.store.write(unit)
