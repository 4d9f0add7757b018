"""CloudSuite's client: the list, single orders, and the calls of each step (facts: cloudsuite.md).

The platform takes any state at any time and keeps no sequence (§5.1), so every step that would harm an order that is
elsewhere looks at it first and says so instead: a cancelled order must not come to life because our picture of it was
old. What the calls have to carry is built in `lines` and `proxy`, what an order is in
`wire`, how a sync pages in `page_walk`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import structlog
from yarl import URL

from orchestrator.platforms.base.calls import by_status, json_body
from orchestrator.platforms.base.rest import Probe, RestClient
from orchestrator.platforms.client import Finding, OrderSnapshot, Page, PlatformClient, StepAnswer
from orchestrator.platforms.cloudsuite.access import CloudsuiteAccess
from orchestrator.platforms.cloudsuite.errors import is_own_about_order
from orchestrator.platforms.cloudsuite.lines import with_erp_lines
from orchestrator.platforms.cloudsuite.options import CloudsuiteOptions
from orchestrator.platforms.cloudsuite.page_walk import LIST_PATH, OVERLAP, Now, PageWalk, Search, after_page
from orchestrator.platforms.cloudsuite.proxy import CloudsuiteProxy, slip_lines
from orchestrator.platforms.cloudsuite.wire import (
    Listing,
    Reading,
    age_of,
    composite_state,
    read_listing,
    read_single,
)
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Transient,
)
from orchestrator.platforms.fields import InvalidOrder, order_number
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.http import Answer, date_ms
from orchestrator.platforms.json_text import read_object, read_value
from orchestrator.platforms.platform import ClientSettings
from statemachines.cloudsuite.lines import numbered
from statemachines.cloudsuite.machine import RELEASED
from statemachines.cloudsuite.sent import may_be_there, next_despatch
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

log = structlog.get_logger()

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_READ = {"Accept": "application/json"}
_MOVES: dict[str, tuple[frozenset[str], dict[str, Json], str]] = {
    "process": (frozenset({"confirmed"}), {"state": "processing"}, "processing"),
    "mark_sent": (frozenset({"processing"}), {"shipment_state": "sent"}, "sent"),
    # a final despatch makes the order sent for us, while the platform may go on to show processing
    "finish": (frozenset({"processing", "sent"}), {"state": "done"}, "done"),
    "cancel": (frozenset({"confirmed", "processing", "sent"}), {"state": "cancel"}, "cancel"),
}
"""Where each move may begin, what it changes and where it leads (cloudsuite.md §5.1, §5.3)."""
_UNDERWAY = frozenset({"processing", "sent"})
_ONE_ROW = f"{LIST_PATH}?limit=1&offset=0"
_WRITE_ATTEMPTS = 4  # looks at an order that keeps changing under us before a PUT is put off; two must agree


class CloudsuiteClient(RestClient):
    """`PlatformClient` of one CloudSuite shop. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, CloudsuiteOptions)
        secrets = [options.token.get_secret_value()] if options.token is not None else []
        if options.credentials is not None:
            secrets.append(options.credentials.client_secret.get_secret_value())
        headers = {"Authorization": f"Token {options.token.get_secret_value()}"} if options.token is not None else {}
        super().__init__(settings, secrets=secrets, headers=headers)
        if options.credentials is not None:
            self._access = CloudsuiteAccess(self._caller, options.credentials, settings.clock)
        self._options = options
        self._restored_at = settings.restored_at
        self._base_path = urlsplit(self._base_url).path
        self._proxy = CloudsuiteProxy(self._caller, self._about_order, options, settings.clock, self._base_url)
        self._reading = Reading(ZoneInfo(options.timezone), options.payment_check == "on", options.field_map)
        self._search = Search(
            page_size=settings.page_size,
            webshop=options.webshop,
            takes_offline=options.offline_orders == "import",
            confirmed_since=options.confirmed_since,
            modified_filter=options.modified_filter,
            overlap=max(OVERLAP, timedelta(seconds=settings.lookback_seconds)),
        )

    @property
    def rereads_open(self) -> bool:
        """Yes, unless the shop has a filter by change time: the documented ones show only new orders."""
        return self._options.modified_filter is None

    # -- reading ---------------------------------------------------------------------------------------------------

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """One page of summaries: the orders that are new or changed are to be read, the others were seen before."""
        present = Present(self._clock.now_ms())
        walk = PageWalk.resume(position, cursor, self._search, Now(present, self._reading.zone))
        listing, answer = await self._list(walk.page)
        now = Now(replace(present, platform_ms=date_ms(answer)), self._reading.zone)
        turned = after_page(walk, self._here(listing), self._search, now)
        return Page(
            orders=(),
            unreadable=listing.unreadable,
            must_read=tuple(row.id for row in turned.rows),
            skip_if_new=frozenset(row.id for row in turned.rows if row.state != "confirmed"),
            ages={row.id: age_of(row.state, row.created, row.ordered, self._reading.zone) for row in turned.rows},
            next=None if turned.next is None else turned.next.to_json(),
            position=turned.walk.position(self._search) if turned.next is None else None,
            shown=listing.names,
            cursor=listing.next,
            part=walk.round,
            flaw=turned.flaw,
        )

    async def read(self, order_id: str) -> OrderSnapshot:
        """One order by its id; `ext:KEY` and a reference such as CS48193 find it too. Raises NotFound."""
        if order_number(order_id) is None and not order_id.startswith("ext:"):
            order_id = await self._find(order_id)
        number = None if order_number(order_id) is None else order_id
        snapshot = await self._single(number, self._order_url(order_id), self._order_in, headers=_READ)
        if self._is_of_another_webshop(snapshot):
            raise NotFound(f"order {order_id} is not one of webshop {self._options.webshop}")
        return snapshot

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Makes the calls of `step` (cloudsuite.md §5.3, §6, §7)."""
        match step:
            case "process" | "mark_sent" | "finish" | "cancel":
                answer = await self._move(step, order_id)
            case "set_erp_number":
                answer = await self._patch(order_id, {"erp_order_number": request.erp_order_number}, None)
            case "set_erp_lines":
                answer = await self._set_erp_lines(order_id, current, request)
            case "confirm_order":
                answer = await self._confirm_order(order_id, request)
            case "send_despatch":
                answer = await self._send_despatch(order_id, current, request)
            case _:
                raise ValueError(f"cloudsuite has no step {step!r}")
        return answer

    async def probe(self) -> Probe:
        """As `RestClient.probe`: the first row of the list."""
        listing, answer = await self._list(_ONE_ROW)
        count = "an unknown number of" if listing.count is None else str(listing.count)
        further: tuple[Finding, ...] = ()
        if self._options.proxy_shop is None or self._options.proxy_user is None:
            missing = "proxy_shop and proxy_user are not set: no despatch can be sent"
            further = (Finding("proxy", "warning", missing),)
        return Probe(answer, f"orders may be read, {count} in all", further)

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure | None:
        """As `RestClient.refusal`: no status of this API means that the order is elsewhere."""
        if answer.status < 400:
            return None
        return by_status(answer, self._caller.words(answer), is_effect=is_effect, out_of_sequence=frozenset())

    def list_refusal(self, answer: Answer) -> PlatformFailure | None:
        """As `RestClient.list_refusal`; 403 is never about one order here (cloudsuite.md §8)."""
        return AccessDenied(self._caller.words(answer)) if answer.status == 403 else super().list_refusal(answer)

    async def _list(self, path: str) -> tuple[Listing, Answer]:
        answer = await self._send("GET", self._url(path), headers=_READ)
        return await self._listed(answer, read_listing), answer

    def _here(self, listing: Listing) -> Listing:
        """The listing with `next` as path and query on our own host: the platform may name another one, which must
        neither get our token nor be relied upon (cloudsuite.md §1)."""
        if listing.next is None:
            return listing
        parts = urlsplit(listing.next)
        path = parts.path
        if self._base_path and path.startswith(f"{self._base_path}/"):
            path = path[len(self._base_path) :]
        if not path.startswith("/") or path.startswith("//"):
            path = LIST_PATH
        return replace(listing, next=f"{path}?{parts.query}")

    def is_own_refusal(self, body: bytes) -> bool:
        """As `errors.is_own_about_order`."""
        return is_own_about_order(body)

    def _order_in(self, answer: Answer) -> OrderSnapshot:
        return read_single(answer.body, self._reading)

    async def _find(self, reference: str) -> str:
        """The id of the order that CloudSuite calls `reference`; with the webshop, where references repeat (§2).

        Raises NotFound, also where several orders answer to it.
        """
        query = [("reference", reference)]
        if self._options.webshop is not None:
            query.append(("webshop", str(self._options.webshop)))
        url = self._url(f"{LIST_PATH}?{urlencode(query)}")
        # A firewall may dislike the reference: the list that counts has none.
        listing = await self._listed(await self._about_order("GET", url, headers=_READ), read_listing)
        if len(listing.rows) > 1:
            ids = ", ".join(row.id for row in listing.rows[:5])
            raise NotFound(f"several orders are called {reference!r}: {ids}; set webshop, or name one by its id")
        if not listing.rows:
            raise NotFound(f"no order is called {reference!r}")
        return listing.rows[0].id

    def _is_of_another_webshop(self, snapshot: OrderSnapshot) -> bool:
        wanted = self._options.webshop
        webshop = read_value(snapshot.payload.decode()).get("webshop") if wanted is not None else None
        return isinstance(webshop, int) and not isinstance(webshop, bool) and webshop != wanted

    # -- moving ----------------------------------------------------------------------------------------------------

    async def _move(self, step: str, order_id: str) -> StepAnswer:
        sources, change, to = _MOVES[step]
        snapshot = await self._first(order_id)
        is_offline = snapshot.facts["is_offline"] is True
        may_begin = sources | {"confirmed"} if step == "mark_sent" and is_offline else sources
        self._expect(snapshot, step, may_begin)
        if step == "process" and self._reading.checks_payment and not is_offline:
            status = snapshot.facts["payment_status"]
            if status not in RELEASED:
                raise OutOfSequence(f"the payment is not settled any more, payment_status is {status}")
        answer = await self._patch(order_id, change, to, snapshot)
        await self._notify_buyer(to, snapshot)
        return answer

    async def _patch(
        self, order_id: str, change: dict[str, Json], to: str | None, before: OrderSnapshot | None = None
    ) -> StepAnswer:
        """PATCH changes the given fields only. An answer that holds the order has to show the change, but for a
        shipment of which neither it nor the read `before` says anything (cloudsuite.md §4)."""
        data = await self._write("PATCH", order_id, json_body(change))
        if data is None:
            data = await self._look_behind(order_id)
            if any(data[name] != value for name, value in change.items() if name in data):
                raise Transient("nothing was answered, and the order shows no change", is_ambiguous=True)
        state = _state_in(data)
        if "shipment_state" in change and "shipment_state" not in data:
            is_hidden = before is not None and before.facts.get("hides_shipment") is True
            if before is not None and is_hidden and state in (None, before.state):
                return StepAnswer(before.state, {"hides_shipment": True})
        if to is not None and state is not None and state != to:
            raise OutOfSequence(f"{to} was asked for and the order is in {state}")
        for name, value in change.items():
            if name in data and data[name] != value:
                raise OutOfSequence(f"{name} was to be {value} and the order has {data[name]}")
        return StepAnswer(state if to is not None else None)

    async def _set_erp_lines(self, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """PUT of the whole order as it is right now: read, built, looked at once more, written (cloudsuite.md §9)."""
        numbers = {line.line: line.erp_line_number for line in request.erp_lines or ()}
        modified = None
        for _ in range(_WRITE_ATTEMPTS):
            snapshot = await self._first(order_id)
            text = snapshot.payload.decode()
            self._expect(snapshot, "set_erp_lines", _UNDERWAY)
            was, modified = modified, read_value(text)["modified_date"]
            if was != modified:
                continue
            try:
                body = with_erp_lines(text, numbers, _hidden(current, snapshot))
            except ValueError as error:
                raise OutOfSequence(str(error)) from None
            if await self._write("PUT", order_id, body.encode()) is None:
                shown = await self._look_behind(order_id)
                numbered = {str(line.get("id")): line.get("erp_line_number") for line in shown.get("order_lines") or ()}
                if any(str(numbered.get(line)) != str(number) for line, number in numbers.items()):
                    raise Transient("nothing was answered, and the order shows no change", is_ambiguous=True)
            return StepAnswer(None)
        raise Transient("the order keeps changing, so its lines are written later")

    def _expect(self, snapshot: OrderSnapshot, step: str, sources: Collection[str]) -> None:
        if snapshot.state not in sources:
            raise OutOfSequence(f"the order is in {snapshot.state}, where {step} does not begin")

    async def _look_behind(self, order_id: str) -> dict[str, Json]:
        """The order after a write whose answer is empty: nothing says that it was the platform's own."""
        try:
            snapshot = await self.read(order_id)
        except PlatformFailure as failure:
            failure.detail = f"nothing was answered to the write, and then: {failure.detail}"
            raise failure.after_effect() from None
        return read_object(snapshot.payload) or {}

    async def _write(self, method: str, order_id: str, body: bytes) -> dict[str, Json] | None:
        """The members of the answer to a write, none where it says that it has no body (204); None: nothing of the
        order is in it, so that anybody may have answered."""
        answer = await self._accepted(method, self._order_url(order_id), body, headers=_JSON)
        if answer.status == 204 or not answer.body.strip():
            return {} if answer.status == 204 else None
        data = self._members(answer)
        return data if "state" in data or str(data.get("id")) == order_id else None

    # -- XML calls -------------------------------------------------------------------------------------------------

    async def _confirm_order(self, order_id: str, request: TargetRequest) -> StepAnswer:
        snapshot = await self._first(order_id)
        self._expect(snapshot, "confirm_order", _UNDERWAY)
        number = request.erp_order_number or snapshot.facts["erp_order_number"]
        lines = numbered(snapshot.facts, request)
        if number is None or any(line["erp"] is None or line["quantity"] is None for line in lines.values()):
            raise OutOfSequence("the ERP's number, line numbers or quantities do not fit the order as it is now")
        await self._proxy.confirm(read_value(snapshot.payload.decode()), number, lines)
        return StepAnswer(None)

    async def _send_despatch(self, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        despatch = next_despatch(current.facts, request)
        if despatch is None:
            raise OutOfSequence("every despatch of the target was sent already")
        snapshot = await self._first(order_id)
        self._expect(snapshot, "send_despatch", _UNDERWAY)
        lines = slip_lines(despatch, snapshot)
        was_unanswered = may_be_there(current.facts, despatch)
        may_be_found = was_unanswered or self._may_lack_calls(snapshot)
        is_found = await self._proxy.despatch(despatch, lines, snapshot, request.tracking, may_be_found=may_be_found)
        if despatch.is_final and (was_unanswered or not is_found):
            await self._notify_buyer("sent", snapshot)
        return StepAnswer(None, is_found=is_found)

    def _may_lack_calls(self, snapshot: OrderSnapshot) -> bool:
        """Whether calls of ours may have gone out about the order of which a store that was put back knows nothing."""
        if self._restored_at is None:
            return False
        return snapshot.age.ordered_at is None or snapshot.age.ordered_at <= self._restored_at

    async def _notify_buyer(self, state: str, snapshot: OrderSnapshot) -> None:
        """The optional line on the order's timeline; its failure is nobody's problem."""
        if not self._proxy.has_note(state):
            return
        try:
            await self._proxy.notify_buyer(state, snapshot)
        except PlatformFailure as failure:
            log.warning("cloudsuite.note_failed", state=state, detail=failure.detail)

    def _order_url(self, order_id: str) -> URL:
        if "/" in order_id:  # servers decode %2F before they route: the key would lead to another address
            raise NotFound(f"{order_id!r} is not an order key")
        return self._url(f"/api/order/{quote(order_id, safe=':')}/")

    def _url(self, path: str) -> URL:
        return URL(self._base_url + path, encoded=True)


def open_client(settings: ClientSettings) -> PlatformClient:
    """The client of a shop (`Platform.open`)."""
    return CloudsuiteClient(settings)


def _state_in(data: dict[str, Json]) -> str | None:
    """The state that an answer gives, if any."""
    try:
        return composite_state(data)
    except InvalidOrder:
        return None


def _hidden(current: OrderState, snapshot: OrderSnapshot) -> dict[str, Json]:
    """What we set and the read does not show: a PUT without it would take it away."""
    is_ours = current.facts.get("is_marked_sent") and snapshot.facts.get("hides_shipment")
    return {"shipment_state": "sent"} if is_ours else {}
