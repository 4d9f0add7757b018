#!/usr/bin/env bash
# A good guess: Shopify's own Python library takes any 5xx of the token endpoint for a passing trouble and tells it from
# "this refresh token is no good any more"; what it cannot read it reports in its result object, as all its calls do.
#
# What happens (PyPI shopifyapp 1.0.2, httpx 0.28.1): only 500 to 504 are tried again, three times without a pause. A 520,
# which is what Cloudflare in front of Shopify answers, ends at the first as `refresh_error` with "unknown_error", which is
# also the code of every refusal but invalid_grant and invalid_client. A page of HTML at 200 raises JSONDecodeError.
#
# Why it matters to people who sync orders: expiring offline tokens are replaced every hour, each refresh replaces the
# refresh token, and a lost answer in the middle is the one moment at which a shop could be locked out. A program that
# believes the code asks a person to authorise anew, or dies on the exception, although asking again with the old token
# would have worked (since 2026-08-28 it stays good until its replacement is used).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check -qq install shopifyapp==1.0.2 httpx==0.28.1
cat > "$folder/try.py" <<'PY'
import json
from importlib.metadata import version

import httpx
from shopify_app.exchange.refresh_token import refresh_access_token

KEPT = {
    "access_mode": "offline",
    "shop": "example",
    "token": "old access token",
    "expires": "2026-01-01T00:00:00Z",
    "scope": "read_orders",
    "refresh_token": "old refresh token",
    "refresh_token_expires": "2099-01-01T00:00:00Z",
    "user": None,
}
CONFIG = {"client_id": "id", "client_secret": "secret"}
PAGE = "<html><title>Just a moment</title></html>"


def refresh(status, text):
    """What the library makes of an answer of the token endpoint, and how often it asked."""
    asked = []

    def endpoint(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["refresh_token"])
        return httpx.Response(status, text=text)

    with httpx.Client(transport=httpx.MockTransport(endpoint)) as client:
        try:
            found = refresh_access_token(KEPT, CONFIG, http_client=client).log.code
        except json.JSONDecodeError as error:
            found = type(error).__name__
    print(f"HTTP {status} {text[:40]!r}: {found}, asked {len(asked)} times")
    return found, len(asked)


print("shopifyapp", version("shopifyapp"), "httpx", version("httpx"))
assert refresh(502, PAGE) == ("server_error", 3)
assert refresh(520, PAGE) == ("refresh_error", 1), "520 is tried again now"
assert refresh(401, '{"error": "invalid_request"}') == ("refresh_error", 1), "refusals have a code of their own now"
assert refresh(200, PAGE) == ("JSONDecodeError", 1), "a page at 200 is reported in the result now"
PY
"$folder/venv/bin/python" "$folder/try.py"
