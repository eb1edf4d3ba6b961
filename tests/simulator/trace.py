"""What happened, line by line: written as it happens, made readable only where somebody reads it."""

import collections
import hashlib
from typing import NamedTuple

from llmgov import instants
from llmgov.instants import Instant
from tests.simulator.describe import describe


class Entry(NamedTuple):
    """One event: at what time, who, what, and about what."""

    at: Instant
    who: str
    what: str
    about: tuple[object, ...]

    def line(self) -> str:
        """In aligned columns."""
        about = " ".join(map(describe, self.about))
        time = instants.to_datetime(self.at).strftime("%d %H:%M:%S.%f")
        return f"{time}  {self.who:<9}  {self.what:<15}  {about}".rstrip()


class Trace:
    """The events of one run; `keep` bounds how many are kept, where only the end is of interest."""

    def __init__(self, keep: int | None = None) -> None:
        self._entries: collections.deque[Entry] = collections.deque(maxlen=keep)
        self.count = 0

    def add(self, at: Instant, who: str, what: str, *about: object) -> None:
        """Note an event."""
        self.count += 1
        self._entries.append(Entry(at, who, what, about))

    def text(self, last: int | None = None) -> str:
        """The last so many events, or all that are kept."""
        entries = list(self._entries)
        return "\n".join(entry.line() for entry in (entries if last is None else entries[-last:]))

    def digest(self) -> str:
        """What two runs that are the same have in common."""
        return hashlib.sha256(self.text().encode()).hexdigest()
