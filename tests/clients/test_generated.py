"""Clients that generators make of the OpenAPI document: they pass the checks of their languages, and answer what the
daemon answers, each problem with a class of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.api.openapi import openapi_document
from tests.api.bench import TOKEN, an_order, bench
from tests.support.clients import GENERATORS, interpreter
from tests.support.ports import free_port
from tests.support.skips import skip

REMEDY = "make generators, with npm and the package indexes in reach"
LINES = {"POST /v1/targets", "GET /v1/dump"}
"""The calls whose bodies are lines: generators know JSON alone."""

ANSWERS = ["queued shipped", "the same", "planned 2", "reached", "shop-not-found", "unreachable allowed"]
ANSWERS += ["unknown-state", "unauthorized", "1 event", "acknowledged"]

PYTHON = """\
import sys

from generated import AuthenticatedClient
from generated.api.events import acknowledge_events, read_consumer_events
from generated.api.targets import submit_target
from generated.models import AckBody, EventPage, ParcelBody, Preview, Problem401, Problem404, Problem409, Problem422
from generated.models import Problem503, Target, TargetBody

url, token, is_draining = sys.argv[1], sys.argv[2], len(sys.argv) > 3
client = AuthenticatedClient(base_url=url, token=token)
shipped = TargetBody(state="shipped", parcel=ParcelBody(number="B-14", carrier="DHL", tracking=["3SABC"]))

first = submit_target.sync("acme", "67890", client=client, body=shipped, idempotency_key="box-14")
if is_draining:
    assert isinstance(first, Problem503)
    print(first.type_)
    sys.exit()
assert isinstance(first, Target)
print(first.status, first.milestone)
again = submit_target.sync("acme", "67890", client=client, body=shipped, idempotency_key="box-14")
assert isinstance(again, Target)
print("the same" if again.id == first.id else "another")
plan = submit_target.sync("acme", "67890", client=client, body=TargetBody(state="preparing"), dry_run=True)
assert isinstance(plan, Preview)
print("planned", len(plan.plan))
waited = submit_target.sync("acme", "67890", client=client, body=TargetBody(state="new"), wait=1)
assert isinstance(waited, Target)
print(waited.status)
strange = submit_target.sync("nobody", "67890", client=client, body=shipped)
assert isinstance(strange, Problem404)
print(strange.type_)
refused = submit_target.sync("acme", "67890", client=client, body=TargetBody(state="returned"))
assert isinstance(refused, Problem409)
print(refused.type_, "allowed" if isinstance(refused.allowed, list) else "nothing")
unknown = submit_target.sync("acme", "67890", client=client, body=TargetBody(state="nowhere"))
assert isinstance(unknown, Problem422)
print(unknown.type_)
stranger = AuthenticatedClient(base_url=url, token="wrong")
denied = submit_target.sync("acme", "67890", client=stranger, body=shipped)
assert isinstance(denied, Problem401)
print(denied.type_)
page = read_consumer_events.sync("erp", client=client, limit=1)
assert isinstance(page, EventPage)
print(len(page.events), "event")
acknowledged = acknowledge_events.sync("erp", client=client, body=AckBody(cursor=page.events[0].cursor))
print("acknowledged" if acknowledged is not None else "lost")
"""

TYPESCRIPT = """\
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Target = components["schemas"]["Target"];
type Preview = components["schemas"]["Preview"];

declare const process: { argv: string[]; exit(code: number): never };
const [url, token, draining] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
const shipped: components["schemas"]["TargetBody"] = {
  state: "shipped",
  parcel: { number: "B-14", carrier: "DHL", tracking: ["3SABC"] },
};

async function submit(
  body: components["schemas"]["TargetBody"],
  options: { shop?: string; key?: string; wait?: number; dry_run?: boolean; by?: typeof client } = {},
) {
  const { shop = "acme", key, wait, dry_run, by = client } = options;
  return await by.POST("/v1/shops/{shop}/orders/{id}/targets", {
    params: { path: { shop, id: "67890" }, query: { wait, dry_run }, header: { "Idempotency-Key": key } },
    body,
  });
}

const isTarget = (answer: Target | Preview | undefined): answer is Target => answer !== undefined && "id" in answer;

const first = await submit(shipped, { key: "box-14" });
if (draining) {
  console.log(first.error?.status === 503 ? first.error.type : "no problem");
  process.exit(0);
}
if (!isTarget(first.data)) throw new Error(first.error?.detail);
console.log(first.data.status, first.data.milestone);
const again = await submit(shipped, { key: "box-14" });
console.log(isTarget(again.data) && again.data.id === first.data.id ? "the same" : "another");
const planned = await submit({ state: "preparing" }, { dry_run: true });
console.log("planned", planned.data?.plan.length);
const waited = await submit({ state: "new" }, { wait: 1 });
if (isTarget(waited.data)) console.log(waited.data.status);
const strange = await submit(shipped, { shop: "nobody" });
if (strange.error?.status === 404) console.log(strange.error.type);
const refused = await submit({ state: "returned" });
if (refused.error?.status === 409) console.log(refused.error.type, refused.error.allowed ? "allowed" : "nothing");
const unknown = await submit({ state: "nowhere" });
if (unknown.error?.status === 422) console.log(unknown.error.type);
const stranger = createClient<paths>({ baseUrl: url, headers: { Authorization: "Bearer wrong" } });
const denied = await submit(shipped, { by: stranger });
if (denied.error?.status === 401) console.log(denied.error.type);
const path = { name: "erp" };
const page = await client.GET("/v1/consumers/{name}/events", { params: { path, query: { limit: 1 } } });
if (typeof page.data !== "object") throw new Error("not a page"); // by its header it may be a stream, too
console.log(page.data.events.length, "event");
const cursor = page.data.events[0]?.cursor ?? 0;
const acknowledged = await client.POST("/v1/consumers/{name}/ack", { params: { path }, body: { cursor } });
console.log(acknowledged.data ? "acknowledged" : "lost");
"""


def tool(place: str) -> str:
    """What `make generators` installed. Skips the test where it is missing."""
    path = GENERATORS / place
    return str(path) if path.exists() else skip(f"there is no {path.name}", REMEDY)


async def run(folder: Path, *command: str) -> str:
    """Runs a command that has to succeed; what it printed."""
    done = await anyio.run_process(command, cwd=folder, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return (done.stdout + done.stderr).decode()


async def answers_of(folder: Path, *command: str) -> list[str]:
    """What a program prints that calls a daemon, and calls it once more when it is draining."""
    async with bench(an_order("67890"), tcp={"port": (port := free_port()), "token": TOKEN}) as b:
        arguments = [*command, f"http://127.0.0.1:{port}", TOKEN]
        lines = (await run(folder, *arguments)).splitlines()
        b.node.is_draining = True
        return [*lines, *(await run(folder, *arguments, "draining")).splitlines()]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(openapi_document()))
    return path


async def test_a_client_generated_in_python_passes_its_type_check_and_answers(tmp_path: Path, document: Path) -> None:
    generator, python = tool("bin/openapi-python-client"), tool("bin/python")
    (tmp_path / "settings.yml").write_text("post_hooks: []\n")
    options = ["--output-path", "generated", "--meta", "none", "--config", "settings.yml"]
    said = await run(tmp_path, generator, "generate", "--path", document.name, *options)
    warned = set(re.findall(r"WARNING parsing (.+?) within", said))
    assert warned == LINES, said
    (tmp_path / "use.py").write_text(PYTHON)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--python-executable", python]
    await run(tmp_path, *mypy, "--cache-dir", os.devnull, "use.py")
    assert await answers_of(tmp_path, python, "use.py") == [*ANSWERS, "draining"]


async def test_a_client_generated_in_typescript_compiles_and_answers(tmp_path: Path, document: Path) -> None:
    node = interpreter("node")
    generator, compiler = tool("node_modules/.bin/openapi-typescript"), tool("node_modules/.bin/tsc")
    (tmp_path / "node_modules").symlink_to(GENERATORS / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    await run(tmp_path, generator, document.name, "--output", "api.ts")
    (tmp_path / "use.ts").write_text(TYPESCRIPT)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"]
    await run(tmp_path, compiler, *options, "use.ts")
    assert await answers_of(tmp_path, node, "use.js") == [*ANSWERS, "draining"]
