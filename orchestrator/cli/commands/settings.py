"""Commands about the config file: check, schema, example."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.commands.options import own_place

if TYPE_CHECKING:
    from orchestrator.config import Config, ConfigProblem


def check(context: typer.Context) -> None:
    """Check the config. Every error is shown with its path; exit code 2 if there are any."""
    from orchestrator.cli.complaints import complain
    from orchestrator.cli.place import config_failure
    from orchestrator.config import ConfigError

    place = own_place(context)
    config = place.load_config()
    missing = _missing(config)
    if problems := [problem for problem in _outside(config) if problem not in missing]:
        raise config_failure(place.config_path(), ConfigError(problems))
    for warning in (*config.warnings, *missing):
        complain(f"warning: {warning}")
    count = len(config.shops)
    sys.stdout.write(f"{place.config_path()} is good: {count} {'shop' if count == 1 else 'shops'}\n")


def _outside(config: Config) -> list[ConfigProblem]:
    """What would keep the daemon from starting though the file itself is good: places and files that it names."""
    from orchestrator.config import ConfigError, ConfigProblem, lost_directory

    problems = []
    directory = config.state_directory
    if config.storage.engine.is_local and not directory.is_dir():  # for a store elsewhere the daemon makes its own
        problems.append(ConfigProblem("storage.url", f"there is no directory {directory} - make it, or name another"))
    if (lost := lost_directory(config.api.socket)) is not None:
        problems.append(ConfigProblem("api.socket", f"there is no directory {lost} - make it, or name another"))
    if config.webhooks is not None and config.webhooks.tls is not None:
        from orchestrator.config.tls import tls_context

        try:
            tls_context(config.webhooks.tls)
        except ConfigError as error:
            problems += error.errors
    return problems


def _missing(config: Config) -> list[ConfigProblem]:
    """Files of the listener's TLS that are not there. The daemon does not start so, but they come with the deployment:
    who checks a config elsewhere has them not, the private key least of all."""
    if config.webhooks is None or config.webhooks.tls is None:
        return []
    from orchestrator.config.tls import missing_files

    return missing_files(config.webhooks.tls)


def schema() -> None:
    """Print the config's JSON Schema."""
    from orchestrator.config import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


def example() -> None:
    """Print a commented config to start from."""
    from orchestrator.config.example import example as text

    sys.stdout.write(text().rstrip("\n") + "\n")
