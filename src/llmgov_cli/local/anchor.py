"""The anchor of local mode: a file beside the database, for trying; whoever owns the folder owns both."""

import asyncio
import os
import pathlib
from collections.abc import Sequence
from typing import BinaryIO

_LONGEST = 64 * 1024
"""More bytes than a checkpoint has."""


class FileAnchor:
    """Appends checkpoints to a file, a line each, and syncs it."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    async def keep(self, checkpoints: Sequence[bytes]) -> None:
        """Append; durable when it returns."""
        await asyncio.to_thread(self._append, b"".join(each + b"\n" for each in checkpoints))

    def _append(self, lines: bytes) -> None:
        with self._path.open("a+b") as file:
            file.truncate(_whole(file))
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _whole(file: BinaryIO) -> int:
    """Where the last whole line ends: a process that died may have left a part of one, which no reader counts."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - _LONGEST))
    return start + file.read().rfind(b"\n") + 1
