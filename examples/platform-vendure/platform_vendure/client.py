"""Vendure's client: placed orders by change time, single orders, and the mutations of each step (facts: README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from orchestrator.plugin.client import (
    URL,
    AccessDenied,
    Answer,
    ClientSettings,
    Finding,
    GraphQlClient,
    Listing,
    NotFound,
    OrderSnapshot,
    OutOfSequence,
    Page,
    PlatformFailure,
    Probe,
    Rejected,
    StepAnswer,
    TokenKeeper,
    Transient,
    Unreadable,
    at,
    decoded,
    is_header_safe,
    json_body,
    listing_of,
    member_text,
    members,
    optional_ms,
    payload_of,
    read_value,
    renewal_time,
    required_text,
    rows,
    text,
    text_id_or_none,
    thin_listing,
    walk_page,
)
from orchestrator.plugin.machine import InvalidItems, Json, OrderState, TargetRequest
from platform_vendure import VendureOptions
from platform_vendure.content import read_order
from platform_vendure.documents import ADD, CANCEL, END, LIST, LOGIN, MOVE, NAMES, PROBE, READ
from platform_vendure.machine import CANCELLABLE, MODIFIED, OPEN, held_up
from platform_vendure.parcels import LEADS_TO, PENDING, code_of, due_parcel, left, parcels_of

_DENIED: Final = frozenset({"FORBIDDEN", "UNAUTHORIZED", "CHANNEL_NOT_FOUND"})
_REFUSED: Final = frozenset({"USER_INPUT_ERROR", "ILLEGAL_OPERATION", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"})
_ELSEWHERE: Final = frozenset(
    {
        "ITEMS_ALREADY_FULFILLED_ERROR",
        "FULFILLMENT_STATE_TRANSITION_ERROR",
        "ORDER_STATE_TRANSITION_ERROR",
        "QUANTITY_TOO_GREAT_ERROR",
        "EMPTY_ORDER_LINE_SELECTION_ERROR",
    }
)
"""Error results that say that the order is elsewhere than we thought."""

_MOST_ROWS = 100  # of a page: each order is resolved with all its parts, and adminListQueryLimit is 1000
_SESSION_MS = 86_400_000  # we log in once a day; a session that ends before is refused and replaced
_RIGHTS = frozenset({"ReadOrder", "UpdateOrder"})


@dataclass(frozen=True, slots=True)
class Session:
    """What a login opens: a header that goes with every call. `renew_at`, `expires_at`: Unix milliseconds."""

    headers: Mapping[str, str] = field(repr=False)
    renew_at: int
    expires_at: int


class VendureClient(GraphQlClient):
    """`PlatformClient` of one shop. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, VendureOptions)
        login = options.credentials
        self._account = {"username": login.username.get_secret_value(), "password": login.password.get_secret_value()}
        channel = {} if options.channel_token is None else {"vendure-token": options.channel_token}
        url = URL(f"{settings.base_url.rstrip('/')}/{options.admin_path}")
        super().__init__(settings, url, secrets=tuple(self._account.values()), headers=channel)
        self._options = options
        self._access = self._keeper = TokenKeeper(self, self._caller, self._clock, place=None)
        self._page_size = min(settings.page_size, _MOST_ROWS)
        self._lookback_ms = int(settings.lookback_seconds * 1000)

    @property
    def rereads_open(self) -> bool:
        """Yes: what can be filtered by does not move with an order's state, its parcels or refunds (README.md)."""
        return True

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """As `PlatformClient.list_page`."""
        return await walk_page(self._list, position, cursor, page_size=self._page_size, clock=self._clock)

    async def read(self, order_id: str) -> OrderSnapshot:
        """As `PlatformClient.read`."""
        return await self._one(order_id, READ, {"id": order_id}, lambda answer: read_single(answer.body))

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Looks at the order and sends the one mutation that is due; `cancel` takes back first what is packed."""
        seen = await self._first(order_id)
        if seen.state in MODIFIED:  # by the next read that may be over, and then nobody would see why it was refused
            wait = held_up(seen.state)
            raise Transient(wait.detail, wait=wait)
        if seen.state not in (CANCELLABLE if step == "cancel" else OPEN):
            raise OutOfSequence(f"the order is in {seen.state}, where {step} is not possible")
        facts = {**current.facts, **seen.facts}
        if step == "cancel":
            return await self._cancel(order_id, facts, request)
        if step == "fulfill":
            return await self._fulfill(facts, seen.facts, request)
        if (due := due_parcel(facts, request, step)) is None:
            raise OutOfSequence(f"no fulfilment of the order is there for {step}")
        await self._do(MOVE, "transitionFulfillmentToState", {"id": due["id"], "state": LEADS_TO[step]})
        return StepAnswer(None, seen.facts)

    async def probe(self) -> Probe:
        """As `RestClient.probe`."""
        answer = await self._ask(PROBE, {"options": {"take": 1}})
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        data = (answer.members or {}).get("data")
        token = self._options.channel_token
        mine = [
            c for c in rows(at(data, "me.channels")) if token == c.get("token") or (token is None and _is_default(c))
        ]
        lacking = sorted(_RIGHTS.difference(*(c.get("permissions") or () for c in mine)))
        rights = Finding("rights", "failed", f"the administrator lacks {', '.join(lacking)} in the shop's channel")
        access = f"the administrator may read {at(data, 'orders.totalItems')} orders"
        return Probe(answer, access, (rights,) if lacking else ())

    def failure(self, codes: frozenset[str], words: str, *, is_effect: bool) -> PlatformFailure:
        """As `GraphQlClient.failure`: the codes of Vendure's and of Apollo's errors."""
        if codes & _DENIED:
            return AccessDenied(words)
        if "ENTITY_NOT_FOUND" in codes:
            return OutOfSequence(words) if is_effect else NotFound(words)
        if codes <= _REFUSED:
            return Rejected(words) if is_effect else Transient(words, is_refused_read=True)
        return Transient(words, is_ambiguous=is_effect)

    def forget_refusal(self) -> None:
        """As `RemembersRefusal.forget_refusal`."""
        self._keeper.forget_refusal()

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _fulfill(self, facts: Mapping[str, Json], seen: dict[str, Json], request: TargetRequest) -> StepAnswer:
        try:
            lines = left(facts, request)
        except InvalidItems as error:
            raise OutOfSequence(str(error)) from None
        if not lines:
            raise OutOfSequence("all that the target names is in a fulfilment already")
        carrier = request.tracking.carrier if request.tracking is not None else None
        given = {"method": carrier or "", "trackingCode": code_of(request)}
        handler = {
            "code": self._options.fulfillment_handler,
            "arguments": [{"name": name, "value": value} for name, value in given.items()],
        }
        chosen = [{"orderLineId": line, "quantity": count} for line, count in lines.items()]
        made = await self._do(ADD, "addFulfillmentToOrder", {"input": {"lines": chosen, "handler": handler}})
        return StepAnswer(None, {**seen, "made_id": text(made.get("id")) or ""})

    async def _cancel(self, order_id: str, facts: Mapping[str, Json], request: TargetRequest) -> StepAnswer:
        """A fulfilment that is Pending could be shipped although its order is cancelled, so it ends first.

        Where somebody began to modify the order meanwhile, the cancellation is refused and empties it all the same
        (README.md): what is left to do then is to end it.
        """
        for each in parcels_of(facts):
            if each["state"] != PENDING:
                raise OutOfSequence(f"fulfilment {each['id']} is {each['state']}")
            await self._do(MOVE, "transitionFulfillmentToState", {"id": each["id"], "state": "Cancelled"})
        if not any(facts["lines"].values()):
            order = await self._do(END, "transitionOrderToState", {"id": order_id, "state": "Cancelled"})
            return StepAnswer(text(order.get("state")))
        given = {"orderId": order_id, "cancelShipping": True, "reason": request.reason}
        try:
            order = await self._do(CANCEL, "cancelOrder", {"input": given})
        except OutOfSequence as refusal:
            raise Transient(refusal.detail, wait=held_up(MODIFIED[0])) from refusal
        return StepAnswer(text(order.get("state")))

    async def _do(self, document: str, name: str, variables: Mapping[str, Json]) -> dict[str, Json]:
        """What a mutation made. Raises what an error result means: by its code, never by its words."""
        payload = await self._change(document, name, variables)
        if (code := payload.get("errorCode")) is None:
            return payload
        said = payload.get("transitionError") or payload.get("fulfillmentHandlerError") or payload.get("message")
        words = self._caller.clean(f"{code}: {said}")
        raise OutOfSequence(words) if code in _ELSEWHERE else Rejected(words)

    # -- lists -------------------------------------------------------------------------------------------------------

    async def _list(self, offset: int, limit: int, since_ms: int | None) -> tuple[Listing, Answer]:
        """Placed orders alone: carts change all the time. The change time does not move when an order is placed."""
        chosen: dict[str, Json] = {"orderPlacedAt": {"isNull": False}}
        if since_ms is not None:
            since = datetime.fromtimestamp(max(0, since_ms - self._lookback_ms) / 1000, UTC).isoformat()
            chosen["_or"] = [{name: {"after": since}} for name in ("updatedAt", "orderPlacedAt")]
        sort = {"createdAt": "ASC", "id": "ASC"}
        options = {"filter": chosen, "sort": sort, "skip": offset, "take": limit}
        answer = await self._ask(LIST, {"options": options})
        if _blames_a_row(answer):  # which is shown in no list, nor is any other row beside it
            answer = await self._ask(NAMES, {"options": options})
            return await self._listed(answer, read_names), answer
        return await self._listed(answer, read_listing), answer

    # -- login (`TokenSource`) ---------------------------------------------------------------------------------------

    must_be_kept = False

    async def fetch(self, known: Session | None) -> Session:
        """As `TokenSource.fetch`. A server answers by a header or, by default, by cookies."""
        del known
        body, headers = json_body({"query": LOGIN, "variables": self._account}), {"Content-Type": "application/json"}
        answer = await self._caller.call(
            "POST", self._url, is_effect=False, body=body, headers=headers, is_login=True, is_counted=False
        )
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        payload = at(answer.members, "data.login")
        if not isinstance(payload, dict):
            raise self._caller.garbled(answer)
        if "errorCode" in payload:
            raise AccessDenied(self._caller.clean(f"the login was refused: {payload.get('message')}"))
        token = answer.headers.get("vendure-auth-token", "")
        cookies = "; ".join(each.partition(";")[0] for each in answer.headers.getall("Set-Cookie", ()))
        found = {"Authorization": f"Bearer {token}"} if is_header_safe(token) else {"Cookie": cookies}
        now = self._clock.now_ms()
        return Session(found, renewal_time(now, _SESSION_MS), now + _SESSION_MS)

    @staticmethod
    def pack(tokens: Session) -> dict[str, Json]:
        """As `TokenSource.pack`: sessions are kept in no file."""
        return dict(tokens.headers)

    @staticmethod
    def unpack(kept: Mapping[str, Json]) -> Session | None:
        """As `TokenSource.unpack`."""
        del kept
        return None

    @staticmethod
    def secrets_of(tokens: Session) -> list[str]:
        """As `TokenSource.secrets_of`."""
        cookies = tokens.headers.get("Cookie", "").split("; ")
        token = tokens.headers.get("Authorization", "").removeprefix("Bearer ")
        return [token, *(each.partition("=")[2] for each in cookies)]


def read_listing(body: bytes) -> Listing:
    """The orders of a list's answer. Raises Unreadable."""
    try:
        data = member_text(decoded(body), "data")
        answer, found = members(member_text(data, "orders"), "items")
        precision = _precision(data)
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    if found is None:
        raise Unreadable("the list has no items", body)
    return listing_of(
        found,
        lambda value, raw: read_order(value, raw, precision),
        answer.get("totalItems"),
        read_id=text_id_or_none,  # by its EntityIdStrategy a server may have UUIDs
    )


def read_names(body: bytes) -> Listing:
    """The orders of a list of ids. Raises Unreadable."""
    try:
        found = at(read_value(decoded(body)), "data.orders")
        named = {required_text(each["id"], "id"): each for each in found["items"]}
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the list of ids cannot be read: {error!r}", body) from error
    aggregates = [order for order, each in named.items() if each.get("type") == "Aggregate"]
    changed = [optional_ms(each.get(name)) or 0 for each in named.values() for name in ("updatedAt", "orderPlacedAt")]
    high = max(changed, default=None)
    return thin_listing(list(named), found.get("totalItems"), left_out=aggregates, changed_ms=high)


def _blames_a_row(answer: Answer) -> bool:
    """Whether an answer to a list has no orders because of one that cannot be shown."""
    errors = rows((answer.members or {}).get("errors")) if b'"errors"' in answer.body else []
    return any(len(path) > 2 and path[:2] == ["orders", "items"] for each in errors if (path := each.get("path") or []))


def read_single(body: bytes) -> OrderSnapshot:
    """The order of an answer. Raises NotFound and Unreadable."""
    payload = body
    try:
        data = member_text(decoded(body), "data")
        order = member_text(data, "order")
        if order == "null":
            raise NotFound("Vendure has no such order in this channel")
        payload = payload_of(order)
        return read_order(read_value(order), payload, _precision(data))
    except ValueError as error:
        raise Unreadable(f"the order cannot be read: {error}", payload) from error


def _precision(data: str) -> int:
    """How many decimals amounts have. Raises ValueError."""
    found = at(read_value(member_text(data, "globalSettings")), "serverConfig.moneyStrategyPrecision")
    if not isinstance(found, int) or not 0 <= found <= 9:
        raise ValueError(f"moneyStrategyPrecision is {found!r}")
    return found


def _is_default(channel: Mapping[str, Json]) -> bool:
    return channel.get("code") == "__default_channel__"
