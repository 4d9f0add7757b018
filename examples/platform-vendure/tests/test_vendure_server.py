"""The server's life: it ends with whoever started it, and where there is none, that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from platform_vendure.sandbox.server import REMEDY, missing
from tests.support.skips import skip

STARTS_IT = """
from platform_vendure.sandbox.server import running
print(running()._process.pid, flush=True)
input()
"""
ASKS_FOR_IT = """
import anyio, aiohttp
from orchestrator.sandbox.server import Sandbox

async def main():
    async with Sandbox().running() as sandbox, aiohttp.ClientSession() as session:
        shops = sandbox.config()["shops"]
        token = shops["vendure-shop"]["channel_token"]
        url, asked = f"{sandbox.base_url}/vendure/admin-api", {"query": "{ orders { totalItems } }"}
        async with session.post(url, json=asked, headers={"vendure-token": token}) as answer:
            print(answer.status, await answer.text())
        print(len(sandbox.selldone.order_ids()))

anyio.run(main)
"""


def test_the_server_ends_with_a_program_that_is_killed() -> None:
    if (trouble := missing()) is not None:
        skip(trouble, REMEDY)
    with subprocess.Popen([sys.executable, "-c", STARTS_IT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        server = psutil.Process(int(program.stdout.readline()))
        assert server.is_running()
        program.kill()
        gone, alive = psutil.wait_procs([server], timeout=60)
        assert (gone, alive) == ([server], [])


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["nothing installed", "no Node either"])
def test_without_the_server_the_other_platforms_go_on_and_the_remedy_is_said(tmp_path: Path, path: str) -> None:
    environ = {**os.environ, "VENDURE_SERVER": str(tmp_path), "PATH": path}
    done = subprocess.run([sys.executable, "-c", ASKS_FOR_IT], env=environ, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, orders = done.stdout.splitlines()
    assert said.startswith("503 ")
    assert f"Vendure is not installed in {tmp_path}" in said
    assert "make vendure" in said
    assert orders == "20"
