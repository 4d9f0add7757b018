"""The kept counts are compared with a recount after each start; what is wrong is put right, and the log says so.

A recount reads every order there is (about a tenth of a second for a million), so it is done behind the start, in a
reader's thread, and only the shops that are off are counted once more inside a write.
"""

from __future__ import annotations

from functools import partial

import anyio
import structlog

from storage.counts import correct_counts, wrong_counts
from storage.errors import StoreError
from storage.store import Store

log = structlog.get_logger()

_AGAIN_SECONDS = 60.0


async def recount(store: Store) -> None:
    """Returns once every count is right."""
    while True:
        try:
            for shop in (await store.read(wrong_counts)).shops:
                off = await store.write_bulk(partial(correct_counts, shop=shop))
                orders = {" ".join(place): by for (_, *place), by in off.orders.items()}
                if orders or off.pending:
                    log.warning("counts.corrected", shop=shop, orders=orders, pending=off.pending.get(shop, 0))
            return
        except StoreError as error:
            log.warning("counts.unchecked", detail=str(error))
        except Exception as error:  # supervised: whatever is wrong with the counts must not stop orders
            log.error("counts.unchecked", detail=str(error), exc_info=error)
        await anyio.sleep(_AGAIN_SECONDS)
