"""The client of a platform that is asked for JSON over HTTP: all that such clients do alike.

A platform's client says how its lists are asked for, what its answers mean and what each step sends. Given here: one
session, access that is renewed when it is refused, permits under the shop's rate limit, large lists read off the loop,
refusals of bystanders (`bystanders`), secrets that never show (`discretion`), and the findings of `doctor`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, ClassVar, Final, TypeVar

from yarl import URL

from orchestrator.platforms.base.access import Access
from orchestrator.platforms.base.calls import by_status, json_body
from orchestrator.platforms.base.permits import use_permit, with_permits
from orchestrator.platforms.bystanders import IsOwn, about_order, is_own
from orchestrator.platforms.client import Finding, OrderSnapshot, Page, StepAnswer
from orchestrator.platforms.content import rows
from orchestrator.platforms.discretion import discreet
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.garbage import KEPT_BYTES
from orchestrator.platforms.http import (
    LARGE_BODY_BYTES,
    MAX_BODY_BYTES,
    MAX_ORDER_BYTES,
    Answer,
    Caller,
    open_session,
    read_aside,
    skew_finding,
)
from orchestrator.platforms.json_text import decoded, read_value
from orchestrator.platforms.platform import ClientSettings
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

T = TypeVar("T")

_JSON_BODY: Final = {"Content-Type": "application/json"}
_CREATED: Final = 201
_READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Probe:
    """What a small call answered, which shows whether the shop can be reached. `access`: what its credentials open, in
    words; `findings`: what else `doctor` is to know."""

    answer: Answer
    access: str
    findings: tuple[Finding, ...] = ()


class RestClient(ABC):
    """A `PlatformClient` over REST; has to be made inside a running event loop.

    Each request waits for its permit and is sent at most once; a body is JSON unless `headers` say otherwise. Every
    public coroutine method of a subclass is an operation of its own (`base.turns`) whose result and failures hold no
    secret.
    """

    denies_by_403: ClassVar[bool] = False

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        discreet(with_permits(cls))

    def __init__(
        self,
        settings: ClientSettings,
        *,
        secrets: Sequence[str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` go with every request. Where access is fetched, a subclass sets `_access`, whose headers go with
        those that `_send` makes."""
        session = open_session(
            headers=headers or {}, timeout_seconds=settings.timeout_seconds, concurrency=settings.concurrency
        )
        self._caller = Caller(session, clock=settings.clock, secrets=secrets, meter=settings.meter)
        self._clock = settings.clock
        self._throttle = settings.throttle
        self._base_url = settings.base_url.rstrip("/")
        self._access: Access[Any] | None = None

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def list_page(self, position: Json, cursor: Json) -> Page:
        """As `PlatformClient.list_page`; `base.offset.walk_page` does it for a list that is cut by offset."""

    @abstractmethod
    async def read(self, order_id: str) -> OrderSnapshot:
        """As `PlatformClient.read`; `_single` does it for an address that answers with one order."""

    @abstractmethod
    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """As `PlatformClient.perform`."""

    @abstractmethod
    async def probe(self) -> Probe:
        """A small call about no order, such as a list of one row. Raises PlatformFailure."""

    @property
    def rereads_open(self) -> bool:
        """No: the list shows what changed."""
        return False

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure | None:
        """What an answer about one order refuses, None if it does not: by its status alone."""
        return None if answer.status < 400 else by_status(answer, self._caller.words(answer), is_effect=is_effect)

    def list_refusal(self, answer: Answer) -> PlatformFailure | None:
        """What an answer to a list refuses: it is about no order, so none is missing and the shop is in trouble."""
        failure = self.refusal(answer, is_effect=False)
        return failure if failure is None or isinstance(failure, AccessDenied) else Transient(failure.detail)

    def denial(self, answer: Answer) -> AccessDenied | None:
        """Whether an answer refuses the access that the call showed, in another way than by 401: by 403 where the
        platform does so (`denies_by_403`), which a bystander may say as well."""
        if answer.status != 403 or not self.denies_by_403:
            return None
        return AccessDenied(self._caller.words(answer), is_page=not self.is_own_refusal(answer.body))

    def is_own_refusal(self, body: bytes) -> bool:
        """Whether the body of a refusal about one order is the platform's and no bystander's: by default any JSON."""
        return is_own(body)

    async def ask_list(self) -> None:
        """Asks for a list, for a bystander refused a call about one order. Raises PlatformFailure."""
        await self.probe()

    # -- given -----------------------------------------------------------------------------------------------------

    async def check(self) -> list[Finding]:
        """As `PlatformClient.check`: a probe answers what `doctor` asks."""
        try:
            probe = await self.probe()
        except AccessDenied as failure:
            return [Finding("reachable", "ok", "it answers"), Finding("credentials", "failed", failure.detail)]
        except PlatformFailure as failure:
            return [Finding("reachable", "failed", failure.detail)]
        return [
            Finding("reachable", "ok", "it answers"),
            Finding("credentials", "ok", probe.access),
            skew_finding(probe.answer, self._clock),
            *probe.findings,
        ]

    async def aclose(self) -> None:
        """Closes connections."""
        await self._caller.aclose()

    def _send(
        self,
        method: str,
        url: URL,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        is_effect: bool | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Coroutine[Any, Any, Answer]:
        """Sends with the shop's access once there is a permit. `is_effect`: the call changes something; None: its
        method says so, every one but GET and HEAD does. `max_bytes`: how large a good answer may be.

        A call whose access was refused has changed nothing, so it is sent again with other access where there is some.
        Raises as `Caller.call`.
        """
        sent = headers if headers is not None else _JSON_BODY if body is not None else {}
        is_effect = _changes(method, is_effect)
        if self._access is None:
            return self._try(method, url, body, sent, is_effect=is_effect, max_bytes=max_bytes)
        return self._try_with(self._access, method, url, body, sent, is_effect=is_effect, max_bytes=max_bytes)

    async def _try_with(
        self,
        access: Access[Any],
        method: str,
        url: URL,
        body: bytes | None,
        sent: Mapping[str, str],
        *,
        is_effect: bool,
        max_bytes: int,
    ) -> Answer:
        tokens, is_last = await access.tokens(), False
        while True:
            try:
                merged = {**sent, **tokens.headers}
                return await self._try(method, url, body, merged, is_effect=is_effect, max_bytes=max_bytes)
            except AccessDenied as failure:
                denied = failure
            if is_last:
                raise denied
            renewal = await access.renewed(tokens, is_page=denied.is_page)
            if renewal is None:
                raise denied
            tokens, is_last = renewal

    async def _try(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str], *, is_effect: bool, max_bytes: int
    ) -> Answer:
        if not use_permit():
            await self._throttle()
        answer = await self._caller.call(
            method, url, is_effect=is_effect, body=body, headers=headers, max_bytes=max_bytes
        )
        if len(answer.body) > LARGE_BODY_BYTES and (is_effect or b'"errors"' in answer.body):
            await read_aside(answer, getattr, answer, "members")  # somebody is going to ask, and it is kept
        if (denied := self.denial(answer)) is not None:
            raise denied
        return answer

    def _about_order(
        self,
        method: str,
        url: URL,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        is_own: IsOwn | None = None,
        is_effect: bool | None = None,
    ) -> Coroutine[Any, Any, Answer]:
        """Sends a call about one order, whatever it answers. `is_own`: other than `is_own_refusal`; `is_effect`: as
        `_send`. Raises as `bystanders.about_order`."""
        is_effect, is_own = _changes(method, is_effect), is_own or self.is_own_refusal
        send = self._send(method, url, body, headers=headers, is_effect=is_effect, max_bytes=MAX_ORDER_BYTES)
        return about_order(send, self.ask_list, self._caller, is_effect=is_effect, is_own=is_own)

    async def _accepted(
        self,
        method: str,
        url: URL,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        is_effect: bool | None = None,
    ) -> Answer:
        """As `_about_order`; raises also what the answer refuses."""
        answer = await self._about_order(method, url, body, headers=headers, is_effect=is_effect)
        if (failure := self.refusal(answer, is_effect=_changes(method, is_effect))) is not None:
            raise failure
        return answer

    async def _add_missing(
        self,
        url: URL,
        there: Iterable[Mapping[str, Json]],
        member: str,
        bodies: Mapping[str, Json],
        *,
        is_among_others: bool = False,
    ) -> StepAnswer:
        """Makes what is not `there` yet, on a platform that takes a repeat for another one.

        `bodies`: what makes each, by the name that it is known by. `member`: the text of a row that is this name, or
        where it `is_among_others` has it among other words. Raises what is refused, and Garbled for an answer that
        neither shows it nor says by its status that something was made: more may be cleaned of it than we know.
        """

        def shows(row: Mapping[str, Json], name: str) -> bool:
            kept, sought = _words(row.get(member)), _words(name)
            return sought in kept if is_among_others else sought == kept

        rows_there = list(there)
        missing = {n: body for n, body in bodies.items() if not any(shows(row, n) for row in rows_there)}
        for name, body in missing.items():
            try:
                answer = await self._accepted("POST", url, json_body(body))
            except (
                NotFound
            ) as failure:  # `there` was found at the same address just now: it is what is sent that is wrong
                raise Rejected(failure.detail) from None
            if not shows(self._members(answer), name) and answer.status != _CREATED:
                raise self._caller.garbled(answer, is_effect=True)
        return StepAnswer(None, is_found=not missing)

    async def _set(self, url: URL, member: str, value: str) -> StepAnswer:
        """Sets a member of an order (PUT), such as its status, which its answer has to show. Raises what is refused,
        with the value, and OutOfSequence where the answer shows another one."""
        try:
            answer = await self._accepted("PUT", url, json_body({member: value}))
        except NotFound:
            raise
        except Rejected as failure:  # a platform names what it would take, and not always what it was sent
            raise Rejected(f"{failure.detail} (sent: {member} {value})") from None
        if (became := self._members(answer).get(member)) != value:
            raise OutOfSequence(f"{value} was asked for and the order is in {became}")
        return StepAnswer(value)

    def _members(self, answer: Answer) -> dict[str, Json]:
        """The members of what a change answered. Raises Garbled, ambiguous, where it is not a JSON object."""
        members = answer.members
        if members is None:
            raise self._caller.garbled(answer, is_effect=True)
        return members

    def _rows(self, answer: Answer) -> list[Mapping[str, Json]]:
        """The objects of a list that is not of orders. Raises Garbled where it is not a JSON array."""
        try:
            found = read_value(decoded(answer.body))
        except ValueError:
            found = None
        if not isinstance(found, list):
            raise self._caller.garbled(answer)
        return rows(found)

    async def _single(
        self,
        order_id: str | None,
        url: URL,
        read: Callable[[Answer], OrderSnapshot],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> OrderSnapshot:
        """One order by its address; `order_id` None: it is named by something else. Raises Unreadable, also for another
        order, and what is refused."""
        return await self._snapshot(order_id, await self._accepted("GET", url, headers=headers), read)

    async def _snapshot(
        self, order_id: str | None, answer: Answer, read: Callable[[Answer], OrderSnapshot]
    ) -> OrderSnapshot:
        """The order of an answer, as `_single`."""
        snapshot = await self._caller.read_of(answer, read, answer)
        if order_id is not None and snapshot.id != order_id:
            raise Unreadable(f"order {snapshot.id} was answered when {order_id} was asked for", answer.body)
        return snapshot

    async def _first(self, order_id: str) -> OrderSnapshot:
        """The look before a step. One that is invalid is worth another try: nothing was sent yet."""
        try:
            return await self.read(order_id)
        except Unreadable as failure:
            detail = failure.detail
        raise Transient(detail)

    async def _listed(self, answer: Answer, read: Callable[..., T], *args: Any) -> T:
        """What `read(body, *args)` makes of a list's answer; a large one is read in a worker thread, so `read` is to be
        pure. Raises what the list refuses, and Garbled and Unreadable."""
        if (failure := self.list_refusal(answer)) is not None:
            raise failure
        try:
            return await self._caller.read_of(answer, read, answer.body, *args)
        except Unreadable as unreadable:  # of a whole list, which nobody keeps
            unreadable.payload = unreadable.payload[:KEPT_BYTES]
            raise


def _words(value: Json) -> str:
    """A text between blanks, however a platform cleaned it: of further blanks, of entities, of escapes as in links."""
    return f" {' '.join(re.sub('%[0-9a-fA-F]{2}', '', unescape(str(value))).split())} "


def _changes(method: str, is_effect: bool | None) -> bool:
    return method not in _READS if is_effect is None else is_effect
