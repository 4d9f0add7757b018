"""xSale's client: lists by status, single orders, and the one call that changes a status (facts: xsale.md).

xSale names statuses by ids that every organization has its own of, and refuses no change of status. So ids are asked
for when they are first needed and again when an order shows one that is not known, names of the config that do not
exist stop the shop, and a change counts when the answer or a read at the order shows it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from yarl import URL

from orchestrator.platforms.base.rest import Probe, RestClient
from orchestrator.platforms.client import Finding, OrderSnapshot, Page, PlatformClient, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Transient,
    Unreadable,
)
from orchestrator.platforms.fields import InvalidOrder
from orchestrator.platforms.http import Answer, read_aside
from orchestrator.platforms.json_text import read_body
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.progress import Progress
from orchestrator.platforms.xsale.calls import OrganizationCalls
from orchestrator.platforms.xsale.directory import StatusDirectory
from orchestrator.platforms.xsale.lists import Cursor, filtered, flaw, further, next_cursor, paged
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.platforms.xsale.recent_states import RecentReads
from orchestrator.platforms.xsale.statuses import StatusMissing, StatusTable, whole
from orchestrator.platforms.xsale.tokens import keeper_of
from orchestrator.platforms.xsale.wire import Listing, Reading, read_listing, read_single, status_of
from statemachines import xsale as machines
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest

_ERROR_NAMES = ("errors", "error", "Error", "Errors", "Message", "ExceptionMessage")


class XsaleClient(RestClient):
    """`PlatformClient` of one xSale organization. Has to be made inside a running event loop."""

    denies_by_403 = True  # a token that is not good for the organization (xsale.md §6)

    def __init__(self, settings: ClientSettings) -> None:
        options = settings.options
        assert isinstance(options, XsaleOptions)
        account = options.credentials
        known = (account.client_id, account.client_secret, account.username, account.password)
        secrets = [each.get_secret_value() for each in known]
        super().__init__(settings, secrets=secrets, headers={"Accept": "application/json"})
        self._options = options
        self._page_size = settings.page_size
        self._access = self._keeper = keeper_of(account, self._caller, settings)
        self._calls = OrganizationCalls(self._send, self._caller, self._base_url, options.organization)
        self._machine = machines.build(options.model_dump(include={"flow", "milestones"}))
        names = tuple(state.name for state in self._machine.states.values() if not state.record_only)
        self._directory = StatusDirectory(self._calls, names, options.envelope, settings.clock)
        self._reads = RecentReads(settings.clock)
        ends = tuple(name for name in names if self._machine.states[name].is_end)
        self._reading = Reading(options.field_map, options.payments, names, options.envelope, ends)
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
        at = Cursor.resume(cursor)
        listing = await self._list(self._groups[at.group], paged(at, self._page_size, self._options.paging))
        following = next_cursor(at, listing.names, paging=self._options.paging, groups=len(self._groups))
        # A platform that overlooks a filter shows more than it was asked for: only the first status is imported from.
        others = (snapshot.id for snapshot in listing.orders if snapshot.state != self._machine.initial)
        return Page(
            orders=listing.orders,
            unreadable=listing.unreadable,
            skip_if_new=frozenset(others),
            next=None if following is None else following.to_json(),
            shown=listing.names,
            part=at.group,
            flaw=flaw(at, listing.names, self._page_size),
        )

    async def read(self, order_id: str) -> OrderSnapshot:
        """One order. Raises NotFound also for what cannot be an id: xSale's are whole numbers."""
        number = _id_or_raise(order_id)
        if not self._options.single_get:
            return await self._find(order_id)
        table = await self._directory.table()
        answer = await self._accepted("GET", self._calls.url(f"orders/{number}"))
        snapshot, status = await self._caller.read_of(answer, read_single, answer.body, self._reading, table)
        if snapshot.id != order_id:
            raise Unreadable(f"order {snapshot.id} was answered when {order_id} was asked for", answer.body)
        if not table.explains(status) and await self._directory.is_renewed_for((status,)):
            table = await self._directory.table()
            snapshot, _ = await self._caller.read_of(answer, read_single, answer.body, self._reading, table)
        return snapshot

    async def perform(self, step: str, order_id: str, current: OrderState, request: TargetRequest) -> StepAnswer:
        """Changes the status to the next one on the way to what the target asks for (xsale.md §2, row 4)."""
        if step != machines.CHANGE_STATUS:
            raise ValueError(f"xsale has no step {step!r}")
        to = self._machine.destination(current, step, request)
        if to is None:
            raise OutOfSequence(f"no status follows {current.state!r} on the way to {request.state!r}")
        url = self._calls.url(f"orders/{_id_or_raise(order_id)}/change-status")
        if self._options.look_first and await self._is_there(order_id, current, to, request):
            return StepAnswer(to, is_found=True)
        table = await self._directory.table()
        answer = await self._put(url, table.id_of(to))
        if answer.status in (400, 422):
            # The status may have been made anew, under another id. A refused change has changed nothing.
            renewed = await self._directory.renewed()
            if renewed.id_of(to) != table.id_of(to):
                table = renewed
                answer = await self._put(url, table.id_of(to))
        if (failure := self.refusal(answer, is_effect=True)) is not None:
            raise failure
        if not await self._shows(answer, to, table) and self._options.verify_changes:
            await self._verify(order_id, to, answer)
        self._reads.note(order_id, to, request)
        return StepAnswer(to)

    async def probe(self) -> Probe:
        """Tokens taken, the organization one of the account's, every status of the config there."""
        answer, organizations = await self._calls.me()
        return Probe(answer, "both tokens are taken", (self._organization(organizations), await self._statuses()))

    async def ask_list(self) -> None:
        """As `RestClient.ask_list`: that of the statuses."""
        if (failure := self.list_refusal(await self._calls.statuses())) is not None:
            raise failure

    def forget_refusal(self) -> None:
        """As `RemembersRefusal`."""
        self._keeper.forget_refusal()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _list(self, names: Sequence[str], page: str = "") -> Listing:
        """The orders in these statuses, read again where they show a status that the table does not have."""
        table = await self._directory.table()
        values: list[int | str] = [*names]
        if self._options.status_filter == "statusidin":
            values = [status_id for name in names for status_id in table.ids[name]]
        by_status = filtered(self._options.status_filter, values, self._options.array_style)
        query = "&".join(filter(None, (by_status, page, further(self._options.list_query))))
        answer = await self._send("GET", self._calls.url(f"orders?{query}"))
        listing = await self._listed(answer, read_listing, self._reading, table)
        if listing.unexplained and await self._directory.is_renewed_for(listing.unexplained):
            table = await self._directory.table()
            listing = await self._listed(answer, read_listing, self._reading, table)
        return listing

    async def _find(self, order_id: str) -> OrderSnapshot:
        """One order where only lists can be read: in the open statuses, then in the ends, then in all the others.

        An order that moves on meanwhile moves to where is looked later. Before it is given up, the statuses that the
        organization has made since we asked are looked into too: gone would mean that its targets fail for good.
        """
        table = await self._directory.table()
        searched = {name for names in self._search for name in names}
        rest = tuple(name for name in table.ids if name not in searched)
        for names in (*self._search, rest):
            if (snapshot := await self._find_in(names, order_id)) is not None:
                return snapshot
        renewed = await self._directory.renewed()
        made = tuple(name for name, ids in renewed.ids.items() if ids != table.ids.get(name))
        if (snapshot := await self._find_in(made, order_id)) is not None:
            return snapshot
        raise NotFound(f"no status lists order {order_id}")

    async def _find_in(self, names: Sequence[str], order_id: str) -> OrderSnapshot | None:
        at: Cursor | None = Cursor()
        progress = Progress()
        while names and at is not None:
            listing = await self._list(names, paged(at, self._page_size, self._options.paging))
            for snapshot in listing.orders:
                if snapshot.id == order_id:
                    return snapshot
            for item in listing.unreadable:
                if item.id == order_id:
                    raise Unreadable(item.error, item.payload)
            at = next_cursor(at, listing.names, paging=self._options.paging, groups=1)
            if at is not None and (words := progress.complaint(listing.names, None)) is not None:
                raise Transient(f"the list that order {order_id} is looked for in does not end: {words}")
        return None

    # -- changing --------------------------------------------------------------------------------------------------

    async def _is_there(self, order_id: str, current: OrderState, to: str, request: TargetRequest) -> bool:
        """Looks before a change, unless somebody just did: xSale would take it from any status (xsale.md §5). The
        change that the buyer sees as goods that leave has a read of its own: it must not cost a cancellation.

        True when the order has the new status already, which must not be set twice. Raises OutOfSequence when it is
        neither there nor where we think: a person's cancellation is not overwritten.
        """
        state = None if self._machine.sends(current, to) else self._reads.state(order_id, request)
        if state != current.platform_state:
            state = (await self._first(order_id)).state
        if state not in (current.platform_state, to):
            raise OutOfSequence(f"{to} is due after {current.platform_state}, but the order is in {state}")
        return state == to

    async def _put(self, url: URL, status_id: int) -> Answer:
        key = self._options.status_body
        body = json.dumps(status_id if key == "bare" else {key: status_id}).encode()
        return await self._about_order("PUT", url, body)

    async def _shows(self, answer: Answer, to: str, table: StatusTable) -> bool:
        """Whether the answer itself shows the new status; what it is to look like is not documented (xsale.md §2).

        Raises OutOfSequence when it shows another one, Transient when it is nothing that an API says.
        """
        if not answer.body.strip():
            return False
        try:
            data = await read_aside(answer, read_body, answer.body)
        except ValueError:
            raise self._caller.garbled(answer, is_effect=True) from None
        try:
            shown = table.name_of(status_of(data)) if isinstance(data, dict) and "Id" in data else None
        except InvalidOrder:
            shown = None
        if shown is not None and shown != to:
            raise OutOfSequence(f"{to} was asked for and the order is in {shown}")
        if shown is None and isinstance(data, dict) and any(data.get(name) for name in _ERROR_NAMES):
            raise OutOfSequence(f"the status was not taken: {self._caller.words(answer)}")
        return shown is not None  # whatever message comes with the status that was asked for

    async def _verify(self, order_id: str, to: str, answer: Answer) -> None:
        """Looks whether the order shows the status that a good answer promised (xsale.md §9)."""
        try:
            snapshot = await self.read(order_id)
        except (AccessDenied, NotFound):
            return  # the change was confirmed; what the read ran into, the next call will too
        except (Transient, Unreadable) as failure:
            raise failure.after_effect() from None
        if snapshot.state != to:
            raise OutOfSequence(f"HTTP {answer.status} was answered to {to}, but the order is in {snapshot.state}")

    # -- checking --------------------------------------------------------------------------------------------------

    def _organization(self, names: Sequence[str]) -> Finding:
        mine = self._options.organization
        if mine in names:
            return Finding("organization", "ok", f"{mine} is one of the account's {len(names)}")
        known = ", ".join(names) or "none"
        return Finding("organization", "failed", f"{mine} is not one of the account's organizations: {known}")

    async def _statuses(self) -> Finding:
        try:
            table = await self._directory.renewed()
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
        raise NotFound(f"{order_id!r} is not an xSale order id")
    return quote(order_id, safe="")
