"""Shopify's GraphQL door: documents, one call, and the one place where answers become failures (shopify.md §1, §8).

The documents are files of their own beside this module, so that tests hold them against the real schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Final

from pydantic_core import from_json
from yarl import URL

from orchestrator.platforms.base.graphql import codes_of, messages_of
from orchestrator.platforms.bystanders import about_order
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.garbage import is_json
from orchestrator.platforms.http import MAX_BODY_BYTES, MAX_ORDER_BYTES, Answer, Caller, read_aside
from orchestrator.platforms.json_text import Broken, decoded, outline, read_object
from orchestrator.platforms.meter import Meter
from orchestrator.platforms.points import ReportedPoints
from orchestrator.platforms.shopify.access import ShopifyAccess
from orchestrator.platforms.shopify.options import CANCEL_RESULT_SINCE, PROGRESS_SINCE
from statemachines.target import Json

_HEADERS = {"Content-Type": "application/json"}
_SHOP_STOPS = frozenset({402, 403, 404, 423})
"""A frozen or locked shop, a wrong domain or version: nothing of this shop can be done (shopify.md §8)."""
_SHOP_STOP_CODES = frozenset({"ACCESS_DENIED", "SHOP_INACTIVE"})
"""The same, at status 200 (shopify.dev: GraphQL Admin API, status and error codes)."""
_LISTS = frozenset({"orders", "access"})
"""Documents that are about no order: what refuses them refuses the shop."""
_NOT_RUN = frozenset({"MAX_COST_EXCEEDED", "MAX_INPUT_SIZE_EXCEEDED", "BAD_REQUEST", "INVALID_VARIABLE"})
"""Codes of a document that was never run, beside those of a validator, which begin with a small letter (samples)."""
_QUERY_POINTS, _MUTATION_POINTS = 400.0, 50.0
"""What a document is taken to cost until an answer says it: a mutation is cheap, and even if queries cost the 1000 that
one may (shopify.md §8), no more of them leave at once than a bucket has room for."""
_COST = re.compile(rb'"cost"\s*:\s*(\{[^{}]*\{[^{}]*\}[^{}]*\})')
_DEFAULT_THROTTLE_SECONDS = 2.0
_MAX_THROTTLE_SECONDS = 60.0

ALREADY_CANCELLED = "already been canceled"
_ELSEWHERE = (
    "unfulfillable status",
    "invalid fulfillment order line item quantity",
    "fulfillment order does not exist",
    "fulfillment order line item does not exist",
    "fulfillment not found",
    "fulfillment does not exist",
    "cannot report progress",
    ALREADY_CANCELLED,
    "outstanding fulfillments",
)
"""Words of refusals that say that the order is elsewhere than we thought (shopify.md §7; samples)."""
_ELSEWHERE_CODES = frozenset(
    {
        "NOT_FOUND",
        "FULFILLMENT_ORDER_NOT_FOUND",
        "FULFILLMENT_ORDER_STATUS_INVALID",
        "FULFILLMENT_ORDER_UNSUPPORTED_ACTION",
        "FULFILLMENT_ORDER_INVALID",
    }
)
"""The same as codes, of the mutations that have any (Admin schema: the enums `…UserErrorCode`)."""
_UNSPECIFIC = frozenset({"", "INVALID"})
"""Codes whose cause only the message names."""


SINCE: Final = {
    "report_progress": PROGRESS_SINCE,
    **dict.fromkeys(("cancel_with_result", "cancel_result"), CANCEL_RESULT_SINCE),
}
"""The first API version of the documents that not every version has."""


_SPREAD = re.compile(r"\.\.\.(\w+)")


@cache
def document(name: str) -> str:
    """The text of a GraphQL document, by its file's name.

    What several documents ask for stands once, in `documents/fragments`; a spread is replaced by what it selects, so
    that a document is sent as one operation.
    """
    return _SPREAD.sub(_selected_by, _text_of(name))


def _selected_by(spread: re.Match[str]) -> str:
    fragment = _text_of("fragments", spread[1])
    return _SPREAD.sub(_selected_by, fragment[fragment.index("{") + 1 : fragment.rindex("}")].strip())


def _text_of(*path: str) -> str:
    return (
        files("orchestrator.platforms.shopify")
        .joinpath("documents", *path[:-1], f"{path[-1]}.graphql")
        .read_text("utf-8")
    )


def document_names() -> list[str]:
    """Every document there is."""
    folder = files("orchestrator.platforms.shopify").joinpath("documents")
    return sorted(each.name.removesuffix(".graphql") for each in folder.iterdir() if each.name.endswith(".graphql"))


class InvalidData(Unreadable):
    """An answer of GraphQL's in which a part of what was asked for is not JSON."""


class ShopifyDoor:
    """Calls of one shop's Admin API. `url` is the versioned endpoint, `access` lets every call in, `meter` counts the
    points that they cost (None: nobody does)."""

    def __init__(self, caller: Caller, url: URL, access: ShopifyAccess, meter: Meter | None = None) -> None:
        self._caller = caller
        self._meter = meter
        self._url = url
        self._access = access

    async def send(self, name: str, variables: Mapping[str, Json], *, is_effect: bool) -> Answer:
        """Sends a document. Raises what follows from HTTP alone; see `data_of` for what the answer says."""
        body = json.dumps({"query": document(name), "variables": variables}).encode()
        send = self._access.call(partial(self._try, name, body, is_effect=is_effect))
        if name in _LISTS:
            answer = await send
        else:
            answer = await about_order(send, self._ask_list, self._caller, is_effect=is_effect, is_own=_is_own)
        if answer.status in _SHOP_STOPS:
            raise AccessDenied(self._caller.words(answer))
        if answer.status >= 400:
            raise Rejected(self._caller.words(answer))
        return answer

    async def _ask_list(self) -> None:
        await self._access.throttle()
        await self.query("access", {})

    async def _try(self, name: str, body: bytes, token: str, *, is_effect: bool) -> Answer:
        """Posts a document once there are points for it, and hears what it cost. They are held for this one try."""
        meter, headers = self._meter, {**_HEADERS, "X-Shopify-Access-Token": token}
        most = MAX_BODY_BYTES if name in _LISTS else MAX_ORDER_BYTES
        call = partial(self._caller.call, "POST", self._url, is_effect=is_effect, headers=headers, max_bytes=most)
        if meter is None or meter.points is None:
            return await call(body=body)
        async with meter.points.spent(name, _MUTATION_POINTS if is_effect else _QUERY_POINTS) as cost:
            answer = await call(body=body)
        if (reported := reported_points(answer.body)) is not None:
            meter.record_points(name, cost, reported)
        return answer

    async def query(self, name: str, variables: Mapping[str, Json]) -> tuple[dict[str, Json], Answer]:
        """Sends a query; its `data` and the whole answer. Raises PlatformFailure.

        An answer that is not GraphQL's (a page of maintenance at 200) says nothing of what was asked for. It is
        worth another try: one that is Unreadable would set the order aside, and the sync that asked would pass it. A
        refusal is tried again as well, for it does not concern a step. `InvalidData` is about this order alone.
        """
        try:
            answer = await self.send(name, variables, is_effect=False)
            return await self.data_aside(answer, is_effect=False), answer
        except (NotFound, InvalidData):
            raise
        except Rejected as refusal:
            raise Transient(refusal.detail, is_refused_read=True) from None
        except Unreadable as failure:
            raise Transient(failure.detail) from None

    async def mutate(self, name: str, field: str, variables: Mapping[str, Json]) -> dict[str, Json]:
        """Sends a mutation; the payload of its one field, if Shopify took it. Raises PlatformFailure.

        A payload that holds nothing but the lists of errors, empty ones, does not say that anything was done.
        """
        answer = await self.send(name, variables, is_effect=True)
        payload = (await self.data_aside(answer, is_effect=True)).get(field)
        if not isinstance(payload, dict):
            raise Transient(f"the answer has no {field}", is_ambiguous=True)
        if refusal := self.refusal_of(payload):
            raise refusal
        if not any(payload.values()):
            raise Transient(f"the answer of {field} says neither yes nor no", is_ambiguous=True)
        return payload

    async def announce(self, name: str, field: str, variables: Mapping[str, Json], *, done_already: str) -> None:
        """Sends a mutation whose payload holds nothing but errors: none means that it was done. `done_already`: code of
        the error that says that it was done before. Raises PlatformFailure."""
        answer = await self.send(name, variables, is_effect=True)
        payload = (await self.data_aside(answer, is_effect=True)).get(field)
        errors = payload.get("userErrors") if isinstance(payload, dict) else None
        if not isinstance(errors, list):
            raise Transient(f"the answer of {field} says neither yes nor no", is_ambiguous=True)
        if all(each.get("code") == done_already for each in errors):
            return
        raise self.refusal_of({"userErrors": errors}) or Rejected(field)

    def refusal_of(self, payload: Mapping[str, Json]) -> PlatformFailure | None:
        """What a mutation's user errors mean; None where there are none."""
        return refusal_of(payload, self._caller.clean)

    def words_of(self, errors: Sequence[Json]) -> str:
        """What user errors say to a person."""
        return words_of(errors, self._caller.clean)

    async def data_aside(self, answer: Answer, *, is_effect: bool) -> dict[str, Json]:
        """As `data_of`, of a large answer in a worker thread."""
        return await read_aside(answer, partial(self.data_of, answer, is_effect=is_effect))

    def data_of(self, answer: Answer, *, is_effect: bool) -> dict[str, Json]:
        """The `data` of an answer without errors. Raises PlatformFailure."""
        body = _members(answer.body)
        if body is None and not is_json(answer.body):
            raise self._caller.garbled(answer, is_effect=is_effect)
        if body is None:
            words = f"the answer is not a JSON object ({len(answer.body)} bytes with HTTP {answer.status})"
            raise Transient(words, is_ambiguous=True) if is_effect else Unreadable(words, answer.body)
        if errors := body.get("errors"):
            raise failure_of(errors, body, is_effect=is_effect, clean=self._caller.clean)
        data = body.get("data")
        if isinstance(data, Broken):
            words = f"unexpected answer: {data.error}"
            raise Transient(words, is_ambiguous=True) if is_effect else InvalidData(words, answer.body)
        if not isinstance(data, dict):
            words = "the answer has neither data nor errors"
            raise Transient(words, is_ambiguous=True) if is_effect else Unreadable(words, answer.body)
        return data


def _is_own(body: bytes) -> bool:
    """Whether a refusal is Shopify's: a gateway's JSON has no `errors` (shopify.md §8)."""
    return not (read_object(body) or {}).keys().isdisjoint(("errors", "error"))


def _members(body: bytes) -> dict[str, Json] | None:
    """The members of an answer, `Broken` where a part of one is not JSON; None where it is not a JSON object."""
    if (whole := read_object(body)) is not None:
        return whole
    try:
        return outline(decoded(body))
    except ValueError:
        return None


def _as_it_is(text: str) -> str:
    return text


def failure_of(
    errors: Json, body: Mapping[str, Json], *, is_effect: bool, clean: Callable[[str], str] = _as_it_is
) -> PlatformFailure:
    """What top-level `errors` mean (shopify.md §8). `clean` takes secrets out of their words and cuts them.

    A mutation may have been done where its field has a value and only a part of that is missing, and where nobody knows
    what the error means: such answers are ambiguous. A read with such an error (a TIMEOUT) is worth another try.
    """
    codes, words = codes_of(errors), clean(messages_of(errors) or str(errors))
    data = body.get("data")
    if is_effect and isinstance(data, dict) and any(value is not None for value in data.values()):
        return Transient(words, is_ambiguous=True)
    if "THROTTLED" in codes:
        return Transient(words, retry_after_seconds=throttle_seconds(body))
    if codes & _SHOP_STOP_CODES:
        return AccessDenied(words)
    if "RESOURCE_NOT_FOUND" in codes:
        return OutOfSequence(words) if is_effect else NotFound(words)
    if not all(code in _NOT_RUN or code[:1].islower() for code in codes):
        return Transient(words, is_ambiguous=is_effect)
    return Rejected(words)


def refusal_of(payload: Mapping[str, Json], clean: Callable[[str], str] = _as_it_is) -> PlatformFailure | None:
    """What a mutation's user errors mean; None where there are none. `clean` as in `failure_of`.

    Few have codes (shopify.md §8), but one that says enough decides, whatever the words.
    """
    errors = payload.get("orderCancelUserErrors") or payload.get("userErrors")
    if not errors:
        return None
    words = words_of(errors, clean)
    listed = [each for each in errors if isinstance(each, dict)]
    if any(each.get("code") == "INTERNAL_ERROR" for each in listed):
        return Transient(words, is_ambiguous=True)
    return OutOfSequence(words) if any(map(_is_elsewhere, listed)) else Rejected(words)


def _is_elsewhere(error: Mapping[str, Json]) -> bool:
    code = str(error.get("code") or "")
    if code not in _UNSPECIFIC:
        return code in _ELSEWHERE_CODES
    said = str(error.get("message")).lower()
    return any(phrase in said for phrase in _ELSEWHERE)


def words_of(errors: Sequence[Json], clean: Callable[[str], str] = _as_it_is) -> str:
    """What user errors say to a person. `clean` as in `failure_of`."""
    return clean(messages_of(errors))


def throttle_seconds(body: Mapping[str, Json]) -> float:
    """How long the bucket needs for a query of that cost: (requested - available) / restore rate (shopify.md §8).

    Where it holds enough, something else is throttled, and how long that takes is unknown.
    """
    try:
        cost = body["extensions"]["cost"]
        status = cost["throttleStatus"]
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        seconds = missing / float(status["restoreRate"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return _DEFAULT_THROTTLE_SECONDS
    if not seconds > 0:  # nor NaN, which is what comes of numbers without an end
        return _DEFAULT_THROTTLE_SECONDS
    return min(max(seconds, 0.1), _MAX_THROTTLE_SECONDS)


def reported_points(body: bytes) -> ReportedPoints | None:
    """What an answer says of its cost and of the bucket (shopify.md §8); None where it says nothing that makes sense.

    Looked for in the bytes, so that a large page is parsed once: inside a text of JSON its quotes would be escaped.
    """
    at = body.rfind(b'"throttleStatus"')
    found = _COST.search(body, max(0, body.rfind(b'"cost"', 0, at))) if at >= 0 else None
    if found is None:
        return None
    try:
        cost = from_json(found[1])
        status, actual = cost["throttleStatus"], cost.get("actualQueryCost")
        return ReportedPoints(
            maximum=float(status["maximumAvailable"]),
            available=float(status["currentlyAvailable"]),
            per_second=float(status["restoreRate"]),
            requested=float(cost["requestedQueryCost"]),
            actual=None if actual is None else float(actual),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
