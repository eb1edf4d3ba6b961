"""What a new epoch makes of an old spool: a prefix of what was written, from a process or a machine that died."""

import pytest

from llmgov.ledger.commands import Carried, Leased, Returned, SpoolRecord
from llmgov.ledger.messages import Charged, Inventory, Lease, LeaseReturn, Outcome
from llmgov.ledger.replay import replay
from tests.support import ledgers
from tests.support.ledgers import NOW

OLD, NEW = ledgers.epoch(number=1), ledgers.epoch(number=2)
LEASE = Lease("L", "team", NOW, NOW + 10, 100, NOW + 5)
OTHER = Lease("M", "team", NOW, NOW + 10, 50, NOW + 5)
INTENT = ledgers.intent("a/1", 40, (Charged("L", "team", 40),))
GAVE_BACK = LeaseReturn(OLD, "L", 1, 20, False)
CLOSED = LeaseReturn(OLD, "L", 2, 50, True)


def returns(*records: SpoolRecord, torn: bool = False) -> tuple[LeaseReturn, ...]:
    return replay(records, NEW, NOW, torn=torn).returns


@pytest.mark.parametrize(
    ("records", "rest"),
    [
        ([Leased(LEASE)], 100),
        ([Leased(LEASE), INTENT], 60),
        ([Leased(LEASE), INTENT, ledgers.settlement("a/1", 10)], 90),
        ([Leased(LEASE), INTENT, ledgers.settlement("a/1", 10), ledgers.settlement("a/1", 10)], 90),
        ([Leased(LEASE), INTENT, ledgers.settlement("a/1", 1000)], 0),
        ([Carried(LEASE, 30, 0, 0)], 70),
        ([Carried(LEASE, 30, 0, 0), INTENT], 30),
    ],
    ids=[
        "never used",
        "an attempt that did not end costs its hold",
        "an attempt that ended costs what it cost",
        "a settlement that is there twice counts once",
        "an overrun leaves nothing",
        "what trimmed records said",
        "what trimmed records said, and an attempt after them",
    ],
)
def test_the_rest_of_an_open_lease_comes_back(records: list[SpoolRecord], rest: int) -> None:
    assert returns(*records) == (LeaseReturn(NEW, "L", 1, rest, True),)


def test_earlier_returns_are_repeated_and_counted() -> None:
    assert returns(Leased(LEASE), Returned(GAVE_BACK)) == (GAVE_BACK, LeaseReturn(NEW, "L", 2, 80, True))


def test_returns_that_trimmed_records_spoke_of_count_once() -> None:
    records = (Carried(LEASE, 10, 20, 1), Returned(GAVE_BACK))
    assert returns(*records)[-1] == LeaseReturn(NEW, "L", 2, 70, True)


def test_a_lease_that_was_closed_stays_closed() -> None:
    assert returns(Leased(LEASE), Returned(GAVE_BACK), Returned(CLOSED)) == (GAVE_BACK, CLOSED)


def test_a_torn_spool_accounts_for_nothing_that_was_open() -> None:
    records = (Leased(LEASE), Leased(OTHER), Returned(CLOSED), INTENT)
    assert returns(*records, torn=True) == (CLOSED, LeaseReturn(NEW, "M", -2, 0, True, unaccounted=True))


def test_attempts_that_did_not_end_are_settled_as_unknown() -> None:
    (settled,) = replay([Leased(LEASE), INTENT], NEW, NOW + 1, torn=False).settlements
    assert (settled.id, settled.at, settled.outcome, settled.cost) == ("a/1", NOW + 1, Outcome.UNKNOWN, 40)


def test_the_inventory_names_every_lease() -> None:
    found = replay([Leased(LEASE), Carried(OTHER, 0, 0, 0), Returned(CLOSED)], NEW, NOW, torn=False)
    assert found.inventory == Inventory(NEW, ("L", "M"))


def test_an_empty_spool_says_so() -> None:
    found = replay([], NEW, NOW, torn=True)
    assert (found.settlements, found.returns, found.inventory) == ((), (), Inventory(NEW, ()))
