"""Calls to one xSale organization with both tokens, and what their answers mean (xsale.md §1, §6).

Nothing about errors is documented, so what an answer refuses is told by its status alone.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

from orchestrator.platforms.bystanders import about_order, is_own
from orchestrator.platforms.client import Throttle
from orchestrator.platforms.failures import AccessDenied, NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.platforms.garbage import is_json
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.json_text import read_body, read_object
from orchestrator.platforms.token_keeper import TokenKeeper
from orchestrator.platforms.xsale.tokens import Tokens
from statemachines.target import Json

_JSON_HEADERS = {"Content-Type": "application/json"}


class Turn:
    """The calls of one `read`, `list_page` or `perform`: the first has its turn, each further one waits for its own."""

    __slots__ = ("_is_taken", "_throttle")

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._is_taken = False

    async def take(self) -> None:
        """Waits until the next call may go out."""
        if self._is_taken:
            await self._throttle()
        self._is_taken = True


@dataclass(frozen=True, slots=True)
class OrganizationCalls:
    """Sends calls below `/{organization}/`, and `GET /me`."""

    caller: Caller
    keeper: TokenKeeper[Tokens]
    base_url: str
    organization: str

    async def get(self, turn: Turn, tail: str) -> Answer:
        """Reads `/{organization}/{tail}`, which is encoded already."""
        return await self._send(turn, "GET", self._url(tail), None)

    async def put(self, turn: Turn, tail: str, body: bytes) -> Answer:
        """Changes something."""
        return await self._send(turn, "PUT", self._url(tail), body)

    async def me(self, turn: Turn) -> tuple[Answer, tuple[str, ...]]:
        """`GET /me` and the names of the account's organizations (xsale.md §1). Raises PlatformFailure."""
        answer = await self._send(turn, "GET", URL(f"{self.base_url}/me"), None)
        if answer.status >= 400:
            raise Transient(self.caller.words(answer))
        if not is_json(answer.body):
            raise self.caller.garbled(answer)
        try:
            rows = (read_object(answer.body) or {})["Organizations"]
            return answer, tuple(str(row["Name"]) for row in rows)
        except (TypeError, KeyError):
            raise Transient("the answer to /me names no organizations") from None

    async def about_order(self, send: Awaitable[Answer], turn: Turn, *, is_effect: bool) -> Answer:
        """As `bystanders.about_order`: the list that is asked for is that of the statuses."""

        async def ask_list() -> None:
            answer = await self.get(turn, "statuses")
            if answer.status >= 400:
                raise Transient(self.caller.words(answer))

        return await about_order(send, ask_list, self.caller, is_effect=is_effect)

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure:
        """What an answer of 400 and more to a call about one order means (xsale.md §6)."""
        words = self.caller.words(answer)
        match answer.status:
            case 404 | 410:
                return NotFound(words)
            case 409 | 412 if is_effect:
                return OutOfSequence(words)
            case _ if is_effect:
                return Rejected(words)
            case _:
                return Transient(words, is_refused_read=True)

    def _url(self, tail: str) -> URL:
        return URL(f"{self.base_url}/{quote(self.organization, safe='')}/{tail}", encoded=True)

    async def _send(self, turn: Turn, method: str, url: URL, body: bytes | None) -> Answer:
        """Sends with both tokens. Refused ones are replaced by those of another process, or by one login; raises
        AccessDenied when that does not help.

        A refused call has changed nothing, so sending it again with other tokens repeats nothing.
        """
        tokens, is_fetched = await self.keeper.tokens(), False
        answer = await self._try(turn, method, url, body, tokens.headers)
        while isinstance(answer, AccessDenied) and not is_fetched:
            renewal = await self.keeper.renewed(tokens, is_page=answer.is_page)
            if renewal is None:
                break
            tokens, is_fetched = renewal
            answer = await self._try(turn, method, url, body, tokens.headers)
        if isinstance(answer, AccessDenied):
            raise answer
        return answer

    async def _try(
        self, turn: Turn, method: str, url: URL, body: bytes | None, headers: dict[str, str]
    ) -> Answer | AccessDenied:
        await turn.take()
        if body is not None:
            headers |= _JSON_HEADERS
        try:
            answer = await self.caller.call(method, url, is_effect=body is not None, body=body, headers=headers)
        except AccessDenied as failure:
            return AccessDenied(failure.detail, is_page=failure.is_page)
        if answer.status != 403:
            return answer
        return AccessDenied(self.caller.words(answer), is_page=not is_own(answer.body))


def json_or_none(body: bytes) -> Json:
    """A small answer's value, None where it is blank or no JSON."""
    try:
        return read_body(body)
    except ValueError:
        return None
