"""The check of balances shares no rule with what it checks: what `charging` gets wrong, it finds."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import balances, charging, recording
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import AccountRow, LeaseRow, Window
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD

TEAM = ledgers.account()
START, END = NOW - 1, NOW + 1
PARTS = (Charged("pod-1:1/1/0", TEAM.key, CENT), Charged("pod-1:1/2/0", TEAM.key, 2 * CENT))
DISTRIBUTE = charging.distribute

Rule = Callable[[Sequence[Charged], int], dict[str, int]]


def settled(cost: int) -> Balances:
    """All rows after one attempt that held three cents from two leases of an account, and cost that."""
    leases = [LeaseRow(part.lease, TEAM.key, START, END, "pod-1", 1, USD, END) for part in PARTS]
    window = Window(TEAM.key, str(TEAM.target), START, END, TEAM.nano_usd, leased=2 * USD)
    rows = Book(
        accounts={TEAM.key: AccountRow(TEAM.key, str(TEAM.target), TEAM)},
        windows={(TEAM.key, START): window},
        leases={lease.id: lease for lease in leases},
    )
    for event in (ledgers.intent("pod-1:1/1", 3 * CENT, PARTS), ledgers.settlement("pod-1:1/1", cost)):
        recording.record(rows, event, NOW)
    return Balances(
        windows=tuple(rows.windows.values()),
        leases=tuple(rows.leases.values()),
        attempts=tuple(rows.attempts.values()),
        accounts=tuple(rows.accounts.values()),
    )


def found(given: Balances) -> list[str]:
    """What is said of leases: sums that accounts are filled from are not among these rows."""
    return [each for each in balances.differences(given) if each.startswith("spent of lease")]


@pytest.mark.parametrize("cost", [0, 1, CENT, 2 * CENT, 3 * CENT, 4 * CENT])
def test_what_was_paid_by_the_rule_agrees(cost: int) -> None:
    assert found(settled(cost)) == []


def first_pays_all(charged: Sequence[Charged], cost: int) -> dict[str, int]:
    return {part.lease: cost if index == 0 else 0 for index, part in enumerate(charged)}


def overrun_falls_on_nobody(charged: Sequence[Charged], cost: int) -> dict[str, int]:
    return DISTRIBUTE(charged, min(cost, 3 * CENT))


def last_pays_first(charged: Sequence[Charged], cost: int) -> dict[str, int]:
    return DISTRIBUTE(charged[::-1], cost)


def each_pays_the_whole(charged: Sequence[Charged], cost: int) -> dict[str, int]:
    return {part.lease: cost for part in charged}


@pytest.mark.parametrize("planted", [first_pays_all, overrun_falls_on_nobody, last_pays_first, each_pays_the_whole])
def test_a_wrong_rule_is_found(planted: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging, "distribute", planted)
    assert found(settled(4 * CENT)), planted.__name__


HELD = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=6)


@given(HELD, st.integers(0, 40))
def test_both_statements_of_the_rule_say_the_same(held: list[tuple[str, int]], cost: int) -> None:
    charged = [Charged(f"lease {index}", key, amount) for index, (key, amount) in enumerate(held)]
    assert balances._paid_by(charged, cost) == charging.distribute(charged, cost)
