"""Shopify's token endpoint: what is asked, what its answers mean, and how tokens are kept (facts: shopify.md §1.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.base.options import is_header_safe
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Transient
from orchestrator.platforms.fields import seconds_of
from orchestrator.platforms.garbage import is_page
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.shopify.options import ShopifyCredentials
from orchestrator.platforms.token_keeper import renewal_time
from statemachines.target import Json

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_LIFE_SECONDS = {"client_credentials": 86_399, "refresh_token": 3600}
"""How long access tokens live where the answer does not say."""

_REFRESH_ENDS = ("invalid_grant", "active refresh_token")
"""Error texts that mean an invalid refresh token."""
_CLIENT_CODES = ("invalid_client", "unauthorized_client")
"""Codes of an answer that is about the app and its secret, whatever else it says."""
_OAUTH_PAGE = "oauth error"
"""Words of the page that Shopify shows a person where an app asks for what it may not have."""

_CLIENT_REMEDY = (
    "compare credentials.client_id and client_secret with the app's settings in the Dev Dashboard, and see that the app"
    " is installed in this shop"
)
_CHAIN_REMEDY = (
    "authorise the app for this shop anew and put the refresh token that this gives into credentials.refresh_token"
)


@dataclass(frozen=True, slots=True)
class ShopifyTokens:
    """An access token and what is needed to replace it. Times: Unix milliseconds. `scopes`: what it may do, empty where
    the answer did not say. `refresh_token`: None for client credentials, which need none."""

    access_token: str = field(repr=False)
    renew_at: int
    expires_at: int
    scopes: tuple[str, ...] = ()
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: int | None = None


class TokenEndpoint:
    """The `TokenSource` of a Shopify shop. `url`: of its token endpoint."""

    def __init__(self, credentials: ShopifyCredentials, caller: Caller, url: URL, clock: Clock) -> None:
        self._credentials = credentials
        self._caller = caller
        self._url = url
        self._clock = clock

    @property
    def must_be_kept(self) -> bool:
        """Whether each refresh replaces the refresh token."""
        return self._credentials.refresh_token is not None

    async def fetch(self, known: ShopifyTokens | None) -> ShopifyTokens:
        """Asks for an access token: with the client alone, or with the newest refresh token that is on disk.

        Raises AccessDenied (a person has to do something) and Transient.
        """
        asked = {
            "client_id": self._credentials.client_id.get_secret_value(),
            "client_secret": self._credentials.client_secret.get_secret_value(),
            "grant_type": "client_credentials",
        }
        refresh: str | None = None
        if self._credentials.refresh_token is not None:
            refresh = known.refresh_token if known is not None else None
            refresh = refresh or self._credentials.refresh_token.get_secret_value()
            asked |= {"grant_type": "refresh_token", "refresh_token": refresh}
        body = json.dumps(asked).encode()
        answer = await self._caller.call(
            "POST", self._url, is_effect=False, body=body, headers=_HEADERS, is_login=True, is_counted=False
        )
        if answer.status >= 400:
            raise self._refusal(answer, asked["grant_type"])
        return self._read(answer, asked["grant_type"], refresh, known)

    def _refusal(self, answer: Answer, grant: str) -> PlatformFailure:
        """What a 4xx means. A page of HTML is a proxy's, unless it is that on which Shopify itself says no."""
        words, answered = self._caller.words(answer), answer.members
        if answered is None and _OAUTH_PAGE not in words.lower():
            return Transient(f"no access token: {words}")
        is_chain_over = grant == "refresh_token" and _ends_chain((answered or {}).get("error"), words)
        return AccessDenied(f"no access token: {words} - {_CHAIN_REMEDY if is_chain_over else _CLIENT_REMEDY}")

    def _read(self, answer: Answer, grant: str, refresh: str | None, known: ShopifyTokens | None) -> ShopifyTokens:
        """The answer's tokens; its words are never repeated, for they may be tokens."""
        answered = answer.members
        if is_page(answer.body):
            raise self._caller.garbled(answer)
        if answered is None:
            raise Transient(f"the answer of the token endpoint is not a JSON object ({len(answer.body)} bytes)")
        access = answered.get("access_token")
        if not isinstance(access, str) or not is_header_safe(access):
            raise Transient("the answer of the token endpoint has no access_token")
        now = self._clock.now_ms()
        life_ms = int(seconds_of(answered.get("expires_in")) or _LIFE_SECONDS[grant]) * 1000
        ends: int | None = None
        if refresh is not None:
            replacement = answered.get("refresh_token")
            if replacement is not None and (not isinstance(replacement, str) or not is_header_safe(replacement)):
                raise Transient("the answer of the token endpoint has no refresh_token")
            refresh_life = seconds_of(answered.get("refresh_token_expires_in"))
            is_same = replacement in (None, refresh)  # not replaced: it goes on as it was
            ends = known.refresh_expires_at if known is not None and is_same else None
            ends = now + int(refresh_life) * 1000 if refresh_life else ends
            refresh = replacement or refresh
        return ShopifyTokens(
            access, renewal_time(now, life_ms), now + life_ms, _scopes(answered.get("scope")), refresh, ends
        )

    @staticmethod
    def pack(tokens: ShopifyTokens) -> dict[str, Json]:
        """As `TokenSource.pack`."""
        return {
            "access_token": tokens.access_token,
            "renew_at": tokens.renew_at,
            "expires_at": tokens.expires_at,
            "scope": ",".join(tokens.scopes),
            "refresh_token": tokens.refresh_token,
            "refresh_expires_at": tokens.refresh_expires_at,
        }

    def unpack(self, kept: Mapping[str, Json]) -> ShopifyTokens | None:
        """As `TokenSource.unpack`."""
        match kept:
            case {
                "access_token": str() as access,
                "renew_at": int() as renew_at,
                "expires_at": int() as expires_at,
                "scope": str() as scope,
                "refresh_token": str() | None as refresh,
                "refresh_expires_at": int() | None as ends,
            } if is_header_safe(access) and self.must_be_kept is is_header_safe(refresh or ""):
                return ShopifyTokens(access, renew_at, expires_at, _scopes(scope), refresh, ends)
            case _:
                return None

    @staticmethod
    def secrets_of(tokens: ShopifyTokens) -> tuple[str, ...]:
        """As `TokenSource.secrets_of`."""
        return tokens.access_token, tokens.refresh_token or ""


def _ends_chain(code: Json, words: str) -> bool:
    """Whether a refusal is about the refresh token: `error` says so, and where it is not one of the codes that do or do
    not, the words."""
    if code in _CLIENT_CODES:
        return False
    return code == "invalid_grant" or any(part in words for part in _REFRESH_ENDS)


def digest_of(credentials: ShopifyCredentials, domain: str, url: URL) -> str:
    """What ties kept tokens to the config that they were got with.

    A chain of refresh tokens is begun by the config's: another one begins another chain, a new client secret does not,
    for Shopify goes on with the chain. So neither may a new address in place of the shop's.
    """
    client = credentials.client_id.get_secret_value()
    if credentials.refresh_token is not None:
        text = json.dumps([domain, client, credentials.refresh_token.get_secret_value()])
    else:
        text = json.dumps([str(url), client, credentials.client_secret.get_secret_value()])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"fulfilld.shopify").hexdigest()


def _scopes(value: Json) -> tuple[str, ...]:
    parts = value.replace(" ", ",").split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(part for part in parts if isinstance(part, str) and part)
