"""What every storage engine has to do: units of work, queries, leases, the feed, and a store beside a model of dicts.

An engine runs it in either of two ways:

- `pytest --pyargs orchestrator.testing.engine_suite` tries every engine that is registered (`storage.engines.ENGINES`),
  each on empty stores that `scratch.SCRATCH` makes;
- a test module of its own says `from orchestrator.testing.engine_suite import *` and defines the fixture `engine` anew,
  which answers a `scratch.Engine` with an empty store. Its tests are asynchronous, in pytest-asyncio's automatic mode.
"""

from importlib import import_module
from pathlib import Path

from orchestrator.testing.engine_suite.scratch import Engine, engine

_PARTS = [import_module(f"{__name__}.{path.stem}") for path in sorted(Path(__file__).parent.glob("test_*.py"))]
_TESTS = {name: test for part in _PARTS for name, test in vars(part).items() if name.startswith("test_")}

globals().update(_TESTS)
__all__ = ["Engine", "engine", *_TESTS]  # noqa: PLE0604 - the names of tests
