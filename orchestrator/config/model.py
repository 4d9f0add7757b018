"""What the config file may say: sections, keys, bounds, defaults. The descriptions become schema, example and docs.

Everything is strict (no text for a number, no true for 1) and closed (an unknown key is an error). Numbers are bounded
where a slip of the finger (an interval of 0, a million days) would hurt.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

import platformdirs
from pydantic import Field, model_validator

from orchestrator.config.fields import (
    BaseUrl,
    Chaining,
    FilePath,
    HostName,
    Instant,
    LoopbackHost,
    Port,
    SealingKey,
    SocketMode,
    SocketPath,
    StoreUrl,
)
from orchestrator.config.problems import ConfigError, ConfigProblem
from orchestrator.config.push import DeliverySettings, WebhookSecrets, WebhookSettings, all_of
from orchestrator.config.section import Section
from orchestrator.logs import LogFormat, LogLevel
from orchestrator.platforms.sealing import Sealer
from orchestrator.platforms.secrets import Token
from orchestrator.platforms.token_row import SealedRows
from storage.engines import Engine, engine_of

DAY_SECONDS = 86_400
DEFAULT_STATUS_FILE = "status.json"


def default_socket() -> Path:
    """Where the socket is when nobody says: in the user's run-time directory.

    Raises ConfigError when the directory that would be used belongs to somebody else.
    """
    with warnings.catch_warnings():
        # Without a session there is no $XDG_RUNTIME_DIR, and a place in the temporary directory is used. That is
        # documented and nothing to warn of: daemon and clients of one user come to the same place.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return platformdirs.user_runtime_path("fulfilld") / "fulfilld.sock"
        except PermissionError as error:
            raise ConfigError([ConfigProblem("api.socket", f"has no safe default here - set it ({error})")]) from None


def lost_directory(socket: Path) -> Path | None:
    """The directory that has to be there before a socket can be; None when nothing is missing.

    The daemon makes the socket's own directory. It makes none above it, and none in the root of the file system, for
    a path that is misspelt must not become true; the default place alone is made with all that it needs.
    """
    directory = socket.parent
    if os.path.exists(directory):  # False too without permission
        return None
    with suppress(ConfigError):
        if socket == default_socket():
            return None
    if directory.parent == directory.parent.parent:
        return directory
    return None if os.path.exists(directory.parent) else directory.parent


class StorageSettings(Section):
    """Where everything is kept."""

    url: Annotated[
        StoreUrl,
        Field(
            description="The store: sqlite:///FILE, relative to this file, or postgresql://USER@HOST/DATABASE",
            repr=False,
        ),
    ] = "sqlite:///fulfilld.db"

    lease_seconds: Annotated[
        float,
        Field(ge=1, le=300, description="PostgreSQL: how long a daemon that died keeps its shops from the next one"),
    ] = 15.0

    secret_key: Annotated[
        SealingKey | list[SealingKey] | None,
        Field(
            description="PostgreSQL: seals the tokens that platforms give, which all daemons then share; without it "
            "each machine keeps its own. Several while one replaces another: the first seals",
        ),
    ] = None

    @property
    def sealed_rows(self) -> SealedRows | None:
        """Where tokens of platforms are kept for all daemons; None: each machine has its own."""
        keys, rows = all_of(self.secret_key), self.engine.token_rows
        if not keys or rows is None:
            return None
        return SealedRows(rows, Sealer([key.get_secret_value() for key in keys]))

    @property
    def engine(self) -> Engine:
        """The store that the URL names, each time a new one."""
        return engine_of(self.url)


class TcpSettings(Section):
    """The API on loopback TCP, beside the socket."""

    host: Annotated[LoopbackHost, Field(description="Loopback address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Field(description="Port to listen on")]
    token: Annotated[Token, Field(description="Every call over TCP carries it as a bearer token")]


class MonitoringSettings(Section):
    """Metrics, health and readiness alone, for whoever watches the daemon from another machine or container."""

    host: Annotated[str, Field(min_length=1, description="Address to listen on; 0.0.0.0 for all of this machine")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Field(description="Port to listen on")]
    token: Annotated[
        Token | None,
        Field(description="Asked of GET /metrics as a bearer token, not of health and readiness; left out: of nobody"),
    ] = None


class ApiSettings(Section):
    """How the ERP reaches the daemon."""

    socket: Annotated[
        SocketPath,
        Field(
            default_factory=default_socket,
            description="The API's Unix socket; when left out, fulfilld.sock in the user's run-time directory",
        ),
    ]
    socket_mode: Annotated[SocketMode, Field(description="Who may connect, as an octal file mode")] = "0660"
    hosts: Annotated[
        tuple[HostName, ...],
        Field(description="Host names beside loopback under which the API is asked, such as that of a proxy"),
    ] = ()
    tcp: Annotated[TcpSettings | None, Field(description="The same API on loopback TCP; off when left out")] = None

    @property
    def socket_permissions(self) -> int:
        """`socket_mode` as a number."""
        return int(self.socket_mode, 8)


class LogSettings(Section):
    """What is logged to stderr."""

    format: Annotated[
        LogFormat, Field(description="json for machines, text for people; auto: text on a terminal, else json")
    ] = "auto"
    level: Annotated[LogLevel, Field(description="The least severe level that is logged")] = "info"


class PollSettings(Section):
    """How a shop's orders are fetched."""

    enabled: Annotated[bool, Field(description="Whether to poll at all")] = True
    interval_seconds: Annotated[
        float, Field(gt=0, le=DAY_SECONDS, description="From the end of one sync to the next")
    ] = 60.0
    page_size: Annotated[int, Field(ge=1, le=250, description="Orders asked for in one call")] = 100
    lookback_seconds: Annotated[
        float, Field(ge=0, le=7 * DAY_SECONDS, description="How far each sync reads back behind the last one")
    ] = 120.0
    after_step_seconds: Annotated[
        float | None,
        Field(
            ge=0,
            le=DAY_SECONDS,
            description=(
                "How long after the last step at an order it is read again, behind steps, so that its content is of"
                " after the step; null: the next sync or webhook shows it"
            ),
        ),
    ] = 2.0


class CircuitSettings(Section):
    """When a shop that fails is left alone for a while."""

    failures: Annotated[int, Field(ge=1, le=1000, description="Failures in a row that open the circuit")] = 5
    cooldown_seconds: Annotated[
        float, Field(gt=0, le=DAY_SECONDS, description="How long the shop is left alone then")
    ] = 30.0


class CallWindow(Section):
    """How many calls the platform takes in any stretch of time."""

    calls: Annotated[
        int, Field(ge=0, le=10_000, description="Calls in any stretch of that long; 0: the platform counts none")
    ]
    seconds: Annotated[float, Field(gt=0, le=3600, description="How long the stretch is")] = 60.0


class LimitSettings(Section):
    """How hard a shop may be worked; what is left out is the platform's default."""

    concurrency: Annotated[int | None, Field(ge=1, le=1000, description="Calls under way at once")] = None
    rate_per_second: Annotated[
        float | None, Field(gt=0, le=1_000_000, description="Calls begun per second, on average")
    ] = None
    burst: Annotated[
        int | None, Field(ge=1, le=1_000_000, description="Calls that may begin at once after a pause")
    ] = None
    window: Annotated[
        CallWindow | None, Field(description="Never more calls than this, whatever rate and burst would allow")
    ] = None


class RetrySettings(Section):
    """How a step that failed is tried again, with a growing and jittered wait between the attempts."""

    attempts: Annotated[int, Field(ge=1, le=1000, description="Calls of one step before its order is blocked")] = 8
    base_seconds: Annotated[float, Field(gt=0, le=3600, description="The wait after the first failure")] = 1.0
    max_seconds: Annotated[float, Field(gt=0, le=DAY_SECONDS, description="The longest wait between two attempts")] = (
        300.0
    )

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.base_seconds > self.max_seconds:
            raise ValueError("base_seconds must not be larger than max_seconds")
        return self


class ShopSettings(Section):
    """What every shop takes, whatever its platform; the platform's own keys stand beside these."""

    platform: Annotated[str, Field(description="The shop's platform")]
    base_url: Annotated[BaseUrl | None, Field(description="The platform's API; when left out, its public address")] = (
        None
    )
    chaining: Annotated[
        Chaining,
        Field(description="auto: walk to a target step by step; strict: refuse one that is more than a step away"),
    ] = "auto"
    poll: Annotated[PollSettings, Field(description="How orders are fetched")] = PollSettings()
    circuit: Annotated[CircuitSettings, Field(description="When a failing shop is left alone")] = CircuitSettings()
    fresh_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=DAY_SECONDS,
            description="Before a target's first step the order is read if what we know of it is older",
        ),
    ] = 300.0
    import_since: Annotated[
        Instant | None,
        Field(description="Orders made before this date or instant are imported by id only; null: what is open"),
    ] = None
    ship_withdrawn: Annotated[
        bool, Field(description="Whether orders that the buyer withdrew are shipped all the same")
    ] = False
    limits: Annotated[LimitSettings, Field(description="How hard the shop may be worked; default by platform")] = (
        LimitSettings()
    )
    retry: Annotated[RetrySettings, Field(description="How a failed step is tried again")] = RetrySettings()
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="The longest that one call may take")] = 30.0
    webhook_secret: Annotated[
        WebhookSecrets | None,
        Field(description="What the shop's webhooks are known by; several while one replaces another"),
    ] = None


class ConfigFile(Section):
    """The top of the file, but for `shops`, whose keys depend on each shop's platform.

    The loader puts in `storage`, `api`, `api.socket` and `status_file` where they are left out: what they are depends
    on where the config file is and who runs the daemon.
    """

    storage: Annotated[StorageSettings, Field(default_factory=StorageSettings, description="Where everything is kept")]
    api: Annotated[ApiSettings, Field(default_factory=ApiSettings, description="How the ERP reaches the daemon")]
    monitoring: Annotated[
        MonitoringSettings | None, Field(description="Where only metrics and readiness are served; off when left out")
    ] = None
    webhooks: Annotated[WebhookSettings | None, Field(description="Where webhooks come in; off when left out")] = None
    delivery: Annotated[DeliverySettings | None, Field(description="Where events are pushed to; off when left out")] = (
        None
    )
    retention_days: Annotated[
        int, Field(ge=1, le=36_500, description="How long orders at rest, ended targets and events are kept")
    ] = 400
    drain_seconds: Annotated[
        float, Field(ge=0, le=3600, description="How long a stop waits for calls that are under way")
    ] = 30.0
    status_file: Annotated[
        FilePath,
        Field(description="Where SIGUSR1 writes the status dump"),
    ] = Path(DEFAULT_STATUS_FILE)
    log: Annotated[LogSettings, Field(description="What is logged to stderr")] = LogSettings()
    recovery_limit: Annotated[
        int, Field(ge=1, le=1000, description="Deaths of the daemon in one step before its order is quarantined")
    ] = 5
