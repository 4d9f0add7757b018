"""A self-signed certificate for loopback, made without any tool: a bare machine has neither openssl nor a package.

ECDSA over P-256 (FIPS 186) in as few lines as it takes, for tests only: it is slow and leaks its key through timing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int]


def make_certificate(folder: Path, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """Writes `cert.pem` and `key.pem` for an IP address, good for a day; answers their paths."""
    key = secrets.randbelow(_N - 1) + 1
    x, y = _times(key, _G)
    public = b"\x04" + x.to_bytes(32) + y.to_bytes(32)
    body = _certificate_body(public, address)
    certificate = _sequence(body, _SIGNED_WITH, _bits(_signature(body, key)))
    private = _sequence(
        _integer(1), _octets(key.to_bytes(32)), _tagged(0, _P256), _tagged(1, _bits(public))
    )  # RFC 5915
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_text(_pem("CERTIFICATE", certificate))
    paths[1].write_text(_pem("EC PRIVATE KEY", private))
    return paths


def _certificate_body(public: bytes, address: str) -> bytes:
    """RFC 5280 §4.1: version 3, its own issuer, the address as subjectAltName."""
    now = datetime.now(UTC)
    name = _sequence(_der(0x31, _sequence(_object_id("55 04 03"), _der(0x0C, b"fulfilld tests"))))
    alternative = _sequence(_der(0x87, ip_address(address).packed))
    extensions = _sequence(_sequence(_object_id("55 1d 11"), _octets(alternative)))
    return _sequence(
        _tagged(0, _integer(2)),
        _integer(secrets.randbits(64) + 1),
        _SIGNED_WITH,
        name,
        _sequence(_time(now - timedelta(days=1)), _time(now + timedelta(days=1))),
        name,
        _sequence(_sequence(_object_id("2a 86 48 ce 3d 02 01"), _P256), _bits(public)),
        _tagged(3, extensions),
    )


def _signature(message: bytes, key: int) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest())
    nonce = secrets.randbelow(_N - 1) + 1
    r = _times(nonce, _G)[0] % _N
    return _sequence(_integer(r), _integer(pow(nonce, -1, _N) * (digest + r * key) % _N))


def _times(factor: int, point: Point) -> Point:
    total: Point | None = None
    while factor:
        if factor & 1:
            total = point if total is None else _sum(total, point)
        point, factor = _sum(point, point), factor >> 1
    assert total is not None
    return total


def _sum(left: Point, right: Point) -> Point:
    """Of points that are not each other's negative."""
    if left == right:
        slope = (3 * left[0] ** 2 - 3) * pow(2 * left[1], -1, _P)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, _P)
    x = (slope**2 - left[0] - right[0]) % _P
    return x, (slope * (left[0] - x) - left[1]) % _P


# -- DER (X.690) -------------------------------------------------------------------------------------------------------


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*members: bytes) -> bytes:
    return _der(0x30, b"".join(members))


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def _bits(content: bytes) -> bytes:
    return _der(0x03, b"\x00" + content)


def _octets(content: bytes) -> bytes:
    return _der(0x04, content)


def _tagged(number: int, content: bytes) -> bytes:
    return _der(0xA0 | number, content)


def _object_id(content: str) -> bytes:
    return _der(0x06, bytes.fromhex(content))


def _time(at: datetime) -> bytes:
    return _der(0x17, f"{at:%y%m%d%H%M%SZ}".encode())


def _pem(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n"


_P256 = _object_id("2a 86 48 ce 3d 03 01 07")
_SIGNED_WITH = _sequence(_object_id("2a 86 48 ce 3d 04 03 02"))  # ecdsa-with-SHA256
