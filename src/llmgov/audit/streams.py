"""Pure transforms of byte streams, chunk in, chunk out, in bounded memory: gzip, AES-256-GCM, lines.

The encrypted form is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as age uses it: the line `llmgov-encrypted 2`,
a 32-byte salt, 16 bytes that tell whether a key fits, then pieces of 64 KiB, each sealed with AES-256-GCM under
HKDF-SHA-256(key, salt) and a nonce of an 11-byte big-endian counter and a byte that is 1 for the last piece alone: no
piece can be moved, and a cut shows.
"""

import hmac
import zlib
from collections.abc import Iterable, Iterator

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"llmgov-encrypted 2\n"
KEY_BYTES = 32
SALT_BYTES = 32
PIECE_BYTES = 64 * 1024
MAX_LINE_BYTES = 32 * 1024 * 1024
"""Longer than any record: a prompt recorded in full is bounded by the proxy's largest body."""

_TAG_BYTES = 16
_CHECK_BYTES = 16
_HEAD_BYTES = len(MAGIC) + SALT_BYTES + _CHECK_BYTES
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


class StreamError(ValueError):
    """A stream that is damaged, was changed, or does not belong to the key."""


class StreamEncryptedError(StreamError):
    """An encrypted stream, and no key to open it."""


class StreamKeyError(StreamError):
    """An encrypted stream that this key was not used for: nothing can be said of it."""


class StreamCutError(StreamError):
    """A stream that is right as far as it goes, and ends too early."""


def compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """gzip, without a time in it: equal input gives equal bytes."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What was compressed, never more than a piece at a time in memory, however well it was compressed.

    Raises:
        StreamError: no gzip, or something after its end.
        StreamCutError: no end.
    """
    unpacker = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        if unpacker.eof:
            raise StreamError("something follows the end of the gzip stream")
        yield from _unpack(unpacker, chunk)
    if not unpacker.eof:
        raise StreamCutError("the gzip stream has no end")


def _unpack(unpacker: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(chunk, PIECE_BYTES)
            if piece:
                yield piece
            chunk = unpacker.unconsumed_tail
            if not chunk and len(piece) < PIECE_BYTES:
                break
    except zlib.error as error:
        raise StreamError(f"the gzip stream is damaged: {error}") from error
    if unpacker.unused_data:
        raise StreamError("something follows the end of the gzip stream")


def encrypt(chunks: Iterable[bytes], key: bytes, salt: bytes) -> Iterator[bytes]:
    """The encrypted form; `salt` is 32 random bytes, used for nothing else."""
    cipher = _cipher(key, salt)
    yield MAGIC + salt + _check(key, salt)
    for number, (piece, last) in enumerate(_pieces(chunks, PIECE_BYTES)):
        yield cipher.encrypt(_nonce(number, last=last), piece, None)


def decrypt(chunks: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """What was encrypted; nothing is handed on before it was authenticated.

    Raises:
        StreamError: not the encrypted form, or changed.
        StreamKeyError: another key.
        StreamCutError: the last piece is missing.
    """
    head, rest = _head(chunks, _HEAD_BYTES)
    if not head.startswith(MAGIC):
        raise StreamError("this is not an encrypted export")
    if len(head) < _HEAD_BYTES:
        raise StreamCutError("the encrypted export ends within its head")
    salt = head[len(MAGIC) : -_CHECK_BYTES]
    cipher = _cipher(key, salt)
    if not hmac.compare_digest(_check(key, salt), head[-_CHECK_BYTES:]):
        raise StreamKeyError("the key does not fit")
    for number, (piece, last) in enumerate(_pieces(rest, PIECE_BYTES + _TAG_BYTES)):
        yield _open_piece(cipher, number, piece, last=last)


def _open_piece(cipher: AESGCM, number: int, piece: bytes, *, last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=last), piece, None)
    except (exceptions.InvalidTag, ValueError) as error:
        if last and (not piece or _opens(cipher, _nonce(number, last=False), piece)):
            raise StreamCutError("the encrypted export ends too early") from error
        raise StreamError(f"the encrypted export does not open: piece {number} was changed or cut") from error


def _opens(cipher: AESGCM, nonce: bytes, piece: bytes) -> bool:
    try:
        cipher.decrypt(nonce, piece, None)
    except (exceptions.InvalidTag, ValueError):
        return False
    return True


def plain(chunks: Iterable[bytes], key: bytes | None) -> Iterator[bytes]:
    """The lines' bytes of an export in whichever form it has, recognised by how it begins.

    Raises:
        StreamError: damaged.
        StreamEncryptedError: encrypted, and `key` is `None`.
    """
    head, rest = _head(chunks, len(MAGIC))
    whole = _after(head, rest)
    if head.startswith(MAGIC):
        if key is None:
            raise StreamEncryptedError("the export is encrypted: give its key")
        yield from plain(decrypt(whole, key), None)
    elif head.startswith(_GZIP_MAGIC):
        yield from decompress(whole)
    else:
        yield from whole


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their line feeds.

    Raises:
        StreamError: a line beyond `MAX_LINE_BYTES`.
        StreamCutError: the last line has no line feed.
    """
    pending = bytearray()
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            yield bytes(pending) + line
            pending.clear()
        pending += rest
        if len(pending) > MAX_LINE_BYTES:
            raise StreamError(f"a line is longer than {MAX_LINE_BYTES} bytes")
    if pending:
        raise StreamCutError("the last line has no end")


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Pieces of `size` bytes, and whether it is the last, which may be shorter (empty only where all is)."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while len(pending) > size:
            yield bytes(pending[:size]), False
            del pending[:size]
    yield bytes(pending), True


def _head(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes (fewer where there are no more), and what follows."""
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= size:
            break
    return head[:size], _after(head[size:], rest)


def _after(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise StreamError(f"an export's key has {KEY_BYTES} bytes, not {len(key)}")
    if len(salt) != SALT_BYTES:
        raise StreamError(f"an export's salt has {SALT_BYTES} bytes, not {len(salt)}")
    return AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, salt, b"llmgov audit export").derive(key))


def _check(key: bytes, salt: bytes) -> bytes:
    """What says whether a key fits, and nothing of the key or of the cipher's own."""
    return HKDF(hashes.SHA256(), _CHECK_BYTES, salt, b"llmgov audit export key").derive(key)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")
