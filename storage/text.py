"""JSON columns: one encoder for all, because making one for each value costs more than encoding it."""

from __future__ import annotations

import json
from json.encoder import encode_basestring

dump_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""A value as compact JSON text."""

quote_json = encode_basestring
"""A text as JSON text, as `dump_json` writes it: at once, where nothing but texts is to be written."""

load_json = json.loads
"""A value from JSON text."""
