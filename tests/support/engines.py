"""The engine that tests keep their stores on: SQLite, unless a test's mark or the option `--engine` says otherwise.

A test with the mark `engines` runs once on each that the mark names. With the option every test runs on that engine
alone, and one whose mark does not name it is left out: it is about another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from storage.engines import ENGINES

DEFAULT: Final = "sqlite"
SECRET_KEY: Final = "whsec_a2V5IG9mIHRlc3RzIHRoYXQgbm9ib2R5IG5lZWRzIHRvIGtub3c="


class _Stores:
    """Where the test that runs now keeps its stores: a folder is one store, however often it is asked for."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.urls: dict[Path, str] = {}


_stores: list[_Stores] = [_Stores(DEFAULT)]


def engine_in_use() -> str:
    """The engine of the test that runs: the scheme of its URLs."""
    return _stores[-1].engine


def store_url(folder: Path) -> str:
    """The URL of the folder's store, which is empty when it is first asked for."""
    stores = _stores[-1]
    if stores.engine == "sqlite":
        return f"sqlite:///{folder}/fulfilld.db"
    if folder not in stores.urls:
        from orchestrator.testing import postgres

        stores.urls[folder] = postgres.server().store()
    return stores.urls[folder]


def storage_section(folder: Path) -> Mapping[str, Any]:
    """The section `storage` of a daemon's config. A daemon that died keeps its shops for as short as can be."""
    if engine_in_use() == "sqlite":
        return {"url": "sqlite:///fulfilld.db"}
    return {"url": store_url(folder), "lease_seconds": 1, "secret_key": SECRET_KEY}


@contextmanager
def stores_on(engine: str, folder: Path) -> Iterator[None]:
    """Stores are kept on an engine until the block ends, and then gone. `folder`: for files beside those that are no
    files."""
    _stores.append(_Stores(engine))
    before = os.environ.get("STATE_DIRECTORY")
    if engine != "sqlite":
        os.environ["STATE_DIRECTORY"] = str(folder)
    try:
        yield
    finally:
        if engine != "sqlite":
            os.environ.pop("STATE_DIRECTORY")
            if before is not None:
                os.environ["STATE_DIRECTORY"] = before
        if _stores.pop().urls:
            from orchestrator.testing import postgres

            postgres.server().forget()


# -- pytest: `tests/conftest.py` takes these ---------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option `--engine`."""
    parser.addoption(
        "--engine",
        choices=sorted(ENGINES),
        default=None,
        help=f"the engine that stores are kept on (default: {DEFAULT}, and each that the mark `engines` names)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs on each engine that its mark names."""
    marked, wanted = _marked(metafunc.definition), metafunc.config.getoption("engine")
    if wanted is None and len(marked) > 1:
        metafunc.parametrize("kept_on", marked, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is about another engine than the one asked for."""
    wanted = config.getoption("engine")
    if wanted is None:
        return
    left_out = [item for item in items if (marked := _marked(item)) and wanted not in marked]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(autouse=True)
def kept_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where this test keeps its stores."""
    marked, wanted = _marked(request.node), request.config.getoption("engine")
    engine = getattr(request, "param", wanted or (marked[0] if marked else DEFAULT))
    if engine == DEFAULT:
        with stores_on(engine, Path()):
            yield
    else:
        with stores_on(engine, request.getfixturevalue("tmp_path")):
            yield


def _marked(node: pytest.Item | Any) -> Sequence[str]:
    mark = node.get_closest_marker("engines")
    return [] if mark is None else [str(name) for name in mark.args]
