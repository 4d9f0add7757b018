"""What the page about the sandbox has people type does what it says."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from orchestrator.registry import BUILT_IN
from orchestrator.sandbox.checkout import Wish
from orchestrator.sandbox.faults import RATE_NAMES, TIMING
from orchestrator.sandbox.server import Sandbox, SandboxSettings

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def typed(sandbox: Sandbox) -> str:
    """All that people type, but for the start and the end, at a sandbox that runs already."""
    calls = "\n".join(block for block in BLOCKS if "sandbox=$!" not in block).replace("kill $sandbox\n", "")
    return f"set -eu; box={sandbox.base_url}/_sandbox\n{calls.replace('curl -sS', 'curl -sS --fail-with-body')}"


async def run(command: str, folder: Path) -> list[Any]:
    """The answers, in sequence."""

    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)

    done = await anyio.to_thread.run_sync(call)
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_what_people_type_is_taken_and_takes_effect(tmp_path: Path) -> None:
    async with Sandbox(SandboxSettings(orders=3)).running() as sandbox:
        answers = await run(typed(sandbox), tmp_path)
        (money,) = [each["money"] for each in answers if "money" in each]
        assert money["currency"] == "KWD"
        assert all(len(amount.partition(".")[2]) == 3 for name, amount in money.items() if name in ("total", "tax"))
        assert {"error_after": 0.1, "throttle": 0.05} in answers
        assert {"drop_before": 1} in answers
        assert dict(zip(TIMING, (0.25, 5, 10), strict=True)) in answers
        assert sandbox.selldone.shop.token == "another-token"
        assert sandbox.xsale.shop.shown == {"DeliveryPriceGross": "delivery"}
        assert sandbox.faults.rates == {}
        assert not any(sandbox.faults.rates_of(platform) for platform in BUILT_IN)


async def test_a_platform_that_is_down_is_down_alone(tmp_path: Path) -> None:
    async with Sandbox(SandboxSettings(orders=3)).running() as sandbox:
        sandbox.faults.set_rates({"drop_before": 1}, "cloudsuite")
        assert sandbox.faults.draw("selldone/1", None, "list") is None
        assert sandbox.faults.draw("cloudsuite/1", None, "list") is not None
        with pytest.raises(ValueError, match="add up to"):
            sandbox.faults.set_rates({"drop_before": 1, "drop_after": 1}, "cloudsuite")
        for sender in (*sandbox.woocommerce.senders, *sandbox.shopify.senders):
            assert sender.account.partition("/")[0] in BUILT_IN, "its webhooks have the rates of its platform"
        sandbox.faults.set_rates({}, "cloudsuite")
        assert sandbox.faults.draw("cloudsuite/1", None, "list") is None


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("timing", {"speed": 1}, "unknown time 'speed'; known are latency_seconds"),
        ("timing", {"latency_seconds": -1}, "from 0 to 600, not -1"),
        ("selldone/faults", {"drop_before": 2}, "from 0 to 1, not 2"),
        ("nobody/faults", {}, "known are selldone"),
        ("selldone/panel", {"action": "add", "cart": {"price": 1}}, "cart takes currency, tax_included"),
        (
            "selldone/panel",
            {"action": "add", "cart": {"currency": "JPY", "shipping": "1.50"}},
            "such as 1250, not '1.50'",
        ),
        ("cloudsuite/panel", {"action": "add", "cart": {"tax_included": True}}, "prices are without tax here"),
        ("shopify/panel", {"action": "add", "cart": {"discount": "99"}}, "more than the goods cost"),
        ("xsale/panel", {"action": "show", "member": "X", "sum": "profit"}, "there is no sum 'profit'"),
        ("woocommerce/panel", {"action": "add", "cart": {"pickup": "yes"}}, "pickup must be true or false"),
    ],
)
async def test_a_call_that_is_wrong_is_answered_with_what_is_known(path: str, body: dict[str, Any], words: str) -> None:
    async with Sandbox(SandboxSettings(orders=3)).running() as sandbox:
        url = f"{sandbox.base_url}/_sandbox/{path}"

        def call() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as answer:
                    return answer.status, ""
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read())["error"]

        status, error = await anyio.to_thread.run_sync(call)
        assert status in (400, 404)
        assert words in error


def test_the_page_names_each_member_of_a_cart_and_each_time() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert set(Wish.__annotations__) <= set(rows)
    for name in (*TIMING, *(set(RATE_NAMES) - {"stall", "stall_before"})):
        assert name in PAGE
