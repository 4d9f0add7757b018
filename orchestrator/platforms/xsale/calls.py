"""Addresses of one xSale organization, and what its account may do (xsale.md §1, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

from orchestrator.platforms.base.calls import Send
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.garbage import is_json
from orchestrator.platforms.http import Answer, Caller


@dataclass(frozen=True, slots=True)
class OrganizationCalls:
    """Calls below `/{organization}/`, and `GET /me`."""

    send: Send
    caller: Caller
    base_url: str
    organization: str

    def url(self, tail: str) -> URL:
        """The address of `tail`, which is encoded already."""
        return URL(f"{self.base_url}/{quote(self.organization, safe='')}/{tail}", encoded=True)

    async def statuses(self) -> Answer:
        """`GET statuses`, whatever is answered. Raises PlatformFailure."""
        return await self.send("GET", self.url("statuses"))

    async def me(self) -> tuple[Answer, tuple[str, ...]]:
        """`GET /me` and the names of the account's organizations (xsale.md §1). Raises PlatformFailure."""
        answer = await self.send("GET", URL(f"{self.base_url}/me"))
        if answer.status >= 400:
            raise Transient(self.caller.words(answer))
        if not is_json(answer.body):
            raise self.caller.garbled(answer)
        try:
            rows = (answer.members or {})["Organizations"]
            return answer, tuple(str(row["Name"]) for row in rows)
        except (TypeError, KeyError):
            raise Transient("the answer to /me names no organizations") from None
