"""The problems that several calls can end in, by their types."""

from __future__ import annotations

from typing import Final

EVERYWHERE: Final = (
    *("malformed-request", "unauthorized", "cross-origin", "invalid-request"),
    *("not-found", "method-not-allowed"),
)
"""Problems that every call can end in, or what looks like it: another method, or one more slash in an id."""
BODY: Final = ("malformed-json", "body-too-large", "unsupported-media-type")
"""Problems of a body; also where none is taken, since a body that was sent is read before it is refused."""

STORE: Final = ("overloaded",)
"""Of every call that asks the store, or may be of a browser whose session only the store knows."""
CHANGE: Final = ("draining", *STORE)
"""Of every call that changes something."""
ORDER: Final = ("shop-not-found", "order-not-found")
"""Of every call about one order."""
