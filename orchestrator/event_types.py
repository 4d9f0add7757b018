"""The types of events that the feed can carry, and the meaning of each (docs/api.md)."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

EVENT_TYPES: Final[dict[str, str]] = {
    "order.imported": "an order was seen for the first time",
    "order.updated": "the platform's data of an order changed, other than by our own steps: `data.changed`",
    "order.refreshed": "the platform shows an order for the first time after a step of ours (`data.changed`)",
    "order.payment_settled": "an order's payment is settled now",
    "order.drifted": "the platform shows another state than ours; it was adopted",
    "order.blocked": "an order waits for a person (`data.problem`)",
    "order.released": "an order goes on (`data.by`)",
    "order.held": "a person stopped an order before its next step",
    "order.cancelled": "an order was cancelled (`data.by`: erp, person, buyer, platform; `data.reason`)",
    "order.returned": "goods of an order came back (`data.lines`: how many more of each line)",
    "order.announced": "somebody asked to announce an order once more",
    "order.operated": "a person asked for it in bulk (`data.action`, `data.job`, `data.by`, `data.reason`)",
    "order.attention": "the ERP asks for a person (`data.reason`)",
    "order.attention_ended": "nobody has to look at the order any more (`data.by`: release, target, drift, gone)",
    "import.rejected": "a payload could not be read and was set aside (`data.id`)",
    "target.submitted": "a target was accepted",
    "target.reached": "a target is reached (`data.order_state`: where the order is)",
    "target.failed": "a target cannot be reached any more (`data.problem`)",
    "target.cancelled": "a target was cancelled or superseded",
    "parcel.recorded": "a parcel left, or arrived (`data.delivered`); it is kept with its order (`data.number`)",
    "step.started": "the call of a step goes out (`data.step`, `data.from`, `data.to`)",
    "step.done": "a step is done (`data.how`: called, found_done, by_hand, not_taken)",
    "step.failed": "a step failed (`data.kind`, `data.attempt`, `data.next_attempt_at`)",
    "read.failed": "an order could not be read before a step (`data.kind`, `data.attempt`, `data.next_attempt_at`)",
    "shop.paused": "a person paused a shop, or its store was restored (`data.by`)",
    "shop.resumed": "a shop works again (`data.by`)",
    "shop.left": "a shop is not in the config any more (`data.targets_pending`, `data.renamed_to`: its new name)",
    "shop.returned": "a shop is in the config again (`data.targets_pending`)",
    "shop.access_denied": "the platform does not accept a shop's credentials; the shop is paused",
    "shop.webhooks_missing": "the platform does not send webhooks that it should (`data.missing`: why, by topic)",
    "shop.webhooks_registered": "the platform was asked for webhooks that were missing (`data.topics`)",
    "store.failed_over": "another database server took over (`data.loss`: none, possible or certain; `data.feed`)",
    "sync.completed": "a sync of a shop's orders is complete",
    "sync.failed": "a sync of a shop's orders failed",
    "product.created": "a product was made on the platform",
    "product.updated": "a product changed",
    "fulfillment.created": "a fulfilment was created on the platform",
    "fulfillment.updated": "a fulfilment changed on the platform",
}
"""Meaning by type. Readers of the feed must ignore types that they do not know."""

TEST_TYPE: Final = "delivery.test"
"""The type of what a receiver is sent to try it. The feed has no such event."""


def types_like(patterns: Iterable[str]) -> tuple[str, ...]:
    """The types that match one of the patterns (`order.*`), in the order of their list; `*` stands for any text."""
    wanted = [pattern.replace("[", "[[]").replace("?", "[?]") for pattern in patterns]
    return tuple(name for name in EVENT_TYPES if any(fnmatchcase(name, pattern) for pattern in wanted))


KINDS: Final = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENT_TYPES))
"""A pattern for each kind of events: `order.*`, `target.*`, …"""
