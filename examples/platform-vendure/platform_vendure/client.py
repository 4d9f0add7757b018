"""Vendure's client: placed orders by change time, single orders, and the mutations of each step (facts: README.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from orchestrator.plugin.client import (
    URL,
    AccessDenied,
    Age,
    Answer,
    Apart,
    ClientSettings,
    Finding,
    GraphQlClient,
    InvalidOrder,
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
    decimal,
    decoded,
    digest,
    instant,
    instant_ms,
    is_header_safe,
    json_body,
    listing_of,
    member_text,
    members,
    object_of,
    of_one_order,
    optional_ms,
    payload_of,
    price,
    read_value,
    renewal_time,
    required_text,
    rows,
    text,
    walk_page,
)
from orchestrator.plugin.machine import InvalidItems, Json, OrderState, TargetRequest, plain
from platform_vendure import (
    CANCELLABLE,
    LEADS_TO,
    OPEN,
    VendureOptions,
    code_of,
    due_parcel,
    left,
    packed_in,
    parcels_of,
)

_ADDRESS_NAMES = {
    "name": "fullName",
    "company": "company",
    "street": "streetLine1",
    "street2": "streetLine2",
    "postal_code": "postalCode",
    "city": "city",
    "region": "province",
    "country": "countryCode",
    "phone": "phoneNumber",
}
_ADDRESS = " ".join(_ADDRESS_NAMES.values())
_NEWEST = "sort: { createdAt: DESC, id: DESC }"
_ORDER = f"""
fragment Whole on Order {{
  id type code state createdAt updatedAt orderPlacedAt couponCodes currencyCode
  total totalWithTax shipping shippingWithTax
  customer {{ id firstName lastName emailAddress phoneNumber user {{ id }} }}
  shippingAddress {{ {_ADDRESS} }} billingAddress {{ {_ADDRESS} }}
  lines {{
    id quantity unitPrice unitPriceWithTax linePrice linePriceWithTax proratedLinePrice proratedLinePriceWithTax
    taxLines {{ description taxRate }} productVariant {{ id sku name productId }}
  }}
  surcharges {{ id sku description price priceWithTax taxLines {{ description taxRate }} }}
  discounts {{ description amount amountWithTax }}
  shippingLines {{ shippingMethod {{ code name }} }}
  payments {{ method state amount transactionId refunds {{ state total }} }}
  fulfillments {{ id state method trackingCode lines {{ orderLineId quantity }} }}
  latest: history(options: {{ take: 1, {_NEWEST} }}) {{ items {{ createdAt }} }}
  cancellation: history(options: {{ take: 1, {_NEWEST}, filter: {{ type: {{ eq: "ORDER_CANCELLATION" }} }} }}) {{
    items {{ createdAt data }}
  }}
}}"""
_PRECISION = "globalSettings { serverConfig { moneyStrategyPrecision } }"
_ORDERS_BY = "query Orders($options: OrderListOptions) { orders(options: $options)"
_LIST = f"{_ORDERS_BY} {{ totalItems items {{ ...Whole }} }} {_PRECISION} }}{_ORDER}"
_READ = f"query Order($id: ID!) {{ order(id: $id) {{ ...Whole }} {_PRECISION} }}{_ORDER}"
_PROBE = f"{_ORDERS_BY} {{ totalItems }} me {{ identifier channels {{ code token permissions }} }} }}"
_ERROR = "... on ErrorResult { errorCode message }"
_TURNED = "... on FulfillmentStateTransitionError { transitionError }"
_ADD = f"""mutation AddFulfillment($input: FulfillOrderInput!) {{ addFulfillmentToOrder(input: $input) {{
  ... on Fulfillment {{ id }} {_ERROR} {_TURNED} ... on CreateFulfillmentError {{ fulfillmentHandlerError }} }} }}"""
_MOVE = f"""mutation TransitionFulfillment($id: ID!, $state: String!) {{
  transitionFulfillmentToState(id: $id, state: $state) {{ ... on Fulfillment {{ id state }} {_ERROR} {_TURNED} }} }}"""
_CANCEL = f"""mutation CancelOrder($input: CancelOrderInput!) {{ cancelOrder(input: $input) {{
  ... on Order {{ id state }} {_ERROR} ... on OrderStateTransitionError {{ transitionError }} }} }}"""
_LOGIN = f"""mutation Login($username: String!, $password: String!) {{
  login(username: $username, password: $password) {{ ... on CurrentUser {{ id }} {_ERROR} }} }}"""

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

APART = Apart(
    steps=("/parcels", "/lines/*/open"),
    cancel=("/cancelled", "/payment", "/lines", "/discounts", "/delivery/cost", "/totals"),
)
"""What our steps change: parcels; a cancellation takes all goods and the shipping out."""

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
        super().__init__(settings, url, secrets=(self._account["password"],), headers=channel)
        self._options = options
        self._access = self._keeper = TokenKeeper(self, self._caller, self._clock, file=None)
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
        return await self._one(order_id, _READ, {"id": order_id}, lambda answer: read_single(answer.body))

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Looks at the order and sends the one mutation that is due; `cancel` takes back first what is packed."""
        seen = await self._first(order_id)
        if seen.state not in (CANCELLABLE if step == "cancel" else OPEN):
            raise OutOfSequence(f"the order is in {seen.state}, where {step} is not possible")
        facts = {**current.facts, **seen.facts}
        if step == "cancel":
            return await self._cancel(order_id, facts, request)
        if step == "fulfill":
            return await self._fulfill(facts, seen.facts, request)
        if (due := due_parcel(facts, request, step)) is None:
            raise OutOfSequence(f"no fulfilment of the order is there for {step}")
        await self._do(_MOVE, "transitionFulfillmentToState", {"id": due["id"], "state": LEADS_TO[step]})
        return StepAnswer(None, seen.facts)

    async def probe(self) -> Probe:
        """As `RestClient.probe`."""
        answer = await self._ask(_PROBE, {"options": {"take": 1}})
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        data = (answer.members or {}).get("data")
        token = self._options.channel_token
        mine = [
            c for c in rows(at(data, "me.channels")) if token == c.get("token") or (token is None and _is_default(c))
        ]
        lacking = sorted(_RIGHTS.difference(*(c.get("permissions") or () for c in mine)))
        rights = Finding("rights", "failed", f"the administrator lacks {', '.join(lacking)} in the shop's channel")
        access = f"{at(data, 'me.identifier')} may read {at(data, 'orders.totalItems')} orders"
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
        made = await self._do(_ADD, "addFulfillmentToOrder", {"input": {"lines": chosen, "handler": handler}})
        return StepAnswer(None, {**seen, "made_id": text(made.get("id")) or ""})

    async def _cancel(self, order_id: str, facts: Mapping[str, Json], request: TargetRequest) -> StepAnswer:
        """A fulfilment that is Pending could be shipped although its order is cancelled, so it ends first."""
        for each in parcels_of(facts):
            if each["state"] != "Pending":
                raise OutOfSequence(f"fulfilment {each['id']} is {each['state']}")
            await self._do(_MOVE, "transitionFulfillmentToState", {"id": each["id"], "state": "Cancelled"})
        given = {"orderId": order_id, "cancelShipping": True, "reason": request.reason}
        order = await self._do(_CANCEL, "cancelOrder", {"input": given})
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
        answer = await self._ask(_LIST, {"options": options})
        return await self._listed(answer, read_listing), answer

    # -- login (`TokenSource`) ---------------------------------------------------------------------------------------

    must_be_kept = False

    async def fetch(self, known: Session | None) -> Session:
        """As `TokenSource.fetch`. A server answers by a header or, by default, by cookies."""
        del known
        body, headers = json_body({"query": _LOGIN, "variables": self._account}), {"Content-Type": "application/json"}
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
        return [value.removeprefix("Bearer ") for value in tokens.headers.values()]


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
    return listing_of(found, lambda value, raw: read_order(value, raw, precision), answer.get("totalItems"))


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


@of_one_order
def read_order(value: Json, payload: bytes, precision: int) -> OrderSnapshot:
    """One order of its JSON and its bytes. Raises InvalidOrder."""
    order = object_of(value)
    state, placed = required_text(order.get("state"), "state"), optional_ms(order.get("orderPlacedAt"))
    lines = {required_text(each.get("id"), "lines.id"): _count(each) for each in rows(order.get("lines"))}
    parcels = [
        {
            "id": required_text(each.get("id"), "fulfillments.id"),
            "state": required_text(each.get("state"), "fulfillments.state"),
            "code": text(each.get("trackingCode")) or "",
            "lines": {
                required_text(line.get("orderLineId"), "orderLineId"): _count(line) for line in rows(each.get("lines"))
            },
        }
        for each in rows(order.get("fulfillments"))
        if each.get("state") != "Cancelled"
    ]
    facts = {"lines": lines, "parcels": parcels}
    content = content_of(order, facts, precision)
    instants = (order.get("orderPlacedAt"), at(_first_of(order, "latest"), "createdAt"))
    changed = max(instant_ms(order.get("updatedAt"), "updatedAt"), *(optional_ms(each) or 0 for each in instants))
    return OrderSnapshot(
        id=required_text(order.get("id"), "id"),
        reference=text(order.get("code")),
        state=state,
        payment="paid" if content["payment"]["status"] in ("paid", "partly_refunded", "refunded") else "unpaid",
        facts=facts,
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=changed,
        is_released=placed is not None and order.get("type") != "Aggregate",  # its parts are orders of their own
        content=content,
        apart=APART,
        age=Age(placed, is_over=state in ("Delivered", "Cancelled")),
    )


def content_of(order: Mapping[str, Json], facts: Mapping[str, Json], precision: int) -> dict[str, Json]:
    """What the ERP is given of an order; what Vendure does not tell is left out."""

    def money(amount: Json) -> str | None:
        is_whole = isinstance(amount, int) and not isinstance(amount, bool)
        return decimal(Decimal(amount).scaleb(-precision)) if is_whole else None

    def priced(owner: Mapping[str, Json], name: str, *, less: str | None = None, sign: int = 1) -> dict[str, Json]:
        net, gross = (_less(owner, name + tax, less and less + tax) for tax in ("", "WithTax"))
        return price(net=money(_times(net, sign)), gross=money(_times(gross, sign)))

    def taxes(owner: Mapping[str, Json], amount: Json) -> list[Json]:
        found = rows(owner.get("taxLines"))
        told = money(amount) if len(found) == 1 else None
        return [{"name": text(each.get("description")), "rate": _fraction(each), "amount": told} for each in found]

    packed = packed_in(facts)
    customer, variants = order.get("customer") or {}, [at(each, "productVariant") or {} for each in order["lines"]]
    lines: list[Json] = [
        {
            "id": line["id"],
            "kind": "goods",
            "sku": text(variant.get("sku")),
            "product_id": text(variant.get("productId")),
            "variant_id": text(variant.get("id")),
            "name": text(variant.get("name")),
            "quantity": decimal(line["quantity"]),
            "open": decimal(max(0, line["quantity"] - packed[line["id"]])),
            "unit_price": priced(line, "unitPrice"),
            "discount": priced(line, "linePrice", less="proratedLinePrice"),
            "tax": taxes(line, _less(line, "proratedLinePriceWithTax", "proratedLinePrice")),
        }
        for line, variant in zip(order["lines"], variants, strict=True)
    ]
    for fee in rows(order.get("surcharges")):
        tax = _less(fee, "priceWithTax", "price")
        fee_id, name = f"surcharge-{fee.get('id')}", text(fee.get("description"))
        lines.append({"id": fee_id, "kind": "fee", "sku": text(fee.get("sku")), "name": name, "quantity": "1"})
        lines[-1] |= {"unit_price": priced(fee, "price"), "discount": price(net="0", gross="0"), "tax": taxes(fee, tax)}
    payments, methods = rows(order.get("payments")), [at(each, "shippingMethod") for each in order["shippingLines"]]
    refunds = [refund for each in payments for refund in rows(each.get("refunds")) if refund.get("state") == "Settled"]
    sums = {state: sum(p["amount"] for p in payments if p["state"] == state) for state in ("Settled", "Authorized")}
    refunded = sum(refund["total"] for refund in refunds)
    total, discounts = order["totalWithTax"], rows(order.get("discounts"))
    return {
        "ordered_at": instant(order.get("orderPlacedAt")),
        "numbers": {"order": text(order.get("code"))},
        "currency": text(order.get("currencyCode")),
        "buyer": {
            "id": text(customer.get("id")),
            "name": _joined(" ", customer.get("firstName"), customer.get("lastName")),
            "email": text(customer.get("emailAddress")),
            "phone": text(customer.get("phoneNumber")),
            "guest": customer.get("user") is None,
        },
        "ship_to": _address(order.get("shippingAddress")),
        "bill_to": _address(order.get("billingAddress")),
        "delivery": {
            "name": _joined(", ", *(each.get("name") for each in methods)),
            "code": _joined(", ", *(each.get("code") for each in methods)),
            "cost": priced(order, "shipping"),
        },
        "payment": {
            "status": _payment_status(sums["Settled"], sums["Authorized"], refunded, total),
            "raw": _joined(", ", *(each.get("state") for each in payments)),
            "method": _joined(", ", *(each.get("method") for each in payments)),
            "reference": _joined(", ", *(each.get("transactionId") for each in payments)),
            "paid": money(sums["Settled"]),
        },
        "lines": lines,
        "discounts": [
            {"code": None, "name": text(each.get("description")), "amount": priced(each, "amount", sign=-1)}
            for each in discounts
        ],
        "totals": {
            "discount": money(-sum(each["amountWithTax"] for each in discounts)),
            "delivery": money(order.get("shippingWithTax")),
            "tax": money(_less(order, "totalWithTax", "total")),
            "total": money(total),
            "refunded": money(refunded),
        },
        "parcels": [
            {
                "id": each["id"],
                "numbers": [each["trackingCode"]] if text(each.get("trackingCode")) else [],
                "carrier": text(each.get("method")),
                "lines": [{"id": it["orderLineId"], "quantity": decimal(it["quantity"])} for it in each["lines"]],
            }
            for each in rows(order.get("fulfillments"))
            if each["state"] not in ("Cancelled", "Pending")
        ],
        "cancelled": _cancelled(order),
        "attributes": {"couponCodes": codes} if (codes := _joined(", ", *order["couponCodes"])) else {},
        "derived": [*_DERIVED],
    }


_DERIVED = (
    *("/lines/*/discount", "/lines/*/open", "/lines/*/tax/*/amount", "/payment/status", "/payment/paid"),
    *("/totals/discount", "/totals/tax", "/totals/refunded"),
)


def _payment_status(settled: int, authorized: int, refunded: int, total: int) -> str:
    """From the sums of payments and refunds that are settled: Vendure has no word for it."""
    if refunded:
        return "refunded" if refunded >= settled else "partly_refunded"
    if settled >= total:
        return "paid"
    if settled + authorized >= total:
        return "authorized"
    return "partly_paid" if settled else "unpaid"


def _address(found: Json) -> dict[str, Json] | None:
    """An address of an order; one that was never given has nothing in it."""
    if not isinstance(found, Mapping) or not any(found.values()):
        return None
    return {ours: text(found.get(theirs)) for ours, theirs in _ADDRESS_NAMES.items()}


def _cancelled(order: Mapping[str, Json]) -> dict[str, Json] | None:
    """When the last of an order was cancelled, and why; nobody tells by whom."""
    if order.get("state") != "Cancelled":
        return None
    entry = _first_of(order, "cancellation")
    return {"at": instant(entry.get("createdAt")), "by": None, "reason": text(at(entry, "data.reason"))}


def _first_of(order: Mapping[str, Json], history: str) -> Mapping[str, Json]:
    return next(iter(rows(at(order, f"{history}.items"))), {})


def _less(owner: Mapping[str, Json], name: str, less: str | None) -> Json:
    """The difference of two amounts, or one alone."""
    return owner.get(name) if less is None else owner[name] - owner[less]


def _times(amount: Json, sign: int) -> Json:
    return amount * sign if isinstance(amount, int) else None


def _fraction(tax: Mapping[str, Json]) -> str | None:
    rate = decimal(tax.get("taxRate"))
    return None if rate is None else plain(Decimal(rate).scaleb(-2))


def _joined(mark: str, *words: Json) -> str | None:
    return mark.join(dict.fromkeys(each for word in words if (each := text(word)) is not None)) or None


def _count(line: Mapping[str, Json]) -> int:
    found = line.get("quantity")
    if not isinstance(found, int) or isinstance(found, bool):
        raise InvalidOrder(f"quantity is {found!r}")
    return found


def _is_default(channel: Mapping[str, Json]) -> bool:
    return channel.get("code") == "__default_channel__"
