"""The nodes of Shopify's answers about orders, as far as they are decided on (facts: shopify.md §4-§6).

Lenient on members that nobody asked for, strict on those that are used.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

NO_RETURN = "NO_RETURN"
"""`returnStatus` of an order of which nothing was sent back."""


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class _Reference(_Node):
    id: str


class _PageInfo(_Node):
    has_next_page: bool
    end_cursor: str | None = None


class LineItemNode(_Node):
    """An order line."""

    id: str
    current_quantity: int
    requires_shipping: bool = True
    is_gift_card: bool = False


class _LineItems(_Node):
    nodes: list[LineItemNode]
    page_info: _PageInfo


class _OrderLine(_Node):
    id: str
    remaining_quantity: int
    line_item: _Reference


class _OrderLines(_Node):
    nodes: list[_OrderLine]
    page_info: _PageInfo


class _Action(_Node):
    action: str


class _Place(_Reference):
    is_fulfillment_service: bool = False


class _Location(_Node):
    name: str | None = None
    location: _Place | None = None


class _Method(_Node):
    method_type: str


class _Hold(_Node):
    reason: str


class FulfillmentOrderNode(_Node):
    """Goods to be shipped from one location."""

    id: str
    status: str
    request_status: str
    fulfill_at: AwareDatetime | None = None
    supported_actions: list[_Action]
    assigned_location: _Location
    delivery_method: _Method | None = None
    fulfillment_holds: list[_Hold] = []
    line_items: _OrderLines


class _FulfillmentOrders(_Node):
    nodes: list[FulfillmentOrderNode]
    page_info: _PageInfo


class _Tracking(_Node):
    company: str | None = None
    number: str | None = None
    url: str | None = None


class _Shipped(_Node):
    quantity: int | None = None
    line_item: _Reference


class _ShippedLines(_Node):
    nodes: list[_Shipped]
    page_info: _PageInfo


class FulfillmentNode(_Node):
    """A parcel."""

    id: str
    status: str
    display_status: str | None = None
    created_at: AwareDatetime
    delivered_at: AwareDatetime | None = None
    tracking_info: list[_Tracking]
    fulfillment_line_items: _ShippedLines


class _ReturnedFrom(_Node):
    line_item: _Reference


class _Returned(_Node):
    quantity: int
    processed_quantity: int = 0
    fulfillment_line_item: _ReturnedFrom | None = None  # missing of what was returned without having been shipped here


class _ReturnedLines(_Node):
    nodes: list[_Returned]
    page_info: _PageInfo


class _Exchanged(_Node):
    unprocessed_quantity: int


class _ExchangedLines(_Node):
    nodes: list[_Exchanged]
    page_info: _PageInfo


class ReturnNode(_Node):
    """What the buyer sends back, and gets in exchange."""

    id: str
    status: str
    return_line_items: _ReturnedLines
    exchange_line_items: _ExchangedLines


class _Returns(_Node):
    nodes: list[ReturnNode]
    page_info: _PageInfo


class _Whole(_Node):
    page_info: _PageInfo


class _Terms(_Node):
    payment_terms_type: str


class _Metafield(_Node):
    value: str


class OrderNode(_Node):
    """An order with all of its lists."""

    id: str
    name: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    processed_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    cancelled_at: AwareDatetime | None = None
    display_financial_status: str | None = None
    display_fulfillment_status: str
    return_status: str = NO_RETURN
    payment_terms: _Terms | None = None
    metafield: _Metafield | None = None  # that of the ERP's number
    line_items: _LineItems
    shipping_lines: _Whole | None = None
    discount_applications: _Whole | None = None
    fulfillment_orders: _FulfillmentOrders
    fulfillments: list[FulfillmentNode]
    returns: _Returns | None = None  # None: the app may not read them


class RowNode(_Node):
    """An order of a list."""

    id: str
    name: str
    updated_at: AwareDatetime
    created_at: AwareDatetime | None = None
    processed_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    cancelled_at: AwareDatetime | None = None
    display_fulfillment_status: str
