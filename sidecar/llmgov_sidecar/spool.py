"""Append-only segments on the pod's disk: bytes in records, each with its length and checksum, in bounded size.

A record is a header (length and CRC-32, little-endian) and its payload; a torn tail ends what is read of a segment.
Appending hands bytes to the kernel, which is enough to survive the death of the process; `sync` also survives that of
the machine. Segments are removed whole, oldest first.
"""

import contextlib
import os
import pathlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("<II")
_SUFFIX: Final = ".spool"


class SpoolFullError(Exception):
    """The spool holds as much as it may: nothing new is begun until the hub has taken something."""


class Position(NamedTuple):
    """A place behind a record; positions grow."""

    segment: int
    offset: int


class Spool:
    """The segments of one folder. `carry` gives the records that a new segment begins with."""

    def __init__(self, folder: pathlib.Path, segment_bytes: int, capacity: int, carry: Callable[[], Iterable[bytes]]):
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._capacity = capacity
        self._carry = carry
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sizes = {number: _path(folder, number).stat().st_size for number in _numbers(folder)}
        self._current = max(self._sizes, default=0)
        self._file = -1
        self._open_next()

    @property
    def used(self) -> int:
        """Bytes on disk."""
        return sum(self._sizes.values())

    @property
    def first(self) -> Position:
        """The beginning of the oldest segment."""
        return Position(min(self._sizes), 0)

    @property
    def end(self) -> Position:
        """Behind the last record."""
        return Position(self._current, self._sizes[self._current])

    def has_room(self, share: float = 1.0) -> bool:
        """Whether something new may be begun within this share of the capacity."""
        return self.used < self._capacity * share

    def append(self, payload: bytes) -> Position:
        """Write one record, which is not empty; returns the position behind it.

        Raises:
            OSError: the disk refuses it; what was half written is cut off again.
        """
        if self._sizes[self._current] >= self._segment_bytes:
            with contextlib.suppress(OSError):  # the current segment goes on; the next append tries again
                self._open_next()
        self._sizes[self._current] += _write(self._file, payload, self._sizes[self._current])
        return self.end

    def sync(self) -> None:
        """Wait until everything written so far is on the disk. Blocks."""
        os.fsync(self._file)

    def syncing(self) -> Callable[[], None]:
        """The same, to be called once in a thread: with a handle of its own, since this segment may be closed first."""
        handle = os.dup(self._file)

        def sync() -> None:
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

        return sync

    def read(self, position: Position, limit: int) -> tuple[list[bytes], Position]:
        """Up to `limit` bytes of records from `position` on (at least one record), and the position behind them."""
        while position.segment not in self._sizes or position.offset >= self._sizes[position.segment]:
            later = [number for number in self._sizes if number > position.segment]
            if not later:
                return [], position
            position = Position(min(later), 0)
        records: list[bytes] = []
        size = 0
        with _path(self._folder, position.segment).open("rb") as file:
            file.seek(position.offset)
            for payload in _records(file.read(max(limit, _HEADER.size))) if limit else ():
                records.append(payload)
                size += _HEADER.size + len(payload)
        if not records:
            return self._read_one(position)
        return records, Position(position.segment, position.offset + size)

    def read_all(self) -> Iterator[bytes]:
        """Every record, oldest first, except what is torn."""
        for number in sorted(self._sizes):
            yield from _records(_path(self._folder, number).read_bytes())

    def trim(self, before: int) -> None:
        """Remove the segments with numbers below `before`, except the current one.

        What was carried out of them is on the disk before they go, so this may block; it does so once for a segment.
        """
        old = [number for number in self._sizes if number < min(before, self._current)]
        if old:
            self.sync()
        for number in old:
            _path(self._folder, number).unlink(missing_ok=True)
            del self._sizes[number]

    def close(self) -> None:
        """Close the file; what was written stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_one(self, position: Position) -> tuple[list[bytes], Position]:
        """A record longer than the limit, or the torn end of a segment."""
        rest = _path(self._folder, position.segment).read_bytes()[position.offset :]
        for payload in _records(rest):
            return [payload], Position(position.segment, position.offset + _HEADER.size + len(payload))
        return [], Position(position.segment, self._sizes[position.segment])

    def _open_next(self) -> None:
        """Go on in the next segment, once it holds all that is carried into it.

        What was written before is on the disk first: file systems keep no order between two files, and what survives
        the death of the machine is to be a prefix. So this blocks, once for a segment.

        Raises:
            OSError: the disk refuses some of that; the current segment stays the current one.
        """
        self._sync_before()
        number = self._current + 1
        path = _path(self._folder, number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _sync_folder(self._folder)
            size = 0
            for payload in self._carry():
                size += _write(file, payload, size)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        before, self._file = self._file, file
        self._current, self._sizes[number] = number, size
        if before >= 0:
            os.close(before)

    def _sync_before(self) -> None:
        """Sync the current segment; before the first of this boot, that in which the boot before it may have died."""
        if self._file >= 0:
            self.sync()
        elif self._current in self._sizes:
            _sync(_path(self._folder, self._current), os.O_WRONLY)


def _write(file: int, payload: bytes, at: int) -> int:
    """Append a record to a file of `at` bytes; how long it is. What was half written is cut off again."""
    record = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
    if (written := os.write(file, record)) != len(record):
        os.ftruncate(file, at)
        raise OSError(f"only {written} of {len(record)} bytes could be written to the spool")
    return len(record)


def _records(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, at)
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        # Nobody writes an empty record, but a file system may leave zeros, which look like one.
        if not length or len(payload) != length or zlib.crc32(payload) != checksum:
            return
        yield payload
        at += _HEADER.size + length


def _numbers(folder: pathlib.Path) -> list[int]:
    return [int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit()]


def _path(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / f"{number:012d}{_SUFFIX}"


def _sync_folder(folder: pathlib.Path) -> None:
    _sync(folder, os.O_RDONLY)


def _sync(path: pathlib.Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
