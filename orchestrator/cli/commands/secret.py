"""Commands about secrets: new."""

from __future__ import annotations

import sys

_BYTES = 32


def new() -> None:
    """Print a new secret for delivery.secret, as Standard Webhooks write them."""
    import base64
    import secrets

    from orchestrator.config.fields import SIGNING_PREFIX

    sys.stdout.write(SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii") + "\n")
