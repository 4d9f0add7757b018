"""The kinds of secrets that options hold. What is said about one never repeats it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().strip():
        raise ValueError("must not be empty")
    return secret


def _header_safe(secret: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ValueError("must be visible ASCII without blanks")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_not_empty)]
"""Any text but none."""

Token = Annotated[Secret, AfterValidator(_header_safe)]
"""What goes into a header as it is."""
