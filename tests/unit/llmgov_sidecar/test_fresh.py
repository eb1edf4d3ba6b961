"""Delivery reads the same events from memory as from the spool's files, whatever is appended and read in between."""

import pathlib
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.ledger.commands import Leased, Returned
from llmgov.ledger.messages import Epoch, Event, Lease, LeaseReturn, Outcome, Settlement
from llmgov_sidecar import fresh
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.spool import Position

LEASE = Lease("l", "key", 0, 10, 100, 10)


def settlement(number: int, words: int = 0) -> Settlement:
    """An event of any size."""
    return Settlement(f"uid:1/{number}", number, Outcome.FREE, 0, {}, 200, "m" * words)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.just("lease"), st.integers(0, 150_000)), max_size=40))
def test_what_is_read_is_what_was_appended_in_order(steps: list[str | int | None]) -> None:
    appended: list[Event] = []
    read: list[Event] = []
    position: Position | None = None
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(pathlib.Path(folder), 200_000, 1 << 30)
        for number, step in enumerate((*steps, *[None] * 40)):
            match step:
                case None:
                    events, position = journal.events(position, 64 * 1024)
                    read += events
                case "lease":
                    journal.take(Leased(LEASE))
                    journal.give_back(Returned(LeaseReturn(Epoch("uid", 1), "l", number, 100, final=True)))
                case int(words):
                    appended.append(settlement(number, words))
                    journal.end_attempt(appended[-1])
        journal.close()
    assert read == appended


def test_a_position_that_was_read_already_is_read_again_from_the_spool() -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(pathlib.Path(folder), 1 << 20, 1 << 30)
        _, start = journal.events(None, 1024)
        journal.end_attempt(settlement(1))
        first, behind = journal.events(start, 1024)
        again, _ = journal.events(start, 1024)
        assert first == again == (settlement(1),)
        assert journal.events(behind, 1024) == ((), behind)
        journal.close()


def test_too_many_events_are_given_up_until_delivery_has_caught_up() -> None:
    kept = fresh.Fresh(100)
    start, end = Position(1, 0), Position(1, 200)
    kept.begin(start)
    kept.add(settlement(1), 60)
    kept.add(settlement(2), 60)
    kept.add(settlement(3), 10)
    assert kept.take(start, end) is None
    kept.begin(end)
    kept.add(settlement(4), 60)
    assert kept.take(end, Position(1, 260)) == (settlement(4),)
