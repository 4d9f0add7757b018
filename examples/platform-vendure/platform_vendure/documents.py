"""What is asked of Vendure's Admin API: one document a call, each with a name that its log can show."""

from __future__ import annotations

from platform_vendure.content import ADDRESS

_ADDRESS = " ".join(ADDRESS.values())
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
LIST = f"{_ORDERS_BY} {{ totalItems items {{ ...Whole }} }} {_PRECISION} }}{_ORDER}"
NAMES = f"{_ORDERS_BY} {{ totalItems items {{ id type updatedAt orderPlacedAt }} }} }}"
READ = f"query Order($id: ID!) {{ order(id: $id) {{ ...Whole }} {_PRECISION} }}{_ORDER}"
PROBE = f"{_ORDERS_BY} {{ totalItems }} me {{ channels {{ code token permissions }} }} }}"
_ERROR = "... on ErrorResult { errorCode message }"
_TURNED = "... on FulfillmentStateTransitionError { transitionError }"
ADD = f"""mutation AddFulfillment($input: FulfillOrderInput!) {{ addFulfillmentToOrder(input: $input) {{
  ... on Fulfillment {{ id }} {_ERROR} {_TURNED} ... on CreateFulfillmentError {{ fulfillmentHandlerError }} }} }}"""
MOVE = f"""mutation TransitionFulfillment($id: ID!, $state: String!) {{
  transitionFulfillmentToState(id: $id, state: $state) {{ ... on Fulfillment {{ id state }} {_ERROR} {_TURNED} }} }}"""
CANCEL = f"""mutation CancelOrder($input: CancelOrderInput!) {{ cancelOrder(input: $input) {{
  ... on Order {{ id state }} {_ERROR} ... on OrderStateTransitionError {{ transitionError }} }} }}"""
END = f"""mutation TransitionOrder($id: ID!, $state: String!) {{ transitionOrderToState(id: $id, state: $state) {{
  ... on Order {{ id state }} {_ERROR} ... on OrderStateTransitionError {{ transitionError }} }} }}"""
LOGIN = f"""mutation Login($username: String!, $password: String!) {{
  login(username: $username, password: $password) {{ ... on CurrentUser {{ id }} {_ERROR} }} }}"""
