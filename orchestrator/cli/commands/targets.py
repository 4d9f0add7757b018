"""The command that submits targets, one or many."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.commands.options import AsJson, WaitSeconds, client_of, key_header, order_path, print_json

if TYPE_CHECKING:
    from orchestrator.cli.client import Client


def submit(
    context: typer.Context,
    shop: Annotated[
        str | None,
        typer.Argument(metavar="SHOP", help="The shop's name.", show_default=False, autocompletion=completion.shops),
    ] = None,
    order: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The order's id.", show_default=False, autocompletion=completion.orders),
    ] = None,
    state: Annotated[
        str | None,
        typer.Argument(
            metavar="STATE",
            help="Where it should be: a native name or a milestone.",
            show_default=False,
            autocompletion=completion.states,
        ),
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", metavar="ID", help="Confirm or ship this item; repeatable.")
    ] = None,
    tracking_code: Annotated[
        list[str] | None, typer.Option(metavar="C", help="The parcel's tracking code; repeatable.")
    ] = None,
    tracking_url: Annotated[
        list[str] | None, typer.Option(metavar="U", help="Where the buyer can follow it; one for each code.")
    ] = None,
    carrier: Annotated[str | None, typer.Option(metavar="N", help="Who carries it.")] = None,
    location: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what is shipped from here, where a platform says so."),
    ] = None,
    parcel: Annotated[
        str | None,
        typer.Option(metavar="JSON|FILE", help="The parcel that left or arrived: its JSON, or a file with it."),
    ] = None,
    erp_number: Annotated[str | None, typer.Option(metavar="N", help="The order's number in the ERP.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Further fields of the target: delivery_info, erp_lines, despatch, …"),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="K", help="Idempotency key: sent again, the answer is the same target.")
    ] = None,
    wait: WaitSeconds = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Many targets, one JSON object a line; - is stdin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a target: where an order should be. With --file, many of them."""
    single = {
        "SHOP": shop, "ID": order, "STATE": state, "--item": item, "--tracking-code": tracking_code,
        "--tracking-url": tracking_url, "--carrier": carrier, "--location": location, "--parcel": parcel,
        "--erp-number": erp_number, "--data": data, "--key": key, "--wait": wait, "--dry-run": dry_run or None,
    }  # fmt: skip
    if file is not None:
        _only_file([name for name, value in single.items() if value])
        _submit_many(client_of(context), file, as_json)
        return
    if shop is None or order is None or state is None:
        raise typer.BadParameter("name SHOP, ID and STATE, or a --file")
    options = {
        "items": item or None,
        "tracking": parcel_of(tracking_code or [], tracking_url or [], carrier),
        "location": location,
        "parcel": None if parcel is None else _object(_text_of(parcel), "--parcel", "the members of a parcel"),
        "erp_order_number": erp_number,
    }
    body = target_body(state, options, data)
    client, path = client_of(context), order_path(shop, order, "targets")
    if dry_run:
        _preview(client, shop, order, body, key, as_json)
    else:
        _submit_one(client, path, body, key, wait, as_json)


def parcel_of(codes: Sequence[str], urls: Sequence[str], carrier: str | None) -> Any:
    """A target's `tracking`: one object, or a list where the parcel has several numbers, each with the link at its
    place; None where nothing is given. Raises typer.BadParameter for links that belong to no number."""
    if len(urls) > max(len(codes), 1):
        raise typer.BadParameter(f"--tracking-url is given {len(urls)} times and --tracking-code {len(codes)} times")
    parcel: list[dict[str, str]] = []
    for at in range(max(len(codes), len(urls), 1)):
        members = {
            "code": codes[at] if at < len(codes) else None,
            "url": urls[at] if at < len(urls) else None,
            "carrier": carrier,
        }
        parcel.append({name: value for name, value in members.items() if value is not None})
    return parcel if len(parcel) > 1 else parcel[0] or None


def target_body(state: str, options: Mapping[str, Any], data: str | None) -> dict[str, Any]:
    """A target's JSON from options. Raises typer.BadParameter when `data` is not an object or repeats an option."""
    body = {"state": state} | {name: value for name, value in options.items() if value is not None}
    if data is None:
        return body
    further = _object(data, "--data", "fields of the target")
    if twice := sorted(further.keys() & body.keys()):
        raise typer.BadParameter(f"--data and the options both give {', '.join(twice)}")
    return body | further


def _object(text: str, option: str, what: str) -> dict[str, Any]:
    """The JSON object that an option gives. Raises typer.BadParameter."""
    from orchestrator.json_errors import explain_json
    from statemachines.numbers import exact_float

    try:
        found = json.loads(text, parse_float=exact_float)
    except json.JSONDecodeError as error:
        at, words = explain_json(text, error)
        raise typer.BadParameter(f"{option} is not JSON at character {at + 1}: {words}") from None
    except ValueError as error:
        raise typer.BadParameter(f"{option} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{option} must be a JSON object with {what}")
    return found


def _text_of(given: str) -> str:
    """JSON as it is, or what the file of that name holds. Raises typer.BadParameter."""
    if given.lstrip().startswith("{"):
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise typer.BadParameter(f"--parcel {given} is neither a JSON object nor a readable file: {words}") from None


def _preview(client: Client, shop: str, order: str, body: Any, key: str | None, as_json: bool) -> None:
    from orchestrator.cli.blocks import show
    from orchestrator.cli.target_page import preview_page

    answer = client.post(order_path(shop, order, "targets"), body, {"dry_run": "true"}, headers=key_header(key))
    if as_json:
        print_json(answer)
    else:
        show(preview_page(answer.json(), _order_of(client, {"shop": shop, "order": order})))


def _submit_one(
    client: Client, path: str, body: Any, key: str | None, wait_seconds: float | None, as_json: bool
) -> None:
    from orchestrator.cli.blocks import show
    from orchestrator.cli.standstill import of_target
    from orchestrator.cli.target_page import standstill_line, target_page
    from orchestrator.cli.waiting import is_over, judge, wait_for_target

    answer = client.post(path, body, headers=key_header(key))
    if wait_seconds is not None:
        submitted = answer.json()
        answer = wait_for_target(
            client, answer, wait_seconds, is_shown=not as_json, order_now=lambda: _order_of(client, submitted)
        )
    target = answer.json()
    is_silent = is_over(target) or (as_json and wait_seconds is None)
    order = None if is_silent else _order_of(client, target)
    found = None if order is None else of_target(order, target["id"])
    if as_json:
        print_json(answer)
    else:
        show([*target_page(target), *([standstill_line(found)] if found is not None else [])])
    if wait_seconds is not None:
        judge(target, wait_seconds, order, lambda: _silent_node(client, target["shop"]))


def _silent_node(client: Client, shop: str) -> str | None:
    """The node that works for a shop, where it has missed heartbeats; None otherwise, or where that cannot be known."""
    from orchestrator.cli.client import segment
    from orchestrator.cli.failures import Failure

    try:
        view = client.get(f"/v1/shops/{segment(shop)}").json()
    except Failure:
        return None
    return view["holder"] if view.get("holder_silent") else None


def _order_of(client: Client, target: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The target's order, which says what it waits for; None where that cannot be known."""
    from orchestrator.cli.failures import Failure

    try:
        found: Mapping[str, Any] = client.get(order_path(target["shop"], target["order"])).json()
    except Failure:  # the daemon answered what was asked for: this is for information only
        return None
    return found


def _only_file(others: list[str]) -> None:
    if others:
        raise typer.BadParameter(f"--file takes everything from its lines; leave out {', '.join(others)}")


def _submit_many(client: Client, path: Path, as_json: bool) -> None:
    from orchestrator.cli.bulk import Tally, submit_lines
    from orchestrator.cli.failures import Failure
    from orchestrator.encoding import utf8_lines

    try:
        opened = nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror or error}") from None
    tally = Tally()
    with opened as lines:
        submit_lines(client, utf8_lines(lines), tally, as_json=as_json)
    if not as_json:
        sys.stdout.write(f"{tally.accepted} accepted, {tally.refused} refused\n")
    if tally.refused or tally.answered < tally.sent:
        missing = tally.sent - tally.answered
        count, what = (missing, "not answered") if missing else (tally.refused, "refused")
        sentence = f"{count} {'line was' if count == 1 else 'lines were'} {what}"
        raise Failure(sentence, remedy="fix and send those lines again; lines with a `key` can be sent again safely")
