"""Settlements, returns, inventories and losses: what becomes of a lease, its window, and those that hear of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import charging, epochs, recording, returns, settling
from llmgov.ledger.book import Book, Put
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Charged, Inventory, LeaseReturn
from llmgov.ledger.rows import AccountRow, EpochRow, LeaseRow, LeaseState, Spend, Window
from llmgov.snapshot import Account, Match, Target, TargetKind, Threshold, ThresholdAction
from tests.support import ledgers
from tests.support.ledgers import NOW

TEAM = ledgers.account(
    limit=1000,
    thresholds=(
        Threshold(50, (ThresholdAction.NOTIFY_USERS,)),
        Threshold(75, (ThresholdAction.NOTIFY_ADMINS,)),
        Threshold(100, (ThresholdAction.BLOCK,)),
    ),
)
START, END = NOW - 10, NOW + 10
LEASE = LeaseRow("L", TEAM.key, START, END, "pod-1", 1, 100, NOW + 5)
OTHER = msgspec.structs.replace(LEASE, id="M", amount=50)


def window(account: Account, leased: int = 0, spent: int = 0, scope: str | None = None) -> Window:
    return Window(account.key, scope or str(account.target), START, END, 10**9, spent, leased)


def book(*leases: LeaseRow, spent: int = 0) -> Book:
    lent = sum(lease.outstanding for lease in leases)
    return Book(
        accounts={TEAM.key: AccountRow(TEAM.key, "team/payments", TEAM)},
        windows={(TEAM.key, START): window(TEAM, lent, spent)},
        leases={lease.id: lease for lease in leases},
        epochs={"pod-1": EpochRow("pod-1", 1)},
    )


def sums(rows: Book) -> tuple[int, int, int]:
    row = rows.windows[TEAM.key, START]
    return row.spent, row.leased, row.unknown


def charged(lease: LeaseRow, held: int) -> Charged:
    return Charged(lease.id, lease.account, held)


def settle(rows: Book, cost: int, *parts: Charged, attempt: str = "a/1") -> None:
    hold = sum(part.held for part in parts)
    settling.record(rows, ledgers.intent(attempt, hold, parts), NOW)
    settling.record(rows, ledgers.settlement(attempt, cost), NOW)


class TestSettling:
    def test_a_cost_moves_from_leased_to_spent(self) -> None:
        rows = book(LEASE)
        settle(rows, 30, charged(LEASE, 40))
        assert sums(rows) == (30, 70, 0)
        assert rows.leases["L"].spent == 30

    @pytest.mark.parametrize("first", ["intent", "settlement"])
    def test_the_halves_may_come_in_any_order_and_twice(self, first: str) -> None:
        rows = book(LEASE)
        halves = [ledgers.intent("a/1", 40, (charged(LEASE, 40),)), ledgers.settlement("a/1", 30)]
        if first == "settlement":
            halves.reverse()
        assert [settling.record(rows, half, NOW) for half in (*halves, *halves)] == [True, True, False, False]
        assert sums(rows) == (30, 70, 0)

    def test_nothing_moves_before_both_halves_are_there(self) -> None:
        rows = book(LEASE)
        settling.record(rows, ledgers.intent("a/1", 40, (charged(LEASE, 40),)), NOW)
        assert sums(rows) == (0, 100, 0)
        assert not rows.put.spends

    def test_several_leases_pay_in_order(self) -> None:
        rows = book(LEASE, OTHER)
        settle(rows, 70, charged(LEASE, 40), charged(OTHER, 50))
        assert (rows.leases["L"].spent, rows.leases["M"].spent) == (40, 30)
        assert sums(rows) == (70, 80, 0)

    def test_an_overrun_is_recorded_whole(self) -> None:
        rows = book(LEASE)
        settle(rows, 150, charged(LEASE, 40))
        assert sums(rows) == (150, 0, 0)

    def test_a_late_settlement_of_a_lost_lease_lessens_what_is_unknown(self) -> None:
        rows = book(LEASE)
        returns.lose(rows, "pod-1", NOW)
        settle(rows, 30, charged(LEASE, 40))
        assert sums(rows) == (30, 0, 70)

    def test_windows_on_the_path_that_held_nothing_are_charged_too(self) -> None:
        rows = book(LEASE)
        organization = ledgers.account(Target(TargetKind.ORGANIZATION))
        narrow = ledgers.account(Target(TargetKind.NAMESPACE, "payments"), match=Match(models=("x",)))
        elsewhere = ledgers.account(Target(TargetKind.TEAM, "other"))
        for account, scope in ((organization, None), (narrow, narrow.key), (elsewhere, None)):
            rows.accounts[account.key] = AccountRow(account.key, scope or str(account.target), account)
            rows.windows[account.key, START] = window(account, scope=scope)
        settle(rows, 30, charged(LEASE, 40))
        spent = {row.account: row.spent for row in rows.windows.values()}
        assert spent == {TEAM.key: 30, organization.key: 30, narrow.key: 0, elsewhere.key: 0}

    def test_what_it_cost_is_kept_for_every_scope(self) -> None:
        rows = book(LEASE)
        settle(rows, 30, charged(LEASE, 40))
        assert rows.put.spends == [Spend(ledgers.PATH, NOW, 30)]
        assert rows.attempts["a/1"].beside == ()

    def test_what_costs_nothing_changes_no_sum(self) -> None:
        rows = book(LEASE)
        settle(rows, 0, charged(LEASE, 40))
        assert not rows.put.spends

    def test_it_counts_for_what_its_accounts_and_their_windows_are_summed_by_too(self) -> None:
        """The account was narrowed in the middle of its window, which keeps the scope that it was opened with."""
        rows = book(LEASE)
        rows.accounts[TEAM.key] = AccountRow(TEAM.key, "now", TEAM)
        rows.windows[TEAM.key, START] = window(TEAM, leased=100, scope="before")
        settle(rows, 30, charged(LEASE, 40))
        assert rows.attempts["a/1"].beside == rows.put.attempts["a/1"].beside == ("now", "before")
        assert rows.put.spends == [Spend((*ledgers.PATH, "now", "before"), NOW, 30)]

    def test_each_threshold_is_told_once(self) -> None:
        rows = book(LEASE, spent=490)
        settle(rows, 9, charged(LEASE, 10))
        assert rows.windows[TEAM.key, START].told == ()
        settle(rows, 1, charged(LEASE, 10), attempt="a/2")
        assert rows.windows[TEAM.key, START].told == (50,)
        settle(rows, 5, charged(LEASE, 10), attempt="a/3")
        assert [(entry.audience, entry.fact) for entry in rows.put.outbox.values()] == [("Users", "threshold:50")]

    def test_an_overrun_stops_the_model(self) -> None:
        rows = book(LEASE)
        settled = msgspec.structs.replace(ledgers.settlement("pod-1:1/1", 90), overrun=True)
        recording.record(rows, ledgers.intent("pod-1:1/1", 40, (charged(LEASE, 40),)), NOW)
        recording.record(rows, settled, NOW)
        assert [row.digest for row in rows.put.approvals.values()] == ["openai/gpt-4o"]


class TestReturning:
    def give_back(self, rows: Book, amount: int, **fields: object) -> int:
        facts = {"epoch": ledgers.epoch(), "lease": "L", "serial": 1, "amount": amount, "final": False, **fields}
        return returns.give_back(rows, LeaseReturn(**facts), NOW)  # type: ignore[arg-type]

    def test_frees_once_for_each_serial(self) -> None:
        rows = book(LEASE)
        assert self.give_back(rows, 60) == 60
        assert self.give_back(rows, 60) == 0
        assert self.give_back(rows, 10, serial=2) == 10
        assert sums(rows) == (0, 30, 0)

    def test_never_frees_more_than_is_outstanding(self) -> None:
        rows = book(LEASE)
        assert self.give_back(rows, 60) == 60
        assert self.give_back(rows, 60, serial=2) == 40

    def test_of_a_lease_that_is_not_known_any_more_is_ignored(self) -> None:
        rows = book(LEASE)
        assert self.give_back(rows, 60, lease="?") == 0
        assert sums(rows) == (0, 100, 0)

    @pytest.mark.parametrize(
        ("amount", "fields", "fault"),
        [
            (60, {"epoch": ledgers.epoch("pod-2")}, Fault.FOREIGN),
            (60, {"epoch": ledgers.epoch("pod-1", 0)}, Fault.FOREIGN),
            (-5, {}, Fault.NEGATIVE),
            (101, {}, Fault.RANGE),
        ],
        ids=["another holder's", "a later epoch's", "less than nothing", "more than was lent"],
    )
    def test_what_cannot_be_changes_nothing(self, amount: int, fields: dict[str, object], fault: Fault) -> None:
        rows = book(LEASE)
        with pytest.raises(BadInputError) as raised:
            self.give_back(rows, amount, **fields)
        assert (raised.value.fault, rows.put) == (fault, Put())

    def test_a_fenced_epoch_still_returns(self) -> None:
        rows = book(LEASE)
        rows.epochs["pod-1"] = EpochRow("pod-1", 9)
        assert self.give_back(rows, 60) == 60

    def test_the_last_one_closes_and_waits_for_settlements(self) -> None:
        rows = book(LEASE)
        self.give_back(rows, 60, final=True)
        assert (rows.leases["L"].state, sums(rows)) == (LeaseState.FINAL, (0, 40, 0))

    def test_what_is_unaccounted_counts_as_unknown(self) -> None:
        rows = book(LEASE)
        self.give_back(rows, 0, serial=-2, final=True, unaccounted=True)
        assert sums(rows) == (0, 0, 100)

    def test_of_a_lost_lease_its_own_epoch_knows_and_a_later_one_guesses(self) -> None:
        rows = book(LEASE)
        returns.lose(rows, "pod-1", NOW)
        assert self.give_back(rows, 60, epoch=ledgers.epoch(number=2)) == 0
        assert self.give_back(rows, 60, serial=2) == 60
        assert sums(rows) == (0, 0, 40)
        assert rows.leases["L"].state is LeaseState.LOST


class TestInventory:
    def take(self, rows: Book, *leases: str, number: int = 2, newest: int = 2) -> int:
        rows.epochs["pod-1"] = EpochRow("pod-1", newest)
        return returns.take_inventory(rows, Inventory(ledgers.epoch(number=number), leases), NOW)

    def test_frees_what_older_epochs_never_used(self) -> None:
        named = msgspec.structs.replace(LEASE, id="pod-1:1/1/0")
        rows = book(named, OTHER)
        assert self.take(rows, named.id) == 50
        assert sums(rows) == (0, 100, 0)
        assert self.take(rows, named.id) == 0

    def test_that_names_what_another_holder_was_lent_changes_nothing(self) -> None:
        rows = book(LEASE)
        with pytest.raises(BadInputError, match="pod-11:1/1/0 was not lent to pod-1"):
            self.take(rows, "pod-11:1/1/0")
        assert sums(rows) == (0, 100, 0)

    def test_of_an_epoch_that_is_not_the_newest_says_nothing(self) -> None:
        assert self.take(book(LEASE), number=2, newest=3) == 0

    def test_does_not_touch_its_own_epoch_or_other_holders(self) -> None:
        own = msgspec.structs.replace(LEASE, number=2)
        others = msgspec.structs.replace(OTHER, holder="pod-2")
        assert self.take(book(own, others)) == 0

    def test_does_not_free_what_was_spent_from(self) -> None:
        assert self.take(book(msgspec.structs.replace(LEASE, spent=1))) == 0

    def test_does_not_free_what_an_earlier_boot_could_not_account_for(self) -> None:
        rows = book(LEASE)
        torn = LeaseReturn(ledgers.epoch(number=2), "L", -2, 0, final=True, unaccounted=True)
        returns.give_back(rows, torn, NOW)
        assert self.take(rows, number=3, newest=3) == 0
        assert sums(rows) == (0, 0, 100)


def test_a_lost_holder_loses_its_leases_only() -> None:
    rows = book(LEASE, msgspec.structs.replace(OTHER, holder="pod-2"))
    assert returns.lose(rows, "pod-1", NOW) == 100
    assert returns.lose(rows, "pod-1", NOW) == 0
    assert sums(rows) == (0, 50, 100)


def test_a_lost_holder_is_lent_nothing_more_until_it_registers_anew() -> None:
    rows = book(LEASE)
    rows.epochs["pod-1"] = EpochRow("pod-1", 3)
    returns.lose(rows, "pod-1", NOW)
    assert not epochs.admit(rows, ledgers.epoch(number=3))
    returns.lose(rows, "pod-1", NOW)
    assert epochs.admit(rows, epochs.register(rows, "pod-1"))


HOLDS = st.lists(st.integers(0, 1000), min_size=1, max_size=5)


@given(holds=HOLDS, cost=st.integers(0, 6000))
def test_every_account_pays_the_whole_cost_and_no_lease_more_than_it_gave_but_the_last(
    holds: list[int], cost: int
) -> None:
    parts = [Charged(f"{key}{index}", key, hold) for key in ("x", "y") for index, hold in enumerate(holds)]
    paid = charging.distribute(parts, cost)
    for key in ("x", "y"):
        of_key = [paid[part.lease] for part in parts if part.key == key]
        assert sum(of_key) == cost
        assert all(amount <= hold for amount, hold in zip(of_key[:-1], holds[:-1], strict=True))
        assert all(amount == hold for amount, hold in zip(of_key[:-1], holds[:-1], strict=True) if of_key[-1] > 0)
