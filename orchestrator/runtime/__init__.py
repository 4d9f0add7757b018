"""Drives orders: supervisor (which shops are ours) → shop worker → driver, one order strictly in sequence."""
