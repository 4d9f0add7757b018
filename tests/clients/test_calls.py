"""What the clients offer beside submission and the loop: the same calls and the same answers in each language."""

from __future__ import annotations

import json
import os
import re
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from tests.api.bench import TOKEN, an_order, bench
from tests.support.clients import GENERATORS, ROOT, ScriptedDaemon, command_of, interpreter
from tests.support.ports import free_port
from tests.support.skips import skip

CALLS = {
    "python": ("python", "calls.py"),
    "python_async": ("python", "calls_async.py"),
    "node": ("node", "calls.mjs"),
    "php": ("php", "calls.php"),
    "csharp": ("csharp", "Calls.cs"),
}
ANSWERS = """\
queued
1, 2, a/ä 1
target.submitted
1
0
409 cursor-ahead True
409 cursor-ahead True
422 idempotency-key-reused True
404 shop-not-found True
unreachable
acme
planned True
"""
README = (ROOT / "clients" / "README.md").read_text("utf-8")
CHECKS = {"python": ("-m", "py_compile"), "js": ("--check",), "php": ("-l",)}
"""How each language reads a file without running it."""
PARSES = """\
import sys
import tree_sitter
import tree_sitter_pwsh

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))
sys.exit(parser.parse(sys.stdin.buffer.read()).root_node.has_error)
"""
POWERSHELL = ROOT / "clients" / "powershell"
SENDS = """\
using System;
using Fulfilld;

using var erp = new Client();
var body = new { quantity = 1.50m, lines = (string?)null };
var target = await erp.CallAsync("POST", Client.PathOf("shops", "acme", "orders", "..", "targets"), body: body);
Console.WriteLine(target!["id"]);
try
{
    await erp.SubmitAsync("acme", "..", body, "key\\n");
}
catch (ArgumentException)
{
    Console.WriteLine("no header can carry it");
}
"""


@pytest.mark.parametrize("name", CALLS)
async def test_calls_answer_alike_in_every_language(name: str) -> None:
    language, place = CALLS[name]
    async with bench(*map(an_order, ("1", "2", "a/ä 1")), tcp={"port": (port := free_port()), "token": TOKEN}):
        command = [*await command_of(language, Path(__file__).parent / "calls" / place), f"http://127.0.0.1:{port}"]
        own = {"PYTHONPATH": str(ROOT / "clients" / "python"), "PYTHONUTF8": "1", "FULFILLD_TOKEN": TOKEN}
        done = await anyio.run_process(command, env={**os.environ, **own}, check=False)
    assert (done.returncode, done.stdout.decode()) == (0, ANSWERS), done.stderr


def test_python_sends_decimals_as_text_with_all_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "clients" / "python"))
    from fulfilld import Address, request_of

    line = {"id": "1", "quantity": Decimal("1.50"), "many": Decimal("1E+3")}
    sent = request_of(Address(socket="s"), "POST", "/v1/targets", None, {"items": [line]}, "k-1").data
    assert sent is not None
    assert json.loads(sent) == {"items": [{"id": "1", "quantity": "1.50", "many": "1000"}]}


def test_python_takes_an_empty_variable_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "clients" / "python"))
    from fulfilld import Address

    monkeypatch.setenv("FULFILLD_SOCKET", "")
    monkeypatch.setenv("FULFILLD_URL", "http://127.0.0.1:8440")
    assert Address.of(None, None, None).socket is None
    monkeypatch.setenv("FULFILLD_URL", "")
    with pytest.raises(ValueError, match="FULFILLD_SOCKET"):
        Address.of(None, None, None)


async def test_csharp_sends_decimals_as_text_and_paths_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "Sends.cs"
    source.write_text(SENDS)
    command = await command_of("csharp", source)
    daemon = ScriptedDaemon({"POST /v1/shops/acme/orders/../targets": [(202, {"id": "t-1"})]})
    async with daemon.listening(tmp_path / "s"):
        own = {"FULFILLD_SOCKET": str(tmp_path / "s"), "FULFILLD_URL": ""}
        done = await anyio.run_process(command, env={**os.environ, **own}, check=False)
    assert (done.returncode, done.stdout) == (0, b"t-1\nno header can carry it\n"), done.stderr
    assert [sent for _, sent in daemon.calls] == [{"quantity": "1.50", "lines": None}]


def shown(language: str) -> str:
    """The one block of code in a language that the clients' README has."""
    [code] = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.mark.parametrize("language", CHECKS)
async def test_what_the_readme_shows_is_of_its_language(tmp_path: Path, language: str) -> None:
    code = shown(language)
    path = tmp_path / ("shown.mjs" if language == "js" else f"shown.{language}")
    path.write_text(f"<?php\n{code}" if language == "php" else code)
    runs = interpreter("node" if language == "js" else language)
    done = await anyio.run_process([runs, *CHECKS[language], str(path)], check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_what_the_readme_shows_in_csharp_compiles(tmp_path: Path) -> None:
    path = tmp_path / "Shown.cs"
    path.write_text(shown("csharp"))
    assert await command_of("csharp", path)


@pytest.mark.parametrize("place", ["Fulfilld.psm1", "example.ps1", "README.md", "broken"])
async def test_what_is_in_powershell_parses(place: str) -> None:
    python = GENERATORS / "bin" / "python"
    if not python.exists():
        skip("there is no parser of PowerShell", "make generators")
    match place:
        case "README.md":
            code = shown("powershell")
        case "broken":
            code = "if ($true) { 'there is no end to this"
        case _:
            code = (POWERSHELL / place).read_text("utf-8")
    done = await anyio.run_process([str(python), "-c", PARSES], input=code.encode(), check=False)
    assert done.returncode == (place == "broken"), done.stderr


def test_powershell_calls_what_its_client_has() -> None:
    client = (POWERSHELL / "Fulfilld.psm1").read_text("utf-8")
    made = set(re.findall(r"^function (\S+?)[ (]", client, re.MULTILINE))
    exported = set(re.findall(r"[\w-]+-Fulfilld\w*", client.partition("Export-ModuleMember")[2]))
    shown_there = (POWERSHELL / "example.ps1").read_text("utf-8") + shown("powershell")
    assert exported <= made
    assert set(re.findall(r"[A-Z]\w+-Fulfilld\w*", client)) <= made
    assert set(re.findall(r"[A-Z]\w+-Fulfilld\w*", shown_there)) <= exported
