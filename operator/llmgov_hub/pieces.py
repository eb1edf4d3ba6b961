"""A delivery in pieces, each of which one transaction takes: so that no delivery makes others wait for long."""

from collections.abc import Iterator, Sequence
from typing import Final

from llmgov.ledger import recording
from llmgov.ledger.messages import Event, Intent

MAX_EVENTS: Final = 256
"""Events of one piece."""

MAX_WORK: Final = 1024
"""How much work a piece is at most, in rows, where one event alone is not more: some 100 ms."""


def cut(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in their order, in pieces. What many of them name is read and written once for all."""
    begin, work = 0, 0
    names: set[str] = set()
    for index, event in enumerate(events):
        names.update(_names(event))
        work += recording.work(event)
        if index > begin and (index - begin >= MAX_EVENTS or len(names) + work > MAX_WORK):
            yield events[begin:index]
            begin, work, names = index, recording.work(event), set(_names(event))
    if events:
        yield events[begin:]


def _names(event: Event) -> Iterator[str]:
    yield event.id
    if isinstance(event, Intent):
        yield from event.subject.path
        for part in event.charged:
            yield part.key
            yield part.lease
