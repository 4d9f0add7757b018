"""JSON columns: one encoder for all, because making one for each value costs more than encoding it."""

from __future__ import annotations

import json

dump_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""A value as compact JSON text."""

load_json = json.loads
"""A value from JSON text."""
