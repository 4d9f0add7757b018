"""The composition root: builds the parts, obeys signals, drains.

The order of things matters: the lock before the store (start.py), the store before the shops, the shops before
`ready`; on the way down the shops drain first (their outcomes still need the store and waiters their answers), then
streams end, then the API closes, the store last.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import structlog
from aiohttp import web
from anyio.abc import TaskGroup

from orchestrator import __version__
from orchestrator.api.app import build_app
from orchestrator.api.monitoring import build_monitoring, place_of
from orchestrator.api.server import Door, serving
from orchestrator.api.session import Sessions
from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config, ConfigError, ShopConfig, diff, load
from orchestrator.intake.inbox import Inbox
from orchestrator.intake.listener import listening
from orchestrator.intake.receiver import Reception, build_receiver, place_of_webhooks
from orchestrator.intake.subscriptions import SubscriptionWatch
from orchestrator.metrics import Metrics
from orchestrator.operations.browser_sessions import BrowserSessions
from orchestrator.operations.commands import DaemonCommands
from orchestrator.operations.feed import Feed
from orchestrator.operations.feed_watch import FeedWatch
from orchestrator.operations.queries import Queries
from orchestrator.output import Output
from orchestrator.private import appearing
from orchestrator.process import systemd
from orchestrator.process.activity import ActivityRecorder
from orchestrator.process.blocked_log import BlockedLog
from orchestrator.process.collector import settle_collector
from orchestrator.process.housekeeping import feed_watchdog, forget_forever, measure
from orchestrator.process.passage import Watchman
from orchestrator.process.recount import recount
from orchestrator.process.restored import Here, settle
from orchestrator.process.signals import Signals
from orchestrator.process.traces import Traces
from orchestrator.push.deliveries import Deliveries
from orchestrator.registry import PLATFORMS
from orchestrator.renewal import Renewal
from orchestrator.runtime.reports import ShopFacts, ShopsFacts
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.tracing import exporter_of
from storage.errors import StoreError
from storage.events import last_cursor
from storage.records import Shop
from storage.store import Commits, Store
from storage.transaction import Published

log = structlog.get_logger()

_DAY_MS = 86_400_000
_STORE_CHECK_SECONDS = 1.0
_LAST_ANSWERS_SECONDS = 1.0  # in which whoever asks is answered 503, not cut off
_ENDS = frozenset({"target.reached", "target.failed", "target.cancelled"})


class Daemon:
    """One running daemon: the parts, and what signals do to them."""

    def __init__(
        self,
        config: Config,
        store: Store,
        commits: Commits,
        metrics: Metrics,
        signals: Signals,
        checkpoints: Checkpoints,
        output: Output,
        *,
        node: str | None = None,
        drives_restored: bool = False,
    ) -> None:
        self.config = config
        self._signals = signals
        self.clock, self.chance = Clock(), Chance()
        self.pid = os.getpid()
        self.node = node or node_name(is_alone=store.is_exclusive)
        self.started_at = self.clock.now_ms()
        self.is_ready = False
        self._output = output
        self._store = store
        self._drives_restored = drives_restored
        self.feed = Feed()
        self._feed_watch = FeedWatch(
            store, self._on_commit_elsewhere, lambda: self.supervisor.has_others, replaced=self._on_another_feed
        )
        self.metrics = metrics
        self.metrics.follow_log(lambda: output.lines_lost)
        self.supervisor = Supervisor(
            store,
            self.node,
            self.clock,
            self.chance,
            checkpoints,
            self.metrics,
            self._took,
            lease_seconds=config.storage.lease_seconds,
            shown=self.shops,
        )
        self.supervisor.configure(config)
        self._renewal = Renewal(lambda: self.config, self._use, self.supervisor.adopt, self.clock)
        self.deliveries = Deliveries(
            config.delivery, store, self.clock, self.chance, self._renewal.reread_delivery, self.supervisor.duties
        )
        self.commands = DaemonCommands(
            store, self.supervisor, self.clock, self.chance, checkpoints, self.metrics, self.deliveries
        )
        self.queries = Queries(store, self, self.feed, self.clock, lambda: self.deliveries.endpoints)
        self.inbox = Inbox(store, self.supervisor.worker, self.clock, self.chance)
        self.activity = ActivityRecorder(store, metrics, self.clock)
        self.watch = SubscriptionWatch(
            lambda: self.config.shops, self.supervisor.worker, config.webhooks, self.clock, self.chance
        )
        self._checkpoints = checkpoints
        self._door: Door | None = None
        self._blocked_log = BlockedLog(store)
        exporter = exporter_of(os.environ, self.node)
        self._traces = None if exporter is None else Traces(store, *exporter)
        self._watchman = Watchman(store, self.clock, self._retention_ms)
        commits.follow(self._on_commit)

    @property
    def is_draining(self) -> bool:
        """Whether a shutdown is under way."""
        return self.supervisor.is_draining

    def shops(self) -> Mapping[str, ShopFacts]:
        """The configured shops."""
        found = self.supervisor.shops()

        def facts_of(name: str) -> ShopFacts:
            facts, health = found[name], self.watch.health(name)
            return facts if health is None else replace(facts, webhooks=health)

        return ShopsFacts(found.keys(), facts_of)

    async def run(self) -> None:
        """Serves until a signal ends it."""
        async with self.supervisor.joined():
            await self._run()

    async def _run(self) -> None:
        if self._store.is_exclusive:  # otherwise it is a duty (`_keep_up`)
            await self._watchman.measure()  # before anything new says that it is later than it was
        platforms = {name: shop.platform for name, shop in self.config.shops.items()}
        here = await anyio.to_thread.run_sync(Here.of, self.config.storage.engine)  # which may ask a server
        await settle(self._store, here, platforms, self.clock, self.chance, is_driven=self._drives_restored)
        self.feed.last_cursor = await self._store.read(last_cursor)
        self._feed_watch.begin(self.feed.last_cursor)
        sessions = Sessions(self.clock, None if self._store.is_exclusive else BrowserSessions(self._store, self.clock))
        app = build_app(self.queries, self.commands, self, self.feed, self.metrics, self.clock, sessions)
        api = self.config.api
        async with (
            anyio.create_task_group() as group,
            serving(app, api) as served,
            self._receiving(),
            self._watched(app),
        ):
            self._door = served.door
            group.start_soon(self._end_when_lost)
            group.start_soon(self._feed_watch.run)
            group.start_soon(sessions.run)
            group.start_soon(self.commands.requests.run)
            async with anyio.create_task_group() as shops:
                await self.supervisor.start(shops, self.config)
                self.is_ready = True
                settle_collector()
                systemd.notify(systemd.READY)
                log.info("daemon.ready", version=__version__, node=self.node, pid=self.pid, socket=str(api.socket))
                self._start_duties(group)
                async with anyio.create_task_group() as obedience:
                    obedience.start_soon(self._obey)
                    await self._signals.stopped()
                    obedience.cancel_scope.cancel()
                systemd.notify(systemd.STOPPING)
                log.info("daemon.draining", seconds=self.config.drain_seconds)
                await self.supervisor.drain(self.config.drain_seconds)
            await self.activity.record()
            self.feed.close()
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def _receiving(self) -> AsyncIterator[None]:
        """Takes webhooks in for as long as the block lasts, where the config says so. Raises ListenError."""
        settings = self.config.webhooks
        if settings is None:
            yield
            return
        reception = Reception(
            store=self._store,
            shops=lambda: self.config.shops,
            settings=settings,
            clock=self.clock,
            checkpoints=self._checkpoints,
            arrived=self.inbox.arrived,
            reread=self._renewal.reread_shop,
        )
        async with listening(build_receiver(reception), place_of_webhooks(settings)) as (host, port):
            log.info("webhooks.listening", host=host, port=port, tls=settings.tls is not None)
            yield

    @asynccontextmanager
    async def _watched(self, api: web.Application) -> AsyncIterator[None]:
        """Serves metrics and readiness to others for as long as the block lasts, where the config says so. Raises
        ListenError."""
        settings = self.config.monitoring
        if settings is None:
            yield
            return
        async with listening(build_monitoring(api, settings, self.config), place_of(settings)) as (host, port):
            log.info("monitoring.listening", host=host, port=port, token=settings.token is not None)
            yield

    def _on_commit(self, published: list[Published]) -> None:
        """Wakes who waits for these events, on every node, and counts the targets that they end."""
        self.feed.publish(published)
        self._feed_watch.note(published)
        self._blocked_log.note(published)
        self.deliveries.wake(published)
        if self._traces is not None:
            self._traces.note(published)
        for event in published:
            if event.type in _ENDS and event.shop is not None:
                self.metrics.target_finished(event.shop, event.type.removeprefix("target."))

    def _on_commit_elsewhere(self, published: list[Published]) -> None:
        """As `_on_commit`, for what another node committed: that node logs, traces and counts it."""
        self.feed.publish(published)
        self.deliveries.wake(published)

    def _on_another_feed(self, cursor: int) -> None:
        """The database lost what it had confirmed: cursors of before may mean nothing any more."""
        self.feed.restart(cursor)
        self.deliveries.restart()

    def _start_duties(self, group: TaskGroup) -> None:
        group.start_soon(self.supervisor.duties.hold, "upkeep", self._keep_up)
        group.start_soon(self.activity.run)
        group.start_soon(self.inbox.run)
        group.start_soon(self.commands.jobs.run)
        group.start_soon(self._blocked_log.run)
        if self._traces is not None:
            group.start_soon(self._traces.run)
        group.start_soon(self.watch.run)
        group.start_soon(self.deliveries.run)
        group.start_soon(feed_watchdog)
        if self._door is not None:
            group.start_soon(self._door.keep)
        group.start_soon(measure, self.metrics, self.clock, self._store)

    async def _keep_up(self, store: Store) -> None:
        """What the store needs, by one of all nodes."""
        watchman = self._watchman if store.is_exclusive else Watchman(store, self.clock, self._retention_ms)
        async with anyio.create_task_group() as group:
            group.start_soon(forget_forever, store, watchman, self._retention_ms, self._ends)
            group.start_soon(recount, store)

    def _retention_ms(self) -> int:
        return self.config.retention_days * _DAY_MS

    def _ends(self, kept: Sequence[Shop]) -> dict[str, list[str]]:
        """In which states orders are over, for every shop of the store: one that has left the config by the machine
        that its platform has by default."""
        facts = self.shops()
        found: dict[str, list[str]] = {}
        for shop in kept:
            if shop.name in facts:
                machine = facts[shop.name].machine
            elif self.supervisor.is_elsewhere(shop.name):
                if (ends := self.supervisor.ends_elsewhere(shop.name)) is not None:
                    found[shop.name] = ends
                continue  # by the machine that its config says there, which nobody else knows
            elif shop.platform in PLATFORMS:
                machine = PLATFORMS[shop.platform].machine({})
            else:
                continue
            found[shop.name] = [state.name for state in machine.states.values() if state.is_end]
        return found

    async def _end_when_lost(self) -> None:
        """Gives up once the store's files are not ours any more. Raises StoreLost, whose exit code keeps systemd from
        starting on a new, empty store at once."""
        lost = await self._store.watch(_STORE_CHECK_SECONDS)
        log.error("store.lost", detail=str(lost))
        await anyio.sleep(_LAST_ANSWERS_SECONDS)
        raise lost

    async def _obey(self) -> None:
        """Reloads and writes the status dump when asked; cancelled when the shutdown begins."""
        while True:
            wants_reload, wants_status = await self._signals.asked()
            if wants_status:
                await self._write_status()
            if wants_reload:
                await self._reload()

    def _took(self, shop: ShopConfig) -> None:
        """A shop works with other secrets from now on."""
        self._renewal.took(shop)

    def _use(self, config: Config) -> None:
        """Takes a config with other secrets, which the log must not show either."""
        self._output.follow(config)
        self.config = config

    async def _reload(self) -> None:
        """Applies the config file anew; a bad file changes nothing. A socket that is gone comes back all the same."""
        if self._door is not None:
            await self._door.check()
        try:
            config = await anyio.to_thread.run_sync(load, self.config.path)
        except ConfigError as error:
            log.error("config.refused", errors=[str(problem) for problem in error.errors])
            return
        if diff(self.config, config).needs_restart:
            detail = "changes of storage, api, monitoring and webhooks take effect at the next start"
            log.warning("config.needs_restart", detail=detail)
        self._output.follow(config)
        warn_of(config)
        self.config = config
        self.deliveries.reload(config.delivery)
        await self.supervisor.reload(config)
        self.watch.wake()

    async def _write_status(self) -> None:
        """The status dump as a file, replaced as a whole so that nobody reads half of it."""
        path = self.config.status_file
        try:
            status = await self.queries.status()
            await anyio.to_thread.run_sync(_replace_file, path, json.dumps(status, indent=2) + "\n")
        except (OSError, StoreError) as error:
            log.error("status.not_written", path=str(path), detail=str(error))
        else:
            log.info("status.written", path=str(path))


def node_name(*, is_alone: bool) -> str:
    """A name of this process as a node. With others another process may have the same number on a machine that is
    called the same, as containers are: so it is another one each time."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    return name if is_alone else f"{name}:{Chance().feed_id()[:4]}"


def warn_of(config: Config) -> None:
    """Logs the config's warnings."""
    for warning in config.warnings:
        log.warning("config.warning", detail=str(warning))


def _replace_file(path: Path, text: str) -> None:
    with appearing(path) as file:
        file.write(text.encode())
