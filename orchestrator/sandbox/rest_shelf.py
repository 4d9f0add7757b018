"""Simulated shops of carts behind a REST API: pages of orders, a state as a label, rows beside orders, webhooks.

A platform declares the words of its lists and writes how its rows look and how it refuses; `rest.Route`s lead here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from orchestrator.clock import Clock
from orchestrator.sandbox.base import answer, encode
from orchestrator.sandbox.cart_shelf import CartShelf
from orchestrator.sandbox.faults import FaultPlan
from orchestrator.sandbox.platform import Json, Reply
from orchestrator.sandbox.registry import Registered, RegistrySender, WebhookRegistry
from orchestrator.sandbox.rest import Call, Parameter, Refused, Route, array_page, one_of, some_of, whole
from orchestrator.sandbox.webhooks import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWords:
    """The parameters of lists, and what is said of their pages.

    `sizes`: of a page, by default and at most. `sorts`: values of `sort` with the times that they mean, or `id`; the
    first by default, downwards. `after`, `before`: the parameters of exclusive bounds, with the times that they bound.
    `all_states`: what asks for all states but the trash. `totals`: headers with the number of rows and of pages.
    """

    page: str = "page"
    size: str = "per_page"
    offset: str = "offset"
    sizes: tuple[int, int] = (10, 100)
    state: str = "status"
    all_states: str = "any"
    sort: str = "orderby"
    direction: str = "order"
    sorts: Mapping[str, str] = field(default_factory=lambda: {"id": "id"})
    after: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    totals: tuple[str, str] | None = None

    def pages(self) -> dict[str, Parameter]:
        """The parameters of every list."""
        default, most = self.sizes
        return {self.page: whole(1, 1), self.size: whole(default, 1, most), self.offset: whole()}

    def orders(self, states: Collection[str], bound: Parameter) -> dict[str, Parameter]:
        """Those of the list of orders as well."""
        state = some_of({self.all_states}, {self.all_states, *states})
        sort, direction = one_of(next(iter(self.sorts)), self.sorts), one_of("desc", ("asc", "desc"))
        bounds = dict.fromkeys((*self.after, *self.before), bound)
        return {**self.pages(), self.state: state, self.sort: sort, self.direction: direction, **bounds}


class RestShelf(CartShelf):
    """One shop. Paths name an order `order` and a webhook `webhook`; their last word is what is `beside` an order.

    `words`: of its lists. `home`: its address, as it was last asked for; `api`: where its API is there. `hidden`:
    places in lists whose rows are counted and left out. `saves`: what changes the order that it is put beside.
    `topics`: of webhooks. `removal`: the parameter and its value without which no webhook is removed. `gone`: what they
    say of an order that is not there any more. `successes`, `most_failures`: as of `RegistrySender`.
    """

    words: ClassVar[ListWords] = ListWords()
    saves: ClassVar[Collection[str]] = ()
    topics: ClassVar[Collection[str]] = ()
    gone: ClassVar[bytes] = b"{}"
    removal: ClassVar[tuple[str, str] | None] = None
    successes: ClassVar[range] = range(200, 300)
    most_failures: ClassVar[int] = 5
    api: ClassVar[str] = ""
    home: str = ""
    hidden: Collection[int] = ()

    def __init__(self, clock: Clock, key: str, secret: str, first_id: int) -> None:
        super().__init__(clock, key, secret, first_id)
        self.webhooks = WebhookRegistry(self.delivery, self.ping)

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def bound_ms(self, text: str, call: Call) -> float:
        """The bound of a list in Unix milliseconds. Raises ValueError."""

    @abstractmethod
    def put_sent(self, what: str, order_id: int, sent: Mapping[str, Json]) -> dict[str, Json]:
        """Keeps a row that a client sends beside an order. Raises Refused."""

    @abstractmethod
    def headers(self, asked: Registered, body: bytes) -> Mapping[str, str]:
        """Of a webhook that is sent."""

    @abstractmethod
    def ping(self, fields: Mapping[str, Json]) -> Delivery:
        """What is sent to a new address."""

    def happened(self, event: str, order_id: int) -> None:
        """As `CartShelf.happened`: webhooks say so."""
        self.webhooks.notify(f"order.{event}", order_id)

    # -- given -----------------------------------------------------------------------------------------------------

    def list_orders(self, call: Call) -> Reply:
        """A page of orders. Raises Refused: `parameters`."""
        words, listed = self.words, {*self.states, *self.unpaid}
        bound = Parameter(partial(self.bound_ms, call=call))
        asked = call.checked(words.orders({*listed, self.trashed}, bound))
        found = self.found(
            listed if words.all_states in asked[words.state] else asked[words.state],
            by=words.sorts[asked[words.sort]],
            is_descending=asked[words.direction] == "desc",
            after=[(time, asked[name]) for name, time in words.after.items()],
            before=[(time, asked[name]) for name, time in words.before.items()],
        )
        return self._page(found, call, asked, self.shown)

    def read_order(self, call: Call) -> Reply:
        """One order. Raises Refused: `order`."""
        return Reply(200, self.shown(self._order(call)["id"]).encode())

    def change_order(self, call: Call) -> Reply:
        """A client sets a state that is no more than a label: none is refused. It is in sequence where it leads on in
        `states` and the order was not at an end. Raises Refused: `state`, `order`."""
        state = call.sent.get(self.state_name)
        if state is not None and state not in self.states:
            raise Refused("state")
        order = self._order(call)
        before, ends = order[self.state_name], (self.done, self.cancelled, self.refunded, self.trashed)
        is_new, places = state not in (None, before), [*self.unpaid, *self.states]
        is_in_turn = not is_new or (before not in ends and places.index(before) < places.index(str(state)))
        self.save(order, state if is_new else None)
        shown = self.shown(order["id"]).encode()
        return Reply(200, shown, took_effect=is_new, in_sequence=is_in_turn, is_overwrite=True)

    def step_of(self, call: Call) -> str:
        """Which step a change of an order's state is."""
        return "cancel" if call.sent.get(self.state_name) == self.cancelled else "change_status"

    def call_beside(self, call: Call) -> Reply:
        """The rows beside an order, or one more: what is sent twice is there twice. Raises
        Refused: `order`."""
        what, order = call.path.rpartition("/")[2], self._order(call)
        if call.method == "GET":
            return answer(200, self.beside[what, order["id"]])
        row = self.put_sent(what, order["id"], call.sent)
        if what in self.saves:
            self.save(order)
        return answer(201, row, took_effect=True, is_overwrite=True)

    def call_webhooks(self, call: Call) -> Reply:
        """Clients list, make, read, change and remove webhooks; a secret is taken and never shown. Raises
        Refused: `webhook`, `topic`, `delivery_url`, `removal`, `parameters`."""
        kept, number = self.webhooks.kept, call.number("webhook")
        if "webhook" not in call.named:
            if call.method != "GET":
                return self._put_webhook(call, None)
            asked = call.checked(self.words.pages())
            return self._page(sorted(kept, reverse=True), call, asked, lambda each: encode(kept[each].fields))
        if number not in kept:
            raise Refused("webhook")
        if call.method == "GET":
            return answer(200, kept[number].fields)
        if call.method != "DELETE":
            return self._put_webhook(call, kept[number].fields)
        if self.removal is not None and call.query.get(self.removal[0]) != self.removal[1]:
            raise Refused("removal")
        return answer(200, kept.pop(number).fields)

    def delivery(self, asked: Registered, order_id: int) -> Delivery:
        """What is sent about an order: its id where it was deleted, else as it is by then, or that it is `gone`."""
        if asked.fields["topic"].endswith(".deleted"):
            body = encode({"id": order_id}).encode()
        else:
            body = self.shown(order_id).encode() if order_id in self.orders else self.gone
        return Delivery(asked.fields["topic"], body, {"Content-Type": "application/json", **self.headers(asked, body)})

    def sender(self, faults: FaultPlan) -> RegistrySender:
        """What sends the webhooks."""
        return RegistrySender(
            self.webhooks, self.key, self.clock, faults, self.successes, most_failures=self.most_failures
        )

    def _put_webhook(self, call: Call, old: Mapping[str, Json] | None) -> Reply:
        new = {"id": self.next_id(), "name": "Webhook", "status": "active"} if old is None else {}
        names = ("name", "topic", "delivery_url", *(("status",) if old is not None else ()))
        fields = {**new, **self.stamp("created", self.now()), **(old or {})}
        fields |= {name: call.sent[name] for name in names if name in call.sent} | dict(
            self.stamp("modified", self.now())
        )
        if fields.get("topic") not in self.topics:
            raise Refused("topic")
        if not str(fields.get("delivery_url")).startswith(("http://", "https://")):
            raise Refused("delivery_url")
        self.webhooks.put(fields, call.sent.get("secret"))
        return answer(201 if old is None else 200, fields)

    def _order(self, call: Call) -> dict[str, Json]:
        if (order := self.orders.get(call.number())) is None:
            raise Refused("order")
        return order

    def _page(self, ids: Sequence[int], call: Call, asked: Mapping[str, Any], shown: Callable[[int], str]) -> Reply:
        size, page, offset = (asked[name] for name in (self.words.size, self.words.page, self.words.offset))
        address = f"{self.home}{self.api}{call.path}" if self.home else ""
        return array_page(
            ids,
            shown,
            size=size,
            page=page,
            offset=offset,
            totals=self.words.totals,
            address=address,
            query=call.query,
            hidden=self.hidden,
        )


def order_routes(path: str) -> tuple[Route[RestShelf], ...]:
    """Orders are listed, read and given a state there."""
    one = f"{path}/{{order}}"
    change = Route("PUT POST PATCH", one, RestShelf.step_of, RestShelf.change_order)
    return Route("GET", path, "list", RestShelf.list_orders), Route("GET", one, "read", RestShelf.read_order), change


def row_routes(path: str, step: str = "", option: str = "") -> tuple[Route[RestShelf], ...]:
    """Rows beside an order are listed there, and made in a step. `option`: as of `Route`."""
    make = Route("POST", path, step, RestShelf.call_beside, option=option)
    return Route("GET", path, "read", RestShelf.call_beside, option=option), *((make,) if step else ())


def webhook_routes(path: str) -> tuple[Route[RestShelf], ...]:
    """Webhooks are there."""
    every, one = ("GET POST", path), ("GET PUT POST PATCH DELETE", f"{path}/{{webhook}}")
    return tuple(Route(*where, "webhooks", RestShelf.call_webhooks, is_secret=True) for where in (every, one))
