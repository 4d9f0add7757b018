"""xSale's two tokens: asked for with a login, kept over restarts, renewed before they expire (xsale.md §1, §6).

Every call carries both. The login server refuses who logs in too often, so there is one login a day and not one a
call (`token_keeper`), and tokens outlive the process where nobody else can read them (`token_place`). The
credentials that they were got with are named there by a digest, so that others never use them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.base.options import is_header_safe
from orchestrator.platforms.bystanders import is_own
from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.fields import seconds_of
from orchestrator.platforms.garbage import is_page
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.token_keeper import TokenKeeper, renewal_time
from orchestrator.platforms.xsale.options import XsaleCredentials
from statemachines.target import Json

DEFAULT_LIFE_SECONDS = 86_400
"""How long tokens live where the login does not say (xsale.md §8)."""

_JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Both tokens. `renew_at`, `expires_at`: Unix milliseconds. `headers`: what a call carries them in."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    renew_at: int
    expires_at: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a call (xsale.md §1)."""
        return {"Authorization": f"Bearer {self.access_token}", "x-id-token": self.id_token}


class XsaleTokens:
    """How both tokens are got: the `TokenSource` of an xSale shop."""

    def __init__(self, credentials: XsaleCredentials, caller: Caller, clock: Clock) -> None:
        self._credentials = credentials
        self._caller = caller
        self._clock = clock
        self._url = URL(credentials.login_url)

    @property
    def must_be_kept(self) -> bool:
        """No: a login needs nothing of what the last one gave."""
        return False

    async def fetch(self, known: Tokens | None) -> Tokens:
        """Logs in. Raises AccessDenied and Transient."""
        del known
        answer = await self._caller.call(
            "POST",
            self._url,
            is_effect=False,
            body=_login_body(self._credentials),
            headers=_JSON_HEADERS,
            is_login=True,
            is_counted=False,
        )
        if answer.status >= 400:
            words = f"the login was refused: {self._caller.words(answer)}"
            # Whatever it is about (user, client, audience), only another config helps (xsale.md §6); but a proxy's or
            # a gateway's page knows no credentials.
            raise AccessDenied(words) if is_own(answer.body) else Transient(words)
        if is_page(answer.body):
            raise self._caller.garbled(answer)
        return self._read(answer)

    @staticmethod
    def pack(tokens: Tokens) -> dict[str, Json]:
        """As `TokenSource.pack`."""
        return {
            "access_token": tokens.access_token,
            "id_token": tokens.id_token,
            "renew_at": tokens.renew_at,
            "expires_at": tokens.expires_at,
        }

    @staticmethod
    def unpack(kept: Mapping[str, Json]) -> Tokens | None:
        """As `TokenSource.unpack`."""
        match kept:
            case {
                "access_token": str() as access,
                "id_token": str() as ident,
                "renew_at": int() as renew_at,
                "expires_at": int() as expires_at,
            } if is_header_safe(access) and is_header_safe(ident):
                return Tokens(access, ident, renew_at, expires_at)
            case _:
                return None

    @staticmethod
    def secrets_of(tokens: Tokens) -> tuple[str, ...]:
        """As `TokenSource.secrets_of`."""
        return tokens.access_token, tokens.id_token

    def _read(self, answer: Answer) -> Tokens:
        """The answer's tokens; its words are never repeated, for they may be tokens."""
        data = answer.members
        if data is None:
            raise Transient("the login's answer is not a JSON object")
        access, ident = _token(data, "access_token"), _token(data, "id_token")
        life_ms = int(seconds_of(data.get("expires_in")) or DEFAULT_LIFE_SECONDS) * 1000
        now = self._clock.now_ms()
        return Tokens(access, ident, renewal_time(now, life_ms), now + life_ms)


def keeper_of(credentials: XsaleCredentials, caller: Caller, settings: ClientSettings) -> TokenKeeper[Tokens]:
    """The keeper of a shop's tokens."""
    place = settings.token_place("xsale", digest_of(credentials))
    source = XsaleTokens(credentials, caller, settings.clock)
    return TokenKeeper(source, caller, settings.clock, place=place, checkpoints=settings.checkpoints)


def digest_of(credentials: XsaleCredentials) -> str:
    """What ties tokens to the account, the server and the rights that they were got for.

    Nobody gets the password out of it by trying: the client secret, which is long and random, is in it too.
    """
    text = json.dumps([credentials.login_url, *_login_fields(credentials).values()])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"fulfilld.xsale").hexdigest()


def _login_fields(credentials: XsaleCredentials) -> Mapping[str, str]:
    return {
        "client_id": credentials.client_id.get_secret_value(),
        "client_secret": credentials.client_secret.get_secret_value(),
        "audience": credentials.audience,
        "username": credentials.username.get_secret_value(),
        "password": credentials.password.get_secret_value(),
        "grant_type": "password",
        "scope": credentials.scope,
    }


def _login_body(credentials: XsaleCredentials) -> bytes:
    return json.dumps(_login_fields(credentials), ensure_ascii=False).encode()


def _token(answer: Mapping[str, Json], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not is_header_safe(value):
        raise Transient(f"the login's answer has no {name}")
    return value
