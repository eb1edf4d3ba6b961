"""How a delivery is cut: in order, an honest one hardly at all, and none so that a piece is too much work."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import bounds
from llmgov.ledger.messages import Charged, Event, Intent, Refused, Settlement, Violated
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience
from llmgov_hub import pieces
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW


def violated(number: int, violations: int) -> Violated:
    one = Violation("p", Action.FLAG, "r", "m", notify=tuple(Audience))
    return Violated(f"pod:1/{number}", NOW, "r", None, ledgers.subject(), (one,) * violations)


def intent(number: int, targets: int = 8, leases: int = 8, name: str = "t") -> Intent:
    who = ledgers.subject(path=tuple(f"team/{name}{index}" for index in range(targets)))
    charged = tuple(Charged(f"pod:1/{name}{index}/0", f"a{name}{index}", CENT) for index in range(leases))
    return ledgers.intent(f"pod:1/{number}", CENT, charged, who=who)


def work(piece: Sequence[Event]) -> float:
    """Counted apart from what is tested: rows written once for all of a piece, each row of one event, and looks."""
    rows = {event.id for event in piece}
    lists = 0
    for event in piece:
        match event:
            case Intent():
                rows |= set(event.subject.path) | {c.lease for c in event.charged} | {c.key for c in event.charged}
                lists += len(event.subject.path) + len(event.charged) + len(event.policies)
            case Refused() | Violated():
                lists += len(event.subject.path) + 8 * sum(1 + len(one.notify) for one in event.violations)
            case Settlement():
                pass
    return len(rows) + lists / 8


EVENTS = st.lists(
    st.one_of(
        st.builds(violated, st.integers(0, 999), st.integers(0, bounds.MAX_VIOLATIONS)),
        st.builds(
            intent, st.integers(0, 999), st.integers(0, bounds.MAX_PATH), st.integers(0, bounds.MAX_PARTS),
            st.sampled_from("abcd"),
        ),
        st.builds(ledgers.settlement, st.integers(0, 999).map(lambda number: f"pod:1/{number}"), st.just(CENT)),
    ),
    max_size=40,
)  # fmt: skip


@given(EVENTS)
def test_nothing_is_lost_or_overtaken_and_no_piece_is_too_much_unless_one_event_is(events: list[Event]) -> None:
    cut = list(pieces.cut(events))
    assert [event for piece in cut for event in piece] == events
    assert all(cut)
    for piece in cut:
        assert len(piece) == 1 or work(piece) <= 1024 + len(piece)
    for before, after in itertools.pairwise(cut):
        assert work([*before, after[0]]) > 1024


def test_what_a_busy_sidecar_sends_at_once_is_one_piece() -> None:
    halves = [(intent(number), ledgers.settlement(f"pod:1/{number}", CENT)) for number in range(128)]
    events = [half for both in halves for half in both]
    assert list(pieces.cut(events)) == [events]
    assert [len(piece) for piece in pieces.cut(events * 2)] == [256, 256]


@pytest.mark.parametrize(
    ("event", "most"),
    [
        (intent(0, bounds.MAX_PATH, bounds.MAX_PARTS), 5),
        (violated(0, bounds.MAX_VIOLATIONS), 1),
        (msgspec.structs.replace(intent(0), policies=("p",) * bounds.MAX_POLICIES), 1),
    ],
    ids=["intents that name all they may", "violations that all are told of", "policies without number"],
)
def test_many_of_the_widest_are_cut_small(event: Event, most: int) -> None:
    events = [msgspec.structs.replace(event, id=f"pod:1/{number}") for number in range(64)]
    assert max(len(piece) for piece in pieces.cut(events)) <= most
