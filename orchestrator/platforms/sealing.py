"""Seals what is kept where others may read it: encrypted and authenticated with a key of the config."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from storage.extras import missing

SHORTEST_KEY = 32
"""So many characters has a key that cannot be tried; `fulfilld secret new` makes one."""


class Unsealable(Exception):
    """It was sealed with another key, or is damaged."""


class Sealer:
    """Seals with the first of its keys, and opens what any of them sealed. Raises ValueError where the library that
    does it is not installed."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise ValueError(missing("cryptography", "postgres")) from None
        self._keys = MultiFernet([Fernet(_derived(key)) for key in keys])

    def seal(self, text: bytes) -> bytes:
        """What only those who have the key can read."""
        return self._keys.encrypt(text)

    def unseal(self, sealed: bytes) -> bytes:
        """What was sealed. Raises Unsealable."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            raise Unsealable from None


def _derived(key: str) -> bytes:
    """A key of the length that is needed. A long key of chance needs no stretching."""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32, person=b"fulfilld.tokens")
    return base64.urlsafe_b64encode(digest.digest())
