"""PostgreSQL as an engine: what a `postgresql://` URL names, and everything that can be done with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import platformdirs

from storage.engines import Check
from storage.errors import Holder, StoreError
from storage.postgres.url import SECRETS, digest, options_of, shown
from storage.store import OnCommit, OnGroup
from storage.transaction import Transaction

if TYPE_CHECKING:
    from storage.postgres.joining import Joining
    from storage.postgres.store import PostgresStore
    from storage.postgres.tokens import PostgresTokens

T = TypeVar("T")

_PLACE: Final = (
    "SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " 'store_identity'::regclass::oid::bigint FROM pg_control_system()"
)


class PostgresEngine:
    """The store in one database. Raises ValueError for a URL that names none."""

    def __init__(self, url: str) -> None:
        self._options = options_of(url)

    @staticmethod
    def located(url: str, directory: Path) -> str:  # noqa: ARG004 - nothing in it is relative
        """The URL as it is. Raises ValueError with what to write."""
        options_of(url)
        return url

    @property
    def url(self) -> str:
        """The hosts and the database, without user and secrets."""
        return shown(self._options)

    @property
    def secrets(self) -> Sequence[str]:
        """Passwords and keys of the URL."""
        return [self._options[name] for name in SECRETS if self._options.get(name)]

    @property
    def place(self) -> str:
        """The server's own id, the database's and the table's, whatever the server is called: a dump that was restored
        has another. Raises StoreUnavailable."""
        from storage.postgres.connection import connect
        from storage.postgres.failures import Error, unavailable

        try:
            with connect(self._options) as connection:
                found = connection.execute(_PLACE).fetchall()
        except Error as error:
            raise unavailable("reading", self.url, error) from error
        return "postgresql " + "/".join(map(str, *found))

    @property
    def is_local(self) -> bool:
        """The data lies where the server is."""
        return False

    @property
    def state_directory(self) -> Path:
        """The first of systemd's `StateDirectory`, or the user's; a folder in it for each database."""
        state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        directory = Path(state) if state else platformdirs.user_state_path("fulfilld")
        return directory / f"postgresql-{digest(self._options)}"

    @property
    def token_rows(self) -> PostgresTokens:
        """As `PostgresTokens`."""
        from storage.postgres.tokens import PostgresTokens

        return PostgresTokens(self._options, self.url)

    @property
    def files(self) -> Sequence[Path]:
        """None is the store's."""
        return []

    def is_there(self) -> bool:
        """Whether the database has our tables."""
        from storage.postgres.connection import connect
        from storage.postgres.failures import Error, unavailable
        from storage.postgres.schema import is_store

        try:
            with connect(self._options) as connection:
                return is_store(connection)
        except Error as error:
            raise unavailable("reading", self.url, error) from error

    def exclusive(self, now_ms: Callable[[], int]) -> Joining:  # noqa: ARG002 - the server knows the time
        """Nothing is held: several daemons share the database."""
        return self._joining()

    def open(
        self, now_ms: int, *, on_commit: OnCommit, on_group: OnGroup
    ) -> AbstractAsyncContextManager[PostgresStore]:
        """As `open_postgres`."""
        from storage.postgres.store import open_postgres

        state = self.state_directory
        return open_postgres(self._options, self.url, state, now_ms, on_commit=on_commit, on_group=on_group)

    def glance(self, unit: Callable[[Transaction], T]) -> T:
        """What a unit reads of the database, read-only. Raises StoreError."""
        from storage.postgres.connection import connect
        from storage.postgres.failures import Error, unavailable
        from storage.postgres.readers import snapshot

        try:
            with connect({**self._options, "target_session_attrs": "any"}) as connection:
                return snapshot(connection, unit)
        except Error as error:
            raise unavailable("reading", self.url, error) from error

    def backup(self, target: Path, now_ms: int) -> None:  # noqa: ARG002
        """PostgreSQL has its own. Raises StoreError that says which."""
        raise StoreError(
            f"the store is in PostgreSQL, which has backups of its own: `pg_dump --format=custom --file={target}` of "
            f"database {self._options['dbname']}, or continuous archiving; a daemon may run meanwhile (docs/storage.md)"
        )

    def holder(self) -> Holder | None:
        """A daemon of this machine that works on the database."""
        return self._joining().holder()

    def checks(self) -> Sequence[Check]:
        """Whether the server can be reached, and the database be a store."""
        from storage.postgres.checks import check_server

        return check_server(self._options, self.url)

    def _joining(self) -> Joining:
        from storage.postgres.joining import Joining

        return Joining(self._options, self.url)
