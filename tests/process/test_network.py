"""Errors of calls over HTTP are described in words that say where to look, without class names and secrets."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from orchestrator.network import bind_refusal, bind_words, network_words
from tests.support.certificate import make_certificate

SECRET = "s3cret-of-the-shop"
KEY = ConnectionKey("shop.example", 443, True, True, None, None, None)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Something on loopback that takes connections; answers its port."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def words_of_a_call(url: str) -> str:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        try:
            async with session.post(f"{url}/{SECRET}", headers=headers, data=b"{}") as response:
                await response.read()
        except (aiohttp.ClientError, OSError) as error:
            return network_words(error)
    raise AssertionError("the call went well")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()


async def speak_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()


async def send_a_token_where_no_body_may_be(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(f'HTTP/1.1 204 No Content\r\n\r\n{{"token": "{SECRET}"}}'.encode())
    await writer.drain()


async def test_a_refused_connection_names_the_place() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert await words_of_a_call(f"http://127.0.0.1:{port}") == f"connection refused by 127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (hang_up, "connection lost before the answer"),
        (break_off, "connection lost in the middle of the answer"),
        (speak_ssh, "no HTTP answer: Bad status line"),
        (send_a_token_where_no_body_may_be, "no HTTP answer: Bad status line"),
    ],
)
async def test_what_goes_wrong_after_connecting(talk: Talk, words: str) -> None:
    async with a_server(talk) as port:
        reported = await words_of_a_call(f"http://127.0.0.1:{port}")
    assert reported.startswith(words)
    assert SECRET not in reported
    assert "SSH-2.0" not in reported, "nothing of what the other side sent is quoted"
    assert "\n" not in reported


async def test_a_server_without_tls() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with a_server(refuse) as port:
        reported = await words_of_a_call(f"https://127.0.0.1:{port}")
    assert reported.startswith(f"no TLS connection to 127.0.0.1:{port}: ")


async def test_a_certificate_that_nobody_vouches_for_is_reported_with_the_reason(tmp_path: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*make_certificate(tmp_path))
    async with a_server(hang_up, tls) as port:
        reported = await words_of_a_call(f"https://127.0.0.1:{port}")
    assert reported.replace("self signed", "self-signed") == (  # OpenSSL 1.1 has no hyphen
        f"the TLS certificate of 127.0.0.1:{port} is not accepted: self-signed certificate"
    )


def connector(cause: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(KEY, cause)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
            "the name shop.example is not known",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_AGAIN, "Temporary failure")),
            "the name shop.example cannot be looked up now: the name server does not answer",
        ),
        (connector(OSError(errno.EHOSTUNREACH, "x")), "no way to shop.example:443: no route to host"),
        (connector(OSError(errno.ETIMEDOUT, "x")), "no connection in time"),
        (connector(OSError(errno.ECONNRESET, "x")), "shop.example:443 hung up before the connection stood"),
        (connector(OSError(errno.EMFILE, "x")), "no connection to shop.example:443: too many open files"),
        (
            connector(OSError("Multiple exceptions: [Errno 111] …")),
            "no connection to shop.example:443: several addresses, none answers",
        ),
        (aiohttp.ConnectionTimeoutError("to https://shop.example/" + SECRET), "no connection in time"),
        (TimeoutError(), "no answer in time"),
        (aiohttp.ServerDisconnectedError(), "connection lost before the answer"),
        (aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), "connection lost before the answer"),
        (ConnectionResetError(), "connection lost before the answer"),
        (aiohttp.InvalidURL("https://shop.example/" + SECRET), "the address is not valid for HTTP"),
        (aiohttp.RedirectClientError(SECRET), "the call failed on its way"),
        (ssl.SSLCertVerificationError("x"), "TLS failed: it broke off"),
        (OSError(errno.ENOSPC, "x"), "no space left on device"),
        (ValueError(SECRET), "the request cannot be made of what it would have to hold"),
    ],
)
def test_an_error_is_reported_in_words(error: BaseException, words: str) -> None:
    assert network_words(error) == words


@pytest.mark.parametrize(
    ("host", "error", "words"),
    [
        ("127.0.0.1", OSError(errno.EADDRINUSE, "x"), "127.0.0.1:8443 is in use by another program"),
        ("::1", OSError(errno.EADDRINUSE, "x"), "[::1]:8443 is in use by another program"),
        ("192.0.2.1", OSError(errno.EADDRNOTAVAIL, "x"), "192.0.2.1 is not an address of this machine"),
        ("127.0.0.1", PermissionError(errno.EACCES, "x"), "127.0.0.1:8443 may not be listened on by this user"),
        (
            "shop.example",
            socket.gaierror(socket.EAI_NONAME, "x"),
            "shop.example:8443 cannot be listened on: the name shop.example is not known",
        ),
        ("::1", OSError(errno.ENOBUFS, "x"), "[::1]:8443 cannot be listened on: no buffer space available"),
    ],
)
def test_why_nobody_can_listen_is_one_short_sentence(host: str, error: OSError, words: str) -> None:
    assert bind_words(host, 8443, error) == words
    key = "host" if host in ("192.0.2.1", "shop.example") else "port"
    assert bind_refusal("webhooks", host, 8443, error) == f"{words}; set another webhooks.{key}"
