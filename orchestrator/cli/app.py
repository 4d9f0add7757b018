"""The command `fulfilld`: global options, and every command in one list."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from orchestrator.cli.commands import (
    completion,
    consumer,
    delivery,
    feed,
    history,
    jobs,
    machines,
    operate,
    orders,
    page,
    secret,
    service,
    settings,
    shops,
    targets,
    upkeep,
    webhooks,
)
from orchestrator.cli.examples import epilogue
from orchestrator.cli.group import FulfilldGroup, RegisterCommand, WaitCommand, say_unwritten
from orchestrator.cli.place import Place
from orchestrator.cli.streams import take_any_letter
from orchestrator.cli.usage import UsualCommand
from orchestrator.process.descriptors import occupy_standard_descriptors

app = typer.Typer(
    name="fulfilld",
    cls=FulfilldGroup,
    help="Keeps shop orders on many platforms where the ERP wants them.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help: rich's would double the time that `--help` takes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
config_commands = typer.Typer(
    help="Check the config file, or print its schema or an example.", no_args_is_help=True, rich_markup_mode=None
)
delivery_commands = typer.Typer(
    help="Show, test, repeat, pause or resume pushes to the ERP.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

consumer_commands = typer.Typer(
    help="Show, set or forget the consumers of the feed.", no_args_is_help=True, rich_markup_mode=None
)
secret_commands = typer.Typer(help="Make secrets.", no_args_is_help=True, rich_markup_mode=None)

app.command("run")(service.run)
app.command("status")(shops.status)
app.command("orders")(orders.orders)
app.command("order")(orders.order)
app.command("causes")(jobs.causes)
app.command("submit", cls=WaitCommand)(targets.submit)
app.command("events")(feed.events)
app.command("history")(history.history)
app.command("retry")(operate.retry)
app.command("skip")(operate.skip)
app.command("hold")(operate.hold)
app.command("release")(operate.release)
app.command("cancel")(operate.cancel)
app.command("jobs")(jobs.jobs)
app.command("announce")(orders.announce)
app.command("refresh")(orders.refresh)
app.command("pause")(shops.pause)
app.command("resume")(shops.resume)
app.command("sync", cls=WaitCommand)(shops.sync)
app.add_typer(delivery_commands, name="delivery")
delivery_commands.command("list")(delivery.list_all)
delivery_commands.command("attempts")(delivery.attempts)
delivery_commands.command("send")(delivery.send)
delivery_commands.command("replay")(delivery.replay)
delivery_commands.command("test")(delivery.send_test)
delivery_commands.command("pause")(delivery.pause)
delivery_commands.command("resume")(delivery.resume)
app.add_typer(consumer_commands, name="consumer")
consumer_commands.command("list")(consumer.list_all)
consumer_commands.command("seek")(consumer.seek)
consumer_commands.command("forget")(consumer.forget)
app.command("dashboard")(page.dashboard)
app.command("dump")(feed.dump)
app.command("machines")(machines.machines)
app.add_typer(config_commands, name="config")
config_commands.command("check")(settings.check)
config_commands.command("schema")(settings.schema)
config_commands.command("example")(settings.example)
app.add_typer(secret_commands, name="secret")
secret_commands.command("new")(secret.new)
app.command("doctor")(upkeep.doctor)
app.command("webhooks", cls=RegisterCommand)(webhooks.webhooks)
app.command("auth-url")(upkeep.auth_url)
app.command("backup")(upkeep.backup)
app.command("migrate-store")(upkeep.migrate_store)
app.command("sandbox")(service.sandbox)
app.command("demo")(service.demo)
app.command("completion")(completion.completion)

for _name, _group in [("", app), *((str(each.name), each.typer_instance) for each in app.registered_groups)]:
    assert _group is not None
    _group.info.epilog = epilogue(_name)
    for _command in _group.registered_commands:
        _command.epilog = epilogue(f"{_name} {_command.name}".strip())
        if _command.cls is None or not issubclass(_command.cls, UsualCommand):
            _command.cls = UsualCommand


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from orchestrator import __version__

        sys.stdout.write(f"fulfilld {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The config file; config.json here if it is there.")
    ] = None,
    socket: Annotated[Path | None, typer.Option("--socket", metavar="PATH", help="The daemon's Unix socket.")] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The daemon's URL; $FULFILLD_TOKEN has its token.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Takes the global options, which stand before the command."""
    del version
    if socket is not None and url is not None:
        raise typer.BadParameter("give --socket or --url, not both")
    context.obj = Place(config, socket, url, os.environ)


def main() -> NoReturn:
    """The entry point of `fulfilld`."""
    occupy_standard_descriptors()
    take_any_letter()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # what is printed before there is a command: help, the version
        sys.exit(say_unwritten(error))
    sys.exit(0)
