"""The events appended last, kept in memory so that delivering them reads no file.

They are a copy of the spool's end and nothing more: where they grow too many (the hub is away), they are given up, and
delivery reads the spool again until it has caught up.
"""

from llmgov.ledger.messages import Event
from llmgov_sidecar.spool import Position


class Fresh:
    """All events behind one position, as long as their records take no more than `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._behind: Position | None = None
        self._events: list[Event] = []
        self._size = 0

    def add(self, event: Event, size: int) -> None:
        """An event was appended, in a record of so many bytes."""
        self._size += size
        if self._size > self._most:
            self._behind = None
            self._events.clear()
        elif self._behind is not None:
            self._events.append(event)

    def take(self, position: Position | None, end: Position) -> tuple[Event, ...] | None:
        """The events between `position` and `end`, the spool's end; `None` where they are not all here."""
        if position is None or position != self._behind:
            return None
        events = tuple(self._events)
        self.begin(end)
        return events

    def begin(self, end: Position) -> None:
        """Everything up to the spool's end has been read."""
        self._behind, self._size = end, 0
        self._events.clear()
