"""The first call of an operation has its turn, each further one waits for its own."""

from __future__ import annotations

import anyio

from orchestrator.platforms.base.permits import use_permit, with_permits


@with_permits
class Counted:
    def __init__(self) -> None:
        self.waits = 0

    async def _permit(self) -> None:
        if not use_permit():
            self.waits += 1

    async def call(self, times: int = 1) -> int:
        """How often calls of this operation have waited."""
        before = self.waits
        for _ in range(times):
            await self._permit()
        return self.waits - before

    async def calls_others(self) -> int:
        return await self.call() + await self.call(2)

    async def fails(self) -> None:
        await self._permit()
        raise ValueError


async def test_the_first_call_of_an_operation_does_not_wait() -> None:
    client = Counted()
    assert [await client.call(times) for times in (0, 1, 3, 1)] == [0, 0, 2, 0]


async def test_an_operation_that_is_a_part_of_another_has_no_turn_of_its_own() -> None:
    assert await Counted().calls_others() == 2


async def test_an_operation_that_fails_leaves_no_turn_behind() -> None:
    client = Counted()
    for _ in range(2):
        try:
            await client.fails()
        except ValueError:
            assert client.waits == 0
    await client._permit()
    assert client.waits == 1, "outside of operations each call waits"


async def test_operations_at_the_same_time_have_their_own_turns() -> None:
    client, released = Counted(), anyio.Event()

    async def operate() -> None:
        await released.wait()
        await client.call(2)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(operate)
        released.set()
    assert client.waits == 3
