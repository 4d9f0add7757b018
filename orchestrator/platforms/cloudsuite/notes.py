"""Lines for the timeline that a buyer sees on an order (cloudsuite.md §7, "custom order status").

They are information only: nothing waits for them, and one that was sent twice would show twice. So each is sent once,
after the step that it is about, and one that fails is logged and forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from statemachines.target import Json


def note(reference: str, texts: Mapping[str, str], style: Literal["list", "object"], at: datetime) -> bytes:
    """The body of a line for the order that CloudSuite calls `reference`, `texts` by language. `at` is local time.

    `style`: whether `state` is a list of texts or a single one, which the facts leave open.
    """
    said = [{"lang": language, "value": text} for language, text in texts.items()]
    state: Json = said if style == "list" else said[0]
    note_data = {"CloudsuiteOrderId": reference, "dateTime": at.strftime("%Y-%m-%dT%H:%M:%S"), "state": state}
    return json.dumps(note_data, ensure_ascii=False, separators=(",", ":")).encode()
