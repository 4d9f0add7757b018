"""What all actors of a run share: the platforms, the daemons, the ERP's receiver, and the record of what happened."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.sandbox.ledger import Call
from orchestrator.sandbox.server import Sandbox
from tests.chaos.servers import SECRET_KEY, Servers
from tests.chaos.settings import Settings
from tests.chaos.stepped import Offset
from tests.push.erp import SECRET, Erp
from tests.support.process import DaemonProcess
from tests.support.ways import Way

PLATFORM_OF = {"acme": "selldone", "cs": "cloudsuite", "xs": "xsale", "shopy": "shopify", "woo": "woocommerce"}
SHOPS = tuple(PLATFORM_OF)
PACE: dict[str, Any] = {
    "poll": {"interval_seconds": 1},
    "limits": {"concurrency": 8, "rate_per_second": 10_000, "burst": 10_000, "window": {"calls": 0}},
    "retry": {"attempts": 6, "base_seconds": 0.05, "max_seconds": 1},
    "circuit": {"failures": 8, "cooldown_seconds": 0.5},
    "timeout_seconds": 3,
    # A target's first step is never taken on what was known before the target came: see `judge.cancelled`.
    "fresh_seconds": 0,
}


class Ref(NamedTuple):
    """An order, by the shop's name in our config."""

    shop: str
    order: str


class Finding(NamedTuple):
    """A broken invariant and what shows it."""

    invariant: str
    detail: str


@dataclass
class Edit:
    """What a person did to an order. `calls`: how many calls its platform had got by then."""

    action: str
    calls: int
    at: float


class ChaosDaemon(DaemonProcess):
    """A daemon under a clock that can be set. `webhook_port`: where it takes webhooks in; `ways`: its ways to the
    database."""

    program = ("-m", "tests.chaos.stepped")
    patience_seconds = 120.0  # several at once, and a database that fails meanwhile

    def __init__(
        self, folder: Path, webhook_port: int = 0, storage: Mapping[str, Any] | None = None, ways: Sequence[Way] = ()
    ) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.webhook_port, self.ways = webhook_port, ways
        self.storage = storage or self.storage
        self.name = folder.name
        self.lives: list[int] = []
        """The ids of its processes, one after the other."""
        self.errors = folder / "daemon.log"
        self.variables = {"CHAOS_CLOCK": str(folder / "clock"), "XDG_STATE_HOME": str(folder / "state")}
        self.offset = Offset(folder / "clock")
        self.is_ready = False
        """Whether this life was ready: before, a process does not know SIGHUP."""

    def start(self, *arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        """As any daemon's."""
        process = super().start(*arguments, **options)
        self.lives.append(process.pid)
        return process


@dataclass
class World:
    """One run. `nodes`: daemons on one store; `servers`: what that is on, where it is PostgreSQL. `did` counts what was
    done; `journal` has it with its time, for the report."""

    settings: Settings
    folder: Path
    sandbox: Sandbox
    nodes: Sequence[ChaosDaemon]
    receiver: Erp
    webhook_port: int
    servers: Servers | None = None
    began: float = field(default_factory=time.monotonic)
    absent: set[str] = field(default_factory=set)
    """Shops that are not in the config just now."""
    findings: list[Finding] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    journal: list[str] = field(default_factory=list)
    edits: dict[Ref, list[Edit]] = field(default_factory=dict)
    """What people did to orders, at the platforms and with `skip`."""
    garbage: set[Ref] = field(default_factory=set)
    """Orders with unreadable payloads."""
    secrets: set[str] = field(default_factory=lambda: {SECRET, SECRET_KEY})
    """Everything that must show nowhere."""
    deaths: list[tuple[int, int]] = field(default_factory=list)
    """Processes that were killed or frozen for long by chance, and when (Unix milliseconds)."""
    pace: Mapping[str, Any] = field(default_factory=lambda: PACE)
    """Keys of every shop's config."""
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keys of a shop's config by its platform."""
    balancer: random.Random = field(default_factory=random.Random)
    """Chooses the node of a call, where its caller does not."""

    def __post_init__(self) -> None:
        self.names = shop_names(self.sandbox)
        """The names of shops in our config, by the platform's name and its own id of the shop."""
        self._ids = {name: place for place, name in self.names.items()}

    @property
    def shops(self) -> Sequence[str]:
        """The names of all shops."""
        return list(self._ids)

    def note(self, actor: str, did: str, **words: object) -> None:
        """Keeps what somebody did."""
        self.did[f"{actor} {did}"] += 1
        fields = " ".join(f"{name}={value}" for name, value in words.items())
        self.journal.append(f"{time.monotonic() - self.began:7.2f} {actor:10} {did} {fields}".rstrip())

    def broken(self, invariant: str, detail: str) -> None:
        """Keeps a broken invariant, at the moment when it shows."""
        self.findings.append(Finding(invariant, detail))
        self.note("judge", "broken", invariant=invariant)

    def edited(self, ref: Ref, action: str) -> None:
        """A person changed an order elsewhere."""
        self.edits.setdefault(ref, []).append(Edit(action, len(self.sandbox.ledger.calls()), time.monotonic()))

    def panel(self, shop: str, action: str, **given: Any) -> dict[str, Any]:
        """Does something in a platform's back office. Raises PanelError where it is not possible there."""
        platform, id_ = self._ids[shop]
        return self.sandbox.platforms[platform].operate({"action": action, "shop": id_, **given})

    def orders(self, shop: str) -> list[str]:
        """Ids that the platform has now."""
        found: list[str] = getattr(self.sandbox, PLATFORM_OF[shop]).order_ids()
        return found

    def effects(self, ref: Ref) -> list[Call]:
        """The calls that changed the order at its platform, as it did."""
        platform = PLATFORM_OF[ref.shop]
        return [c for c in self.sandbox.ledger.calls(ref.order) if c.took_effect and c.platform == platform]

    def any_order(self, rng: random.Random) -> Ref:
        """One of the orders that can be read."""
        shop = rng.choice(SHOPS)
        return Ref(shop, rng.choice([each for each in self.orders(shop) if Ref(shop, each) not in self.garbage]))

    def any_node(self, rng: random.Random | None = None) -> ChaosDaemon:
        """One of the daemons that run, where one does: whom a load balancer would ask."""
        running = [node for node in self.nodes if node.is_running]
        return (rng or self.balancer).choice(running or self.nodes)

    def write_config(self) -> None:
        """The config of now: the platforms' keys of now, without the shops that left."""
        for node in self.nodes:
            self._write_config(node)

    def _write_config(self, node: ChaosDaemon) -> None:
        config = self.sandbox.config()
        self.secrets |= set(_secrets(config["shops"]))
        shops = {
            name: {**shop, **self.pace, **self.own.get(shop["platform"], {})}
            for name, shop in config["shops"].items()
            if name not in self.absent
        }
        urls = {"orders_url": self.receiver.url(), "products_url": self.receiver.url("/products")}
        config |= {
            "storage": dict(node.storage),
            "shops": shops,
            "webhooks": {"port": node.webhook_port, "public_url": f"http://127.0.0.1:{self.webhook_port}"},
            "delivery": {**urls, "secret": SECRET, "max_wait_seconds": 0.5, "timeout_seconds": 3},
            "drain_seconds": 5,
            "log": {"level": "info", "format": "json"},
        }
        beside = node.folder / "config.new"
        beside.write_text(json.dumps(config, indent=1))
        beside.replace(node.folder / "config.json")


def shop_names(sandbox: Sandbox) -> dict[tuple[str, str], str]:
    """The names that the ready config has for the shops, by the platform's name and its own id of the shop, as the
    ledger has them."""
    found = {}
    for name, platform in sandbox.platforms.items():
        ids: Iterable[str] = getattr(platform, "shops_by_key", ())
        found.update({(name, id_): shop for id_, shop in zip(ids, platform.shops(""), strict=True)})
    return found


_SECRET_KEYS = {"token", "client_secret", "consumer_secret", "password", "webhook_secret", "refresh_token"}


def _secrets(config: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            found += _secrets(value)
        elif name in _SECRET_KEYS:
            found += value if isinstance(value, list) else [str(value)]
    return found
