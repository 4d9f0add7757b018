#!/usr/bin/env bash
# A good guess: Shopify's own Python library waits as long as a 429 asks for in Retry-After, and treats the throttling of
# GraphQL (HTTP 200 with the code THROTTLED) alike.
#
# What happens (PyPI shopifyapp 1.0.2, httpx 0.28.1): it makes a plain dict of httpx's headers, whose names are then all
# in small letters, and looks for "Retry-After" in it. So it never finds one and waits a second, whatever was asked for.
# A THROTTLED answer is not waited for at all: it comes back at once as `graphql_errors`, without its `extensions`, so
# the caller cannot see how long the bucket needs.
#
# Why it matters to people who sync orders: an import of many orders runs into the limit just when it is busiest. Calls
# that go out too early are refused and count again; after the third the program gives up on an order that Shopify would
# have taken ten seconds later. Whoever uses the library has to keep to the limit by a count of his own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check -qq install shopifyapp==1.0.2 httpx==0.28.1
cat > "$folder/try.py" <<'PY'
import time
from importlib.metadata import version

import httpx
from shopify_app import ShopifyApp

waits = []
time.sleep = waits.append  # what the library would wait is written down in place of waiting
app = ShopifyApp(client_id="id", client_secret="secret")
CALL = {"shop": "example", "access_token": "token", "api_version": "2026-10"}


def ask(answers):
    """One call of the program; the shop gives `answers` in turn. The result, and how often the shop was asked."""
    asked = []

    def shop(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1]()

    with httpx.Client(transport=httpx.MockTransport(shop)) as client:
        return app.admin_graphql_request("{ shop { name } }", http_client=client, **CALL), len(asked)


def busy():
    return httpx.Response(429, headers={"Retry-After": "10"}, json={"errors": "Exceeded 2 calls per second"})


def throttled():
    status = {"maximumAvailable": 2000, "currentlyAvailable": 10, "restoreRate": 100}
    return httpx.Response(
        200,
        json={
            "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
            "extensions": {"cost": {"requestedQueryCost": 400, "actualQueryCost": None, "throttleStatus": status}},
        },
    )


print("shopifyapp", version("shopifyapp"), "httpx", version("httpx"))
refused, times = ask([busy])
print("429 with Retry-After 10: asked", times, "times, waited", waits, "seconds, ended as", refused.log.code)
assert times == 3 and waits == [1, 1] and refused.log.code == "rate_limited", "Retry-After is heeded now"
waits.clear()
refused, times = ask([throttled])
print("200 with THROTTLED: asked", times, "times, waited", waits, "ended as", refused.log.code, refused.extensions)
assert times == 1 and waits == [] and refused.log.code == "graphql_errors" and refused.extensions is None
PY
"$folder/venv/bin/python" "$folder/try.py"
