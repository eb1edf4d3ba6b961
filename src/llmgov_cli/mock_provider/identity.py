"""Ids as the providers make them, the same for the same seed: counted, hashed, never random."""

import base64
import hashlib


class Ids:
    """A source of ids. One for each application."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._count = 0

    def new(self, prefix: str, length: int = 24) -> str:
        """The next id with this prefix."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return prefix + base64.b32encode(digest).decode().lower()[:length]
