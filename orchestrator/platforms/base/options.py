"""What config keys of many platforms have in common. Complaints never repeat a value; secrets: `platforms/secrets`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict


class Section(BaseModel):
    """A platform's own keys of a shop, or a part of them: unknown keys are mistakes, and no message repeats a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def is_header_safe(text: str) -> bool:
    """Whether a text may stand in a header as it is: visible ASCII without blanks, and not empty."""
    return bool(text) and all("!" <= character <= "~" for character in text)


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_good = False
    if not is_good or not is_header_safe(url):
        raise ValueError("must be an https address without a user name")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]
"""A whole address, without credentials in it."""
