"""Webhooks that are signed by HMAC-SHA256 over the bytes of their body, in base64, as many platforms do."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def signature_of(raw: bytes, secret: str) -> str:
    """The signature of a body: base64 of HMAC-SHA256 over its bytes."""
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


def verify(raw: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Whether any of the secrets signed these bytes. Takes as long for a wrong signature as for a right one.

    Several secrets, because a platform may sign with the old one for a while after a rotation.
    """
    received = signature.strip().encode("utf-8", "surrogateescape")
    is_genuine = False
    for secret in secrets:
        # No early way out: how long this takes reveals nothing about which secret fits.
        is_genuine |= bool(secret) and hmac.compare_digest(signature_of(raw, secret).encode(), received)
    return is_genuine
