"""Runs a peer: python -m benchmarks.peers.launch MODULE ARGUMENTS

A peer is imported by its name, for what it registers is kept under that.
"""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    name = sys.argv.pop(1)
    importlib.import_module(f"benchmarks.peers.{name}").main()
