"""Leases that only strict attempts hold from: what of them comes back when their pod is lost, and what never may."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import recording, returns
from llmgov.ledger.book import Book
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Charged, Lease, LeaseRequest, LeaseReturn
from llmgov.ledger.rows import AccountRow, EpochRow, LeaseRow, LeaseState, LedgerEpoch, Window
from tests.support import ledgers
from tests.support.ledgers import NOW

TEAM = ledgers.account(limit=1000)
START, END = NOW - 10, NOW + 10
STRICT = LeaseRow("pod-1:1/1/0", TEAM.key, START, END, "pod-1", 1, 100, NOW + 5, strict_in=1)
ORDINARY = msgspec.structs.replace(STRICT, id="pod-1:1/2/0", strict_in=0)


def book(*leases: LeaseRow) -> Book:
    return Book(
        accounts={TEAM.key: AccountRow(TEAM.key, "team/payments", TEAM)},
        windows={(TEAM.key, START): Window(TEAM.key, "team/payments", START, END, 10**9, leased=100 * len(leases))},
        leases={lease.id: lease for lease in leases},
        epochs={"pod-1": EpochRow("pod-1", 1)},
        ledger_epoch=LedgerEpoch("life", 1, 0),
        database="life",
    )


def begin(rows: Book, number: int, **held: int) -> None:
    names = {"strict": STRICT.id, "ordinary": ORDINARY.id}
    parts = tuple(Charged(names[name], TEAM.key, amount) for name, amount in held.items())
    assert recording.record(rows, ledgers.intent(f"pod-1:1/{number}", sum(held.values()), parts), NOW)


def end(rows: Book, number: int, cost: int) -> None:
    recording.record(rows, ledgers.settlement(f"pod-1:1/{number}", cost), NOW)


def sums(rows: Book) -> tuple[int, int, int]:
    row = rows.windows[TEAM.key, START]
    return row.spent, row.leased, row.unknown


class TestALostPod:
    def test_has_unknown_what_attempts_on_record_claim_and_gives_back_the_rest(self) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        begin(rows, 2, strict=10)
        end(rows, 2, 7)
        assert returns.lose(rows, "pod-1", NOW) == 40
        assert sums(rows) == (7, 0, 40)

    def test_has_all_of_an_ordinary_lease_unknown(self) -> None:
        rows = book(ORDINARY, STRICT)
        begin(rows, 1, ordinary=40, strict=5)
        assert returns.lose(rows, "pod-1", NOW) == 105
        assert sums(rows) == (0, 0, 105)

    def test_has_all_unknown_of_a_lease_of_an_earlier_life_which_may_have_lost_intents(self) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        rows.ledger_epoch = LedgerEpoch("life", 2, 0)
        assert returns.lose(rows, "pod-1", NOW) == 100
        end(rows, 1, 30)
        assert sums(rows) == (30, 0, 70)

    @pytest.mark.parametrize(("cost", "left"), [(30, 50), (40, 50), (0, 50), (55, 35), (100, 0)])
    def test_a_late_settlement_counts_and_lets_go_what_its_attempt_held(self, cost: int, left: int) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        begin(rows, 2, strict=50)
        returns.lose(rows, "pod-1", NOW)
        end(rows, 1, cost)
        assert sums(rows) == (cost, 0, left)
        assert rows.leases[STRICT.id].claimed == 50

    def test_a_return_on_its_way_gives_nothing_back_a_second_time(self) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        returns.lose(rows, "pod-1", NOW)
        for message in (
            LeaseReturn(ledgers.epoch(), STRICT.id, 1, 60, final=False),
            LeaseReturn(ledgers.epoch(number=2), STRICT.id, -2, 0, final=True, unaccounted=True),
        ):
            assert returns.give_back(rows, message, NOW) == 0
        assert sums(rows) == (0, 0, 40)

    def test_what_a_boot_cannot_account_for_is_unknown_whole_and_stays_so(self) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        returns.give_back(rows, LeaseReturn(ledgers.epoch(number=2), STRICT.id, -2, 0, True, True), NOW)
        assert sums(rows) == (0, 0, 100)
        assert returns.lose(rows, "pod-1", NOW) == 0
        end(rows, 1, 30)
        assert sums(rows) == (30, 0, 70)


class TestALateIntent:
    def test_of_money_that_came_back_is_refused_however_often_it_comes(self) -> None:
        rows = book(STRICT)
        returns.lose(rows, "pod-1", NOW)
        for _ in range(2):
            with pytest.raises(BadInputError, match="came back when pod-1 was written off") as refused:
                begin(rows, 1, strict=40)
            assert refused.value.fault is Fault.WRITTEN_OFF
        end(rows, 1, 0)  # the abort that follows
        assert sums(rows) == (0, 0, 0)

    def test_that_was_on_record_before_is_known_however_often_it_comes(self) -> None:
        rows = book(STRICT)
        begin(rows, 1, strict=40)
        returns.lose(rows, "pod-1", NOW)
        again = ledgers.intent("pod-1:1/1", 40, (Charged(STRICT.id, TEAM.key, 40),))
        assert not recording.record(rows, again, NOW)
        assert sums(rows) == (0, 0, 40)

    def test_of_an_ordinary_lease_is_taken_since_its_money_is_unknown(self) -> None:
        rows = book(ORDINARY)
        returns.lose(rows, "pod-1", NOW)
        begin(rows, 1, ordinary=40)
        end(rows, 1, 30)
        assert sums(rows) == (30, 0, 70)


@given(
    holds=st.lists(st.integers(0, 40), max_size=4),
    costs=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    lost_at=st.integers(0, 8),
    order=st.randoms(use_true_random=False),
)
def test_whenever_the_pod_is_lost_what_open_intents_hold_is_unknown_and_nothing_else(
    holds: list[int], costs: list[int], lost_at: int, order: object
) -> None:
    holds = [hold for index, hold in enumerate(holds) if sum(holds[: index + 1]) <= STRICT.amount]
    rows, open_, spent = book(STRICT), dict[int, int](), 0
    steps = [(half, number) for number in range(len(holds)) for half in ("intent", "end")]
    order.shuffle(steps)  # type: ignore[attr-defined]
    taken: set[int] = set()
    early: set[int] = set()
    for at, (half, number) in enumerate([*steps, ("none", 0)]):
        if at == min(lost_at, len(steps)):
            returns.lose(rows, "pod-1", NOW)
        lost = at >= lost_at
        if half == "intent" and not (lost and number not in taken):
            begin(rows, number, strict=holds[number])
            taken.add(number)
            open_[number] = holds[number]
        if half == "end":
            end(rows, number, min(costs[number], holds[number]))
            early.add(number)
        for done in early & open_.keys():
            spent += min(costs[done], holds[done])
            del open_[done]
        found = rows.leases[STRICT.id]
        assert found.claimed == sum(open_.values())
        assert rows.windows[TEAM.key, START].spent == spent
        if lost and found.state is LeaseState.LOST:
            assert sums(rows)[1:] == (0, found.claimed)


def test_a_message_of_a_version_that_knows_no_mark_is_of_an_ordinary_lease() -> None:
    request = LeaseRequest(ledgers.epoch(), 1, (), ledgers.PATH, strict=True)
    lease = Lease("pod-1:1/1/0", TEAM.key, START, END, 100, END, strict=True)
    for message in (request, lease):
        fields = msgspec.to_builtins(message)
        assert fields.pop("strict")
        assert not msgspec.convert(fields, type(message)).strict
        assert "strict" not in msgspec.to_builtins(msgspec.structs.replace(message, strict=False))
