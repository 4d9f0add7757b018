"""Calls to the daemon, over its Unix socket or a URL.

Plain `http.client`: a command makes one call or a few, one after another, and should start quickly. Only the bulk
submission talks and listens at once; its sender is a thread, because the daemon answers line by line while it reads,
and two sides that both only write would wait for each other for ever.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from orchestrator.cli.failures import ExitCode, Failure, Refusal
from orchestrator.cli.place import Address

CALL_SECONDS = 90.0
"""How long an answer may take that nobody asked to wait for: the daemon may have to read an order from its platform."""

_LARGEST_PROBLEM_BYTES = 1024 * 1024
_PIECE_BYTES = 64 * 1024
_NO_SUCH_PATH = (404, 405, 501)
"""What a server answers to paths and methods that it does not have; the daemon itself says which problem it is."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
"""OpenSSL's reasons, by version, when the other side answers in plain text."""

Query = Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `body` as it came from `address`."""

    status: int
    body: bytes
    address: str

    def json(self) -> Any:
        """The body parsed. Raises Failure (3) when it is not one of the API's."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise _no_api(self.address) from None

    def exact(self) -> Any:
        """As `json`, with numbers that keep their digits."""
        from orchestrator.platforms.json_text import read_value

        try:
            return read_value(self.text())
        except ValueError:
            raise _no_api(self.address) from None

    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class Client:
    """One daemon. Every method raises Refusal for a problem, Failure (3) when the daemon is not reachable."""

    def __init__(self, address: Address, *, call_seconds: float = CALL_SECONDS) -> None:
        self.address = address
        self._credentials = _credentials(address)
        self._call_seconds = call_seconds

    def get(self, path: str, query: Query | None = None, *, wait_seconds: float = 0) -> Answer:
        """Reads. `wait_seconds`: how long the daemon was asked to wait before it answers."""
        return self.call("GET", path, query, wait_seconds=wait_seconds)

    def post(
        self,
        path: str,
        body: Any = None,
        query: Query | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait_seconds: float = 0,
    ) -> Answer:
        """Asks for something to be done; `body` is sent as JSON, None as no body."""
        return self.call("POST", path, query, body, headers, wait_seconds=wait_seconds)

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        wait_seconds: float = 0,
    ) -> Answer:
        """One call with its whole answer."""
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Accept": "application/json, */*;q=0.5", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = "application/json"
        with self._connected(self._call_seconds + wait_seconds) as connection:
            connection.request(method, self._target(path, query), data, {**self._credentials, **sent})
            response = connection.getresponse()
            self._refuse(response)
            return Answer(response.status, response.read(), str(self.address))

    def stream(self, path: str, query: Query | None = None) -> Iterator[bytes]:
        """Reads a long answer piece by piece while it arrives. Raises Failure (3) when it is cut."""
        with self._connected(self._call_seconds) as connection:
            connection.request("GET", self._target(path, query), headers=self._credentials)
            response = connection.getresponse()
            self._refuse(response)
            yield from _pieces(response)

    def bulk(self, path: str, lines: Iterable[bytes]) -> Iterator[Any]:
        """Sends NDJSON line by line and yields the answers as they come, which may be long before the last line."""
        with self._connected(None) as connection:
            connection.putrequest("POST", self._target(path, None))
            headers = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked", **self._credentials}
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            sender = _Sender(connection.sock, lines)
            sender.start()
            try:
                response = connection.getresponse()
                self._refuse(response)
                yield from map(json.loads, _lines(_pieces(response)))
            except (http.client.HTTPException, ConnectionError):
                if sender.failure is None:
                    raise
            if sender.failure is not None:
                raise sender.failure

    def _refuse(self, response: http.client.HTTPResponse) -> None:
        """Raises Refusal if the answer is an error, Failure (3) if it is another server's."""
        if response.status < 400:
            return
        body = response.read(_LARGEST_PROBLEM_BYTES)
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or "type" not in problem:
            if response.status in _NO_SUCH_PATH:
                raise _no_api(str(self.address))
            problem = {"title": f"the daemon answered {response.status} {response.reason}"}
        raise Refusal(response.status, problem, response.getheader("Retry-After"))

    def _target(self, path: str, query: Query | None) -> str:
        known = {name: value for name, value in (query or {}).items() if value is not None}
        prefix = urlsplit(self.address.url).path.rstrip("/") if self.address.url is not None else ""
        return f"{prefix}{path}?{urlencode(known)}" if known else prefix + path

    @contextmanager
    def _connected(self, timeout_seconds: float | None) -> Iterator[http.client.HTTPConnection]:
        connection = self._connection(timeout_seconds)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise self._unreachable(error) from None
            try:
                yield connection
            except TimeoutError:
                sentence = f"the daemon at {self.address} did not answer within {timeout_seconds:.0f} s"
                raise Failure(sentence, ExitCode.UNREACHABLE, remedy="read its log") from None
            except (http.client.HTTPException, ConnectionError) as error:
                raise self._broken(error) from None
        finally:
            connection.close()

    def _connection(self, timeout_seconds: float | None) -> http.client.HTTPConnection:
        if self.address.socket is not None:
            return _UnixConnection(self.address.socket, timeout_seconds)
        try:
            parts = urlsplit(self.address.url or "")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in ("http", "https"):
            sentence = f"{self.address.origin} is not an address"
            raise Failure(sentence, ExitCode.USAGE, remedy="write it as http://127.0.0.1:8440")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(host, port, timeout=timeout_seconds)

    def _unreachable(self, error: OSError) -> Failure:
        where = f"{self.address} ({self.address.origin})"
        if isinstance(error, ssl.SSLError):
            return self._no_tls(error)
        if isinstance(error, PermissionError):
            remedy = "you may not use this socket; run as its owner or join its group"
        elif isinstance(error, FileNotFoundError | ConnectionRefusedError):
            is_url = self.address.url is not None
            remedy = "start it with `fulfilld run`, or " + (
                "check the URL" if is_url else "name its socket with --socket"
            )
        else:
            remedy = error.strerror or str(error) or type(error).__name__
        return Failure(f"no daemon at {where}", ExitCode.UNREACHABLE, remedy=remedy)

    def _no_tls(self, error: ssl.SSLError) -> Failure:
        if error.reason in _NO_TLS:
            remedy = "write http:// in place of https://"
            return Failure(f"what answers at {self.address} does not use TLS", ExitCode.UNREACHABLE, remedy=remedy)
        why = getattr(error, "verify_message", None) or (error.reason or "it broke off").lower().replace("_", " ")
        return Failure(f"no TLS connection to {self.address}", ExitCode.UNREACHABLE, remedy=str(why))

    def _broken(self, error: Exception) -> Failure:
        if isinstance(error, http.client.HTTPException) and not isinstance(
            error, http.client.RemoteDisconnected | http.client.IncompleteRead
        ):
            return _no_api(str(self.address))
        sentence = f"the daemon at {self.address} ended the connection before its answer was complete"
        return Failure(sentence, ExitCode.UNREACHABLE, remedy="read its log and try again")


def _no_api(address: str) -> Failure:
    return Failure(f"what answers at {address} is not a fulfilld API", ExitCode.UNREACHABLE, remedy="check the address")


def segment(text: str) -> str:
    """A name as one segment of a path, whatever it holds."""
    return quote(text, safe="")


def _credentials(address: Address) -> dict[str, str]:
    """The header with the token, if there is one. Raises Failure (2) when it cannot be one, without showing it."""
    if address.token is None:
        return {}
    if not all("!" <= character <= "~" for character in address.token):
        raise Failure("FULFILLD_TOKEN has blanks or characters that no token has", ExitCode.USAGE)
    return {"Authorization": f"Bearer {address.token}"}


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it arrives. `read1` raises IncompleteRead when it is cut; iterating or `readline` would take a cut
    chunked body for a complete one."""
    yield from iter(lambda: response.read1(_PIECE_BYTES), b"")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Complete lines of a body that comes in pieces."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line)
    if rest:
        yield rest


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the host in the request is `localhost`."""

    def __init__(self, path: Path, timeout_seconds: float | None) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Sender(threading.Thread):
    """Sends a chunked body. `failure` is what came up while the lines were read, None if they all went out.

    A daemon thread: it may hang on a stdin that never ends, and must not keep the command from ending.
    """

    def __init__(self, sock: socket.socket, lines: Iterable[bytes]) -> None:
        super().__init__(daemon=True)
        self._sock = sock
        self._lines = lines
        self.failure: Failure | None = None

    def run(self) -> None:
        """Sends until the lines or the connection end."""
        try:
            for line in self._lines:
                self._sock.sendall(b"%x\r\n%b\r\n" % (len(line), line))
            self._sock.sendall(b"0\r\n\r\n")
        except ConnectionError:
            return  # the daemon reads no further; its answer says why
        except (OSError, ValueError) as error:
            if self._sock.fileno() < 0:
                return  # the command has its answer and hung up; nobody waits for the rest
            self.failure = Failure(f"the lines cannot be read: {error}")
            # The daemon still waits for lines; only a cut connection ends the call for it and the listening side.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
