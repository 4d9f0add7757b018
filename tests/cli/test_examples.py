"""The help of every command and group has examples, and each is a line that the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from orchestrator.cli.app import app
from orchestrator.cli.examples import EXAMPLES
from tests.cli.fake import Run

ROOT: Any = typer.main.get_command(app)


def named(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every group and command, by its name as it is called."""
    yield prefix.strip(), group
    for name, command in getattr(group, "commands", {}).items():
        yield from named(command, f"{prefix}{name} ")


ALL = dict(named(ROOT))


def shown(run: Run, name: str) -> list[str]:
    """The examples in a help text."""
    _, heading, below = run(*name.split(), "--help").stdout.partition("Example")
    assert heading, f"the help of {name} has no example"
    return [line.strip() for line in below.splitlines()[1:] if line.strip()]


@pytest.mark.parametrize("name", ALL)
def test_every_help_has_examples_that_its_command_takes(run: Run, name: str) -> None:
    lines = shown(run, name)
    assert lines
    for text in lines:
        line = re.split(r" >>? | &$", text)[0]  # what is the shell's
        program, *arguments = shlex.split(line)
        assert program == "fulfilld"
        context = ROOT.make_context("fulfilld", arguments)
        command, rest = ROOT, [*context._protected_args, *context.args]
        called = []
        while hasattr(command, "commands"):
            word, command, rest = command.resolve_command(context, rest)
            called.append(word)
            context = command.make_context(word, rest, parent=context)
            rest = [*context._protected_args, *context.args]
        assert " ".join(called).startswith(name)
        assert not rest


def test_the_sandbox_that_writes_a_config_leaves_the_terminal_free(run: Run) -> None:
    assert [line for line in shown(run, "sandbox") if ">" in line and not line.endswith(" &")] == []


def test_there_is_no_example_of_a_command_that_there_is_not() -> None:
    assert EXAMPLES.keys() == ALL.keys()
