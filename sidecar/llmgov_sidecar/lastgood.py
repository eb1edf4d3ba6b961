"""The last good snapshot on the pod's volume: what a sidecar starts from while the hub is away.

The file's time is when the hub last said that this snapshot is the newest, since a start counts staleness from it.
"""

import os
import pathlib

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.snapshot import Snapshot


class LastGood:
    """Blocking; calls of `keep` may not overlap."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._path = folder / "snapshot.json"
        self._versions: tuple[str, ...] = ()

    def read(self) -> tuple[Snapshot, Instant] | None:
        """The snapshot, and when it was confirmed; `None` where there is no readable one."""
        try:
            return snapshot.decode(self._path.read_bytes()), self._path.stat().st_mtime_ns // 1000
        except (FileNotFoundError, snapshot.FormatError):
            return None

    def keep(self, new: Snapshot, versions: tuple[str, ...], confirmed: Instant) -> None:
        """Write `new`, or only its time where this process wrote the same parts before.

        The time alone is not synced: a machine that stops may bring back an earlier one, which only counts as staler.

        Raises:
            OSError: it cannot be written; what stood there is still there, or gone, but never torn.
        """
        if versions == self._versions and self._touched(confirmed):
            return
        self._versions = ()
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(snapshot.encode(new))
            file.flush()
            _set_time(temporary, confirmed)
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._versions = versions

    def _touched(self, confirmed: Instant) -> bool:
        try:
            _set_time(self._path, confirmed)
        except FileNotFoundError:
            return False
        return True


def _set_time(path: pathlib.Path, when: Instant) -> None:
    os.utime(path, ns=(when * 1000, when * 1000))
