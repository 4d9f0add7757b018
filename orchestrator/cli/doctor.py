"""`doctor`: is this machine fit to run the daemon, and does each shop's platform take our calls? Changes nothing."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from structlog.testing import capture_logs

from orchestrator.cli.beside import open_beside
from orchestrator.cli.blocks import Cell, Page, Tone, grid
from orchestrator.cli.standstill import access_remedy
from orchestrator.cli.times import few
from orchestrator.cli.troubles import Trouble, troubles
from orchestrator.config import (
    ANOTHER_SHOP_REMEDY,
    Config,
    ConfigError,
    ShopConfig,
    WebhookSettings,
    lost_directory,
)
from orchestrator.config.tls import tls_context
from orchestrator.intake.subscriptions import inspect
from orchestrator.platforms.client import Finding
from orchestrator.platforms.failures import PlatformFailure
from orchestrator.platforms.meter import ReportedLimit
from orchestrator.platforms.subscriptions import PushingClient
from orchestrator.registry import PLATFORMS
from storage.errors import Holder, StoreError
from storage.shops import identities

_SHOP_SECONDS = 60.0
_LITTLE = 10  # less than a tenth is worth a word
_TONES: dict[str, Tone] = {"ok": "good", "warning": "busy", "failed": "bad"}


@dataclass(frozen=True, slots=True)
class Check:
    """A finding and what it is about: a shop's name, or `here` for this machine."""

    about: str
    finding: Finding


async def examine(config: Config) -> list[Check]:
    """Everything that can be checked. Shops are asked at the same time, each for a minute at most."""
    checks = [Check("here", finding) for finding in here(config)]
    answers: dict[str, list[Finding]] = {}
    with capture_logs() as logged:
        async with anyio.create_task_group() as group:
            for shop in config.shops.values():
                group.start_soon(_ask, shop, config, answers)
    checks += [Check("here", finding) for finding in _unkept(config, troubles(logged))]
    others = mistaken(config)
    for name in config.shops:
        checks += [Check(name, finding) for finding in (*answers[name], *others.get(name, ()))]
    return checks


def here(config: Config) -> list[Finding]:
    """This machine: config warnings, platforms of other packages that cannot be used, the certificate for webhooks, the
    store, the socket's directory."""
    store = config.storage.engine
    return [
        *(Finding("config", "warning", str(warning)) for warning in config.warnings),
        *(Finding("platforms", "warning", trouble) for trouble in PLATFORMS.troubles.values()),
        *_certificate(config.webhooks),
        *(Finding(check.name, check.status, check.detail) for check in store.checks()),
        _socket(config.api.socket, store.holder()),
    ]


def mistaken(config: Config) -> dict[str, list[Finding]]:
    """Shops whose name in the config has come to mean another shop than the one that the store has orders of."""
    try:
        kept = config.storage.engine.glance(identities)
    except StoreError:  # none yet, or one of an older version: nothing is known
        return {}
    found = {}
    for name, shop in config.shops.items():
        was, now = kept.get(name), shop.identity()
        if was is not None and was != now:
            detail = f"the store has orders of {was}, the config says {now}: {ANOTHER_SHOP_REMEDY}"
            found[name] = [Finding("identity", "warning", detail)]
    return found


def _unkept(config: Config, logged: list[Trouble]) -> list[Finding]:
    """What the clients could not keep on this machine: one finding for all of it where its directory is missing."""
    directory = config.state_directory
    if directory.is_dir():
        found = [Finding(trouble.about, "warning", str(trouble)) for trouble in logged]
        return found if config.storage.engine.is_local else [*found, _state(config)]
    found = [
        Finding(trouble.about, "warning", str(trouble))
        for trouble in logged
        if trouble.path is None or trouble.path.parent != directory
    ]
    if config.storage.engine.is_local:  # it is the store's, of which that is said already
        return found
    if (closed := _closed(directory)) is not None:
        return [
            *found,
            Finding("state", "failed", f"{directory} cannot be made: {closed} may not be written by this user"),
        ]
    detail = f"{directory} is made at the daemon's start; until then no token is kept, and calls count in memory only"
    return [*found, Finding("state", "ok", detail)]


def _state(config: Config) -> Finding:
    """What this machine keeps of its own, where the store lies elsewhere."""
    what = "calls are counted" if config.storage.secret_key else "calls are counted and access tokens kept"
    return Finding("state", "ok", f"{what} in {config.state_directory}")


def findings_page(checks: list[Check]) -> Page:
    """The findings as a table."""
    rows = [
        (
            check.about,
            check.finding.check,
            Cell(check.finding.status, _TONES[check.finding.status]),
            check.finding.detail,
        )
        for check in checks
    ]
    return [grid(("WHERE", "CHECK", "", "WHAT"), rows)]


def _certificate(webhooks: WebhookSettings | None) -> list[Finding]:
    if webhooks is None or webhooks.tls is None:
        return []
    try:
        tls_context(webhooks.tls)
    except ConfigError as error:
        return [Finding("certificate", "failed", str(problem)) for problem in error.errors]
    return [Finding("certificate", "ok", f"{webhooks.tls.certificate} can be shown to those who send webhooks")]


def _socket(path: Path, daemon: Holder | None) -> Finding:
    """The socket's place, and whether somebody listens there. A missing directory is made where that can be done.

    `daemon`: the process that has the store, if one lives.
    """
    if path.exists():
        return _listener(path)
    if daemon is not None:
        detail = (
            f"{path} is gone, though a daemon runs ({daemon}): it makes the socket anew within seconds; else SIGHUP it"
        )
        return Finding("socket", "failed", detail)
    if (lost := lost_directory(path)) is not None:
        return Finding("socket", "failed", f"{lost} does not exist; make the directory, or set api.socket")
    if (closed := _closed(path)) is not None:
        return Finding("socket", "failed", f"{closed} may not be written by this user")
    return Finding("socket", "ok", f"{path} can be made")


def _closed(path: Path) -> Path | None:
    """What keeps this user from making a path: the nearest thing above it that is there, unless it may be written."""
    existing = next(parent for parent in path.parents if parent.exists())
    return None if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK) else existing


def _listener(path: Path) -> Finding:
    if not path.is_socket():
        return Finding("socket", "failed", f"{path} exists and is not a socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return Finding("socket", "ok", f"{path} was left by a daemon that is gone; the next one replaces it")
        except OSError as error:
            return Finding("socket", "failed", f"{path} cannot be used: {error.strerror or error}")
    return Finding("socket", "ok", f"a daemon listens at {path}")


async def _ask(shop: ShopConfig, config: Config, answers: dict[str, list[Finding]]) -> None:
    client, meter = open_beside(shop, config)
    silence = Finding("reachable", "failed", f"no answer within {_SHOP_SECONDS:.0f} s")
    answers[shop.name] = [_with_remedy(silence, shop.name)]
    try:
        with anyio.move_on_after(_SHOP_SECONDS):
            findings = await client.check()
            if config.webhooks is not None and shop.webhook_secrets and isinstance(client, PushingClient):
                findings.append(await _webhooks(client, shop.name))
            if meter.reported is not None:
                findings.append(_what_is_left(meter.reported))
            answers[shop.name] = [_with_remedy(finding, shop.name) for finding in findings]
    finally:
        meter.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await client.aclose()


def _what_is_left(reported: ReportedLimit) -> Finding:
    """The rate limit as the platform counts it: others may use the same account."""
    of = "" if reported.limit is None else f" of {reported.limit}"
    detail = f"{reported.remaining}{of} {reported.unit} are left"
    if reported.limit is None or reported.remaining * _LITTLE >= reported.limit:
        return Finding("rate limit", "ok", detail)
    return Finding("rate limit", "warning", f"{detail}: something else uses this account, or the daemon is busy")


def _with_remedy(finding: Finding, shop: str) -> Finding:
    """What failed, with the platform's message and our remedy."""
    if finding.status != "failed":
        return finding
    match finding.check:
        case "credentials":
            remedy = access_remedy(shop)
        case "reachable":
            remedy = (
                f"check the address of {shop} in the config, and whether this machine gets there (name server, proxy,"
                " firewall); if the platform is down, orders wait until it is back"
            )
        case _:
            return finding
    return replace(finding, detail=f"{finding.detail} - {remedy}")


async def _webhooks(client: PushingClient, shop: str) -> Finding:
    """Whether the platform sends every webhook that we take, wherever it sends them."""
    try:
        missing = list((await inspect(client, None)).missing)
    except PlatformFailure as failure:
        return Finding("webhooks", "failed", failure.detail)
    if missing:
        detail = f"not sent: {few(missing)}; `fulfilld webhooks {shop} --register` asks for them"
        return Finding("webhooks", "warning", detail)
    return Finding("webhooks", "ok", "the platform sends all that we take")
