"""Commands about secrets: new."""

from __future__ import annotations

import sys

_BYTES = 32


def new() -> None:
    """Print a new secret, as Standard Webhooks write them.

    For delivery.secret, storage.secret_key, or a webhook_secret that you choose.
    """
    import base64
    import secrets

    from orchestrator.config.fields import SIGNING_PREFIX

    # Without + and /, as one in four is, so that it may stand in a webhook's address as well.
    while not (text := base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")).rstrip("=").isalnum():
        pass
    sys.stdout.write(f"{SIGNING_PREFIX}{text}\n")
