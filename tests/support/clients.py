"""The examples of `clients/` as programs that a test runs, and a daemon that follows a script."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from aiohttp import web

from tests.support.skips import skip

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "python": ("python", "python/example.py"),
    "python_async": ("python", "python/example_async.py"),
    "node": ("node", "node/example.mjs"),
    "php": ("php", "php/example.php"),
    "csharp": ("csharp", "csharp/Example.cs"),
}
"""What runs each example, and where it is in `clients`."""
GENERATORS = Path(sys.prefix) / "generators"
"""What `make generators` installed."""


def interpreter(name: str) -> str:
    """What runs a language. Skips the test where it is missing."""
    if name == "node":
        return shutil.which("node") or skip("there is no Node.js", "apt-get install nodejs")
    if name == "php":
        return shutil.which("php") or skip("there is no PHP", "apt-get install php-cli")
    return sys.executable


async def command_of(language: str, source: Path) -> list[str]:
    """What runs a program. Skips the test where its language is missing."""
    if language != "csharp":
        return [interpreter(language), str(source)]
    runtimes = GENERATORS.glob("lib/python*/site-packages/dnv/net/runtime/.net/dotnet")
    roslyn = GENERATORS / "node_modules" / "@autorest" / "csharp"
    if not roslyn.exists() or (runtime := next(runtimes, None)) is None:
        skip("there is no .NET", "make generators, on Linux with an x86-64 processor")
    return [str(runtime), str(await anyio.to_thread.run_sync(_compiled, roslyn, source))]


def _compiled(roslyn: Path, source: Path) -> Path:
    """A program in C# together with the client; the next run of the tests finds it again."""
    compiler = ROOT / "tests" / "clients" / "generators" / "compile_csharp.py"
    sources = [ROOT / "clients" / "csharp" / "Fulfilld.cs", source]
    content = b"".join(each.read_bytes() for each in (compiler, *sources))
    folder = GENERATORS / "csharp" / hashlib.sha256(content).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [str(GENERATORS / "bin" / "python"), str(compiler), str(roslyn), str(made / "program.dll")]
        done = subprocess.run([*command, *map(str, sources)], capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        if folder.exists():  # another worker was faster
            shutil.rmtree(made)
        else:
            made.rename(folder)
    return folder / "program.dll"


async def run_example(name: str, count: int, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the example of a client until `count` orders ended; `variables` say where the daemon is."""
    language, place = EXAMPLES[name]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("FULFILLD_")}
    command = await command_of(language, ROOT / "clients" / place)
    return await anyio.run_process([*command, str(count)], env=inherited | variables, check=False)


@dataclass
class ScriptedDaemon:
    """Answers calls as its lists say; a list's last answer is for all calls from there on.

    An answer is `(status, body)`, with `Retry-After: 0` where it is a 503, `lost` (the connection ends without one) or
    `cut` (it ends within one). `calls` are method, path and, for what was sent, the key or the body.
    """

    answers: Mapping[str, list[Any]]
    calls: list[tuple[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one call."""
        name = f"{request.method} {request.raw_path.partition('?')[0]}"
        body = await request.json() if request.can_read_body else None
        self.calls.append((name, request.headers.get("Idempotency-Key", body)))
        answers = self.answers[name]
        match answers.pop(0) if len(answers) > 1 else answers[0]:
            case "lost":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "cut":
                response = web.StreamResponse(headers={"Content-Length": "4000", "Content-Type": "application/json"})
                await response.prepare(request)
                await response.write(b'{"id": "t-1", ')
                assert request.transport is not None
                request.transport.close()
                return response
            case (int(status), answer):
                headers = {"Retry-After": "0"} if status == 503 else {}
                return web.json_response(answer, status=status, headers=headers)
        raise AssertionError(answers)

    def sent(self, name: str) -> list[Any]:
        """What was sent with the calls of one kind: their keys, or their bodies."""
        return [sent for call, sent in self.calls if call == name]

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Serves on a Unix socket."""
        runner = web.ServerRunner(web.Server(self.handle))
        await runner.setup()
        try:
            await web.UnixSite(runner, str(path)).start()
            yield
        finally:
            await runner.cleanup()
