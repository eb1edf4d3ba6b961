"""The anchor of local mode: a file beside the database, for trying; whoever owns the folder owns both."""

import asyncio
import os
import pathlib
from collections.abc import Sequence


class FileAnchor:
    """Appends checkpoints to a file, a line each, and syncs it."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    async def keep(self, checkpoints: Sequence[bytes]) -> None:
        """Append; durable when it returns."""
        await asyncio.to_thread(self._append, b"".join(each + b"\n" for each in checkpoints))

    def _append(self, lines: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
