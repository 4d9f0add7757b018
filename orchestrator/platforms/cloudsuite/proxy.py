"""CloudSuite's proxy calls: packing slips, order confirmations, timeline lines (cloudsuite.md §2 rows 8-10).

How they answer is not documented. The reply is judged in `replies`; what is unclear is ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.base.calls import AboutOrder
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.cloudsuite.errors import is_html
from orchestrator.platforms.cloudsuite.notes import note
from orchestrator.platforms.cloudsuite.options import CloudsuiteOptions
from orchestrator.platforms.cloudsuite.replies import Verdict, says_duplicate, verdict
from orchestrator.platforms.cloudsuite.xml import SlipLine, confirmation, desadv
from orchestrator.platforms.failures import OutOfSequence, Rejected
from orchestrator.platforms.http import Answer, Caller, read_aside
from statemachines.cloudsuite.despatch import Despatch, quantity_reason
from statemachines.numbers import decimal_of
from statemachines.target import Json, Tracking

_DESADV = {"Content-Type": "application/xml"}
_CXML = {"Content-Type": "text/xml"}
_JSON = {"Content-Type": "application/json"}


class CloudsuiteProxy:
    """The proxy calls of one shop. Every method makes one call and may raise any PlatformFailure."""

    def __init__(
        self,
        caller: Caller,
        about_order: AboutOrder,
        options: CloudsuiteOptions,
        clock: Clock,
        base_url: str,
    ) -> None:
        self._caller, self._about_order, self._options, self._clock = caller, about_order, options, clock
        self._base_url = f"{base_url}/proxy"
        self._zone = ZoneInfo(options.timezone)
        self._duplicate = _any_word(options.duplicate_words)
        self._error = _any_word(options.proxy_error_words)

    async def confirm(
        self, order: Mapping[str, Json], erp_order_number: str, lines: Mapping[str, Mapping[str, Json]]
    ) -> None:
        """Confirms the order by cXML: the ERP's number and line numbers in one call; repeating it is an update."""
        stamp = self._now().isoformat(timespec="seconds")
        body = confirmation(order, erp_order_number, lines, timestamp=stamp)
        answer = await self._post("oci_xml/purchase", {"mode": "sync"}, body, _CXML)
        if await self._says(answer) is Verdict.REFUSED:
            raise Rejected(self._caller.words(answer))

    async def despatch(
        self,
        despatch: Despatch,
        lines: Sequence[SlipLine],
        snapshot: OrderSnapshot,
        tracking: Tracking | None,
        *,
        may_be_found: bool,
    ) -> bool:
        """Sends a packing slip; True when the platform had it from a call of ours of which no answer is known.

        A number that exists already is taken for that only where there may have been such a call (`may_be_found`) and
        the shop does not want to be asked; any other is the slip of another order, or of somebody else (cloudsuite.md
        §9).
        """
        body = desadv(
            despatch,
            lines,
            order_number=snapshot.facts["erp_order_number"] or snapshot.reference or snapshot.id,
            today=self._now().date(),
            tracking=tracking,
            buyer_party=self._options.buyer_party,
        )
        answer = await self._post("des_adv_xml/delivery", {}, body, _DESADV)
        if await self._says(answer) is not Verdict.REFUSED:
            return False
        exists = says_duplicate(answer.status, answer.body, self._duplicate)
        if not exists or not may_be_found or self._options.desadv_on_timeout == "ask":
            raise Rejected(self._caller.words(answer))
        return True

    def has_note(self, state: str) -> bool:
        """Whether the shop wants a timeline line when an order reaches `state`."""
        return bool(self._texts(state))

    async def notify_buyer(self, state: str, snapshot: OrderSnapshot) -> None:
        """Adds the timeline line for `state`."""
        body = note(snapshot.reference or snapshot.id, self._texts(state), self._options.status_note_style, self._now())
        answer = await self._post("v1/orderstatus", {}, body, _JSON, has_user=False)
        if answer.status >= 400:
            raise Rejected(self._caller.words(answer))

    async def _post(
        self, path: str, query: Mapping[str, str], body: bytes, headers: Mapping[str, str], *, has_user: bool = True
    ) -> Answer:
        options = self._options
        access = {"shop": str(options.proxy_shop), **({"user": str(options.proxy_user)} if has_user else {})}
        url = URL(f"{self._base_url}/{path}/?{urlencode({**access, **query})}", encoded=True)
        return await self._about_order("POST", url, body, headers=headers, is_own=_is_no_page)

    async def _says(self, answer: Answer) -> Verdict:
        """What an answer means; raises where it is unclear."""
        if answer.status >= 400:
            return Verdict.REFUSED
        said = await read_aside(answer, verdict, answer.body, self._error)
        if said is Verdict.INVALID:
            raise self._caller.garbled(answer, is_effect=True)
        return said

    def _texts(self, state: str) -> Mapping[str, str]:
        return next((texts for name, texts in self._options.status_notes.items() if name == state), {})

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).astimezone(self._zone)


def slip_lines(despatch: Despatch, snapshot: OrderSnapshot) -> list[SlipLine]:
    """The lines of a packing slip; what the despatch leaves out is the order line's own.

    Raises OutOfSequence where the order, as it is now, lacks the ERP line numbers.
    """
    lines = snapshot.facts["lines"].values()
    by_number = {order_line["erp"]: order_line for order_line in lines if order_line["erp"] is not None}
    if despatch.lines is None and len(by_number) < len(lines):
        raise OutOfSequence("not every line of the order has its ERP line number")
    asked = [(line.erp_line_number, line.quantity, line.part_number) for line in despatch.lines or ()]
    slip: list[SlipLine] = []
    for number, quantity, part in asked or [(number, None, None) for number in by_number]:
        if (order_line := by_number.get(number)) is None:
            raise OutOfSequence(f"no line of the order has the ERP line number {number}")
        amount = quantity if quantity is not None else decimal_of(order_line["quantity"]) or Decimal(0)
        if (reason := quantity_reason(amount)) is not None:
            raise OutOfSequence(
                f"the order has {order_line['quantity']} of line {number}, and a packing slip carries {reason}"
            )
        slip.append(SlipLine(number, f"{amount:.4f}", part or order_line["part"] or ""))
    return slip


def _is_no_page(body: bytes) -> bool:
    return not is_html(body)  # these calls are refused with text or XML too (cloudsuite.md §8)


def _any_word(beginnings: Sequence[str]) -> re.Pattern[str]:
    """Finds a word that begins so, in any case: `fault` is in "Faults: 1" and not in "by default"."""
    if not beginnings:
        return re.compile(r"(?!)")
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, beginnings))})", re.IGNORECASE)
