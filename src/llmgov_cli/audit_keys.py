"""Key files of the audit: 32 bytes as 64 hex digits on a line; lines that begin with `#` are comments."""

import os
import pathlib

from llmgov.audit import signing
from llmgov_cli import errors

SIGNING_KEY = "signing.key"
PUBLIC_KEY = "signing.pub"


def signer(folder: pathlib.Path) -> signing.Signer:
    """The signing key of a state folder, made if there is none; its public half is (re)written beside it.

    Raises:
        CommandError: the file that is there holds no key.
    """
    path = folder / SIGNING_KEY
    if not path.exists():
        _write_private(path, os.urandom(signing.KEY_BYTES))
    found = signing.Signer(secret(path))
    (folder / PUBLIC_KEY).write_text(f"{found.public.hex()}\n")
    return found


def secret(path: pathlib.Path) -> bytes:
    """The one key of a file.

    Raises:
        CommandError: no file, or not exactly one key in it.
    """
    keys = _keys(path)
    if len(keys) != 1:
        raise errors.CommandError(f"{path} holds {len(keys)} keys; one is needed")
    return keys[0]


def pins(paths: list[pathlib.Path]) -> signing.Pins:
    """The public keys of all files.

    Raises:
        CommandError: a file is missing, holds no key, or something else.
    """
    found = {path: _keys(path) for path in paths}
    for path, keys in found.items():
        if not keys:
            raise errors.CommandError(f"{path} holds no key: a line of 64 hex digits is needed")
    return signing.pins([key for keys in found.values() for key in keys])


def _keys(path: pathlib.Path) -> list[bytes]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.CommandError(f"{path} cannot be read as a key file: {error}") from error
    return [_key(path, line.strip()) for line in lines if line.strip() and not line.startswith("#")]


def _key(path: pathlib.Path, line: str) -> bytes:
    try:
        key = bytes.fromhex(line)
    except ValueError:
        key = b""
    if len(key) != signing.KEY_BYTES:
        raise errors.CommandError(f"{path} has a line that is no key: 64 hex digits are needed")
    return key


def _write_private(path: pathlib.Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key.hex()}\n")
