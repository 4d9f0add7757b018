"""Selldone's client: the list, single orders, and one call a step (facts: selldone.md).

The calls of one shop go to a handful of addresses with a handful of bodies, most of which never change, so those are
built once. What an answer means is decided in `errors`, what an order is in `wire`.
"""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from orchestrator.platforms.base.calls import json_body
from orchestrator.platforms.base.listing import Listing
from orchestrator.platforms.base.offset import walk_page
from orchestrator.platforms.base.rest import Probe, RestClient
from orchestrator.platforms.client import OrderSnapshot, Page, PlatformClient, StepAnswer
from orchestrator.platforms.failures import NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.platforms.fields import order_number
from orchestrator.platforms.http import Answer
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.selldone.delivery import leaves_out, merged_text
from orchestrator.platforms.selldone.errors import is_refusal, refusal
from orchestrator.platforms.selldone.options import SelldoneOptions
from orchestrator.platforms.selldone.rejection import reject_reason
from orchestrator.platforms.selldone.wire import read_listing, read_single
from statemachines.items import InvalidItems, read_items
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

MAX_PAGE_SIZE = 250
"""The list's largest `limit` (selldone.md §9)."""

_SYNC_QUERY = (
    "&sortBy=reserved_at&sortDesc=false&statuses[]=Payed&statuses[]=COD&statuses[]=Canceled"
    "&with[]=items&with[]=buyer&with[]=products"
)
_CONFIRM_ALL = b'{"state":"OrderConfirm","list":null,"delivery_info":null}'
_PREPARE = b'{"state":"PreparingOrder","list":null,"delivery_info":null}'
_SEND = b'{"state":"SentOrder","list":null,"delivery_info":null}'
_DELIVER = b'{"state":"ToCustomer","list":null,"delivery_info":null}'


class SelldoneClient(RestClient):
    """`PlatformClient` of one Selldone shop. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, SelldoneOptions)
        token = options.token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        super().__init__(settings, secrets=(token,), headers=headers)
        self._shop_id = options.shop_id
        self._reject_reason = options.reject_reason
        self._lookback_ms = int(settings.lookback_seconds * 1000)
        self._unit_ms = 1000 if options.updated_at_unit == "s" else 1
        self._page_size = min(settings.page_size, MAX_PAGE_SIZE)
        center = f"{self._base_url}/shops/{options.shop_id}/process-center"
        self._list_url = f"{center}/baskets-PHYSICAL?offset="
        self._basket_url = f"{center}/baskets/"

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """One page of Payed, COD and Canceled orders that changed since `position`, oldest checkout first."""
        return await walk_page(self._list, position, cursor, page_size=self._page_size, clock=self._clock)

    async def read(self, order_id: str) -> OrderSnapshot:
        """One order. Raises NotFound also for what cannot be an id: Selldone's are integers."""
        return await self._single(order_id, self._order_url(order_id), self._order_in)

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Makes the call of `step` (selldone.md §2 rows 3-5, §5.2)."""
        match step:
            case "confirm":
                body, carries = _confirm_body(request), request.items is not None
                return await self._set_state(order_id, "OrderConfirm", body, carries=carries)
            case "prepare":
                body, carries = await self._prepare_body(order_id, current, request), request.delivery_info is not None
                return await self._set_state(order_id, "PreparingOrder", body, carries=carries)
            case "send":
                return await self._set_state(order_id, "SentOrder", _SEND)
            case "deliver":
                return await self._set_state(order_id, "ToCustomer", _DELIVER)
            case "set_tracking":
                return await self._set_tracking(order_id, current, request)
            case "return_delivery":
                return await self._return_delivery(order_id)
            case "cancel":
                return await self._cancel(order_id, request)
            case _:
                raise ValueError(f"selldone has no step {step!r}")

    async def probe(self) -> Probe:
        """As `RestClient.probe`: the first row of the list."""
        listing, answer = await self._list(0, 1, None)
        total = "an unknown number of" if listing.total is None else str(listing.total)
        return Probe(answer, f"shop {self._shop_id} may be read, {total} orders")

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure | None:
        """As `RestClient.refusal`; what reads answer at a good status is looked at where it is read."""
        if answer.status < 400 and not is_effect:
            return None
        data = answer.members
        return self._refusal(answer, data, is_effect=is_effect) if is_refusal(answer.status, data) else None

    def list_refusal(self, answer: Answer) -> PlatformFailure | None:
        """A list has no order that could be missing: its address was not found."""
        failure = self.refusal(answer, is_effect=False)
        return Transient(failure.detail) if isinstance(failure, NotFound) else failure

    # -- calls -----------------------------------------------------------------------------------------------------

    async def _list(self, offset: int, limit: int, since_ms: int | None) -> tuple[Listing, Answer]:
        url = f"{self._list_url}{offset}&limit={limit}{_SYNC_QUERY}"
        if since_ms is not None:
            # "After" is taken to be strict and the unit may be coarse: one unit more, so that nothing hides in it.
            url += f"&updated_at={max(0, (since_ms - self._lookback_ms) // self._unit_ms - 1)}"
        answer = await self._send("GET", URL(url, encoded=True))
        listing = await self._listed(answer, read_listing)
        if listing.refusal is not None:
            raise self._refusal(answer, listing.refusal, is_effect=False)
        return listing, answer

    def _order_in(self, answer: Answer) -> OrderSnapshot:
        found = read_single(answer.body)
        if isinstance(found, dict):
            raise self._refusal(answer, found, is_effect=False)
        return found

    async def _set_state(self, order_id: str, state: str, body: bytes, *, carries: bool = False) -> StepAnswer:
        """`carries`: the call sends more than the state, so that an order which was there before did not take it."""
        data = self._members(await self._accepted("POST", self._order_url(order_id, "/state"), body))
        answered = self._answered_state(data)
        if answered != state:
            raise OutOfSequence(f"{state} was asked for and the order is in {answered}")
        was_there = data.get("changed") is False  # which is as good, if the state is all that was wanted (§8)
        if was_there and carries:
            raise OutOfSequence(f"the order was in {state} already, so what the call carried was not taken")
        return StepAnswer(answered, is_found=was_there)

    async def _prepare_body(self, order_id: str, current: OrderState, request: TargetRequest) -> bytes:
        """`delivery_info` replaces the order's as a whole, null leaves it (selldone.md §5.2). Where the target names
        only some of its values, the order is read first, and the others are sent once more."""
        if request.delivery_info is None:
            return _PREPARE
        wanted = dict(request.delivery_info)
        if not leaves_out(wanted, current.facts.get("delivery_info") or []):
            return json_body({"state": "PreparingOrder", "list": None, "delivery_info": wanted})
        snapshot = await self._first(order_id)
        info = merged_text(snapshot.payload.decode(), wanted)
        return f'{{"state":"PreparingOrder","list":null,"delivery_info":{info}}}'.encode()

    async def _set_tracking(self, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        body = _tracking_body(current, request)
        data = self._members(await self._accepted("PUT", self._order_url(order_id, "/tracking"), body))
        if data.get("success") is False:
            raise OutOfSequence("the platform did not take the tracking and gave no reason")
        if "success" not in data and "delivery_info" not in data:
            raise Transient(
                "unexpected answer to set_tracking: success and delivery_info are missing", is_ambiguous=True
            )
        return StepAnswer(None)

    async def _return_delivery(self, order_id: str) -> StepAnswer:
        """What the platform shows afterwards is not documented, so the answer is taken as it is (selldone.md §5.2)."""
        data = self._members(await self._accepted("POST", self._order_url(order_id, "/delivery-returned")))
        answered = self._answered_state(data)
        if answered == "ToCustomer" or (answered == "SentOrder" and data.get("changed") is not True):
            raise OutOfSequence(f"the order did not come back, it is in {answered}")
        return StepAnswer(answered)

    async def _cancel(self, order_id: str, request: TargetRequest) -> StepAnswer:
        """Rejects the order at once. That this cancels it is assumed (selldone.md §10): the order is read, and an
        answer that the read does not confirm is as good as lost."""
        body = json_body({"reject": reject_reason(request.reason, self._reject_reason), "express": True})
        data = self._members(await self._accepted("PUT", self._order_url(order_id, "/reject"), body))
        if data.get("success") is False:
            raise OutOfSequence("the platform did not take the rejection and gave no reason")
        try:
            snapshot = await self._first(order_id)
        except Transient as failure:
            raise failure.after_effect() from None
        if snapshot.facts.get("status") != "Canceled":
            raise Transient("the order was rejected and is not cancelled yet", is_ambiguous=True)
        return StepAnswer(snapshot.state, snapshot.facts)

    def _answered_state(self, data: Mapping[str, Json]) -> str:
        state = data.get("delivery_state")
        if not isinstance(state, str) or not state:
            raise Transient("the answer gives no delivery_state", is_ambiguous=True)
        return state

    def _refusal(self, answer: Answer, data: dict[str, Json] | None, *, is_effect: bool) -> PlatformFailure:
        return refusal(answer.status, data, self._caller.words(answer), is_effect=is_effect)

    def _order_url(self, order_id: str, tail: str = "") -> URL:
        if order_number(order_id) is None:
            raise NotFound(f"{order_id!r} is not a Selldone order id")
        return URL(f"{self._basket_url}{order_id}{tail}", encoded=True)


def open_client(settings: ClientSettings) -> PlatformClient:
    """The client of a shop (`Platform.open`)."""
    return SelldoneClient(settings)


def _confirm_body(request: TargetRequest) -> bytes:
    """`list` holds the ids of the items that can be delivered, null all of them (selldone.md §5.2)."""
    if request.items is None:
        return _CONFIRM_ALL
    numbers: list[int] = []
    try:
        asked = read_items(request.items) or {}
    except InvalidItems as error:
        raise Rejected(str(error)) from None
    for text in asked:
        if (number := order_number(text)) is None:
            raise Rejected(f"{text!r} is not a Selldone item id")
        numbers.append(number)
    return json_body({"state": "OrderConfirm", "list": numbers})


def _tracking_body(current: OrderState, request: TargetRequest) -> bytes:
    """Empty ones are left out (selldone.md §2, row 5). The call overwrites (§8), so what the target does not change is
    sent once more: the code of a new link, the link of the same code; that of another code goes with it."""
    tracking = request.tracking
    data = {} if tracking is None else {"tracking_code": tracking.code, "tracking_url": tracking.url}
    known = {name: current.facts.get(name) for name in ("tracking_code", "tracking_url")}
    if not data.get("tracking_code") or data["tracking_code"] == known["tracking_code"]:
        data = {name: data.get(name) or known[name] for name in known}
    return json_body({name: value for name, value in data.items() if value})
