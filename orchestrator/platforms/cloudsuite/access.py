"""CloudSuite's access tokens, renewed when they are about to expire, or were refused.

OAuth2 client credentials (cloudsuite.md §1): the token lives as long as its answer says and is renewed half a minute
earlier; a 401 renews it once more. All calls that were refused with one token share one renewal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import anyio
from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.base.options import is_header_safe
from orchestrator.platforms.cloudsuite.errors import token_refusal
from orchestrator.platforms.cloudsuite.options import CloudsuiteCredentials
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.fields import seconds_of
from orchestrator.platforms.garbage import is_page
from orchestrator.platforms.http import Caller

RENEW_EARLY_SECONDS = 30.0
"""How long before its end a token is renewed; for a short-lived one half of its life."""

_ASSUMED_LIFE_SECONDS = 60.0  # of a token whose answer does not say
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float

    @property
    def headers(self) -> Mapping[str, str]:
        """As `rest.Tokens`."""
        return {"Authorization": self.header}


class CloudsuiteAccess:
    """The `Access` of a shop that has client credentials."""

    def __init__(self, caller: Caller, credentials: CloudsuiteCredentials, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock
        self._renewing = anyio.Lock()
        self._token: _Token | None = None
        self._url = URL(credentials.token_url, encoded=True)
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id.get_secret_value(),
            "client_secret": credentials.client_secret.get_secret_value(),
            "scope": "openid",
        }
        self._form = urlencode(form).encode()

    async def tokens(self) -> _Token:
        """As `Access.tokens`."""
        return await self._good(None)

    async def renewed(self, refused: _Token, *, is_page: bool = False) -> tuple[_Token, bool]:
        """As `Access.renewed`: once is enough, for a refused new token shows that tokens are not the cause."""
        del is_page  # tokens cost nothing
        return await self._good(refused), True

    async def _good(self, refused: _Token | None) -> _Token:
        if (token := self._usable(refused)) is None:
            async with self._renewing:
                if (token := self._usable(refused)) is None:
                    token = self._token = await self._fetch()
        return token

    def _usable(self, refused: _Token | None) -> _Token | None:
        token = self._token
        if token is None or (refused is not None and token.header == refused.header):
            return None
        return token if self._clock.monotonic() < token.renew_at else None

    async def _fetch(self) -> _Token:
        asked_at = self._clock.monotonic()
        answer = await self._caller.call(
            "POST",
            self._url,
            is_effect=False,
            body=self._form,
            headers=_FORM,
            is_login=True,
            is_counted=False,
        )
        if answer.status >= 400:
            raise token_refusal(answer, self._caller.words(answer))
        if is_page(answer.body):
            raise self._caller.garbled(answer)
        members = answer.members or {}
        text, life = members.get("access_token"), seconds_of(members.get("expires_in"))
        if not isinstance(text, str) or not is_header_safe(text):
            raise Transient("unexpected answer of the token endpoint: access_token is missing or invalid")
        self._caller.hide(text)
        seconds = _ASSUMED_LIFE_SECONDS if life is None else life
        return _Token(f"Bearer {text}", asked_at + seconds - min(RENEW_EARLY_SECONDS, seconds / 2))
