"""What does not add up is said, sum by sum."""

from llmgov.ledger import balances, sums
from llmgov.ledger.balances import Balances
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import Attempt, LeaseRow, LeaseState, Sum, Window
from tests.support import ledgers

ONE, TWO = "pod-1:1/1/0", "pod-1:1/2/0"


def window(start: int, spent: int) -> Window:
    return Window("team", "team/payments", start, start + 100, 10**9, spent=spent)


def lease(id_: str, start: int, spent: int, billed: int = 0) -> LeaseRow:
    return LeaseRow(
        id_, "team", start, start + 100, "pod-1", 1, spent, 1, spent=spent, billed=billed, state=LeaseState.FINAL
    )


def settled(at: int, *charged: Charged) -> tuple[Attempt, tuple[Sum, ...]]:
    """An attempt that cost 10, on the path `team/payments`, and what that target spent."""
    who = ledgers.subject(path=("team/payments",))
    intent = ledgers.intent("pod-1:1/1", 10, charged, at=at, who=who)
    attempt = Attempt(intent.id, intent, ledgers.settlement(intent.id, 10), counted=at)
    return attempt, (Sum("team/payments", sums.quarter(at), 10),)


def found(attempt: Attempt, spent: tuple[Sum, ...], windows: tuple[Window, ...], *leases: LeaseRow) -> list[str]:
    return list(balances.differences(Balances(windows, leases, (attempt,), spent)))


def test_a_window_is_what_attempts_of_its_time_cost() -> None:
    one = settled(150, Charged(ONE, "team", 10))
    assert found(*one, (window(100, 10), window(200, 0)), lease(ONE, 100, 10)) == []


def test_an_attempt_that_was_charged_to_leases_of_two_windows_is_told() -> None:
    mixed = settled(150, Charged(ONE, "team", 6), Charged(TWO, "team", 4))
    said = found(*mixed, (window(100, 6), window(200, 4)), lease(ONE, 100, 6), lease(TWO, 200, 4))
    assert said == [
        "spent of team from 1970-01-01T00:00:00.000100Z: the ledger has $0.000006, by its attempts then it is $0.00001",
        "spent of team from 1970-01-01T00:00:00.000200Z: the ledger has $0.000004, by its attempts then it is $0.00",
    ]
