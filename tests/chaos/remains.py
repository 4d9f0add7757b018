"""What a run leaves behind, once the daemons have ended: a store that is whole, logs without tracebacks, no secrets."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from storage.counts import wrong_counts
from storage.moves import Moves
from storage.sqlite.connection import SqliteTransaction
from tests.chaos.calm import Rest
from tests.chaos.world import Finding, World

_TOKENS = re.compile(rb"shp(?:at|rt)_[0-9a-f]{32}")


def inspect(world: World, rest: Rest) -> Iterator[Finding]:
    """Every broken invariant that shows in files, and secrets in what the API answered."""
    if world.servers is None:
        store, off, damage = _file(world.nodes[0].folder / "fulfilld.db")
    else:
        store, off, damage = world.servers.dumped(), world.servers.wrong_counts(), []
    if damage:
        yield Finding("the store is whole", f"integrity_check: {damage[:5]}")
    if off.shops:
        yield Finding("what is counted is right", f"off by {off.orders} orders, {off.pending} targets")
    for node in world.nodes:
        yield from _log(node.errors.read_bytes())
    answers = json.dumps([rest.orders, rest.events, list(rest.targets.values()), rest.status, rest.rejected])
    pushed = "".join(each.raw for each in world.receiver.seen)
    log = b"".join(node.errors.read_bytes() for node in world.nodes)
    places = {"log": log, "store": store, "API": answers.encode(), "pushes": pushed.encode()}
    for place, text in places.items():
        shown = [secret for secret in world.secrets if secret.encode() in text]
        shown += [token.decode() for token in _TOKENS.findall(text)]
        if shown:
            yield Finding("no secret shows", f"in {place}: {shown[:3]}")


def _log(log: bytes) -> Iterator[Finding]:
    for line in log.splitlines():
        if b"Traceback" in line or b'"internal-error"' in line:
            yield Finding("the log has no traceback", line.decode(errors="replace")[:3000])
        if b"counts.corrected" in line:
            yield Finding("what is counted is right", line.decode(errors="replace")[:3000])


def _file(path: Path) -> tuple[bytes, Moves, list[str]]:
    """What is in a SQLite file, by how much its counts are off, and what is damaged."""
    with closing(sqlite3.connect(path)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        off = wrong_counts(SqliteTransaction(connection))
    return path.read_bytes(), off, [] if found == ["ok"] else found
