"""A pod's disk: bytes that were written and not synced survive the death of the process, and perhaps the machine's.

The spool and the volume of the sidecar run on it unchanged: they are given paths of it, and `SimulatedOs` in place of
the module `os`. When the machine dies, of each file a prefix survives that holds at least what was synced, whatever
survives of others; the rest is gone, or zeros; and of names that were made or removed without syncing their folder some
are back as they were.
"""

import dataclasses
import errno
import io
import os
import posixpath
import random
from collections.abc import Callable, Iterator

from tests.simulator import loop


@dataclasses.dataclass(eq=False, slots=True)
class File:
    """The bytes of one file, of which the first `synced` are on the disk."""

    data: bytearray = dataclasses.field(default_factory=bytearray)
    synced: int = 0


class Disk:
    """The files of one pod. `on_step` is told before and after what writes: somebody may kill the process there."""

    def __init__(self, chance: random.Random) -> None:
        self.files: dict[str, File] = {}
        self.machine = 0
        self.on_step: Callable[[str], None] = lambda _: None
        self.refuses = 0.0
        self._durable: dict[str, File] = {}
        self._chance = chance

    @property
    def root(self) -> "SimulatedPath":
        """The folder of the volume."""
        return SimulatedPath(self, "/volume")

    def has_synced(self, text: bytes) -> bool:
        """Whether the death of the machine would leave these bytes somewhere."""
        return any(text in file.data[: file.synced] for file in self._durable.values())

    def lose_power(self) -> None:
        """The machine dies and starts anew."""
        self.machine += 1
        self.files = dict(sorted(self._after_power_loss()))
        self._durable = dict(self.files)
        for file in self.files.values():
            self._tear(file)

    def _after_power_loss(self) -> Iterator[tuple[str, File]]:
        for name in {**self._durable, **self.files}:
            now, durable = self.files.get(name), self._durable.get(name)
            survivor = durable if now is durable or self._chance.random() < 0.5 else now
            if survivor is not None:
                yield name, survivor

    def _tear(self, file: File) -> None:
        length = len(file.data)
        del file.data[self._chance.randint(file.synced, length) :]
        if self._chance.random() < 0.3:
            file.data += bytes(length - len(file.data))
        file.synced = len(file.data)

    def write(self, name: str, file: File, data: bytes) -> int:
        self.on_step(f"write {posixpath.basename(name)}")
        if self._chance.random() < self.refuses:
            if self._chance.random() < 0.5:
                raise OSError(errno.ENOSPC, "no space left on the simulated disk")
            data = data[: len(data) // 2]
        file.data += data
        self.on_step(f"wrote {posixpath.basename(name)}")
        return len(data)

    def create(self, name: str) -> File:
        """A file of this name, new or as it is."""
        return self.files.setdefault(name, File())

    def sync(self, name: str, file: File) -> None:
        self.on_step(f"sync {posixpath.basename(name)}")
        if self._chance.random() < self.refuses:
            raise OSError(errno.EIO, "the simulated disk cannot sync")
        file.synced = len(file.data)
        self.on_step(f"synced {posixpath.basename(name)}")

    def sync_folder(self, folder: str) -> None:
        def inside(name: str) -> bool:
            return posixpath.dirname(name) == folder

        kept = {name: file for name, file in self._durable.items() if not inside(name)}
        self._durable = kept | {name: file for name, file in self.files.items() if inside(name)}


class SimulatedPath:
    """As much of `pathlib.Path` as spool and volume use, on a simulated disk."""

    __slots__ = ("disk", "name")

    def __init__(self, disk: Disk, name: str) -> None:
        self.disk = disk
        self.name = name

    def __truediv__(self, other: str) -> "SimulatedPath":
        return SimulatedPath(self.disk, f"{self.name}/{other}")

    @property
    def parent(self) -> "SimulatedPath":
        return SimulatedPath(self.disk, posixpath.dirname(self.name))

    @property
    def stem(self) -> str:
        return posixpath.splitext(posixpath.basename(self.name))[0]

    def with_suffix(self, suffix: str) -> "SimulatedPath":
        return SimulatedPath(self.disk, posixpath.splitext(self.name)[0] + suffix)

    def mkdir(self, **_: object) -> None:
        """Folders exist by having files."""

    def exists(self) -> bool:
        return self.name in self.disk.files

    def stat(self) -> os.stat_result:
        size = len(self._file().data)
        return os.stat_result((0, 0, 0, 0, 0, 0, size, 0, 0, 0))

    def open(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._file().data)

    def read_bytes(self) -> bytes:
        return bytes(self._file().data)

    def read_text(self, encoding: str) -> str:
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        self.disk.files.pop(self.name, None)

    def replace(self, target: "SimulatedPath") -> None:
        self.disk.on_step(f"rename {posixpath.basename(target.name)}")
        self.disk.files[target.name] = self.disk.files.pop(self.name)

    def glob(self, pattern: str) -> list["SimulatedPath"]:
        suffix = pattern.removeprefix("*")
        names = (name for name in self.disk.files if posixpath.dirname(name) == self.name and name.endswith(suffix))
        return [SimulatedPath(self.disk, name) for name in sorted(names)]

    def _file(self) -> File:
        file = self.disk.files.get(self.name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "no such simulated file", self.name)
        return file


@dataclasses.dataclass(eq=False, slots=True)
class _Open:
    """An open file, or a folder (`file` is `None`), of the process that opened it."""

    disk: Disk
    name: str
    file: File | None
    process: loop.Process


class SimulatedOs:
    """The functions of `os` that spool and volume use, on simulated disks."""

    O_RDONLY, O_WRONLY, O_CREAT, O_APPEND = os.O_RDONLY, os.O_WRONLY, os.O_CREAT, os.O_APPEND
    O_CLOEXEC, O_TRUNC = os.O_CLOEXEC, os.O_TRUNC

    def __init__(self) -> None:
        self._handles: dict[int, _Open] = {}
        self._next = 0

    def open(self, path: SimulatedPath, flags: int, mode: int = 0o600) -> int:
        disk = path.disk
        file = None
        if flags & os.O_WRONLY:
            file = disk.create(path.name)
            if flags & os.O_TRUNC and file.data:
                file = disk.files[path.name] = File()
        return self._take(_Open(disk, path.name, file, loop.current()))

    def _take(self, opened: _Open) -> int:
        self._next += 1
        self._handles[self._next] = opened
        return self._next

    def _get(self, handle: int) -> _Open:
        opened = self._handles[handle]
        if not opened.process.alive:
            raise loop.KilledError
        return opened

    def write(self, handle: int, data: bytes) -> int:
        opened = self._get(handle)
        assert opened.file is not None
        return opened.disk.write(opened.name, opened.file, data)

    def ftruncate(self, handle: int, size: int) -> None:
        opened = self._get(handle)
        assert opened.file is not None
        del opened.file.data[size:]
        opened.file.synced = min(opened.file.synced, size)

    def fsync(self, handle: int) -> None:
        opened = self._get(handle)
        if opened.file is None:
            opened.disk.sync_folder(opened.name)
        else:
            opened.disk.sync(opened.name, opened.file)

    def dup(self, handle: int) -> int:
        return self._take(self._get(handle))

    def close(self, handle: int) -> None:
        self._get(handle)
        del self._handles[handle]
