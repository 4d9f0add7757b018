"""The HTTP layer under every platform client: one session a shop, one way to call, one place where errors are mapped.

What it sees to, so that no client has to (docs/pitfalls.md H1-H5):

- A request leaves at most once (`exchange`). aiohttp's sessions repeat a PUT or DELETE by themselves when a kept-alive
  connection turns out dead; that is switched off, because a repeated effect is exactly what the driver's read-back
  exists to prevent.
- Whether a failed effect call may have taken effect is decided here: only an error before the connection stood proves
  that it has not. Everything later is ambiguous.
- aiohttp's exceptions carry the request's headers, `Authorization` among them. Ours are raised outside the handler, so
  that not even a chained traceback leads there, and known secrets are cut out of what a platform sends back.
- Every call but those for tokens passes the shop's meter, and what an answer says of the rate limit is recorded.

This is the hot path of the whole program: requests carry prebuilt headers and URLs, and nothing is copied twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint
from multidict import CIMultiDictProxy
from yarl import URL

from orchestrator.clock import Clock
from orchestrator.connections import CleanConnector
from orchestrator.masking import Mask
from orchestrator.network import network_words
from orchestrator.platforms.allowance import allowance_of
from orchestrator.platforms.client import Finding
from orchestrator.platforms.error_texts import error_text, without_status
from orchestrator.platforms.exchange import Exchange, TooLarge
from orchestrator.platforms.failures import AccessDenied, Garbled, PlatformFailure, Transient, Unreadable
from orchestrator.platforms.garbage import KEPT_BYTES, is_json, summary_of
from orchestrator.platforms.json_text import read_object
from orchestrator.platforms.meter import NO_SLOT, Meter
from statemachines.target import Json

T = TypeVar("T")

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""No page of orders comes near this, and what is read of one takes ten times its memory; a smaller `page_size` makes
smaller pages."""
MAX_ORDER_BYTES: Final = 8 * 1024 * 1024
"""Nor does one order come near this, which is read as one value."""
LARGE_BODY_BYTES: Final = 96 * 1024
"""An answer larger than this is read in a worker thread: it would hold up everybody else for many milliseconds."""
DETAIL_LENGTH: Final = 500
"""How much of a platform's own words is kept (characters)."""

_MAX_SKEW_SECONDS = 60
_KEEP_ALIVE_SECONDS = 4.0  # below the shortest usual default of servers (5 s), so that ours is the side that hangs up
_CONNECT_SECONDS = 10.0
_SPARE_CONNECTIONS = 4  # syncs and checks beside the drivers, so that nobody waits for the pool inside a timeout
_RETRY_AFTER_SECONDS = 30.0
_MAX_RETRY_AFTER_SECONDS = 3600.0
_MOST_FETCHED_SECRETS = 64  # that are remembered: a year of hourly tokens would be thousands
_MOST_CLEANED = 16 * DETAIL_LENGTH  # far more than is kept, so that nothing that is kept ends in half a secret
_NOT_FOR_CLIENTS = frozenset({401, 408, 429})
_CLOSED = "the shop was stopped or its config changed before the call left"
_NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class _Unread:
    """Stands for what was not read yet."""


_UNREAD: Final = _Unread()


class Answer:
    """What a platform answered: any status that is for the client to judge (2xx and 4xx without 401 and 429)."""

    __slots__ = ("_members", "body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: CIMultiDictProxy[str]) -> None:
        self.status, self.body, self.headers = status, body, headers
        self._members: dict[str, Json] | _Unread | None = _UNREAD

    @property
    def members(self) -> dict[str, Json] | None:
        """The members of the JSON object that the body is, None for anything else (`json_text.read_object`)."""
        if isinstance(self._members, _Unread):
            self._members = read_object(self.body)
        return self._members


def open_session(*, headers: Mapping[str, str], timeout_seconds: float, concurrency: int) -> aiohttp.ClientSession:
    """The one session factory. Has to be called inside a running event loop.

    `headers` go with every request. `timeout_seconds` bounds a whole call; connecting gets at most half of it, so a
    platform that cannot be reached is distinguished from one that does not answer. The pool holds more than
    `concurrency`.
    """
    session = aiohttp.ClientSession(
        connector=CleanConnector(
            limit=concurrency + _SPARE_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS, ttl_dns_cache=60
        ),
        timeout=aiohttp.ClientTimeout(
            total=timeout_seconds,
            sock_connect=min(_CONNECT_SECONDS, timeout_seconds / 2),
            sock_read=timeout_seconds,
        ),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    # No public switch exists (aio-libs/aiohttp#10790); a test proves that a PUT leaves once (docs/pitfalls.md H1).
    session._retry_connection = False  # noqa: SLF001
    return session


class Caller:
    """Calls of one shop over one session. `secrets` never show in a failure's detail. `meter` counts them (None: one of
    its own that holds nothing back). `mask` hides them, and what was fetched since."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        clock: Clock,
        secrets: Sequence[str] = (),
        max_body_bytes: int = MAX_BODY_BYTES,
        meter: Meter | None = None,
    ) -> None:
        self._session = session
        self._meter = Meter(clock) if meter is None else meter
        self._clock = clock
        self._known = tuple(secrets)
        self._fetched: deque[str] = deque(maxlen=_MOST_FETCHED_SECRETS)
        self.mask = self._masking()
        self._max_body_bytes = max_body_bytes

    @cached_property
    def _exchange(self) -> Exchange:
        return Exchange(self._session, self._meter.check_send)

    def hide(self, secret: str) -> None:
        """Another text that must not show (an access token that was fetched later), however it is spelt."""
        if secret and secret not in self._fetched:
            self._fetched.append(secret)
            self.mask = self._masking()

    def _masking(self) -> Mask:
        return Mask((*self._known, *self._fetched), shortest=1)

    async def call(
        self,
        method: str,
        url: URL,
        *,
        is_effect: bool,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_login: bool = False,
        is_counted: bool = True,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """Sends one request, once, and reads the whole answer. Redirects are not followed.

        `is_effect`: the call changes something, so a failure after sending is ambiguous. `is_login`: it asks for
        access, and the caller judges a 401 by its body. `is_counted` False: it is for a token, from a server with
        limits of its own. `max_bytes`: how large a good answer may be. Raises Transient (network, 408, 429, 3xx, 5xx,
        oversized answer; the rate limit was said to be used up or the shop has stopped, and nothing was sent) and
        AccessDenied (401); every other status is returned.
        """
        meter = self._meter if is_counted else None
        slot = NO_SLOT if meter is None else meter.try_begin()
        if slot is None:
            slot = await self._meter.begin()
        try:
            if self._session.closed:  # who looks at webhooks or asks by the API may outlast the shop's worker
                raise Transient(_CLOSED)
            try:
                received = await self._exchange.send(method, url, body, headers, min(max_bytes, self._max_body_bytes))
            except _NEVER_CONNECTED as error:
                failure: PlatformFailure = Transient(self.words_of(error))
            except (aiohttp.ClientError, TimeoutError, OSError, TooLarge) as error:
                failure = Transient(self.words_of(error), is_ambiguous=is_effect)
            else:
                answer, status = Answer(*received), received.status
                if meter is not None:
                    self._hear(meter, answer)
                if 200 <= status < 300 or (400 <= status < 500 and status not in _NOT_FOR_CLIENTS):
                    return answer
                if is_login and status == 401:
                    return answer
                failure = self._refusal(answer, is_effect)
            raise failure
        finally:
            if meter is not None:
                meter.end(slot)

    async def aclose(self) -> None:
        """Closes the session and its connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def words(self, answer: Answer) -> str:
        """The platform's own words in an answer: status, constant and message, without secrets, cut to a length."""
        said = without_status(error_text(answer.body), answer.status)
        return self.clean(f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status} without a message")

    def garbled(self, answer: Answer, *, is_effect: bool = False) -> Garbled:
        """The failure that an answer means which is not the API's (`garbage`)."""
        kept = self.mask.apply_bytes(answer.body[: KEPT_BYTES + _MOST_CLEANED])[:KEPT_BYTES]
        words = self.clean(f"HTTP {answer.status}: {summary_of(answer.body)}")
        return Garbled(words, kept, is_ambiguous=is_effect)

    @contextmanager
    def reading(self, answer: Answer) -> Iterator[None]:
        """Around the reading of an answer to a call that changes nothing. What is not JSON at all is worth another try:
        raises Garbled in place of the reader's Unreadable."""
        try:
            yield
            return
        except Unreadable:
            if is_json(answer.body):
                raise
        raise self.garbled(answer)

    async def read_of(self, answer: Answer, read: Callable[..., T], *args: Any) -> T:
        """As `read_aside`, of a call that changes nothing. Raises what `read` does; Garbled as `reading`."""
        return await read_aside(answer, self._read, answer, read, *args)

    def _read(self, answer: Answer, read: Callable[..., T], *args: Any) -> T:
        with self.reading(answer):
            return read(*args)

    def words_of(self, error: BaseException) -> str:
        """What went wrong on the way, without secrets."""
        if isinstance(error, TooLarge):
            return str(error)
        return self.clean(network_words(error))

    def _hear(self, meter: Meter, answer: Answer) -> None:
        """What the answer says is left of the rate limit. Its own clock counts, where it has one."""
        said = allowance_of(answer.headers, partial(self._now_ms, answer))
        if said is None:
            return
        if said.reset_seconds is None and "Retry-After" in answer.headers:  # as a 429 of Laravel's older kind says it
            said = said._replace(reset_seconds=retry_after_seconds(answer.headers, self._clock))
        meter.record(said)

    def _now_ms(self, answer: Answer) -> int:
        at = date_ms(answer)
        return self._clock.now_ms() if at is None else at

    def clean(self, text: str) -> str:
        """A platform's words without secrets, cut to a length."""
        text = self.mask.apply(text[:_MOST_CLEANED])
        return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"

    def _refusal(self, answer: Answer, is_effect: bool) -> PlatformFailure:
        match answer.status:
            case 401:
                return AccessDenied(self.words(answer), is_page=answer.members is None)
            case 429:
                seconds = retry_after_seconds(answer.headers, self._clock)
                return Transient(
                    self.words(answer), retry_after_seconds=_RETRY_AFTER_SECONDS if seconds is None else seconds
                )
            case 503:
                seconds = retry_after_seconds(answer.headers, self._clock)
                return Transient(self.words(answer), is_ambiguous=is_effect, retry_after_seconds=seconds)
            case status if 300 <= status < 400:
                # Nothing was done; most often a wrong base_url or a login page in place of an API.
                target = answer.headers.get("Location", "nowhere")
                return Transient(self.clean(f"HTTP {status}: redirected to {target}; check base_url"))
            case _:
                return Transient(self.words(answer), is_ambiguous=is_effect)


async def read_aside(answer: Answer, read: Callable[..., T], *args: Any) -> T:
    """What `read(*args)` makes of an answer; of a large one in a worker thread, so `read` is to be pure.

    Others are read in the event loop, one in each of its turns: those of hundreds of shops may come at the same moment.
    """
    if len(answer.body) > LARGE_BODY_BYTES:
        return await anyio.to_thread.run_sync(read, *args, limiter=_reader())
    async with _turn():
        try:
            return read(*args)
        finally:
            await cancel_shielded_checkpoint()


_READER: Final[RunVar[CapacityLimiter]] = RunVar("the one that reads large answers")


def _reader() -> CapacityLimiter:
    """Large answers are read one at a time, whosever they are: threads take the interpreter from the event loop for
    milliseconds each, and what is read of each is large in memory."""
    try:
        return _READER.get()
    except LookupError:
        _READER.set(limiter := CapacityLimiter(1))
        return limiter


_TURN: Final[RunVar[anyio.Lock]] = RunVar("the one that reads an answer in this turn of the loop")


def _turn() -> anyio.Lock:
    try:
        return _TURN.get()
    except LookupError:
        _TURN.set(lock := anyio.Lock(fast_acquire=True))
        return lock


def retry_after_seconds(headers: Mapping[str, str], clock: Clock) -> float | None:
    """`Retry-After` as seconds from now, from one second to one hour; None where it is missing or invalid.

    Seconds or an HTTP date (RFC 9110 §10.2.3); a date is held against the answer's own `Date` where it has one, so the
    platform's clock is compared with itself.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
    else:
        until = http_date_ms(text)
        if until is None:
            return None
        now = http_date_ms(headers.get("Date", ""))
        seconds = (until - (clock.now_ms() if now is None else now)) / 1000
    return min(max(seconds, 1.0), _MAX_RETRY_AFTER_SECONDS)


def http_date_ms(text: str) -> int | None:
    """An HTTP date in Unix milliseconds, None for an invalid one."""
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int((at - _EPOCH).total_seconds()) * 1000


def date_ms(answer: Answer) -> int | None:
    """When the platform says that it answered, Unix milliseconds; None if it does not."""
    return http_date_ms(answer.headers.get("Date", ""))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def skew_finding(answer: Answer, clock: Clock) -> Finding:
    """How far our clock is from the platform's, by the `Date` of an answer just received; a minute is worth a word."""
    platform_ms = date_ms(answer)
    if platform_ms is None:
        return Finding("clock", "warning", "the platform sends no date")
    seconds = round((clock.now_ms() - platform_ms) / 1000)
    if abs(seconds) > _MAX_SKEW_SECONDS:
        side = "ahead of" if seconds > 0 else "behind"
        return Finding("clock", "warning", f"ours is {abs(seconds)} s {side} the platform's")
    return Finding("clock", "ok", f"within {_MAX_SKEW_SECONDS} s of the platform's")
