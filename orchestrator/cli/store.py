"""Where the store's file is: as the config says, or as the running daemon says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.failures import ExitCode, Failure
from orchestrator.cli.place import config_failure

_SQLITE = "sqlite:///"


def store_of_config(path: Path, environ: Mapping[str, str]) -> Path:
    """The store's file by a config. Only that one key has to be right: secrets of shops may be unset in a cron job.

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
    return settings.path


def store_of_status(dump: Mapping[str, Any]) -> Path:
    """The store's file by the status dump's `daemon.storage`. Raises Failure when it is no SQLite store."""
    storage = dump["daemon"]["storage"]
    text = storage.get("url") or storage.get("path") if isinstance(storage, Mapping) else storage
    path = Path(str(text).removeprefix(_SQLITE))
    if not path.is_absolute():
        raise Failure(f"the daemon's store is {text}, which is no SQLite file", remedy="name its config with --config")
    return path
