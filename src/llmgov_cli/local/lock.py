"""One process serves a state folder: two would give one sidecar's volume and one audit chain two writers.

The system drops the lock when its holder ends, however it ends, so nothing is ever left to clean up.
"""

import asyncio
import contextlib
import fcntl
import os
import pathlib
from collections.abc import AsyncIterator, Iterator

from llmgov_cli import errors

FILE = "lock"
"""Holds the holder's process id; its content without its lock means nothing."""

_TRIES = 10
_WAIT_SECONDS = 0.05
"""Between two tries: a command that only looks (`served`) has the lock for an instant, too."""


@contextlib.asynccontextmanager
async def held(folder: pathlib.Path) -> AsyncIterator[None]:
    """Have the folder for this process alone until the block ends.

    Raises:
        CommandError: another process serves it, or the file cannot be locked.
    """
    with _opened(folder, os.O_RDWR | os.O_CREAT) as descriptor:
        for _ in range(_TRIES):
            if _taken(descriptor, fcntl.LOCK_EX, folder):
                break
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            raise errors.CommandError(f"{folder} is served by process {_holder(descriptor)}; name another --state")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield


def served(folder: pathlib.Path) -> bool:
    """Whether a process serves the folder now; looking needs no right to write there.

    Raises:
        CommandError: the file cannot be locked.
    """
    if not (folder / FILE).exists():
        return False
    with _opened(folder, os.O_RDONLY) as descriptor:
        return not _taken(descriptor, fcntl.LOCK_SH, folder)


@contextlib.contextmanager
def _opened(folder: pathlib.Path, flags: int) -> Iterator[int]:
    """The file, open; closing it is what gives the lock up. No child process inherits it."""
    try:
        descriptor = os.open(folder / FILE, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.CommandError(f"{folder / FILE} cannot be opened: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int, kind: int, folder: pathlib.Path) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise errors.CommandError(f"{folder / FILE} cannot be locked: {error.strerror}") from error
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode(errors="replace") or "(just starting)"
