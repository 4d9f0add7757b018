"""The one connection that writes: a group in one transaction, and whether it was committed when nobody said so.

A connection can break between the COMMIT and its answer. So each group moves the daemon's token in the table `writers`,
in its own transaction; whoever connects anew moves it as well. That waits until the old transaction is over, so the
token that is found then says whether it was committed (token.py), and one that comes late finds another token and does
nothing.

A group claims the feed before it locks any row of the store, whether it will have events or not. So of the groups of
all nodes one at a time has locks that others may wait for, and none waits for another in a circle. Only heartbeats go
without: nobody holds them up, for they leave out what others have locked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
import structlog

from storage.changes import save_changes
from storage.counts import write_moves
from storage.errors import StoreUnavailable
from storage.moves import Moves
from storage.pending import Pending
from storage.postgres.conflicts import Conflicts
from storage.postgres.connection import (
    FEED_LOCK,
    FEED_PLACE,
    SETTINGS,
    Connection,
    PatientConnection,
    PostgresTransaction,
    connect,
    identities_of,
    is_pooled,
)
from storage.postgres.failover import go_on, note, warn
from storage.postgres.failures import is_of_the_server, is_passing, unavailable
from storage.postgres.footing import Found, Known, Loss, found_by, judge, timeline_of
from storage.postgres.piece import NotAsExpected, Piece, Unprepared
from storage.postgres.rows import Many, NotAskedFor
from storage.postgres.stuck import end_stuck
from storage.postgres.token import CONNECTED, has_moved, register
from storage.transaction import Published, Value

log = structlog.get_logger()

_TRIES: Final = 5  # of a group that stood in another one's way
_LOOK_UP_SECONDS: Final = 30.0
"""How long whoever waits for a commit whose answer was lost is kept waiting for what became of it."""
_LOOK_UP_EVERY_SECONDS: Final = 0.5

_ALONE: Final = f"SELECT {SETTINGS}; {FEED_LOCK}; {FEED_PLACE}; SELECT FROM store_identity FOR UPDATE"  # noqa: S608
_HOLD: Final = "SELECT FROM shops WHERE name = ANY($1) ORDER BY name FOR SHARE"
_SINCE: Final = (
    "SELECT cursor, shop, order_id, target, type FROM events WHERE cursor > %s ORDER BY cursor DESC LIMIT 20000"
)
"""Other nodes may have written a lot since this one did; what it wrote last is among the newest."""


class Session:
    """Used in one thread at a time. `where`: the URL that may be shown; `name`: the writer's, the same in no other
    process; `jitter` answers a number from 0 to 1."""

    def __init__(
        self, options: Mapping[str, str], where: str, name: str, now_ms: int, jitter: Callable[[], float]
    ) -> None:
        self._options, self.where, self._name, self._now_ms = options, where, name, now_ms
        self.conflicts = Conflicts(where, jitter)
        self._connection: Connection | None = None
        self._identities: dict[str, str] = {}
        self._token = 0  # as the last commit left it
        self._claims = True  # whether the group that is being written has the feed
        self._newest = 0  # cursor that was published
        self._written: Sequence[Published] = ()  # by the group that is being committed; cursors may be promises
        self._known = Known()
        self._is_unknown = False  # whether the token was gone that is known here
        self._is_checked = False  # whether each transaction checks that it is at the server of before
        self._began = time.monotonic()
        self._is_committing = False
        self._idle: dict[str, Sequence[Value]] = {}
        self._prepared: set[str] = set()

    def open(self) -> None:
        """Connects. Raises StoreUnavailable."""
        try:
            self._connect()
        except psycopg.Error as error:
            raise unavailable("opening", self.where, error) from error

    def close(self) -> None:
        """Leaves the server. Whoever comes after needs nothing of this."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.execute("DELETE FROM writers WHERE name = %s", (self._name,))
            self._connection.close()

    def run(self, group: Sequence[Pending[Any]], *, is_heartbeat: bool = False) -> list[Published]:
        """Commits a group; answers what it published. Raises StoreUnavailable when it failed as a whole."""
        self._claims = not is_heartbeat
        try:
            published = self._run(group)
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.LockNotAvailable) and self._connection is not None:
                end_stuck(self._connection, self.where)
            raise unavailable("writing", self.where, error) from error
        if published:
            self._newest = published[-1].cursor
            self._known = self._known._replace(newest=published[-1])
        return published

    def _run(self, group: Sequence[Pending[Any]]) -> list[Published]:
        tries = 0
        while True:
            tries += 1
            for pending in group:
                pending.error = None  # of a run before, of which nothing was kept
            is_new = self._connection is None
            connection = self._connection or self._connect()
            try:
                return self._commit(connection, group)
            except psycopg.Error as error:
                if not connection.closed and not connection.broken:
                    if tries >= _TRIES or not (is_passing(error) or isinstance(error, NotAsExpected)):
                        raise
                    if isinstance(error, NotAsExpected):  # the token is not ours any more: the row was deleted
                        self._drop()
                    else:
                        self.conflicts.note("deadlock", error)
                        time.sleep(self.conflicts.rest_seconds(tries))
                    continue
                self._drop()
                if self._is_committing:
                    if self._was_kept(error):
                        return self._published_since(group)
                elif is_new or tries >= _TRIES:
                    raise
                # it broke while nobody used it, or nothing was kept: the group is run again

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _commit(self, connection: Connection, group: Sequence[Pending[Any]]) -> list[Published]:
        self._is_committing = False
        try:
            published = self._together_or_apart(connection, group)
        except BaseException:
            self._roll_back(connection)
            raise
        self._token += 1
        return published

    def _together_or_apart(self, connection: Connection, group: Sequence[Pending[Any]]) -> list[Published]:
        run = self._together
        while True:
            try:
                return run(connection, group)
            except NotAskedFor as unknown:
                self._begin_anew(connection)
                Many.of(connection, unknown.sql)
            except Unprepared as unknown:
                self._begin_anew(connection)
                self._idle[unknown.sql] = unknown.idle
            except _Unclaimed:
                self._begin_anew(connection)
                self._claims = True
            except _Apart:
                self._begin_anew(connection)
                run = self._apart

    def _roll_back(self, connection: Connection) -> None:
        self._prepared.clear()  # as psycopg does with a ROLLBACK
        with suppress(psycopg.Error):  # a connection that is gone has nothing to roll back
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        is_idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if not is_idle or connection.pgconn.pipeline_status:
            connection.close()  # of no use any more, which psycopg does not always notice in the midst of a piece

    def _begin_anew(self, connection: Connection) -> None:
        """Rolls back, to go on with the same connection. Raises psycopg.OperationalError where it is gone: in the midst
        of a piece that may not have been noticed."""
        self._roll_back(connection)
        if connection.closed:
            raise psycopg.OperationalError("the connection was lost")

    def _together(self, connection: Connection, group: Sequence[Pending[Any]]) -> list[Published]:
        moves = Moves()
        changes = [pending.change for pending in group if pending.change is not None]
        units = [pending for pending in group if pending.change is None]
        try:
            self._prepare(connection)
            with connection.pipeline():
                piece = self._begin(connection, moves)
                if changes:
                    piece.fence({(change.shop, change.epoch) for change in changes})
                    save_changes(piece, changes)
                if not units:
                    write_moves(piece)
                    self._written = piece.published
                    self._is_committing = True
                    piece.commit()
            published = piece.settle()
            for pending in units:
                tx = PostgresTransaction(connection, self._identities, moves)
                tx.published = published
                pending.result = pending.unit(tx)
            if published and not self._claims:
                raise _Unclaimed
            if units:
                self._written = published
                self._end(connection, moves)
        except Exception as error:
            self._is_committing = self._is_committing and (connection.closed or connection.broken)
            if is_of_the_server(error) or isinstance(error, (NotAskedFor, Unprepared, _Unclaimed)):
                raise
            raise _Apart from error
        for pending in group:
            if pending.change is not None:
                pending.result = True
        return published

    def _apart(self, connection: Connection, group: Sequence[Pending[Any]]) -> list[Published]:
        self._prepare(connection)
        shops = sorted({pending.change.shop for pending in group if pending.change is not None})
        with connection.pipeline():
            self._begin(connection, Moves())
            if shops:  # their leases stay as each change finds them
                psycopg.RawCursor(connection).execute(_HOLD, (shops,), prepare=False)
        published: list[Published] = []
        for pending in group:
            try:
                try:
                    published = self._alone(connection, pending, published)
                except psycopg.errors.UniqueViolation:  # of a row that another node has just written: it is seen now
                    published = self._alone(connection, pending, published)
            except Exception as error:  # handed to the unit's caller
                if is_of_the_server(error):
                    raise  # the group fails as one
                pending.error = error
        if published and not self._claims:
            raise _Unclaimed
        self._written = published
        self._end(connection, Moves())
        return published

    def _alone(self, connection: Connection, pending: Pending[Any], published: Sequence[Published]) -> list[Published]:
        """Runs a unit that undoes nothing but itself when it fails; what is published with it."""
        tx = PostgresTransaction(connection, self._identities)
        tx.published = list(published)
        connection.execute("SAVEPOINT unit")
        try:
            pending.result = pending.unit(tx)
            write_moves(tx)
        except Exception as error:
            if not is_of_the_server(error):
                connection.execute("ROLLBACK TO unit")
                self._prepared.clear()
                if self._claims:  # cursors may have been drawn that nobody has
                    connection.execute(FEED_PLACE)
                connection.execute("RELEASE unit")
            raise
        connection.execute("RELEASE unit")
        return tx.published

    def _begin(self, connection: Connection, moves: Moves) -> Piece:
        piece = Piece(connection, self._identities, moves, self._prepared)
        piece.begin(self._name, self._token, is_checked=self._is_checked)
        if self._claims:
            piece.claim_feed()
        return piece

    def _end(self, connection: Connection, moves: Moves) -> None:
        with connection.pipeline():
            piece = Piece(connection, self._identities, moves, self._prepared)
            write_moves(piece)
            self._is_committing = True
            piece.commit()

    def _prepare(self, connection: Connection) -> None:
        """Prepares what pieces are made of, as far as they were sent before: in the midst of one it is too late."""
        for sql, idle in self._idle.items():
            if sql not in self._prepared:
                psycopg.RawCursor(connection).execute(sql, idle, prepare=True)
                self._prepared.add(sql)

    # -- the connection ----------------------------------------------------------------------------------------------

    def _connect(self) -> Connection:
        """Connects, with a token that no transaction of before has, to a store that is what this process knows of it
        (footing.py). Raises psycopg.Error."""
        connection = connect(self._options)
        try:
            token = register(connection, self._name)
            self._identities = self._identities or identities_of(connection)
            self._look(connection, token)
            if not self._newest:
                ((newest,),) = connection.execute("SELECT max(cursor) FROM events").fetchall()
                self._newest = newest or 0
        except psycopg.errors.LockNotAvailable:
            end_stuck(connection, self.where)  # the connection of before, which the server does not know to be gone
            connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        self._token, self._is_unknown = token, False
        self._connection = connection
        return connection

    def _look(self, connection: PatientConnection, token: int) -> None:
        """Looks whether another server has taken over since, and does what follows unless another process has. `token`:
        as it is found."""
        timeline = timeline_of(connection)
        self._is_unknown |= token == CONNECTED  # the row was not there: who connects for a second time finds it
        is_first = self._known.feed is None
        is_behind = not (is_first or self._is_unknown or has_moved(self._token, token))
        is_vouched = is_first or not (self._is_unknown or is_behind)

        def judged() -> tuple[Found, Loss | None]:
            found = found_by(connection, self._name, self._known, timeline)
            return found, judge(found, self._known, is_behind=is_behind, is_vouched=is_vouched)

        found, loss = judged()
        if loss is not None or found.noted != timeline:
            with connection.transaction(), _as_long_as_it_takes(connection):
                connection.execute(_ALONE.encode())
                found, loss = judged()  # another process may have been faster
                tx = PostgresTransaction(connection, self._identities)
                if loss is not None:
                    found = found._replace(feed=go_on(tx, found, loss, self._clock_ms()))
                elif found.noted != timeline:
                    note(tx, timeline)
            if loss is not None:
                warn(self.where, loss, found)
        if found.feed != self._known.feed:
            self._known, self._newest = Known(found.feed), 0
        self._is_checked = is_pooled(connection) and timeline is not None

    def _clock_ms(self) -> int:
        return self._now_ms + int((time.monotonic() - self._began) * 1000)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._prepared.clear()
        if connection is not None:
            connection.close()

    def _was_kept(self, lost: psycopg.Error) -> bool:
        """Whether the group was committed whose COMMIT was not answered. Raises StoreUnavailable when nobody can say
        for too long."""
        expected, give_up_at = self._token + 1, time.monotonic() + _LOOK_UP_SECONDS
        while True:
            try:
                self._connect()
                break
            except psycopg.Error as error:
                if time.monotonic() > give_up_at:
                    why = "whether the last commit was kept is not known yet"
                    raise StoreUnavailable(f"{unavailable('writing', self.where, error)}; {why}") from lost
                time.sleep(_LOOK_UP_EVERY_SECONDS)
        is_kept = (self._token - expected) % CONNECTED == 0
        log.warning("store.commit_looked_up", store=self.where, is_kept=is_kept, detail=" ".join(str(lost).split()))
        return is_kept

    def _published_since(self, group: Sequence[Pending[Any]]) -> list[Published]:
        """What a group published that was committed without an answer: what came since that is as it wrote it. Nothing
        where the connection breaks again: whoever waits for events looks now and then, and the group is no failure."""
        for pending in group:
            if pending.change is not None:
                pending.result = True
        assert self._connection is not None
        if not (written := {each[1:] for each in self._written}):
            return []
        try:
            found = self._connection.execute(_SINCE, (self._newest,)).fetchall()
        except psycopg.Error as error:
            log.warning("store.commit_not_published", store=self.where, detail=" ".join(str(error).split()))
            return []
        return [Published(*row) for row in reversed(found) if row[1:] in written]


@contextmanager
def _as_long_as_it_takes(connection: PatientConnection) -> Iterator[None]:
    longest, connection.longest_seconds = connection.longest_seconds, None
    yield
    connection.longest_seconds = longest


class _Apart(Exception):
    """The group has to be run one after another."""


class _Unclaimed(Exception):
    """The group has events, and must claim the feed before anything else."""
