"""Commands about the config file: check, schema, example."""

from __future__ import annotations

import json
import sys

import typer

from orchestrator.cli.commands.options import place_of


def check(context: typer.Context) -> None:
    """Check the config. Every error is told with its path; exit code 2 if there are any."""
    from orchestrator.cli.place import config_failure
    from orchestrator.config import ConfigError, ConfigProblem

    place = place_of(context)
    config = place.load_config()
    directory = config.storage.path.parent
    if not directory.is_dir():
        missing = ConfigProblem("storage.url", f"there is no directory {directory} - make it, or name another")
        raise config_failure(place.config_path(), ConfigError([missing]))
    for warning in config.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    count = len(config.shops)
    sys.stdout.write(f"{place.config_path()} is good: {count} {'shop' if count == 1 else 'shops'}\n")


def schema() -> None:
    """Print the config's JSON Schema."""
    from orchestrator.config import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


def example() -> None:
    """Print a commented config to start from."""
    from orchestrator.config import example as text

    sys.stdout.write(text().rstrip("\n") + "\n")
