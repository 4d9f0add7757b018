"""The access that one app has to a simulated Shopify shop: its token endpoint, and whose token a call carries.

Facts: shopify.md §1.1. Three kinds live side by side: a permanent token, client credentials, and expiring tokens with a
refresh token that each refresh replaces. Only one expiring token is live: a new one revokes the one before. A refresh
token that was used stays good until its replacement is first used, so that an answer may be lost.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal
from urllib.parse import parse_qsl

from orchestrator.clock import Clock
from orchestrator.sandbox.platform import Json, PanelError, Reply, parse_object

Kind = Literal["token", "client_credentials", "refresh_token"]
"""What the ready config gives a daemon to get in with."""

DAY_SECONDS = 86_400
_UNAUTHORIZED = "[API] Invalid API key or access token (unrecognized login or wrong password)"
_PERMANENT = "[API] Non-expiring access tokens are no longer accepted for the Admin API."


ACCESS_ACTIONS: dict[str, tuple[str, ...]] = {
    "change_token": ("token",),
    "change_secret": ("secret",),
    "revoke_scope": ("scope",),
    "grant_scope": ("scope",),
    "set_lives": (),
    "expire_token": (),
    "revoke_refresh": (),
    "refuse_permanent": (),
    "authorize": (),
    "uninstall": (),
    "install": (),
}
"""What a person can do about the access, with the fields that each must have (`panel.ACTIONS`)."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long what the endpoint gives lives, in seconds (shopify.md §1.1).

    `client_credentials`, `offline`: access tokens by their grant; `refresh`: refresh tokens; `grace`: a used refresh
    token whose replacement was not used yet.
    """

    client_credentials: int = DAY_SECONDS - 1
    offline: int = 3600
    refresh: int = 90 * DAY_SECONDS
    grace: int = 30 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class _Refresh:
    token: str
    expires_at: int
    retry_until: int | None = None


@dataclass(slots=True)
class _Live:
    token: str
    expires_at: int
    scopes: frozenset[str]


@dataclass(slots=True, eq=False)
class AppAccess:
    """What one app has of one shop. `token`: the permanent one. `scopes`: what the app was granted by now; a token that
    was fetched before has what was granted then. `refresh`, `used`: the refresh token in force and the one that it
    replaced. `is_permanent_refused`: as public apps are answered that did not migrate."""

    client_id: str
    client_secret: str
    token: str
    clock: Clock
    scopes: tuple[str, ...]
    lives: Lives = field(default_factory=Lives)
    is_installed: bool = True
    is_permanent_refused: bool = False
    live: _Live | None = None
    refresh: _Refresh | None = None
    used: _Refresh | None = None
    dead: set[str] = field(default_factory=set)

    # -- calls -----------------------------------------------------------------------------------------------------

    def scopes_of(self, token: str) -> frozenset[str] | None:
        """What a call with this token may do; None: the token is invalid."""
        if not self.is_installed or not token:
            return None
        if token == self.token:
            return frozenset(self.scopes)
        live = self.live
        if live is None or token != live.token or self.clock.now_ms() >= live.expires_at:
            return None
        return live.scopes & frozenset(self.scopes)

    def refusal_of(self, token: str) -> Reply | None:
        """What a call with this token is refused with, None where it is good."""
        if self.is_permanent_refused and token == self.token:
            return Reply(403, json.dumps({"errors": _PERMANENT}).encode())
        if self.scopes_of(token) is None:
            return Reply(401, json.dumps({"errors": _UNAUTHORIZED}).encode())
        return None

    # -- the endpoint ----------------------------------------------------------------------------------------------

    def grant(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer of `POST /admin/oauth/access_token`, asked as JSON or as a form."""
        sent = _fields(headers, body)
        if not self.is_installed or not self._is_client(sent):
            return _refused(401, "invalid_client", "The client credentials are invalid or the app is not installed.")
        match sent.get("grant_type"):
            case "client_credentials":
                return _granted(self._issue(self.lives.client_credentials))
            case "refresh_token":
                return self._rotate(str(sent.get("refresh_token") or ""))
            case None | "":
                return _refused(400, "invalid_request", "Missing required parameter: grant_type")
            case _:
                return _refused(400, "unsupported_grant_type", "The grant type is not supported.")

    def _is_client(self, sent: Mapping[str, Json]) -> bool:
        return (sent.get("client_id"), sent.get("client_secret")) == (self.client_id, self.client_secret)

    def _rotate(self, sent: str) -> Reply:
        now = self.clock.now_ms()
        given = next((each for each in (self.refresh, self.used) if each is not None and each.token == sent), None)
        if given is None:
            if sent in self.dead:
                return _refused(401, "invalid_request", "This request requires an active refresh_token")
            return _refused(400, "invalid_grant", "The refresh token is invalid.")
        if now >= min(given.expires_at, given.retry_until or given.expires_at):
            return _refused(401, "invalid_request", "This request requires an active refresh_token")
        if given is self.refresh:
            if self.used is not None:
                self.dead.add(self.used.token)
            self.used = _Refresh(given.token, given.expires_at, now + self.lives.grace * 1000)
        elif self.refresh is not None:
            self.dead.add(self.refresh.token)  # never used: its answer was lost
        made = self.refresh = self._new_refresh()
        members = self._issue(self.lives.offline)
        return _granted({**members, "refresh_token": made.token, "refresh_token_expires_in": self.lives.refresh})

    def _new_refresh(self) -> _Refresh:
        return _Refresh(f"shprt_{secrets.token_hex(16)}", self.clock.now_ms() + self.lives.refresh * 1000)

    def _issue(self, life_seconds: int) -> dict[str, Json]:
        """A new access token, in place of the one before."""
        now = self.clock.now_ms()
        self.live = _Live(f"shpat_{secrets.token_hex(16)}", now + life_seconds * 1000, frozenset(self.scopes))
        return {"access_token": self.live.token, "scope": ",".join(self.scopes), "expires_in": life_seconds}

    # -- people ----------------------------------------------------------------------------------------------------

    def authorize(self) -> str:
        """A merchant authorises the app anew; the refresh token that a person would put into the config."""
        self.dead.update(each.token for each in (self.refresh, self.used) if each is not None)
        self.is_installed, self.used = True, None
        self.refresh = self._new_refresh()
        return self.refresh.token

    def expire(self) -> None:
        """The live access token comes to its end now."""
        if self.live is not None:
            self.live.expires_at = self.clock.now_ms()

    def revoke_refresh(self) -> None:
        """No refresh token is good any more."""
        self.dead.update(each.token for each in (self.refresh, self.used) if each is not None)
        self.refresh = self.used = None

    def change_secret(self, secret: str) -> None:
        """The app's client secret is replaced, and what was fetched with the old one is revoked."""
        self.client_secret, self.live = secret, None

    def change_token(self, token: str) -> None:
        """Nothing is good any more; `token` is the new permanent token and the new client secret."""
        self.token = token
        self.change_secret(token)

    def revoke_scope(self, scope: str) -> None:
        """Takes a scope from the app, and from its tokens."""
        self.scopes = tuple(each for each in self.scopes if each != scope)

    def grant_scope(self, scope: str) -> None:
        """Gives the app a scope. Tokens that were fetched before do not have it."""
        self.scopes = tuple(dict.fromkeys((*self.scopes, scope)))

    def set_lives(self, changes: Mapping[str, Json]) -> None:
        """How long what is fetched from now on lives: seconds by the names of `Lives`. Raises PanelError."""
        names = [each.name for each in fields(Lives)]
        given = {name: value for name, value in changes.items() if name in names}
        if not given or any(type(value) is not int or value < 0 for value in given.values()):
            raise PanelError(f"set_lives needs whole seconds for one of {', '.join(names)}")
        self.lives = replace(self.lives, **given)

    def operate(self, action: str, request: Mapping[str, Json]) -> dict[str, Json] | None:
        """Does one of ACCESS_ACTIONS; None for any other. Raises PanelError."""
        match action:
            case "change_token":
                self.change_token(str(request["token"]))
            case "change_secret":
                self.change_secret(str(request["secret"]))
            case "revoke_scope":
                self.revoke_scope(str(request["scope"]))
            case "grant_scope":
                self.grant_scope(str(request["scope"]))
            case "set_lives":
                self.set_lives(request)
            case "expire_token":
                self.expire()
            case "revoke_refresh":
                self.revoke_refresh()
            case "refuse_permanent":
                self.is_permanent_refused = True
            case "authorize":
                return {"refresh_token": self.authorize()}
            case "uninstall" | "install":
                self.is_installed = action == "install"
            case _:
                return None
        return {}

    def config(self, kind: Kind) -> dict[str, Json]:
        """fulfilld's keys for this access."""
        if kind == "token":
            return {"token": self.token}
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        if kind == "client_credentials":
            return {"credentials": client}
        return {"credentials": {**client, "refresh_token": self.refresh.token if self.refresh else self.authorize()}}


def _fields(headers: Mapping[str, str], body: bytes) -> Mapping[str, Json]:
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return parse_object(body) or {}


def _granted(members: Mapping[str, Json]) -> Reply:
    return Reply(200, json.dumps(members).encode(), took_effect=True)


def _refused(status: int, error: str, description: str) -> Reply:
    return Reply(status, json.dumps({"error": error, "error_description": description}).encode())
