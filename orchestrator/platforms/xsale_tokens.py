"""xSale's two tokens: asked for with a login, kept over restarts, renewed before they expire (xsale.md §1, §6).

Every call carries both. The login server refuses who logs in too often, so there is one login a day and not one a
call: whoever needs tokens while a login is under way waits for that one, a refused login is not repeated at once
(unless a person says that the account is mended), and tokens outlive the process in a file that only its owner can
read. The file names the credentials that its tokens were got with by a digest, so that others never use them.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from pydantic_core import from_json
from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.http import Answer, Caller
from orchestrator.platforms.xsale_options import XsaleCredentials
from orchestrator.platforms.xsale_statuses import whole
from statemachines.target import Json

log = structlog.get_logger()

DEFAULT_LIFE_SECONDS = 86_400
"""How long tokens live where the login does not say (xsale.md §8)."""

_EARLY_MS = 300_000  # renewed this long before they expire, or a tenth of their life if that is less
_REFUSED_SECONDS = 10.0  # calls that were on their way when a login was refused do not ask again
_RENEWAL_PAUSE_SECONDS = 30.0  # between tries to renew tokens that are still good
_JSON_HEADERS = {"Content-Type": "application/json"}
_LARGEST_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """Both tokens. `renew_at`, `expires_at`: Unix milliseconds. `headers`: what a call carries them in."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    renew_at: int
    expires_at: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a call (xsale.md §1)."""
        return {"Authorization": f"Bearer {self.access_token}", "x-id-token": self.id_token}


class TokenFile:
    """Tokens on disk, mode 0600, replaced as a whole. `digest` ties them to credentials. Nothing here raises OSError:
    a file that cannot be used costs a login, no more."""

    def __init__(self, path: Path, digest: str) -> None:
        self._path = path
        self._digest = digest

    def load(self) -> Tokens | None:
        """The tokens, None if there are none, they are for other credentials, or others could have written them."""
        try:
            with os.fdopen(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source:
                status = os.fstat(source.fileno())
                if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                    log.warning("tokens.not_used", path=str(self._path), detail="others may read or write the file")
                    return None
                kept = json.loads(source.read(_LARGEST_FILE_BYTES))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict) or kept.get("credentials") != self._digest:
            return None
        match kept:
            case {
                "access_token": str() as access,
                "id_token": str() as ident,
                "renew_at": int() as renew_at,
                "expires_at": int() as expires_at,
            } if _is_header_safe(access) and _is_header_safe(ident):
                return Tokens(access, ident, renew_at, expires_at)
            case _:
                return None

    def save(self, tokens: Tokens) -> None:
        """Writes the tokens beside the old file and puts them in its place."""
        text = json.dumps(
            {
                "credentials": self._digest,
                "access_token": tokens.access_token,
                "id_token": tokens.id_token,
                "renew_at": tokens.renew_at,
                "expires_at": tokens.expires_at,
            }
        )
        part = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}.part")
        try:
            # The mode is the file's from its first moment: there is no instant at which others could open it.
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as target:
                target.write(text)
                target.flush()
                os.fsync(target.fileno())
            part.replace(self._path)
        except OSError as error:
            log.warning("tokens.not_kept", path=str(self._path), detail=error.strerror or type(error).__name__)
            with suppress(OSError):
                part.unlink(missing_ok=True)


class TokenKeeper:
    """The tokens of one shop. `directory`: where they are kept across restarts, None: nowhere."""

    def __init__(
        self, credentials: XsaleCredentials, caller: Caller, clock: Clock, *, shop: str, directory: Path | None
    ) -> None:
        self._credentials = credentials
        self._caller = caller
        self._clock = clock
        self._url = URL(credentials.login_url)
        self._file = None
        if directory is not None:
            self._file = TokenFile(directory / f"xsale-{shop}.tokens", digest_of(credentials))
        self._tokens: Tokens | None = None
        self._is_file_read = False
        self._refusal: tuple[AccessDenied, float] | None = None
        self._renewal_waits_until = 0.0
        self._lock = anyio.Lock()

    async def tokens(self) -> Tokens:
        """Good tokens, by a login where there are none. Raises AccessDenied (refused credentials) and Transient."""
        now = self._clock.now_ms()
        if self._tokens is not None and now < self._tokens.renew_at:
            return self._tokens
        async with self._lock:
            await self._read_file()
            known, now = self._tokens, self._clock.now_ms()
            if known is None or now >= known.expires_at:
                return await self._log_in()
            if now >= known.renew_at and self._clock.monotonic() >= self._renewal_waits_until:
                return await self._renew_early(known)
            return known

    async def renewed(self, refused: Tokens) -> Tokens:
        """Other tokens than those that the platform refused; one login, however many calls were refused at once."""
        async with self._lock:
            if self._tokens is not None and self._tokens != refused:
                return self._tokens
            return await self._log_in()

    def forget_refusal(self) -> None:
        """Whoever needs tokens next logs in, however short ago that was refused."""
        self._refusal = None

    async def _renew_early(self, known: Tokens) -> Tokens:
        """The old tokens are still good, so a login server that is down holds nobody up yet."""
        try:
            return await self._log_in()
        except Transient as failure:
            self._renewal_waits_until = self._clock.monotonic() + _RENEWAL_PAUSE_SECONDS
            log.warning("tokens.not_renewed", detail=failure.detail)
            return known

    async def _read_file(self) -> None:
        if self._file is None or self._is_file_read:
            return
        self._is_file_read = True
        self._tokens = await anyio.to_thread.run_sync(self._file.load)
        self._hide(self._tokens)

    async def _log_in(self) -> Tokens:
        if self._refusal is not None and self._clock.monotonic() < self._refusal[1]:
            raise AccessDenied(self._refusal[0].detail)
        try:
            answer = await self._caller.call(
                "POST", self._url, is_effect=False, body=_login_body(self._credentials), headers=_JSON_HEADERS
            )
            if answer.status >= 400:
                # Whatever it is about (user, client, audience, address), only another config helps (xsale.md §6).
                raise AccessDenied(f"the login was refused: {self._caller.words(answer)}")
        except AccessDenied as failure:
            self._refusal = failure, self._clock.monotonic() + _REFUSED_SECONDS
            raise
        self._refusal = None
        self._tokens = tokens = self._read(answer)
        self._hide(tokens)
        if self._file is not None:
            await anyio.to_thread.run_sync(self._file.save, tokens)
        return tokens

    def _read(self, answer: Answer) -> Tokens:
        """The answer's tokens; its words are never repeated, for they may be tokens."""
        try:
            data: Json = from_json(answer.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise Transient("the login's answer is no JSON object")
        access, ident = _token(data, "access_token"), _token(data, "id_token")
        life_ms = (whole(data.get("expires_in")) or DEFAULT_LIFE_SECONDS) * 1000
        now = self._clock.now_ms()
        return Tokens(access, ident, now + life_ms - min(_EARLY_MS, life_ms // 10), now + life_ms)

    def _hide(self, tokens: Tokens | None) -> None:
        if tokens is not None:
            self._caller.hide(tokens.access_token)
            self._caller.hide(tokens.id_token)


def digest_of(credentials: XsaleCredentials) -> str:
    """What ties tokens to the account, the server and the rights that they were got for.

    Nobody gets the password out of it by trying: the client secret, which is long and random, is in it too.
    """
    text = json.dumps([credentials.login_url, *_login_fields(credentials).values()])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"fulfilld.xsale").hexdigest()


def _login_fields(credentials: XsaleCredentials) -> Mapping[str, str]:
    return {
        "client_id": credentials.client_id.get_secret_value(),
        "client_secret": credentials.client_secret.get_secret_value(),
        "audience": credentials.audience,
        "username": credentials.username.get_secret_value(),
        "password": credentials.password.get_secret_value(),
        "grant_type": "password",
        "scope": credentials.scope,
    }


def _login_body(credentials: XsaleCredentials) -> bytes:
    return json.dumps(_login_fields(credentials), ensure_ascii=False).encode()


def _token(answer: Mapping[str, Json], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not _is_header_safe(value):
        raise Transient(f"the login's answer has no {name}")
    return value


def _is_header_safe(token: str) -> bool:
    return bool(token) and all("!" <= character <= "~" for character in token)
