"""A daemon whose environment names a collector of OpenTelemetry sends it a trace of each target that ended."""

from __future__ import annotations

import gzip
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.tracing import trace_id_of
from tests.support.process import daemon_process

pytestmark = pytest.mark.e2e


async def test_a_target_of_two_lives_is_one_trace_with_a_span_for_each_step(tmp_path: Path) -> None:
    spans: list[Span] = []
    services: set[str] = set()
    has_come = anyio.Event()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        sent = ExportTraceServiceRequest.FromString(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        for each in sent.resource_spans:
            services.update(a.value.string_value for a in each.resource.attributes if a.key == "service.name")
            spans.extend(span for scope in each.scope_spans for span in scope.spans)
        has_come.set()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        daemon.variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{runner.addresses[0][1]}"}
        shop = daemon.configure(sandbox)
        (order,) = sandbox.selldone.order_ids()
        daemon.start()
        await daemon.ready()
        sandbox.faults.script_answer(422, b'{"message": "Not this one."}', step="confirm", times=1)
        path = f"/v1/shops/{shop}/orders/{order}"
        _, target = await daemon.call("POST", f"{path}/targets?wait=50", {"state": "shipped"})
        assert target["status"] == "blocked"
        daemon.kill()
        daemon.start()
        await daemon.ready()
        assert (await daemon.call("POST", f"{path}/retry"))[0] == 200
        with anyio.fail_after(120):
            await has_come.wait()
        assert await daemon.terminate() == 0
    await runner.cleanup()

    root, *steps = spans
    assert services == {"fulfilld"}
    assert {span.trace_id.hex() for span in spans} == {trace_id_of(target["id"])}
    assert (root.name, root.parent_span_id) == ("target SentOrder", b"")
    assert {span.parent_span_id for span in steps} == {root.span_id}
    assert [span.name for span in steps][:2] == ["step confirm", "step confirm"]
    assert len(steps) == 1 + len(target["plan"])
    assert [event.name for event in root.events] == ["order.blocked", "order.released"]
