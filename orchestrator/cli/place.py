"""Where the daemon is, and where the config file is (docs/cli.md).

A client command needs no config. It finds the socket in this order: `--socket` or `--url`, `$FULFILLD_SOCKET` or
`$FULFILLD_URL`, the config file (`--config`, else `config.json` here), the default path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from orchestrator.config import Config, ConfigError

USUAL_CONFIG = Path("config.json")
"""The config file that is taken when none is named and this one is there."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to call: a Unix socket, or a URL with its token. `origin` says where this came from, for error messages.

    `is_named`: somebody asked for just this daemon, by an option or a variable.
    """

    origin: str
    socket: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    is_named: bool = True

    def __str__(self) -> str:
        return str(self.socket) if self.socket is not None else str(self.url)


@dataclass(frozen=True, slots=True)
class Place:
    """What the global options and the environment say."""

    config: Path | None
    socket: Path | None
    url: str | None
    environ: Mapping[str, str] = field(repr=False)

    def address(self) -> Address:
        """The daemon's address. Raises Failure when the config file that should name it is not there or wrong."""
        token = self.environ.get("FULFILLD_TOKEN") or None
        if self.socket is not None:
            return Address("--socket", socket=self.socket)
        if self.url is not None:
            return Address("--url", url=self.url, token=token)
        if path := self.environ.get("FULFILLD_SOCKET"):
            return Address("$FULFILLD_SOCKET", socket=Path(path))
        if url := self.environ.get("FULFILLD_URL"):
            return Address("$FULFILLD_URL", url=url, token=token)
        from orchestrator.config import ConfigError, default_socket, socket_of

        if (config := self._config_if_any()) is None:
            return Address("the default path", socket=default_socket(), is_named=False)
        try:
            return Address(str(config), socket=socket_of(config, self.environ), is_named=False)
        except ConfigError as error:
            raise config_failure(config, error) from None

    def config_path(self) -> Path:
        """The config file, for commands that cannot do without. Raises Failure (2) when it is not there."""
        if (config := self._config_if_any()) is None:
            raise _no_file(f"there is no {USUAL_CONFIG} here")
        return config

    def load_config(self) -> Config:
        """The whole config, checked. Raises Failure (2) with every error."""
        from orchestrator.config import ConfigError, load

        path = self.config_path()
        try:
            return load(path, self.environ)
        except ConfigError as error:
            raise config_failure(path, error) from None

    def has_config(self) -> bool:
        """Whether a config file was named or is here. Raises Failure (2) when the one that was named is not there."""
        return self._config_if_any() is not None

    def _config_if_any(self) -> Path | None:
        if self.config is not None:
            # Said as for no config at all: a mistyped path is not a config with errors.
            try:
                self.config.stat()
            except FileNotFoundError:
                raise _no_file(f"there is no file {self.config}") from None
            except OSError:
                pass  # it may be there: reading it shows why it cannot be
            return self.config
        return USUAL_CONFIG if USUAL_CONFIG.is_file() else None


def _no_file(sentence: str) -> Failure:
    from orchestrator.config.source import NO_FILE_REMEDY

    return Failure(sentence, ExitCode.USAGE, remedy=NO_FILE_REMEDY)


def config_failure(path: Path, error: ConfigError) -> Failure:
    """A config that cannot be used, every error with its path."""
    return Failure(f"{path} {error.heading}", ExitCode.USAGE, details=[str(e) for e in error.errors])
