"""The Merkle tree hash of RFC 6962 section 2.1 (Certificate Transparency): one hash that stands for many records."""

import hashlib
from collections.abc import Iterable

EMPTY = hashlib.sha256(b"").digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """The tree's root, reading the leaves once and keeping one hash for each level."""
    complete: list[tuple[int, bytes]] = []
    for leaf in leaves:
        complete.append((0, hashlib.sha256(b"\0" + leaf).digest()))
        while len(complete) > 1 and complete[-1][0] == complete[-2][0]:
            _join(complete)
    while len(complete) > 1:
        _join(complete)
    return complete[0][1] if complete else EMPTY


def _join(complete: list[tuple[int, bytes]]) -> None:
    _, right = complete.pop()
    level, left = complete.pop()
    complete.append((level + 1, hashlib.sha256(b"\1" + left + right).digest()))
