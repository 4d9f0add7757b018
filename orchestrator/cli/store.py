"""Which store it is: as the config says, or as the running daemon says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.place import config_failure

if TYPE_CHECKING:
    from storage.engines import Engine


def store_of_config(path: Path, environ: Mapping[str, str]) -> Engine:
    """The store by a config. Only that one key has to be right: secrets of shops may be unset in a cron job.

    Raises Failure (2).
    """
    from pydantic import ValidationError

    from orchestrator.config import ConfigError, ConfigProblem, StorageSettings
    from orchestrator.config.references import resolve
    from orchestrator.config.source import read

    location = path.absolute()
    try:
        resolved = resolve({"storage": read(location).get("storage", {})}, location.parent, environ)
        if resolved.failures:
            raise ConfigError([ConfigProblem("storage", message) for message in resolved.failures.values()])
        settings = StorageSettings.model_validate(resolved.tree["storage"], context={"directory": location.parent})
    except ConfigError as error:
        raise config_failure(path, error) from None
    except ValidationError:
        raise Failure(f"storage in {path} is wrong", ExitCode.USAGE, remedy="see `fulfilld config check`") from None
    return settings.engine


def store_of_status(dump: Mapping[str, Any]) -> Engine:
    """The store by the status dump's `daemon.storage`. Raises Failure when it cannot be found from here."""
    from storage.engines import engine_of

    storage = dump["daemon"]["storage"]
    text = str(storage.get("url") or storage.get("path") if isinstance(storage, Mapping) else storage)
    try:
        return engine_of(text)
    except ValueError:
        message = f"the daemon's store is {text}, which this fulfilld does not know"
        raise Failure(message, remedy="name its config with --config") from None
