"""Shopify's access: the token that goes with each call, fetched and replaced unless it is a permanent one (§1.1).

Client credentials give a token for a day. Expiring offline tokens live an hour and come with a refresh token, which
each refresh replaces: the config's starts the chain, what replaced it is kept (`token_place`), and none is used before
it is. Only one expiring token of an app and a shop is live, so whoever is refused first looks whether another process
has a newer one (`token_keeper`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from yarl import URL

from orchestrator.clock import rfc3339
from orchestrator.platforms.client import Finding
from orchestrator.platforms.failures import AccessDenied
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.shopify.options import ShopifyOptions
from orchestrator.platforms.shopify.tokens import ShopifyTokens, TokenEndpoint, digest_of
from orchestrator.platforms.token_keeper import TokenKeeper

SCOPES_SECONDS = 3600.0
"""How long no fresh token is fetched because of a missing scope after one was (shopify.md §1.1)."""

Post = Callable[[str], Awaitable[Answer]]
"""Makes one try of a call with this access token. Raises AccessDenied and Transient."""

_ENDS_SOON_MS = 14 * 86_400_000
_PERMANENT = "Non-expiring access tokens are no longer accepted"
_PERMANENT_REMEDY = (
    "the app has to move to expiring tokens: give the shop `credentials` with client_id, client_secret and the"
    " refresh_token of a new authorisation in place of `token`"
)


class ShopifyAccess:
    """Gives calls the shop's token. `host`: scheme and host, where tokens are asked for too."""

    def __init__(self, options: ShopifyOptions, caller: Caller, host: str, settings: ClientSettings) -> None:
        self._caller = caller
        self._clock = settings.clock
        self.throttle = settings.throttle
        self._no_scopes_until = float("-inf")
        self._token = "" if options.token is None else options.token.get_secret_value()
        self._keeper: TokenKeeper[ShopifyTokens] | None = None
        self._is_chain = False
        if (credentials := options.credentials) is not None:
            url = URL(f"{host}/admin/oauth/access_token")
            place = settings.token_place("shopify", digest_of(credentials, options.domain, url))
            source = TokenEndpoint(credentials, caller, url, settings.clock)
            self._keeper = TokenKeeper(source, caller, settings.clock, place=place, checkpoints=settings.checkpoints)
            self._is_chain = source.must_be_kept

    async def call(self, post: Post) -> Answer:
        """Has a call made with the shop's token. A token that is refused, or that lacks a scope, is replaced once: such
        a call was not carried out. Nothing that belongs to a try is held while another token or a permit is waited
        for. Raises AccessDenied and Transient."""
        if self._keeper is None:
            return self._unless_permanent(await post(self._token))
        tokens, is_fetched = await self._keeper.tokens(), False
        while True:
            refusal: AccessDenied | None = None
            answer: Answer | None = None
            try:
                answer = await post(tokens.access_token)
            except AccessDenied as failure:
                refusal = failure
            if answer is not None and not self._may_lack_scopes(answer):
                return answer
            is_page = refusal is not None and refusal.is_page
            renewal = None if refusal and is_fetched else await self._keeper.renewed(tokens, is_page=is_page)
            if renewal is None:
                assert refusal is not None
                raise AccessDenied(refusal.detail, is_page=is_page)
            tokens, is_fetched = renewal
            if answer is not None:
                self._no_scopes_until = self._clock.monotonic() + SCOPES_SECONDS
            await self.throttle()

    def forget_refusal(self) -> None:
        """A person says that the account is fixed: the next call asks anew."""
        self._no_scopes_until = float("-inf")
        if self._keeper is not None:
            self._keeper.forget_refusal()

    def _unless_permanent(self, answer: Answer) -> Answer:
        """The answer. Raises AccessDenied where permanent tokens are not taken any more."""
        if answer.status == 403 and _PERMANENT.encode() in answer.body:
            raise AccessDenied(f"{self._caller.words(answer)} - {_PERMANENT_REMEDY}")
        return answer

    def _may_lack_scopes(self, answer: Answer) -> bool:
        """Whether a call was refused for a scope that a fresh token may have, and none was fetched lately for that."""
        return self._clock.monotonic() >= self._no_scopes_until and is_denied(answer)

    # -- for doctor ------------------------------------------------------------------------------------------------

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """What the token at hand may do, as the answer that brought it said; None: not known."""
        known = None if self._keeper is None else self._keeper.known
        return (known.scopes or None) if known is not None else None

    def finding(self) -> Finding:
        """Kind and expiry of a token that was just taken."""
        known = None if self._keeper is None else self._keeper.known
        if known is None:
            return Finding("credentials", "ok", "the token is taken; it is a permanent one")
        until = f"the access token ends at {rfc3339(known.expires_at)} and is replaced before"
        if not self._is_chain:
            return Finding("credentials", "ok", f"client credentials are taken; {until}")
        message = f"an expiring offline token is taken; {until}"
        if known.refresh_expires_at is None:
            return Finding("credentials", "ok", message)
        left = known.refresh_expires_at - self._clock.now_ms()
        end = f"the refresh token ends at {rfc3339(known.refresh_expires_at)} unless it is replaced"
        return Finding("credentials", "ok" if left > _ENDS_SOON_MS else "warning", f"{message}; {end}")


def is_denied(answer: Answer) -> bool:
    """Whether an answer says nothing but that the token lacks a right (shopify.md §8): then nothing was done."""
    if b"ACCESS_DENIED" not in answer.body:
        return False
    answered = answer.members
    if answered is None or not isinstance(errors := answered.get("errors"), list):
        return False
    data = answered.get("data")
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return False
    return any(isinstance(each, dict) and _code(each) == "ACCESS_DENIED" for each in errors)


def _code(error: Mapping[str, object]) -> object:
    extensions = error.get("extensions")
    return extensions.get("code") if isinstance(extensions, dict) else None
