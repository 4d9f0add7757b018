"""One simulated CloudSuite account: orders, tokens, packing slips, and what a write does (cloudsuite.md §2, §5, §9).

The platform takes any state at any time; whether a change was in sequence is only noted, for the ledger. PUT replaces
the whole object: what it leaves out is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from orchestrator.clock import Clock
from orchestrator.sandbox.cart import Cart
from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder, CloudsuitePress, Json, local_writer

STATES = ("draft", "quotation", "confirmed", "processing", "done", "cancel")
"""Every `state` (cloudsuite.md §5.1)."""
PAYMENTS = ("closed_success", "paid", "account", "closed_canceled", "started", "none")
"""Every `payment_status` (cloudsuite.md §5.2)."""
STEP_OF = {"processing": "process", "done": "finish", "cancel": "cancel"}
"""The machine's name of the step that sets each state."""

_SOURCES = {"process": ("confirmed",), "finish": ("processing",), "cancel": ("confirmed", "processing")}
_READ_ONLY = frozenset({"id", "reference", "create_date", "modified_date", "confirm_date", "offline"})
_REQUIRED = ("state", "currency", "order_lines")
_REQUIRED_OF_LINE = ("product", "description", "type", "quantity")


@dataclass(frozen=True, slots=True)
class CloudsuiteOptions:
    """What the facts leave open, and orders that are only made when asked for.

    `token_seconds`: life of an access token. `next_host`: the host that `next` names. `timezone`: of dates.
    `max_limit`: the largest page. `unpaid_orders`, `offline_orders`: how many there are beside the others.
    `marks_sent`: an order whose every line was despatched in full gets `shipment_state` sent. `writes_answer`: what a
    write answers with. `proxy_style`: of the XML calls' answers. `is_duplicate_ok_status`: a duplicate number is
    refused with status 200. `hidden`: members of an order that no read shows.
    """

    token_seconds: int = 300
    next_host: str = "https://test.cloudsuite.io"
    timezone: str = "Europe/Amsterdam"
    max_limit: int = 100
    unpaid_orders: int = 0
    offline_orders: int = 0
    marks_sent: bool = False
    writes_answer: Literal["order", "echo", "nothing"] = "order"
    proxy_style: Literal["xml", "text"] = "xml"
    is_duplicate_ok_status: bool = False
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did."""

    changed: bool
    in_sequence: bool = True
    is_new: bool = False


@dataclass(slots=True, eq=False)
class CloudsuiteShop:
    """One account with one webshop. `slips` holds the packing slips by their number, which nobody may use again.
    `shown`: as of an order."""

    webshop: int
    client_id: str
    client_secret: str
    key: str
    clock: Clock
    options: CloudsuiteOptions
    press: CloudsuitePress
    orders: dict[int, CloudsuiteOrder] = field(default_factory=dict)
    slips: dict[str, dict[str, Json]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    issued: int = 0
    _last_us: int = 0

    @classmethod
    def stocked(
        cls, webshop: int, secret: str, clock: Clock, options: CloudsuiteOptions, *, orders: int, seed: int, first: int
    ) -> CloudsuiteShop:
        """An account with `orders` confirmed and released orders, half a minute apart, the newest just now."""
        writer = local_writer(ZoneInfo(options.timezone))
        press = CloudsuitePress(seed, first, webshop, writer)
        shop = cls(webshop, f"api-{webshop}", secret, f"key-{secret}", clock, options, press)
        total = orders + options.unpaid_orders + options.offline_orders
        begin_us = clock.now_ms() * 1000 - 30_000_000 * total
        for n in range(total):
            is_unpaid = orders <= n < orders + options.unpaid_orders
            is_offline = n >= orders + options.unpaid_orders
            status = ("started", "none", "closed_canceled")[n % 3] if is_unpaid else "none" if is_offline else None
            shop.keep(press.make(begin_us + 30_000_000 * n, payment_status=status, is_offline=is_offline))
        return shop

    # -- access ----------------------------------------------------------------------------------------------------

    def issue(self) -> str:
        """A new access token."""
        self.issued += 1
        token = f"access-{self.webshop}-{self.issued}"
        self.tokens[token] = self.clock.now_ms() + self.options.token_seconds * 1000
        return token

    def is_valid(self, scheme: str, token: str) -> bool:
        """Whether this opens the account now: a living access token, or the deprecated key."""
        if scheme == "token":
            return token == self.key
        return scheme == "bearer" and self.tokens.get(token, 0) > self.clock.now_ms()

    # -- orders ----------------------------------------------------------------------------------------------------

    def keep(self, order: CloudsuiteOrder) -> CloudsuiteOrder:
        """Takes an order in."""
        order.hidden, order.shown = self.options.hidden, self.shown
        self.orders[order.id] = order
        return order

    def add(
        self, *, payment_status: str | None = None, is_offline: bool = False, cart: Cart | None = None
    ) -> CloudsuiteOrder:
        """A new order, confirmed now. `cart`: what is ordered."""
        made = self.press.make(self.tick(), payment_status=payment_status, is_offline=is_offline, cart=cart)
        return self.keep(made)

    def touch(self, order: CloudsuiteOrder) -> None:
        """Moves `modified_date`, strictly monotonic in the account."""
        order.fields["modified_date"] = local_writer(ZoneInfo(self.options.timezone))(self.tick())

    def tick(self) -> int:
        """Now in Unix microseconds, later than any time before."""
        self._last_us = max(self.clock.now_ms() * 1000, self._last_us + 1)
        return self._last_us

    def find(self, key: str) -> CloudsuiteOrder | None:
        """By id, or by external key as `ext:KEY`."""
        if key.startswith("ext:"):
            return next((order for order in self.orders.values() if order.fields.get("key") == key[4:]), None)
        return self.orders.get(int(key)) if key.isascii() and key.isdecimal() and len(key) < 20 else None

    def find_by_number(self, number: str) -> CloudsuiteOrder | None:
        """By the ERP's number, else by the reference (cloudsuite.md §6)."""
        orders = self.orders.values()
        by_erp = next((order for order in orders if order.fields.get("erp_order_number") == number), None)
        return by_erp or next((order for order in orders if order.fields.get("reference") == number), None)

    # -- writes ----------------------------------------------------------------------------------------------------

    def patch(self, order: CloudsuiteOrder, sent: dict[str, Json]) -> Change | dict[str, list[str]]:
        """Changes the given fields only; unknown and read-only ones are ignored, as the framework does. Or errors."""
        known = {name: value for name, value in sent.items() if name in order.fields and name not in _READ_ONLY}
        if errors := _errors(known):
            return errors
        in_sequence = all(_is_in_sequence(order, name, value) for name, value in known.items())
        changed = any(order.fields[name] != value for name, value in known.items())
        order.fields.update(known)
        self.touch(order)
        return Change(changed, in_sequence or not changed)

    def put(self, order_id: int, sent: dict[str, Json]) -> Change | dict[str, list[str]]:
        """Replaces the whole object, or makes it (cloudsuite.md §1). Or errors."""
        errors = {name: ["This field is required."] for name in _REQUIRED if name not in sent} | _errors(sent)
        lines = sent.get("order_lines")
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            errors.setdefault("order_lines", ["Expected a list of items."])
        elif any(name not in line for line in lines for name in _REQUIRED_OF_LINE):
            errors["order_lines"] = ["A line lacks a required field."]
        if errors:
            return errors
        order = self.orders.get(order_id)
        is_new = order is None
        if order is None:
            order = self.keep(self.press.make(self.tick()))
            del self.orders[order.id]
            order.fields["id"] = order_id
            self.orders[order_id] = order
        before = (dict(order.fields), [dict(line) for line in order.lines])
        self._replace(order, sent)
        changed = (order.fields, order.lines) != before
        is_backward = STATES.index(order.state) < STATES.index(before[0]["state"])
        in_sequence = not is_new and not is_backward and order.state == "processing"
        self.touch(order)
        return Change(changed, in_sequence, is_new)

    def _replace(self, order: CloudsuiteOrder, sent: dict[str, Json]) -> None:
        for name in order.fields:
            if name in _READ_ONLY:
                continue
            if name not in sent and order.fields[name] is not None:
                order.lost.append(name)
            order.fields[name] = sent.get(name)
        own = {line["id"]: line for line in order.lines}
        replaced: list[dict[str, Json]] = []
        for n, line in enumerate(sent["order_lines"]):
            old = own.get(line.get("id")) or (order.lines[n] if n < len(order.lines) else {"id": self.tick()})
            order.lost += [f"order_lines.{name}" for name in old if name not in line and old[name] is not None]
            replaced.append({**dict.fromkeys(old), **line, "id": old["id"]})
        order.lines = replaced


def _errors(sent: dict[str, Json]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if "state" in sent and sent["state"] not in STATES:
        errors["state"] = [f'"{sent["state"]}" is not a valid choice.']
    for name in ("erp_order_number", "shipment_state"):
        if name in sent and not isinstance(sent[name], str | None):
            errors[name] = ["Not a valid string."]
    return errors


def _is_in_sequence(order: CloudsuiteOrder, name: str, value: Json) -> bool:
    """Whether the client keeps the sequence that the platform does not (cloudsuite.md §5.1)."""
    is_open = order.state in ("confirmed", "processing")
    if name == "state" and value == "done" and order.is_offline:
        return order.state == "processing" or (is_open and order.fields["shipment_state"] == "sent")
    if name == "state":
        return order.state in _SOURCES.get(STEP_OF.get(str(value), ""), ())
    if name == "shipment_state":
        return order.state == "processing" or (order.is_offline and is_open)
    return is_open
