"""One simulated xSale organization: its statuses, its orders, the tokens of its account, and what automations did.

Facts: xsale.md §1-§6. The server refuses no change of status: statuses are labels. What a client may do
nevertheless is judged here, by the vendor's own chain (§5), and every change fires the organization's automations,
also one to the status that the order has already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orchestrator.clock import Clock
from orchestrator.sandbox.cart import Cart, number
from orchestrator.sandbox.xsale.press import Json, Order, OrderPress, encode

CHAIN = (
    "Nowe",
    "Zaimportowano do ERP",
    "W trakcie realizacji",
    "Przygotowywane do wysyłki",
    "Wysłane",
    "Zrealizowane",
)
"""The statuses of the normal way, in sequence (xsale.md §5)."""
ATTENTION, CANCELLED = "Do obsługi ręcznej", "Anulowane"

# Ids as they come when statuses are made and deleted over the years: in no sequence, with those of payments between.
_IDS = {
    "Wysłane": 1041,
    "Opłacone": 1043,
    "Nowe": 1063,
    "Anulowane": 1066,
    "Przygotowywane do wysyłki": 1067,
    "Nieopłacone": 1071,
    "Zaimportowano do ERP": 1090,
    "Do obsługi ręcznej": 1102,
    "Zrealizowane": 1204,
    "W trakcie realizacji": 2017,
    "Czeka na dostawcę": 2018,
}
_IDS_PER_ORGANIZATION = 5000


@dataclass(frozen=True, slots=True)
class XsaleOptions:
    """What the facts call unknown (xsale.md §9).

    `array_style`: the one coding of filters that is understood. `paging`, `page_cap`: the parameters of pages and the
    most rows that one has. `envelope`: `bare`, or the member that holds a list's rows. `status_body`: key of
    change-status. `reply`: what it answers: nothing, `true`, the order, or a 200 that did nothing (`lie`).
    `status_shape`: `StatusId` and `StatusName`, or a `Status` object. `has_single_get`: orders can be read by id.
    `token_life_seconds`: of both tokens. `logins_a_minute`: more are answered 429. `chain`: the sequence that clients
    are judged by.
    """

    array_style: Literal["repeat", "comma", "brackets", "indexed", "json"] = "repeat"
    paging: Literal["none", "limit_offset", "page"] = "none"
    page_cap: int = 1000
    envelope: str = "bare"
    status_body: Literal["StatusId", "statusId", "Id", "bare"] = "StatusId"
    reply: Literal["nothing", "true", "order", "lie"] = "nothing"
    status_shape: Literal["flat", "object"] = "flat"
    has_single_get: bool = True
    token_life_seconds: int = 86_400
    logins_a_minute: int = 60
    chain: tuple[str, ...] = CHAIN


@dataclass(frozen=True, slots=True)
class Automation:
    """What a change of status set off. `is_repeat`: the order was in that status already."""

    order: int
    status: str
    is_repeat: bool


@dataclass(slots=True, eq=False)
class XsaleShop:
    """One organization with the account that may work for it. `tokens`: id token and end of life (Unix ms) by access
    token. `logins`: when the account logged in, in monotonic seconds."""

    organization: str
    account: dict[str, str]
    clock: Clock
    options: XsaleOptions
    press: OrderPress
    statuses: dict[int, str]
    orders: dict[int, Order] = field(default_factory=dict)
    automations: list[Automation] = field(default_factory=list)
    tokens: dict[str, tuple[str, int]] = field(default_factory=dict)
    logins: list[float] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)

    @classmethod
    def stocked(
        cls,
        number: int,
        account: dict[str, str],
        clock: Clock,
        options: XsaleOptions,
        *,
        orders: int,
        seed: int,
        first_id: int,
    ) -> XsaleShop:
        """The organization `number` (from 0 on), with `orders` orders in Nowe."""
        organization = f"Futuriti_00000000-0000-0000-0000-{number:012d}"
        statuses = {status_id + number * _IDS_PER_ORGANIZATION: name for name, status_id in _IDS.items()}
        shop = cls(organization, account, clock, options, OrderPress(seed, organization, first_id), statuses)
        for _ in range(orders):
            shop.add()
        return shop

    def add(self, cart: Cart | None = None) -> Order:
        """A buyer orders: a new order in the first status of the chain. `cart`: what is ordered."""
        order = self.press.make(self.status_id(self.options.chain[0]), cart)
        self.orders[order.id] = order
        return order

    def status_id(self, name: str) -> int:
        """The id of a status. Raises KeyError."""
        for status_id, known in self.statuses.items():
            if known == name:
                return status_id
        raise KeyError(name)

    def change_status(self, order: Order, status_id: int) -> bool:
        """Sets a status, as labels are set; answers whether the change keeps the vendor's sequence."""
        before, after = self.statuses.get(order.status, ""), self.statuses[status_id]
        order.status = status_id
        self.automations.append(Automation(order.id, after, before == after))
        if after == CHAIN[4]:
            order.fields["ShipmentStatus"] = "Nadana"
        return _is_in_turn(self.options.chain, before, after)

    def encode(self, order: Order) -> str:
        """The order as JSON."""
        if order.garbage is not None:
            return order.garbage
        name = self.statuses.get(order.status)
        shown: dict[str, Json] = {"StatusId": order.status, "StatusName": name}
        if self.options.status_shape == "object":
            shown = {"Status": {"Id": order.status, "Name": name}}
        head = {"Id": order.id, "ForeignNumber": order.fields["ForeignNumber"]}
        sums = order.cart.sums(is_gross=True)
        more = {member: number(sums[what]) for member, what in self.shown.items()}
        return encode(head | shown | order.fields | more)


def _is_in_turn(chain: tuple[str, ...], before: str, after: str) -> bool:
    if before == after or before not in (*chain[:-1], ATTENTION):
        return False
    if after in (ATTENTION, CANCELLED) or before == ATTENTION:
        return True
    return after in chain and chain.index(after) == chain.index(before) + 1
