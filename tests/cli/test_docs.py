"""docs/cli.md has every command and option that there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.app import app
from orchestrator.cli.failures import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def sections() -> dict[str, str]:
    """The text below each heading that is a command, by the command."""
    found = {}
    for part in PAGE.split("\n### ")[1:]:
        heading, _, text = part.partition("\n")
        for name in heading.split(", "):
            found[name.strip("` ").removeprefix("fulfilld ")] = heading + text
    return found


def test_every_command_has_its_section_and_every_section_a_command() -> None:
    assert sections().keys() == {name for name, _ in commands(typer.main.get_command(app))}


def test_every_option_is_in_its_commands_section() -> None:
    for name, command in commands(typer.main.get_command(app)):
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        missing = {option for option in options - {"--help"} if f"`{option}" not in sections()[name]}
        assert not missing, f"{name}: {missing}"


def test_every_global_option_is_in_the_page() -> None:
    command: Any = typer.main.get_command(app)
    assert all(f"`{option}" in PAGE for parameter in command.params for option in parameter.opts)


def test_every_exit_code_is_in_the_page() -> None:
    assert all(f"| {code.value} |" in PAGE for code in ExitCode)
