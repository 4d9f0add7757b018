"""Which orders are a shop's history: made before `import_since`, or over before the shop was followed.

History is left out by syncs and webhooks, counted once, and imported when somebody refreshes it by its id; from then on
it is followed as any other order. Known orders are never history.

- With `import_since` an order that was made before it is history, whatever its state.
- Without it an open order is never history, however old. An order that is over is, when it was made before the shop was
  first followed. So the first sync of a shop imports what there is to do, and an old order that somebody changes years
  later is not imported as a new one.
- An order that is over and was made while the shop was followed, longer ago than the store remembers, was known and is
  deleted (`retention_days`): it is not imported again either.

An order whose date is unknown is not history by `import_since`: an order must not be lost.
"""

from __future__ import annotations

from orchestrator.decisions.draft import Context, Policy
from orchestrator.platforms.client import Age
from storage.orders import is_known
from storage.passage import measured_now
from storage.records import Shop
from storage.shops import get_shop
from storage.transaction import Transaction

_COARSE_MS = 5_000  # platforms send whole seconds, and their clocks are not ours


def may_be_history(policy: Policy, age: Age) -> bool:
    """Whether an order may be history, so that the store decides; mostly not."""
    return age.is_over or _is_before(age.ordered_at, policy.import_since)


def is_history(tx: Transaction, ctx: Context, order: str, age: Age) -> bool:
    """Whether an order is history: not known here, and of an age that is left out."""
    is_doubtful = may_be_history(ctx.policy, age)
    return is_doubtful and not is_known(tx, ctx.policy.shop, order) and is_history_if_new(tx, ctx, age)


def is_history_if_new(tx: Transaction, ctx: Context, age: Age) -> bool:
    """Whether an order that is not known here is history."""
    policy = ctx.policy
    if not may_be_history(policy, age):
        return False
    if _is_before(age.ordered_at, policy.import_since):
        return True
    shop = get_shop(tx, policy.shop)
    began = _followed_since(shop, ctx.now) if shop is not None else None
    made = age.ordered_at
    if made is not None and began is not None and began - _COARSE_MS <= made:
        return policy.retention_ms is not None and made < measured_now(tx, ctx.now) - policy.retention_ms
    return policy.import_since is None


def _followed_since(shop: Shop, now: int) -> int | None:
    """Since when a shop is followed; 0 where that lies in the future. Our clock was ahead then, so the true time is
    unknown: after the first sync an unknown order that is over counts as new rather than as history."""
    since = shop.followed_since
    return 0 if since is not None and since > now and shop.last_sync_at is not None else since


def _is_before(made: int | None, since: int | None) -> bool:
    return made is not None and since is not None and made < since
