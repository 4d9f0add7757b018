"""xSale's client: lists by status, single orders, and the one call that changes a status (facts: xsale.md).

xSale speaks in status ids that every organization has its own of, and refuses no change of status. So ids are asked
for when they are first needed and again when an order shows one that is not known, names of the config that do not
exist stop the shop, and a change counts when the answer or a look at the order shows it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

import anyio
import anyio.to_thread

from orchestrator.platforms.client import Finding, Page, PlatformClient, Seen, StepAnswer
from orchestrator.platforms.discretion import discreet
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Transient,
    Unreadable,
)
from orchestrator.platforms.fields import SenselessOrder
from orchestrator.platforms.http import Answer, Caller, open_session, skew_finding
from orchestrator.platforms.json_text import read_body
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.progress import Progress
from orchestrator.platforms.xsale.calls import OrganizationCalls, Turn
from orchestrator.platforms.xsale.directory import StatusDirectory
from orchestrator.platforms.xsale.lists import Cursor, filtered, flaw, further, paged, turn
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.platforms.xsale.recent_states import RecentLooks
from orchestrator.platforms.xsale.statuses import StatusMissing, StatusTable, whole
from orchestrator.platforms.xsale.tokens import keeper_of
from orchestrator.platforms.xsale.wire import Listing, Reading, read_listing, read_single, status_of
from statemachines import xsale as machines
from statemachines.machine import Standing
from statemachines.target import Json, TargetRequest

LARGE_BODY_BYTES = 256 * 1024
"""A list larger than this is read in a worker thread: it would hold up everybody else for tens of milliseconds."""

_ERROR_NAMES = ("errors", "error", "Error", "Errors", "Message", "ExceptionMessage")


@discreet
class XsaleClient:
    """`PlatformClient` of one xSale organization. Has to be made inside a running event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, XsaleOptions)
        self._options = options
        self._clock = settings.clock
        self._throttle = settings.throttle
        self._page_size = settings.page_size
        account = options.credentials
        session = open_session(
            headers={"Accept": "application/json"},
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
        )
        known = (account.client_id, account.client_secret, account.username, account.password)
        secrets = [each.get_secret_value() for each in known]
        self._caller = Caller(session, clock=settings.clock, secrets=secrets, meter=settings.meter)
        self._keeper = keeper_of(account, self._caller, settings)
        self._calls = OrganizationCalls(self._caller, self._keeper, settings.base_url.rstrip("/"), options.organization)
        self._machine = machines.build(options.model_dump(include={"flow", "milestones"}))
        names = tuple(state.name for state in self._machine.states.values() if not state.record_only)
        self._directory = StatusDirectory(self._calls, names, options.envelope, settings.clock)
        self._looks = RecentLooks(settings.clock)
        ends = tuple(name for name in names if self._machine.states[name].is_end)
        self._reading = Reading(options.fields, options.payments, names, options.envelope, ends)
        is_open = tuple(name for name in names if name not in ends and name != self._machine.initial)
        self._groups = ((self._machine.initial,), *((is_open,) if options.list_open and is_open else ()))
        self._search = ((self._machine.initial, *is_open), ends)

    @property
    def rereads_open(self) -> bool:
        """Yes: xSale has no change time (xsale.md §3)."""
        return True

    async def list_page(self, position: Json, cursor: Json) -> Page:
        """One page of the orders to import, then of the other open ones, which are of interest when known already."""
        del position
        at, calls = Cursor.resume(cursor), Turn(self._throttle)
        listing = await self._list(calls, self._groups[at.group], paged(at, self._page_size, self._options.paging))
        following = turn(at, listing.names, paging=self._options.paging, groups=len(self._groups))
        # A platform that overlooks a filter shows more than it was asked for: only the first status is imported from.
        others = (seen.id for seen in listing.orders if seen.state != self._machine.initial)
        return Page(
            orders=listing.orders,
            unreadable=listing.unreadable,
            skip_if_new=frozenset(others),
            next=None if following is None else following.to_json(),
            shown=listing.names,
            part=at.group,
            flaw=flaw(at, listing.names, self._page_size),
        )

    async def read(self, order_id: str) -> Seen:
        """One order. Raises NotFound also for what cannot be an id: xSale's are whole numbers."""
        return await self._read(Turn(self._throttle), order_id)

    async def perform(self, step: str, order_id: str, standing: Standing, request: TargetRequest) -> StepAnswer:
        """Changes the status to the next one on the way to what the target asks for (xsale.md §2, row 4)."""
        if step != machines.CHANGE_STATUS:
            raise ValueError(f"xsale has no step {step!r}")
        to = self._machine.destination(standing, step, request)
        if to is None:
            raise OutOfSequence(f"no status follows {standing.state!r} on the way to {request.state!r}")
        calls, tail = Turn(self._throttle), f"orders/{_id_or_raise(order_id)}/change-status"
        if self._options.look_first and await self._is_there(calls, order_id, standing, to, request):
            return StepAnswer(to, is_found=True)
        table = await self._directory.table(calls)
        answer = await self._put(calls, tail, table.id_of(to))
        if answer.status in (400, 422):
            # The status may have been made anew, under another id. A refused change has changed nothing.
            renewed = await self._directory.renewed(calls)
            if renewed.id_of(to) != table.id_of(to):
                table = renewed
                answer = await self._put(calls, tail, table.id_of(to))
        if answer.status >= 400:
            raise self._calls.refusal(answer, is_effect=True)
        if not self._shows(answer, to, table) and self._options.verify_changes:
            await self._verify(calls, order_id, to, answer)
        self._looks.note(order_id, to, request)
        return StepAnswer(to)

    async def check(self) -> list[Finding]:
        """Reachable, tokens taken, the organization one of the account's, every status of the config there."""
        calls = Turn(self._throttle)
        try:
            answer, organizations = await self._calls.me(calls)
        except AccessDenied as failure:
            return [Finding("reachable", "ok", "it answers"), Finding("credentials", "failed", failure.detail)]
        except PlatformFailure as failure:
            return [Finding("reachable", "failed", failure.detail)]
        return [
            Finding("reachable", "ok", "it answers"),
            Finding("credentials", "ok", "both tokens are taken"),
            self._organization(organizations),
            await self._statuses(calls),
            skew_finding(answer, self._clock),
        ]

    def forget_refusal(self) -> None:
        """As `RemembersRefusal`."""
        self._keeper.forget_refusal()

    async def aclose(self) -> None:
        """Closes connections."""
        await self._caller.aclose()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _list(self, calls: Turn, names: Sequence[str], page: str = "") -> Listing:
        """The orders in these statuses, read again where they show a status that the table does not have."""
        table = await self._directory.table(calls)
        values: list[int | str] = [*names]
        if self._options.status_filter == "statusidin":
            values = [status_id for name in names for status_id in table.ids[name]]
        by_status = filtered(self._options.status_filter, values, self._options.array_style)
        query = "&".join(filter(None, (by_status, page, further(self._options.list_query))))
        answer = await self._calls.get(calls, f"orders?{query}")
        if answer.status >= 400:
            # A list is about no order: none is missing or refused, the shop is in trouble.
            raise Transient(self._caller.words(answer))
        listing = await self._listing(answer, table)
        if listing.unexplained and await self._directory.is_renewed_for(calls, listing.unexplained):
            listing = await self._listing(answer, await self._directory.table(calls))
        return listing

    async def _listing(self, answer: Answer, table: StatusTable) -> Listing:
        with self._caller.reading(answer):
            if len(answer.body) > LARGE_BODY_BYTES:
                return await anyio.to_thread.run_sync(read_listing, answer.body, self._reading, table)
            return read_listing(answer.body, self._reading, table)

    async def _read(self, calls: Turn, order_id: str) -> Seen:
        number = _id_or_raise(order_id)
        if not self._options.single_get:
            return await self._find(calls, order_id)
        table = await self._directory.table(calls)
        send = self._calls.get(calls, f"orders/{number}")
        answer = await self._calls.about_order(send, calls, is_effect=False)
        if answer.status >= 400:
            raise self._calls.refusal(answer, is_effect=False)
        with self._caller.reading(answer):
            seen, status = read_single(answer.body, self._reading, table)
        if seen.id != order_id:
            raise Unreadable(f"order {seen.id} was answered when {order_id} was asked for", answer.body)
        if not table.explains(status) and await self._directory.is_renewed_for(calls, (status,)):
            seen, _ = read_single(answer.body, self._reading, await self._directory.table(calls))
        return seen

    async def _find(self, calls: Turn, order_id: str) -> Seen:
        """One order where only lists can be read: in the open statuses, then in the ends, then in all the others.

        An order that moves on meanwhile moves to where is looked later. Before it is given up, the statuses that the
        organization has made since we asked are looked into too: gone would mean that its targets fail for good.
        """
        table = await self._directory.table(calls)
        searched = {name for names in self._search for name in names}
        rest = tuple(name for name in table.ids if name not in searched)
        for names in (*self._search, rest):
            if (seen := await self._find_in(calls, names, order_id)) is not None:
                return seen
        renewed = await self._directory.renewed(calls)
        made = tuple(name for name, ids in renewed.ids.items() if ids != table.ids.get(name))
        if (seen := await self._find_in(calls, made, order_id)) is not None:
            return seen
        raise NotFound(f"no status lists order {order_id}")

    async def _find_in(self, calls: Turn, names: Sequence[str], order_id: str) -> Seen | None:
        at: Cursor | None = Cursor()
        progress = Progress()
        while names and at is not None:
            listing = await self._list(calls, names, paged(at, self._page_size, self._options.paging))
            for seen in listing.orders:
                if seen.id == order_id:
                    return seen
            for item in listing.unreadable:
                if item.id == order_id:
                    raise Unreadable(item.error, item.payload)
            at = turn(at, listing.names, paging=self._options.paging, groups=1)
            if at is not None and (words := progress.complaint(listing.names, None)) is not None:
                raise Transient(f"the list that order {order_id} is looked for in does not end: {words}")
        return None

    # -- changing --------------------------------------------------------------------------------------------------

    async def _is_there(self, calls: Turn, order_id: str, standing: Standing, to: str, request: TargetRequest) -> bool:
        """Looks before a change, unless somebody just did: xSale would take it from any status (xsale.md §5). The
        change that tells the buyer of goods that leave has a look of its own: it must not cost a cancellation.

        True when the order has the new status already, which must not be set twice. Raises OutOfSequence when it is
        neither there nor where we think: a person's cancellation is not overwritten.
        """
        state = None if self._machine.sends(standing, to) else self._looks.state(order_id, request)
        if state != standing.platform_state:
            try:
                state = (await self._read(calls, order_id)).state
            except Unreadable as failure:
                raise Transient(failure.detail) from None
        if state not in (standing.platform_state, to):
            raise OutOfSequence(f"{to} is due after {standing.platform_state}, but the order is in {state}")
        return state == to

    async def _put(self, calls: Turn, tail: str, status_id: int) -> Answer:
        key = self._options.status_body
        body = json.dumps(status_id if key == "bare" else {key: status_id}).encode()
        return await self._calls.about_order(self._calls.put(calls, tail, body), calls, is_effect=True)

    def _shows(self, answer: Answer, to: str, table: StatusTable) -> bool:
        """Whether the answer itself shows the new status; what it is to look like is not documented (xsale.md §2).

        Raises OutOfSequence when it shows another one, Transient when it is nothing that an API says.
        """
        if not answer.body.strip():
            return False
        try:
            data = read_body(answer.body)
        except ValueError:
            raise self._caller.garbled(answer, is_effect=True) from None
        try:
            shown = table.name_of(status_of(data)) if isinstance(data, dict) and "Id" in data else None
        except SenselessOrder:
            shown = None
        if shown is not None and shown != to:
            raise OutOfSequence(f"{to} was asked for and the order is in {shown}")
        if shown is None and isinstance(data, dict) and any(data.get(name) for name in _ERROR_NAMES):
            raise OutOfSequence(f"the status was not taken: {self._caller.words(answer)}")
        return shown is not None  # whatever message comes with the status that was asked for

    async def _verify(self, calls: Turn, order_id: str, to: str, answer: Answer) -> None:
        """Looks whether the order shows the status that a good answer promised (xsale.md §9)."""
        try:
            seen = await self._read(calls, order_id)
        except (AccessDenied, NotFound):
            return  # the change was confirmed; what the look ran into, the next call will too
        except Transient as failure:
            after = failure.retry_after_seconds
            raise Transient(failure.detail, is_ambiguous=True, retry_after_seconds=after) from None
        except Unreadable as failure:
            raise Transient(failure.detail, is_ambiguous=True) from None
        if seen.state != to:
            raise OutOfSequence(f"HTTP {answer.status} was answered to {to}, but the order is in {seen.state}")

    # -- checking --------------------------------------------------------------------------------------------------

    def _organization(self, names: Sequence[str]) -> Finding:
        mine = self._options.organization
        if mine in names:
            return Finding("organization", "ok", f"{mine} is one of the account's {len(names)}")
        known = ", ".join(names) or "none"
        return Finding("organization", "failed", f"{mine} is none of the account's organizations: {known}")

    async def _statuses(self, calls: Turn) -> Finding:
        try:
            table = await self._directory.renewed(calls)
        except StatusMissing as failure:
            return Finding("statuses", "failed", failure.detail)
        except PlatformFailure as failure:
            return Finding("statuses", "failed", f"they cannot be read: {failure.detail}")
        count = len(self._reading.names)
        return Finding("statuses", "ok", f"all {count} of the config are among the organization's {len(table.rows)}")


def open_client(settings: ClientSettings) -> PlatformClient:
    """The client of a shop (`Platform.open`)."""
    return XsaleClient(settings)


def _id_or_raise(order_id: str) -> str:
    number = whole(order_id)
    if number is None or str(number) != order_id:
        raise NotFound(f"{order_id!r} is no xSale order id")
    return quote(order_id, safe="")
