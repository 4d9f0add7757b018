"""Keeps the workers of our shops alive: started, restarted after a fault, stopped one by one on a reload.

A fault in one shop (a bug, a lost lease, a full disk) ends that shop's worker alone; it is started again with a growing
pause. Shutdown drains: no new call is admitted, running calls finish and are recorded, then the scopes are cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from orchestrator import __version__
from orchestrator.backoff import Growing, equal_jitter
from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config, ShopConfig, diff, reread
from orchestrator.metrics import Metrics
from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.meter import Meter
from orchestrator.platforms.token_row import SealedRows
from orchestrator.registry import PLATFORMS
from orchestrator.runtime.accounts import keep_account, log_account_change
from orchestrator.runtime.admission import Admission, Limits
from orchestrator.runtime.departures import Departures
from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.duties import Duties
from orchestrator.runtime.entries import ShopEntry, facts_of, is_lease_lost, log_fault, rest
from orchestrator.runtime.leases import Hold, Leases
from orchestrator.runtime.membership import TERM_SECONDS, Membership
from orchestrator.runtime.node_facts import described, ends_described
from orchestrator.runtime.renewal import renewing
from orchestrator.runtime.reports import ShopFacts, ShopsFacts
from orchestrator.runtime.rules import Rules
from orchestrator.runtime.shop_store import ShopStore
from orchestrator.runtime.wakeups import DueWakeups, Wakeups
from orchestrator.runtime.walk_turns import WalkTurns, short_turns
from orchestrator.runtime.worker import ShopWorker
from storage.errors import StoreError, store_errors
from storage.identity import read_identity
from storage.nodes import Presence
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

_PAUSE_SECONDS = Growing(1.0, 30.0)
_LAST_WRITE_SECONDS = 5.0


class Supervisor:
    """Runs the workers of all configured shops inside one task group. `on_secrets` is called with each shop whose
    secrets were read again; `shown` returns the shops as they are shown, for other nodes to show them so."""

    def __init__(
        self,
        store: Store,
        node: str,
        clock: Clock,
        chance: Chance,
        checkpoints: Checkpoints,
        metrics: Metrics,
        on_secrets: Callable[[ShopConfig], None] = lambda _shop: None,
        *,
        lease_seconds: float = TERM_SECONDS,
        shown: Callable[[], Mapping[str, ShopFacts]] | None = None,
    ) -> None:
        self._shown = shown or self.shops
        self.node = node
        self._store = store
        self._membership = Membership(store, node, clock, self._presence, lease_seconds)
        self._leases = Leases(store, self._membership, clock)
        self.duties = Duties(store, self._membership, clock)
        """What is done once among all nodes."""
        self._departures = Departures(store, clock, node, self._identities)
        self._membership.include(self._departures)
        self._due = DueWakeups(store, clock)
        self._walk_turns, self._short_turns = WalkTurns(), short_turns()
        self._clock, self._chance, self._checkpoints, self._metrics = clock, chance, checkpoints, metrics
        self._config: Config | None = None
        self._entries: dict[str, ShopEntry] = {}
        self._group: TaskGroup | None = None
        self._worked_for: set[str] = set()
        self._beside = anyio.CancelScope()  # what runs beside the shops, until they have drained
        self._state_directory: Path | None = None
        self._token_rows: SealedRows | None = None
        self._restored_at: int | None = None
        self._on_secrets = on_secrets
        self.is_draining = False
        self._takes_shops = False

    # -- queries ---------------------------------------------------------------------------------------------------

    def is_configured(self, shop: str) -> bool:
        """Whether the config has this shop."""
        return shop in self._entries

    def is_elsewhere(self, shop: str) -> bool:
        """Whether another node that lives has this shop in its config."""
        nodes = self._membership.nodes
        return any(shop in node.shops for node in nodes if node.name != self._membership.name)

    def ends_elsewhere(self, shop: str) -> list[str] | None:
        """The states in which orders of a shop are over, as another node says that works for it now."""
        said = (node.facts.get(shop) for node in self._membership.nodes if node.name != self.node)
        return next((ends for each in said if (ends := ends_described(each)) is not None), None)

    def rules(self, shop: str) -> Rules | None:
        """The rules of a shop, whether or not anybody works for it; None where the config does not have it."""
        entry = self._entries.get(shop)
        return entry.rules if entry is not None else None

    def worker(self, shop: str) -> ShopWorker | None:
        """The worker of a shop, None while it is being started or another node has the shop."""
        entry = self._entries.get(shop)
        return entry.worker if entry is not None else None

    def shops(self) -> Mapping[str, ShopFacts]:
        """The configured shops as the outside may see them."""
        entries = dict(self._entries)  # those of now, whatever a reload says meanwhile
        return ShopsFacts(entries, lambda name: facts_of(name, entries[name], self._membership.name))

    @property
    def has_others(self) -> bool:
        """Whether other nodes live, as far as this one knows; a new one makes itself known at once."""
        return len(self._membership.nodes) > 1

    async def wake(self, shop: str) -> None:
        """Wakes the worker of a shop in which something may be due, on this node or another."""
        await self._due.wake(shop, is_ours=self.worker(shop) is not None)

    # -- life ------------------------------------------------------------------------------------------------------

    def configure(self, config: Config) -> None:
        """Knows the shops of a config before anybody works for them: what is asked of them meanwhile is answered."""
        self._config = config
        self._entries = {name: ShopEntry(shop, Rules.of(shop, config)) for name, shop in config.shops.items()}

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """One of the nodes for as long as the block lasts, whatever ends it. Until `start` the others give it nothing:
        a daemon that cannot serve never gets there. Raises StoreMoving, NewerStore, StoreUnavailable."""
        try:
            await self._membership.join()
            yield
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE_SECONDS):
                await self._membership.leave()

    async def start(self, group: TaskGroup, config: Config) -> None:
        """Starts every shop's worker in `group`; returns when each has started or failed once, or is another node's.
        Raises as `joined`."""
        self._group, self._takes_shops = group, True
        self.configure(config)
        self._state_directory = self._store.state_directory  # whatever a reload says
        self._token_rows = config.storage.sealed_rows
        await self._membership.join()
        await self._departures.note()
        group.start_soon(self._run_beside)
        for entry in self._entries.values():
            group.start_soon(self._keep, entry)
        for entry in list(self._entries.values()):
            await entry.started.wait()

    async def reload(self, config: Config) -> None:
        """Applies a new config: shops added, removed, changed; the others go on undisturbed."""
        assert self._config is not None
        assert self._group is not None
        changes = diff(self._config, config)
        affects_all = "recovery_limit" in changes.settings_changed
        changed = tuple(sorted(config.shops.keys() & self._entries.keys())) if affects_all else changes.changed
        async with anyio.create_task_group() as group:
            for name in changes.removed:
                group.start_soon(self._stop, self._entries[name], config.drain_seconds)
            for name in changed:  # which keep their leases
                group.start_soon(partial(self._stop, self._entries[name], config.drain_seconds, is_leaving=False))
        for name in changes.removed:
            del self._entries[name]
            self._due.forget(name)
        self._config = config
        for name, entry in self._entries.items():
            entry.rules = Rules.of(config.shops[name], config)
        try:
            await self._departures.note()
        except StoreError as error:  # a full disk must not end the daemon because its config is read again
            log.error("shops.not_noted", detail=f"{error}; tried again until it succeeds")
            self._departures.note_soon()
        fresh = [
            ShopEntry(config.shops[name], Rules.of(config.shops[name], config)) for name in (*changed, *changes.added)
        ]
        self._entries |= {entry.config.name: entry for entry in fresh}
        if changes.removed or changes.added:
            await self._membership.announce()  # who waits for a lease knows whose it is to be
        for entry in fresh:
            self._group.start_soon(self._keep, entry)
        for entry in fresh:
            await entry.started.wait()
        log.info("config.reloaded", added=changes.added, removed=changes.removed, changed=changed)

    async def _run_beside(self) -> None:
        with self._beside:
            async with anyio.create_task_group() as group:
                group.start_soon(self._membership.run)
                group.start_soon(self._departures.run)
                group.start_soon(self._due.listen)

    async def drain(self, seconds: float) -> None:
        """Lets running calls finish for at most `seconds`, then stops every worker; each shop is another node's as soon
        as its calls have finished."""
        self.is_draining = True
        with anyio.move_on_after(_LAST_WRITE_SECONDS):
            await self._membership.announce()
        async with anyio.create_task_group() as group:
            for entry in self._entries.values():
                group.start_soon(self._stop, entry, seconds)
        self._beside.cancel()
        with anyio.move_on_after(_LAST_WRITE_SECONDS):
            await self._membership.leave()

    def _identities(self) -> dict[str, str]:
        assert self._config is not None
        return {name: shop.identity() for name, shop in self._config.shops.items()}

    def _presence(self) -> Presence:
        """What this node says of itself to the others."""
        shown = self._shown()
        facts = {name: described(shown[name]) for name, entry in self._entries.items() if entry.worker is not None}
        is_draining = self.is_draining or not self._takes_shops
        return Presence(__version__, tuple(self._entries), is_draining, facts, tuple(self.duties.names))

    async def _stop(self, entry: ShopEntry, seconds: float, *, is_leaving: bool = True) -> None:
        """Stops a shop's worker, once its calls have finished. `is_leaving`: this node gives the shop up."""
        entry.is_stopping, entry.is_leaving = True, is_leaving
        if entry.worker is not None:
            await rest(entry.worker, seconds)
        entry.scope.cancel()
        await entry.ended.wait()

    async def _keep(self, entry: ShopEntry) -> None:
        """Keeps one shop's worker alive until it is stopped."""
        faults = 0  # consecutive; a worker that ran for a while before counts as the first
        try:
            with entry.scope:
                while not entry.is_stopping:
                    began = self._clock.monotonic()
                    try:
                        await self._work(entry)
                        entry.worker = None
                        continue  # another node's turn
                    except Exception as error:  # noqa: BLE001 - supervised: one shop's fault is not the others'
                        causes = store_errors(error)
                        log_fault(entry.config.name, error, causes)
                    entry.worker = None
                    entry.started.set()
                    if is_lease_lost(causes):
                        continue  # no fault: whoever is to have the shop now takes it
                    has_lived = self._clock.monotonic() - began > _PAUSE_SECONDS.longest
                    faults = 1 if has_lived else faults + 1
                    pause = equal_jitter(_PAUSE_SECONDS.after(faults), self._chance.jitter())
                    if causes is None:
                        await anyio.sleep(pause)
                    else:
                        await self._leases.wait_for_store(pause)
        finally:
            entry.worker = None
            entry.started.set()
            entry.ended.set()

    async def _work(self, entry: ShopEntry) -> None:
        """Works for a shop, if need be once it is this node's, until it is to be another one's."""
        hold = await self._acquired(entry)
        worker = self._equip(entry, hold)
        is_moved = False
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._leases.keep, hold)
                await group.start(worker.run)
                entry.worker = worker
                entry.started.set()
                await hold.moved.wait()
                is_moved = True
                log.info("shop.handed_over", shop=entry.config.name, to=hold.to)
                assert self._config is not None
                await rest(worker, self._config.drain_seconds)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WRITE_SECONDS):
                await worker.aclose()
                if is_moved or entry.is_leaving:
                    await self._leases.release(hold)
            self._leases.retake(hold)

    async def _acquired(self, entry: ShopEntry) -> Hold:
        """Waits until a shop is this node's."""
        shop = entry.config
        identity = shop.identity()

        def first(tx: Transaction) -> tuple[str | None, int | None]:
            was = keep_account(tx, shop.name, identity, self._clock.now_ms())
            return was, read_identity(tx).restored_at  # a failover may have changed it

        if not self._leases.is_meant(shop.name):
            await self._leases.log_wait(shop.name)
            entry.started.set()
        while True:
            await self._leases.meant(shop.name)
            if (acquired := await self._leases.acquire(shop.name, shop.platform, first)) is not None:
                break
            entry.started.set()
        hold, (was, self._restored_at) = acquired
        if was is not None:
            log_account_change(shop.name, was, identity)
        return hold

    def _equip(self, entry: ShopEntry, hold: Hold) -> ShopWorker:
        shop = entry.config
        limits = Limits(
            rate_per_second=shop.limits.rate_per_second,
            burst=shop.limits.burst,
            concurrency=shop.limits.concurrency,
            failures=shop.circuit.failures,
            cooldown_seconds=shop.circuit.cooldown_seconds,
        )
        meter = shop.meter(self._clock, self._state_directory)
        meter.send_while(partial(self._leases.may_send, hold))
        wakeups = Wakeups(self._due.of(shop.name))
        admission = Admission(limits, self._clock.monotonic, meter, wakeups.admission_changed)
        client = renewing(
            shop,
            partial(self._open_client, admission, meter),
            reread_later,
            partial(self._renewed, entry),
            admission.throttle,
        )
        services = ShopServices(
            rules=entry.rules,
            client=client,
            admission=admission,
            store=ShopStore(self._store, shop.name, hold.epoch),
            clock=self._clock,
            chance=self._chance,
            checkpoints=self._checkpoints,
            metrics=self._metrics,
            walk_turns=self._walk_turns,
            short_turns=self._short_turns,
        )
        interval = shop.poll.interval_seconds if shop.poll.enabled else None
        has_died = shop.name not in self._worked_for or hold.before is not None  # this node's process, or another one
        self._worked_for.add(shop.name)
        return ShopWorker(
            services,
            wakeups,
            interval,
            shop.access_fingerprint(),
            refresh_seconds=shop.poll.after_step_seconds,
            is_process_start=has_died,
        )

    def _open_client(self, admission: Admission, meter: Meter, shop: ShopConfig) -> PlatformClient:
        settings = shop.client_settings(self._state_directory, self._token_rows)
        ours = replace(
            settings,
            throttle=admission.throttle,
            meter=meter,
            restored_at=self._restored_at,
            clock=self._clock,
            checkpoints=self._checkpoints,
        )
        return PLATFORMS[shop.platform].open(ours)

    async def _renewed(self, entry: ShopEntry, fresh: ShopConfig) -> None:
        """A shop's client was given other credentials, which a reload does not count as a change any more."""
        self.adopt(fresh)
        if entry.worker is not None:
            await entry.worker.took_credentials(fresh.access_fingerprint())

    def adopt(self, fresh: ShopConfig) -> None:
        """Takes over a shop whose secrets were read again. Its worker goes on."""
        entry = self._entries.get(fresh.name)
        if entry is None or self._config is None or not fresh.is_but_for_secrets(entry.config):
            return  # a reload came first
        entry.config = fresh
        self._config = replace(self._config, shops={**self._config.shops, fresh.name: fresh})
        self._on_secrets(fresh)


async def reread_later(shop: ShopConfig) -> ShopConfig | None:
    """As `config.reread`, off the event loop."""
    return await anyio.to_thread.run_sync(reread, shop)
