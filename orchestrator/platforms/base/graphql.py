"""The client of a platform that is asked by GraphQL: every document goes to one address, by POST.

Such an answer refuses in three ways: by HTTP, as everywhere; by `errors` beside or in place of `data`, at any status,
which are judged here by the codes that the server gives them (`extensions.code`); and by members that a change has for
it in the schema (user errors, error results), which each platform's client judges by itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

from yarl import URL

from orchestrator.platforms.base.calls import json_body
from orchestrator.platforms.base.rest import RestClient
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.content import rows
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Transient
from orchestrator.platforms.fields import at
from orchestrator.platforms.http import Answer
from orchestrator.platforms.json_text import read_object
from orchestrator.platforms.platform import ClientSettings
from statemachines.target import Json


class GraphQlClient(RestClient):
    """A `RestClient` whose calls are GraphQL documents; has to be made inside a running event loop."""

    def __init__(
        self, settings: ClientSettings, url: URL, *, secrets: Sequence[str], headers: Mapping[str, str] | None = None
    ) -> None:
        """`url`: where documents are sent; the rest as `RestClient`."""
        super().__init__(settings, secrets=secrets, headers=headers)
        self._url = url

    # -- to write --------------------------------------------------------------------------------------------------

    @abstractmethod
    def failure(self, codes: frozenset[str], words: str, *, is_effect: bool) -> PlatformFailure:
        """What `errors` with these codes mean (one without a code is ""). A change that came with data beside them is
        ambiguous already and not asked about."""

    # -- given -----------------------------------------------------------------------------------------------------

    def refusal(self, answer: Answer, *, is_effect: bool) -> PlatformFailure | None:
        """What an answer refuses by its `errors`, else by its status."""
        body = _refusing(answer)
        if body is None:
            return super().refusal(answer, is_effect=is_effect)
        words = self._caller.clean(messages_of(body["errors"]) or str(body["errors"]))
        if is_effect and _has_data(body):
            return Transient(words, is_ambiguous=True)
        return self.failure(codes_of(body["errors"]), words, is_effect=is_effect)

    def denial(self, answer: Answer) -> AccessDenied | None:
        """What `errors` say of the access that the call showed: nothing where something was done all the same, which
        must not be sent again with other access."""
        body = _refusing(answer)
        failure = self.refusal(answer, is_effect=False) if body is not None and not _has_data(body) else None
        return failure if isinstance(failure, AccessDenied) else None

    def is_own_refusal(self, body: bytes) -> bool:
        """GraphQL's refusals have `errors`: other JSON is that of a server in front of it, or of another address."""
        return bool((read_object(body) or {}).get("errors"))

    async def _ask(self, document: str, variables: Mapping[str, Json]) -> Answer:
        """The answer to a query about no order, whatever it says; `_listed` judges it. Raises as `_send`."""
        return await self._send("POST", self._url, document_body(document, variables), is_effect=False)

    async def _one(
        self,
        order_id: str,
        document: str,
        variables: Mapping[str, Json],
        read: Callable[[Answer], OrderSnapshot],
    ) -> OrderSnapshot:
        """One order, by a query about it alone. Raises as `_single`, and what `read` does."""
        body = document_body(document, variables)
        return await self._snapshot(order_id, await self._accepted("POST", self._url, body, is_effect=False), read)

    async def _change(self, document: str, field: str, variables: Mapping[str, Json]) -> dict[str, Json]:
        """Sends a mutation about one order; what its one field holds. Raises PlatformFailure; an answer without that
        field says neither yes nor no."""
        answer = await self._accepted("POST", self._url, document_body(document, variables))
        data = self._members(answer).get("data")
        payload = data.get(field) if isinstance(data, dict) else None
        if not isinstance(payload, dict):
            raise Transient(f"the answer has no {field}", is_ambiguous=True)
        return payload


def document_body(document: str, variables: Mapping[str, Json]) -> bytes:
    """The body of a call. Raises Rejected for variables that are no JSON."""
    return json_body({"query": document, "variables": variables})


def codes_of(errors: Json) -> frozenset[str]:
    """The codes of `errors`; of one that has none it is ""."""
    return frozenset(str(at(each, "extensions.code") or "") for each in rows(errors)) or frozenset({""})


def messages_of(errors: Json) -> str:
    """The messages of errors of any kind, for people."""
    return "; ".join(str(each.get("message")) for each in rows(errors))


def _has_data(body: Mapping[str, Json]) -> bool:
    data = body.get("data")
    return isinstance(data, dict) and any(value is not None for value in data.values())


def _refusing(answer: Answer) -> dict[str, Json] | None:
    """The members of an answer that has `errors`, None for all others: most have none, and large ones are not read."""
    members = answer.members if b'"errors"' in answer.body else None
    return members if members is not None and members.get("errors") else None
