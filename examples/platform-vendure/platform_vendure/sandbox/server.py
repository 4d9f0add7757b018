"""The real Vendure as a child process (`server/server.js`), and GraphQL to it as its superadmin and its buyers."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from orchestrator.plugin.sandbox import Json, PanelError

FOLDER = Path(os.environ.get("VENDURE_SERVER", Path(__file__).parents[2] / "server"))
"""Where server.js and its node_modules are."""
OLDEST_NODE = 20
REMEDY = "make vendure (needs npm and its registry), or VENDURE_SERVER=a folder where that was done"

_SUPERADMIN = {"username": "superadmin", "password": "of-a-test-server"}
_SECONDS = 60.0


class NoVendure(RuntimeError):
    """The server cannot be started here; the message says what is missing and what brings it."""


def missing() -> str | None:
    """Why the server cannot be started here; None: it can."""
    if not (FOLDER / "node_modules" / "@vendure" / "core").is_dir():
        return f"Vendure is not installed in {FOLDER}"
    if _node() is None:
        return f"Vendure needs Node {OLDEST_NODE} or newer, and there is none"
    return None


@cache
def _node() -> str | None:
    """Node: the machine's own, else the one that is installed with the server where that is too old."""
    for found in (shutil.which("node"), *map(str, FOLDER.glob("node_modules/node-*/bin/node"))):
        if found is not None:
            asked = [found, "--version"]
            said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
            if int(said.strip().removeprefix("v").split(".")[0]) >= OLDEST_NODE:
                return found
    return None


class Vendure:
    """One running server, empty of orders. Raises NoVendure where it cannot be started."""

    def __init__(self) -> None:
        if (trouble := missing()) is not None:
            raise NoVendure(f"{trouble}: {REMEDY}")
        named = {"SUPERADMIN_USERNAME": _SUPERADMIN["username"], "SUPERADMIN_PASSWORD": _SUPERADMIN["password"]}
        command = [str(_node()), str(FOLDER / "server.js")]
        self._process = subprocess.Popen(  # noqa: S603 - ours
            command, env={**os.environ, **named}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self.close)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._port = int(self._heard()["port"])
        login = (
            "mutation($username:String!,$password:String!){login(username:$username,password:$password){__typename}}"
        )
        _, headers, _ = self.post("/admin-api", {}, json.dumps({"query": login, "variables": _SUPERADMIN}).encode())
        self._token = str(headers["vendure-auth-token"])

    def close(self) -> None:
        """Ends the process: it does so when its standard input is closed."""
        self._to.close()
        self._process.wait(10)
        self._from.close()

    def _heard(self) -> dict[str, Json]:
        line = self._from.readline()
        if not line:
            raise NoVendure(f"Vendure ended with exit code {self._process.wait(10)}; what it said is above")
        answer: dict[str, Json] = json.loads(line)
        if "error" in answer:
            raise PanelError(answer["error"])
        return answer

    def do(self, what: str, /, **fields: Json) -> dict[str, Json]:
        """What no API of Vendure does (server.js). Raises PanelError."""
        self._to.write(json.dumps({"do": what, **fields}).encode() + b"\n")
        self._to.flush()
        return self._heard()

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request as it is: status, headers and body. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def admin(self, channel: str, document: str, /, **variables: Json) -> dict[str, Json]:
        """Data of a document, as the superadmin in a channel (by its token; "": the default). Raises PanelError."""
        return self._data("/admin-api", {"Authorization": f"Bearer {self._token}"}, channel, document, variables)[0]

    def buy(self, channel: str, session: str, document: str, /, **variables: Json) -> tuple[dict[str, Json], str]:
        """Data of a document, as a buyer, and the buyer's session; "": a new one. Raises PanelError."""
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        return self._data("/shop-api", headers, channel, document, variables)

    def _data(
        self, path: str, headers: Mapping[str, str], channel: str, document: str, variables: Mapping[str, Json]
    ) -> tuple[dict[str, Json], str]:
        sent = json.dumps({"query": document, "variables": variables}).encode()
        named = {"vendure-token": channel} if channel else {}
        _, heard, body = self.post(path, {**headers, **named}, sent)
        answer = json.loads(body)
        refused = [
            each for each in (answer.get("data") or {}).values() if isinstance(each, dict) and "errorCode" in each
        ]
        if "errors" in answer or refused:
            raise PanelError(f"Vendure refused {document[:200]}: {body.decode()[:500]}")
        return answer["data"], heard.get("vendure-auth-token", "")


@cache
def running() -> Vendure:
    """The one server of this process, started when it is first asked for; each simulated shop has a channel of its
    own there. Raises NoVendure."""
    return Vendure()
