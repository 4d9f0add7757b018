"""Selldone's own config keys of a shop, and what the facts leave open as switches (selldone.md §1, §10)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.platforms.base.options import Section
from orchestrator.platforms.secrets import Token
from orchestrator.platforms.selldone.rejection import RejectReason

DEFAULT_BASE_URL = "https://api.selldone.com"
"""The API's host (selldone.md §1)."""

UpdatedAtUnit = Literal["s", "ms"]


class SelldoneOptions(Section):
    """A shop's access to Selldone, the one thing about its API that nobody wrote down, and why orders are rejected.

    `shop_id` and `token` are what the shop owner was given. `updated_at_unit` is the unit of the list's `updated_at`
    filter, documented only as "timestamp (integer)" (selldone.md §3): seconds unless a shop shows otherwise.
    """

    shop_id: Annotated[int, Field(gt=0, description="The shop's number on Selldone")]
    token: Annotated[
        Token,
        Field(
            description="The API token. `fulfilld auth-url selldone` prints the link where the shop's owner makes one"
        ),
    ]
    updated_at_unit: Annotated[
        UpdatedAtUnit,
        Field(
            description=(
                "The unit of the order list's `updated_at` filter. Selldone does not say; seconds unless your "
                "shop shows otherwise"
            )
        ),
    ] = "s"
    reject_reason: Annotated[
        RejectReason,
        Field(
            description=(
                "Why an order is rejected when a target cancels it with a `reason` that Selldone does not have"
            )
        ),
    ] = "ShopOwnerFault"


DEFAULT_SCOPES = ("backoffice:order:read", "backoffice:order:write")
"""What this program needs: reading orders, and state and tracking (selldone.md §1)."""

_SCOPE = re.compile(r"[a-z0-9][a-z0-9:_.-]*")
_LOCALE = re.compile(r"[a-z]{2,3}")


def auth_url(scopes: Sequence[str] = (), locale: str | None = None) -> str:
    """The link where a shop owner, logged in, picks a shop and copies its token (selldone.md §1).

    `scopes` default to what this program needs; `locale` (`zh`) takes the page of that language. Raises ValueError for
    a scope or locale that cannot be one.
    """
    for scope in scopes:
        if _SCOPE.fullmatch(scope) is None:
            raise ValueError(f"{scope!r} is not a scope; a scope looks like {DEFAULT_SCOPES[0]}")
    if locale is not None and _LOCALE.fullmatch(locale) is None:
        raise ValueError(f"{locale!r} is not a locale; a locale is a language code such as zh")
    host = f"{locale}.selldone.com" if locale is not None else "selldone.com"
    query = "&".join(f"scopes[]={scope}" for scope in scopes or DEFAULT_SCOPES)
    return f"https://{host}/auth/erp?{query}"
