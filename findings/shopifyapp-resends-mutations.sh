#!/usr/bin/env bash
# A good guess: Shopify's own Python library repeats reads after a 502, 503 or 504, and leaves it to its caller whether a
# mutation is sent again, for nobody knows whether the first one was carried out.
#
# What happens (PyPI shopifyapp 1.0.2, httpx 0.28.1): admin_graphql_request sends every document again, up to twice, and
# does not look whether it is a query or a mutation. A gateway that gives up after Shopify has done the work turns one
# call of the merchant's program into two or three.
#
# Why it matters to people who sync orders: fulfillmentCreate knows no idempotency key. Where a part of a line is shipped
# and enough of it remains, the second sending is a second parcel, with a second mail to the buyer; the program is given
# one success and never learns of the first. `max_retries=0` switches it off, for all documents alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check -qq install shopifyapp==1.0.2 httpx==0.28.1
cat > "$folder/try.py" <<'PY'
import json
from importlib.metadata import version

import httpx
from shopify_app import ShopifyApp

MUTATION = """mutation Ship($parcel: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $parcel) { fulfillment { id } userErrors { message } }
}"""
PARCEL = {
    "lineItemsByFulfillmentOrder": [
        {
            "fulfillmentOrderId": "gid://shopify/FulfillmentOrder/1",
            "fulfillmentOrderLineItems": [{"id": "gid://shopify/FulfillmentOrderLineItem/2", "quantity": 1}],
        }
    ]
}
shipped = []


def shop(request: httpx.Request) -> httpx.Response:
    """Carries out each mutation that arrives; the gateway in front of it times out on the first."""
    shipped.append(json.loads(request.content)["variables"]["parcel"])
    if len(shipped) == 1:
        return httpx.Response(504, text="upstream request timeout")
    made = {"id": f"gid://shopify/Fulfillment/{len(shipped)}"}
    return httpx.Response(200, json={"data": {"fulfillmentCreate": {"fulfillment": made, "userErrors": []}}})


app = ShopifyApp(client_id="id", client_secret="secret")
with httpx.Client(transport=httpx.MockTransport(shop)) as client:
    result = app.admin_graphql_request(
        MUTATION,
        shop="example",
        access_token="token",
        api_version="2026-10",
        variables={"parcel": PARCEL},
        http_client=client,
    )
print("shopifyapp", version("shopifyapp"), "httpx", version("httpx"))
print("calls by the program: 1")
print("mutations that reached the shop:", len(shipped))
print("the program was answered:", result.ok, json.dumps(result.data))
assert len(shipped) == 2 and shipped[0] == shipped[1], "mutations are not sent again any more"
assert result.ok and result.data["fulfillmentCreate"]["fulfillment"]["id"].endswith("/2")
PY
"$folder/venv/bin/python" "$folder/try.py"
