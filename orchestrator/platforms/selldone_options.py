"""Selldone's own config keys of a shop, and what the facts leave open as switches (selldone.md §1, §10)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

DEFAULT_BASE_URL = "https://api.selldone.com"
"""The API's host (selldone.md §1)."""

UpdatedAtUnit = Literal["s", "ms"]


def _header_safe(token: SecretStr) -> SecretStr:
    """A token goes into a header as it is; the message must not repeat it."""
    text = token.get_secret_value()
    if not text or not all("!" <= character <= "~" for character in text):
        raise ValueError("a token is visible ASCII without blanks")
    return token


class SelldoneOptions(BaseModel):
    """`shop_id` and `token` as the shop owner got them; `updated_at_unit` is the unit of the list's `updated_at` filter,
    documented only as "timestamp (integer)" (selldone.md §3): seconds unless a shop shows otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    shop_id: Annotated[int, Field(gt=0, description="The shop's number on Selldone")]
    token: Annotated[
        SecretStr, AfterValidator(_header_safe), Field(description="API token; see `fulfilld auth-url selldone`")
    ]
    updated_at_unit: Annotated[UpdatedAtUnit, Field(description="Unit of the list's updated_at filter")] = "s"
