"""People: merchants and buyers at the platforms, and operators at the daemon, by API and by command line."""

from __future__ import annotations

import random
import subprocess
import sys

import anyio
import anyio.to_thread

from orchestrator.sandbox.platform import PanelError
from tests.chaos.talk import call
from tests.chaos.world import PLATFORM_OF, SHOPS, Ref, World
from tests.support.process import Unreachable

_MOVES = {
    "selldone": ("OrderConfirm", "PreparingOrder", "SentOrder", "CheckQueue", "Mystery"),
    "cloudsuite": ("processing", "confirmed", "done", "mystery"),
    "xsale": ("Zaimportowano do ERP", "Wysłane", "Nowe", "Do obsługi ręcznej"),
    "woocommerce": ("on-hold", "processing", "completed", "refunded"),
}
_OWN = {
    "selldone": ("reject", "unreject", "withdraw", "unwithdraw"),
    "cloudsuite": ("ship",),
    "shopify": ("fulfill", "hold", "release_hold", "split", "deliver", "report_progress", "stop_progress", "unfulfill"),
    "woocommerce": ("trash", "restore", "refund"),
}
_COMMANDS = ("retry", "hold", "release", "cancel", "refresh")
_WANTED = ({"situation": "blocked"}, {"situation": "held"}, {"problem": "attempts-exhausted"}, {"milestone": "new"})
_CODES = {0, 1, 3, 4, 5}  # docs/cli.md: everything but a wrong command line


async def merchants(world: World) -> None:
    """Edits in the platforms' back offices, cancellations among them, and new orders."""
    rng = world.settings.rng("merchants")
    while True:
        await anyio.sleep(rng.uniform(0.05, 0.6))
        ref = world.any_order(rng)
        try:
            _edit(world, rng, ref)
        except PanelError:
            world.note("merchant", "refused", shop=ref.shop, order=ref.order)


def _edit(world: World, rng: random.Random, ref: Ref) -> None:
    platform = PLATFORM_OF[ref.shop]
    action = rng.choices(
        ("add", "edit", "pay", "cancel", "move", "own", "add_garbage"), weights=(8, 4, 3, 2, 2, 2, 0.3)
    )[0]
    if action in ("add", "add_garbage"):
        made = world.panel(ref.shop, action)["order"]
        if action == "add_garbage":
            world.garbage.add(Ref(ref.shop, str(made)))
        world.note("merchant", action, shop=ref.shop, order=made)
        return
    given: dict[str, object] = {}
    if action == "edit":
        given = {"receiver_name": f"Name {rng.randrange(1000)}"} if platform != "shopify" else {"note": "Ring twice"}
    elif action == "move":
        if platform not in _MOVES:
            return
        given = {"state": rng.choice(_MOVES[platform])}
    elif action == "own":
        if platform not in _OWN:
            return
        action = rng.choice(_OWN[platform])
    world.panel(ref.shop, action, order=ref.order, **given)
    world.edited(ref, action)
    world.note("merchant", action, shop=ref.shop, order=ref.order, **given)


async def operators(world: World) -> None:
    """Everything that a person may ask the daemon for, of any order or shop, sensible or not."""
    rng = world.settings.rng("operators")
    while True:
        await anyio.sleep(rng.uniform(0.05, 0.5))
        ref = world.any_order(rng)
        try:
            await _operate(world, rng, ref)
        except Unreachable:
            world.did["operator unanswered"] += 1


async def _operate(world: World, rng: random.Random, ref: Ref) -> None:
    shop, order = f"/v1/shops/{ref.shop}", f"/v1/shops/{ref.shop}/orders/{ref.order}"
    kinds = ("order", "skip", "shop", "view", "delivery", "rejected", "bulk")
    kind = rng.choices(kinds, weights=(8, 1, 4, 5, 1, 1, 2))[0]
    match kind:
        case "order":
            command = rng.choice(_COMMANDS)
            answer = await call(world, "POST", f"{order}/{command}")
        case "skip":
            command = "skip"
            world.edited(ref, "skip")
            answer = await call(world, "POST", f"{order}/skip", {"reason": "chaos"})
        case "bulk":
            command = rng.choice(("retry", "retry", "hold", "release", "release", "cancel"))
            wanted = {"shop": ref.shop, **rng.choice(_WANTED)}
            body = {"filter": wanted, "limit": rng.randrange(1, 30), "dry_run": rng.random() < 0.2}
            answer = await call(world, "POST", f"/v1/orders/{command}", body)
            command = f"{command} in bulk"
        case "shop":
            command = rng.choice(("pause", "resume", "resume", "sync", "sync?wait=2"))
            answer = await call(world, "POST", f"{shop}/{command}")
        case "delivery":
            command = rng.choice(("pause", "resume", "resume"))
            answer = await call(world, "POST", f"/v1/delivery/orders_url/{command}")
        case "rejected":
            command = "retry rejected"
            answer = await call(world, "POST", f"/v1/rejected/{rng.randrange(1, 6)}/retry")
        case _:
            views = ("/v1/status", "/v1/orders?limit=7", "/v1/rejected", "/v1/products", f"{order}?include=timeline")
            command = "view"
            answer = await call(world, "GET", rng.choice(views))
    world.note("operator", command.partition("?")[0], shop=ref.shop, order=ref.order, answer=answer.status)


async def typists(world: World) -> None:
    """The same from the command line, more rarely: each command is a process of its own."""
    rng = world.settings.rng("typists")
    while True:
        await anyio.sleep(rng.uniform(2, 5))
        ref = world.any_order(rng)
        words = rng.choice(
            (
                ["status", "--json"],
                ["orders", "--json"],
                ["order", ref.shop, ref.order, "--json"],
                *([word, ref.shop, ref.order] for word in _COMMANDS),
                *([word, rng.choice(SHOPS)] for word in ("pause", "resume", "sync")),
            )
        )
        await _type(world, rng, words)


async def _type(world: World, rng: random.Random, words: list[str]) -> None:
    command = [sys.executable, "-m", "orchestrator", "--socket", str(world.any_node(rng).socket), *words]
    done = await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL)
    world.note("typist", words[0], words=" ".join(words[1:]), code=done.returncode)
    if done.returncode not in _CODES or b"Traceback" in done.stderr:
        world.broken("a command ends with a documented exit code", f"{words}: {done.returncode} {done.stderr.decode()}")
