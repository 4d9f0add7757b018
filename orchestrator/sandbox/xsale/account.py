"""The simulated login server and the check of both tokens (xsale.md §1, §6)."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from orchestrator.sandbox.platform import Json, Reply, parse_object
from orchestrator.sandbox.xsale.press import encode
from orchestrator.sandbox.xsale.shop import XsaleShop

AUDIENCE = "https://api.xsale.ai"
_WINDOW_SECONDS = 60.0
_NEEDED = ("client_id", "client_secret", "audience", "username", "password", "grant_type", "scope")


def log_in(shops: Collection[XsaleShop], body: bytes) -> Reply:
    """Both tokens for a good account, else what Auth0 answers. A login with anything missing is refused."""
    sent = parse_object(body)
    if sent is None or any(not isinstance(sent.get(name), str) or not sent[name] for name in _NEEDED):
        return _refused(400, "invalid_request", "A parameter of the token request is missing.")
    if sent["grant_type"] != "password" or sent["audience"] != AUDIENCE:
        return _refused(403, "access_denied", f"Service not found: {sent['audience']}")
    client = [shop for shop in shops if _is_client(shop, sent)]
    if not client:
        return _refused(401, "access_denied", "Unauthorized")
    shop = next((s for s in client if (s.account["username"], s.account["password"]) == _user(sent)), None)
    if shop is None:
        return _refused(403, "invalid_grant", "Wrong email or password.")
    now = shop.clock.monotonic()
    shop.logins = [*(at for at in shop.logins if now - at < _WINDOW_SECONDS), now]
    if len(shop.logins) > shop.options.logins_a_minute:
        return Reply(429, _json("too_many_attempts", "Too many logins."), headers={"Retry-After": "60"})
    access, ident = f"access-{secrets.token_hex(16)}", f"id-{secrets.token_hex(16)}"
    life = shop.options.token_life_seconds
    shop.tokens[access] = (ident, shop.clock.now_ms() + life * 1000)
    answer = {
        "access_token": access,
        "id_token": ident,
        "scope": sent["scope"],
        "expires_in": life,
        "token_type": "Bearer",
    }
    return Reply(200, encode(answer).encode(), took_effect=True)


def owner(shops: Collection[XsaleShop], headers: Mapping[str, str]) -> XsaleShop | None:
    """Whose tokens a call carries: both, of one login, not expired."""
    scheme, _, access = headers.get("Authorization", "").partition(" ")
    for shop in shops:
        ident, until = shop.tokens.get(access.strip(), ("", 0))
        if ident and scheme == "Bearer" and headers.get("x-id-token") == ident:
            return shop if shop.clock.now_ms() < until else None
    return None


def organizations(shop: XsaleShop) -> dict[str, Json]:
    """The answer to `GET /me` (xsale.md §1)."""
    return {
        "Id": 17,
        "Name": "ERP",
        "Nickname": "erp",
        "Email": shop.account["username"],
        "EmailVerified": True,
        "Organizations": [{"Id": 3, "ShortName": "Demo", "Name": shop.organization}],
    }


def _is_client(shop: XsaleShop, sent: Mapping[str, Json]) -> bool:
    return all(shop.account[name] == sent[name] for name in ("client_id", "client_secret"))


def _user(sent: Mapping[str, Json]) -> tuple[str, str]:
    return sent["username"], sent["password"]


def _refused(status: int, error: str, description: str) -> Reply:
    return Reply(status, _json(error, description))


def _json(error: str, description: str) -> bytes:
    return encode({"error": error, "error_description": description}).encode()
