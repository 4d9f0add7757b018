"""CloudSuite's access: calls that carry a token which is renewed when it is about to expire, or was refused.

OAuth2 client credentials (cloudsuite.md §1): the token lives as long as its answer says and is renewed half a minute
earlier; a 401 renews it once more and repeats the call, which was not carried out. All calls that were refused with one
token share one renewal. The deprecated API key has nothing to renew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import anyio
from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.client import Throttle
from orchestrator.platforms.cloudsuite.errors import token_refusal
from orchestrator.platforms.cloudsuite.options import CloudsuiteOptions
from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.fields import seconds_of
from orchestrator.platforms.garbage import is_page
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.json_text import read_object

RENEW_EARLY_SECONDS = 30.0
"""How long before its end a token is renewed; for a short-lived one half of its life."""

_ASSUMED_LIFE_SECONDS = 60.0  # of a token whose answer does not say
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float


class CloudsuiteAccess:
    """Sends calls with the shop's access. `throttle` is awaited before the repeat of a refused call."""

    def __init__(self, caller: Caller, options: CloudsuiteOptions, clock: Clock, throttle: Throttle) -> None:
        self._caller = caller
        self._clock = clock
        self._throttle = throttle
        self._renewing = anyio.Lock()
        self._token: _Token | None = None
        self._key = f"Token {options.token.get_secret_value()}" if options.token is not None else None
        if (credentials := options.credentials) is not None:
            self._token_url = URL(credentials.token_url, encoded=True)
            form = {
                "grant_type": "client_credentials",
                "client_id": credentials.client_id.get_secret_value(),
                "client_secret": credentials.client_secret.get_secret_value(),
                "scope": "openid",
            }
            self._form = urlencode(form).encode()

    async def call(
        self,
        method: str,
        url: URL,
        *,
        is_effect: bool,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `Caller.call`, with access. Raises AccessDenied when a new token is refused too."""
        header = await self._header(refused=None)
        sent = {**(headers or {}), "Authorization": header}
        try:
            return await self._caller.call(method, url, is_effect=is_effect, body=body, headers=sent)
        except AccessDenied:
            if self._key is not None:
                raise
        sent["Authorization"] = await self._header(refused=header)
        await self._throttle()
        return await self._caller.call(method, url, is_effect=is_effect, body=body, headers=sent)

    async def _header(self, refused: str | None) -> str:
        """The header to send; `refused`: one that is no good any more."""
        if self._key is not None:
            return self._key
        if (token := self._usable(refused)) is not None:
            return token.header
        async with self._renewing:
            if (token := self._usable(refused)) is None:
                token = self._token = await self._fetch()
            return token.header

    def _usable(self, refused: str | None) -> _Token | None:
        token = self._token
        is_good = token is not None and token.header != refused and self._clock.monotonic() < token.renew_at
        return token if is_good else None

    async def _fetch(self) -> _Token:
        asked_at = self._clock.monotonic()
        answer = await self._caller.call(
            "POST",
            self._token_url,
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
        members = read_object(answer.body) or {}
        text, life = members.get("access_token"), seconds_of(members.get("expires_in"))
        if not isinstance(text, str) or not text or not all("!" <= each <= "~" for each in text):
            raise Transient("the answer of the token endpoint makes no sense")
        self._caller.hide(text)
        seconds = _ASSUMED_LIFE_SECONDS if life is None else life
        return _Token(f"Bearer {text}", asked_at + seconds - min(RENEW_EARLY_SECONDS, seconds / 2))
