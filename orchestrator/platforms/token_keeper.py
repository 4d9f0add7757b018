"""Keeps a shop's tokens: one fetch for all who need them, in time, over restarts, and with a memory for refusals.

What tokens are and how they are fetched is the platform's business (`TokenSource`). Here it is seen to that

- whoever needs tokens while a fetch is under way waits for that one, in other processes too (`token_place`);
- tokens are replaced before they end, and a server that is down then holds nobody up while they are good;
- who was refused with tokens that another process has replaced uses those that are kept;
- a refused fetch is not repeated at once, unless a person says that the account is fixed;
- tokens whose loss would lock the shop out are used only once they are kept, and are not even asked for where they
  could not be kept: what was there before stays good until its replacement is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import anyio
import anyio.to_thread
import structlog

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Clock
from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.http import Caller
from orchestrator.platforms.token_place import NotKept, Room, TokenPlace, UnusableTokens
from statemachines.target import Json

log = structlog.get_logger()

EARLY_MS = 300_000
"""How long before their end tokens are replaced, or a tenth of their life if that is less."""

_REFUSED_SECONDS = 10.0  # calls that were on their way when a fetch was refused do not ask again
_PAGE_SECONDS = 600.0  # between fetches because of pages, which a firewall may show for one order again and again
_RENEWAL_PAUSE_SECONDS = 30.0  # between tries to replace tokens that are still good


class Tokens(Protocol):
    """What every kind of tokens has. Unix milliseconds."""

    @property
    def renew_at(self) -> int:
        """From when on they are replaced."""
        ...

    @property
    def expires_at(self) -> int:
        """When they expire."""
        ...


T = TypeVar("T", bound=Tokens)


class TokenSource(Protocol[T]):
    """A platform's tokens."""

    @property
    def must_be_kept(self) -> bool:
        """Whether a fetch replaces what is needed for the next one."""
        ...

    async def fetch(self, known: T | None) -> T:
        """New tokens. Raises AccessDenied (a person has to do something) and Transient."""
        ...

    def pack(self, tokens: T) -> dict[str, Json]:
        """The tokens as JSON, to be kept."""
        ...

    def unpack(self, kept: Mapping[str, Json]) -> T | None:
        """The tokens that were kept; None where they are invalid."""
        ...

    def secrets_of(self, tokens: T) -> Iterable[str]:
        """What must not show."""
        ...


class Renewal(NamedTuple, Generic[T]):
    """Other tokens than those that were refused, and whether they were fetched just now."""

    tokens: T
    is_fetched: bool


def renewal_time(now: int, life_ms: int) -> int:
    """When tokens that live so long from now on are to be replaced."""
    return now + life_ms - min(EARLY_MS, life_ms // 10)


class TokenKeeper(Generic[T]):
    """The tokens of one shop. `place`: where they are kept across restarts, None: nowhere."""

    def __init__(
        self,
        source: TokenSource[T],
        caller: Caller,
        clock: Clock,
        *,
        place: TokenPlace | None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._source = source
        self._caller = caller
        self._clock = clock
        self._place = place
        self._checkpoints = checkpoints or Checkpoints()
        self._tokens: T | None = None
        self._refusal: tuple[AccessDenied, float] | None = None
        self._renewal_waits_until = 0.0
        self._page_waits_until = float("-inf")
        self._lock = anyio.Lock()

    @property
    def known(self) -> T | None:
        """The tokens at hand, good or not."""
        return self._tokens

    async def tokens(self) -> T:
        """Valid tokens, fetched where there are none. Raises AccessDenied (refused credentials) and Transient."""
        known, now = self._tokens, self._clock.now_ms()
        if known is not None and now < known.renew_at:
            return known
        async with self._lock:
            known, now = self._tokens, self._clock.now_ms()
            if known is not None and now < known.expires_at and self._clock.monotonic() < self._renewal_waits_until:
                return known
            return (await self._look_and_fetch(None)).tokens

    async def renewed(self, refused: T, *, is_page: bool = False) -> Renewal[T] | None:
        """Other tokens than those that the platform refused; one fetch, however many calls were refused at once.

        `is_page`: the refusal may be a proxy's own, of one order. Now and then tokens are fetched for that too; None
        where that was done lately, so that no order uses up the account's logins. Raises AccessDenied and Transient.
        """
        async with self._lock:
            if self._tokens is not None and self._tokens != refused:
                return Renewal(self._tokens, is_fetched=False)
            if is_page and self._clock.monotonic() < self._page_waits_until:
                return None
            found = await self._look_and_fetch(refused)
            if is_page:
                self._page_waits_until = self._clock.monotonic() + _PAGE_SECONDS
            return found

    def forget_refusal(self) -> None:
        """Whoever needs tokens next asks for them, however short ago that was refused."""
        self._refusal = None
        self._page_waits_until = float("-inf")

    async def _look_and_fetch(self, refused: T | None) -> Renewal[T]:
        """What another process has kept, else fetched tokens; only one process is here at a time."""
        if self._place is None:
            return await self._replace(refused)
        async with self._place.locked() as is_locked:
            if self._source.must_be_kept and not is_locked:
                raise Transient(f"{self._place.name} cannot be locked; let the daemon's user write beside it")
            await self._read_kept(self._place)
            return await self._replace(refused)

    async def _read_kept(self, place: TokenPlace) -> None:
        try:
            kept = await anyio.to_thread.run_sync(place.load)
        except UnusableTokens as error:
            if self._source.must_be_kept:
                # To begin anew would be to ask with what was replaced long ago: a person has to look first.
                raise Transient(str(error)) from None
            log.warning("tokens.not_used", detail=str(error))
            return
        tokens = None if kept is None else self._source.unpack(kept)
        if tokens is not None:
            self._hide(tokens)
            self._tokens = tokens

    async def _replace(self, refused: T | None) -> Renewal[T]:
        known, now = self._tokens, self._clock.now_ms()
        is_good = known is not None and known != refused and now < known.expires_at
        if known is not None and is_good and now < known.renew_at:
            return Renewal(known, is_fetched=False)
        try:
            return Renewal(await self._fetch(known), is_fetched=True)
        except Transient as failure:
            if known is None or not is_good:
                raise
            # The old tokens are still good, so a server that is down holds nobody up yet.
            self._renewal_waits_until = self._clock.monotonic() + _RENEWAL_PAUSE_SECONDS
            log.warning("tokens.not_renewed", detail=failure.detail)
            return Renewal(known, is_fetched=False)

    async def _fetch(self, known: T | None) -> T:
        if self._refusal is not None and self._clock.monotonic() < self._refusal[1]:
            raise AccessDenied(self._refusal[0].detail)
        room = await self._reserve()
        try:
            await self._checkpoints.reach("before_token")
            try:
                tokens = await self._source.fetch(known)
            except AccessDenied as failure:
                self._refusal = failure, self._clock.monotonic() + _REFUSED_SECONDS
                raise
            await self._checkpoints.reach("after_token")
            self._refusal = None
            self._hide(tokens)
            with anyio.CancelScope(shield=True):
                await self._keep(tokens, room)
        except BaseException:
            if room is not None:
                room.discard()
            raise
        await self._checkpoints.reach("after_token_kept")
        self._tokens = tokens
        return tokens

    async def _reserve(self) -> Room | None:
        if self._place is None:
            if self._source.must_be_kept:
                raise Transient("there is no place to keep the refresh token, so it is not used")
            return None
        try:
            return await anyio.to_thread.run_sync(self._place.reserve)
        except NotKept as error:
            self._not_kept(self._place, error, "asked for")
            return None

    async def _keep(self, tokens: T, room: Room | None) -> None:
        if self._place is None or room is None:
            return
        try:
            await anyio.to_thread.run_sync(room.save, self._source.pack(tokens))
            await self._checkpoints.reach("after_token_written")
            await anyio.to_thread.run_sync(room.publish)
        except NotKept as error:
            room.discard()
            self._not_kept(self._place, error, "used")

    def _not_kept(self, place: TokenPlace, error: NotKept, what: str) -> None:
        """Raises Transient where tokens that are not kept must not be used."""
        if self._source.must_be_kept:
            raise Transient(f"no new tokens are {what} while {place.name} cannot be written: {error}") from None
        log.warning("tokens.not_kept", path=place.name, detail=str(error))

    def _hide(self, tokens: T) -> None:
        for secret in self._source.secrets_of(tokens):
            self._caller.hide(secret)
