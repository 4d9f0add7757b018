"""What a run leaves on disk, once the daemon has ended: a store that is whole, a log without tracebacks, no secrets."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from storage.counts import wrong_counts
from storage.sqlite.connection import SqliteTransaction
from tests.chaos.calm import Rest
from tests.chaos.world import Finding, World

_TOKENS = re.compile(rb"shp(?:at|rt)_[0-9a-f]{32}")


def inspect(world: World, rest: Rest) -> Iterator[Finding]:
    """Every broken invariant that shows in files, and secrets in what the API answered."""
    store = world.folder / "fulfilld.db"
    with closing(sqlite3.connect(store)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        off = wrong_counts(SqliteTransaction(connection))
    if found != ["ok"]:
        yield Finding("the store is whole", f"integrity_check: {found[:5]}")
    if off.shops:
        yield Finding("what is counted is right", f"off by {off.orders} orders, {off.pending} targets")
    log = world.daemon.errors.read_bytes()
    for line in log.splitlines():
        if b"Traceback" in line or b'"internal-error"' in line:
            yield Finding("the log has no traceback", line.decode(errors="replace")[:3000])
        if b"counts.corrected" in line:
            yield Finding("what is counted is right", line.decode(errors="replace")[:3000])
    answers = json.dumps([rest.orders, rest.events, list(rest.targets.values()), rest.status, rest.rejected])
    pushed = "".join(each.raw for each in world.receiver.seen)
    places = {"log": log, "store": store.read_bytes(), "API": answers.encode(), "pushes": pushed.encode()}
    for place, text in places.items():
        shown = [secret for secret in world.secrets if secret.encode() in text]
        shown += [token.decode() for token in _TOKENS.findall(text)]
        if shown:
            yield Finding("no secret shows", f"in {place}: {shown[:3]}")
