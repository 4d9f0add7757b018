"""What happens to the daemons and around them: kills, stops, freezes, clocks, reloads, and calls that go wrong."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Awaitable, Callable

import anyio

from orchestrator.checkpoints import POINTS
from tests.chaos.servers import LEASE_SECONDS
from tests.chaos.world import PLATFORM_OF, SHOPS, ChaosDaemon, World
from tests.support.process import Unreachable

HOUR_MS = 3_600_000
_STEPS_MS = (-24 * HOUR_MS, -HOUR_MS, -5_000, 0, 5_000, HOUR_MS, 24 * HOUR_MS)
_ARMED_SECONDS = 3.0
_KILLED = -signal.SIGKILL

WEATHER: tuple[dict[str, float], ...] = (
    {},
    {"mixed": 0.1},
    {"mixed": 0.4},
    {"drop_after": 0.3},
    {"error_after": 0.2, "garbage": 0.2},
    {"throttle": 0.1},
    {"stall_after": 0.1},
    {"error_before": 1.0},
    {"webhook_lost": 0.3, "webhook_twice": 0.3, "webhook_shuffled": 0.5, "mixed": 0.05},
)
"""Rates of faults that come and go. `stall_before` is not among them: a platform that does what it was asked after the
asker has given up is outside of what is promised (docs/guarantees.md)."""


class Nature:
    """Keeps a daemon alive, and ends or freezes it. One actor for each, so that at most one thing happens to a
    process at a time."""

    def __init__(self, world: World, node: ChaosDaemon) -> None:
        self.world, self.node = world, node
        self.rng = world.settings.rng(f"nature {world.nodes.index(node)}")
        self._start_seconds = 0.0

    @property
    def kills(self) -> int:
        """How often any of the daemons was killed."""
        return self.world.did["nature kill"] + self.world.did["nature crash"]

    async def rage(self) -> None:
        """Until all kills are spent."""
        acts: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self.kill),
            (5, self.crash),
            (2, self.stop),
            (3, self.freeze),
        ]
        weights = [weight for weight, _ in acts]
        pause = self.world.settings.seconds * len(self.world.nodes) / self.world.settings.kills / 2
        while self.kills < self.world.settings.kills:
            # A life has to be worth its start, which takes long where others use the machine too.
            await anyio.sleep(self.rng.uniform(0.1, 2) * max(pause, self._start_seconds))
            if not self.node.is_running:  # a crash point that was armed long ago
                await self.ended()
                await self._start_somehow()
            act = self.rng.choices(acts, weights)[0][1]
            await act()

    async def start(self, crash: str | None = None) -> None:
        """A life of the daemon, armed with a crash point or not; waits until it is ready or died."""
        self._note("start", crash=crash)
        self.node.is_ready = False
        began = time.monotonic()
        self.node.start(crash)
        try:
            await self.node.ready()
            self._start_seconds = time.monotonic() - began
            self.node.is_ready = True
        except Unreachable:
            await self.ended()

    async def ended(self) -> None:
        """The end of a life that nobody asked for: only a crash point may cause it."""
        code = await self.node.exited()
        if code != _KILLED:
            self.world.broken("the daemon ends only when it is asked to", f"it ended with {code}")
        self._note("crash")

    async def kill(self) -> None:
        """SIGKILL at a random moment."""
        self._kill()
        await anyio.sleep(self.rng.choice((0, 0, 0.5)))
        await self._start_somehow()

    async def crash(self) -> None:
        """SIGKILL at a named point, if the work comes by there in time."""
        self._kill()
        await self.start(f"{self.rng.choice(POINTS)}:{self.rng.randint(1, 8)}")
        if self.node.is_running:
            with anyio.move_on_after(_ARMED_SECONDS):
                await self.ended()
        if not self.node.is_running:
            await self._start_somehow()

    async def begin_again(self) -> None:
        """A life without a crash point ahead, whatever was before."""
        if self.node.is_running:
            await self.kill()
        else:
            await self._start_somehow()

    async def stop(self) -> None:
        """SIGTERM and a drain, or the impatient second signal."""
        self._note("stop")
        self.node.is_ready = False
        assert self.node.process is not None
        self.node.process.send_signal(self.rng.choice((signal.SIGTERM, signal.SIGINT)))
        is_impatient = self.rng.random() < 0.3
        if is_impatient:
            await anyio.sleep(self.rng.uniform(0, 0.3))
            self.node.process.send_signal(signal.SIGTERM)
        code = await self.node.exited()
        if code != 0 and not is_impatient:
            self.world.broken("a drain ends with exit code 0", f"it ended with {code}")
        await self._start_somehow()

    def _kill(self) -> None:
        self._note("kill")
        self._died()
        self.node.kill()

    async def _start_somehow(self) -> None:
        while not self.node.is_running:
            await self.start()

    def _note(self, did: str, **words: object) -> None:
        if len(self.world.nodes) > 1:
            words = {"node": self.node.name, **words}
        self.world.note("nature", did, **words)

    def _died(self) -> None:
        assert self.node.process is not None
        self.world.deaths.append((self.node.process.pid, time.time_ns() // 1_000_000))

    async def freeze(self) -> None:
        """The whole process stands still, longer than a call may take or not."""
        seconds = self.rng.choice((0.2, 1.0, LEASE_SECONDS + 1.5))
        self._note("freeze", seconds=seconds)
        process = self.node.process
        assert process is not None
        if seconds > LEASE_SECONDS:
            self._died()
        process.send_signal(signal.SIGSTOP)
        try:
            await anyio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)


def _expire(world: World, shop: str) -> bool:
    action = {"cloudsuite": "expire_tokens", "xsale": "expire_tokens", "shopify": "expire_token"}.get(PLATFORM_OF[shop])
    if action is None:
        return False
    world.panel(shop, action)
    world.note("nature", action, shop=shop)
    return True


async def changes(world: World) -> None:
    """The time of day, the shops of the config and their keys change, whatever the daemons do just then."""
    rng = world.settings.rng("changes")
    while True:
        await anyio.sleep(rng.uniform(0.5, 4))
        match rng.randrange(4):
            case 0 | 1:
                set_clock(world, rng)
            case 2:
                leave_or_return(world, rng)
            case _:
                await change_keys(world, rng)


def set_clock(world: World, rng: random.Random) -> None:
    """The time of day is another one, for one of the daemons."""
    rng.choice(world.nodes).offset.ms = offset = rng.choice(_STEPS_MS)
    world.note("nature", "set_clock", seconds=offset // 1000)


def leave_or_return(world: World, rng: random.Random) -> None:
    """A shop leaves the config, or comes back to it."""
    shop = rng.choice(SHOPS)
    world.absent ^= {shop}
    world.note("nature", "leave" if shop in world.absent else "return", shop=shop)
    reload(world)


async def change_keys(world: World, rng: random.Random) -> None:
    """A shop's credentials are replaced, or its access tokens end; the config follows a moment later."""
    shop = rng.choice(SHOPS)
    if rng.random() < 0.5 and _expire(world, shop):
        return
    world.panel(shop, "change_token", token=f"changed-{rng.getrandbits(48):012x}")
    world.note("nature", "change_keys", shop=shop)
    await anyio.sleep(rng.uniform(0, 1))
    reload(world)


def reload(world: World) -> None:
    """Writes the config as it should be now, and SIGHUP; a daemon that is not ready reads it by itself."""
    world.write_config()
    for node in world.nodes:
        if node.is_ready and node.process is not None:
            node.process.send_signal(signal.SIGHUP)
            world.note("nature", "reload")


async def weather(world: World) -> None:
    """Calls to the platforms, and their webhooks, go wrong at rates that change."""
    rng = world.settings.rng("weather")
    while True:
        rates = rng.choice(WEATHER)
        world.sandbox.faults.set_rates(rates)
        world.note("weather", "change", **{name: f"{rate:g}" for name, rate in rates.items()})
        await anyio.sleep(rng.uniform(0.5, 2.5))


async def receiver_moods(world: World) -> None:
    """The ERP's receiver answers, refuses, or loses its own answers."""
    rng = world.settings.rng("receiver")
    while True:
        set_mood(world, rng, rng.choice(("good", "good", "refuses", "flaky", "loses")))
        await anyio.sleep(rng.uniform(0.5, 2))


def set_mood(world: World, rng: random.Random, mood: str) -> None:
    """How the receiver is from now on."""
    world.note("receiver", mood)
    chances = {"refuses": 1.0, "flaky": 0.3}
    chance, loses = chances.get(mood, 0.0), 0.3 if mood == "loses" else 0.0
    world.receiver.judge = lambda _: rng.choice((400, 410, 429, 500, 503)) if rng.random() < chance else 204
    world.receiver.loses = lambda _: rng.random() < loses
