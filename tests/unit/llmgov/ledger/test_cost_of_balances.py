"""What a check of balances costs grows with the attempts, not with attempts times windows or charges."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from llmgov import instants
from llmgov.ledger.balances import Balances, Check
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import Attempt, Window
from tests.support import ledgers


def hourly(number: int) -> tuple[Window, ...]:
    """So many windows of one hour, one after the other, and of each a second account with the same scope."""
    hour = instants.HOUR
    return tuple(
        Window(account, "organization", index * hour, (index + 1) * hour, 10**9)
        for account in ("first", "second")
        for index in range(number)
    )


def attempt(charged: tuple[Charged, ...] = ()) -> Attempt:
    intent = ledgers.intent("pod-1:1/1", 10, charged, at=1, who=ledgers.subject(path=("organization",)))
    return Attempt(intent.id, intent, ledgers.settlement(intent.id, 10), counted=1)


def calls(work: Callable[[], object]) -> int:
    """How many functions, properties, and turns of generators `work` takes."""
    counted = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def test_an_attempt_costs_the_same_however_many_windows_its_target_has() -> None:
    few, many = (Check(Balances(windows=hourly(number))) for number in (10, 1000))
    one = attempt()
    assert calls(lambda: many.add(one)) == calls(lambda: few.add(one)) < 100


def test_ten_times_the_leases_of_an_attempt_cost_ten_times_as_much() -> None:
    check = Check(Balances())
    few, many = (
        attempt(tuple(Charged(f"pod-1:1/{index}/0", "first", 1) for index in range(number))) for number in (100, 1000)
    )
    assert calls(lambda: check.add(many)) < 15 * calls(lambda: check.add(few))


def test_the_sums_of_many_windows_cost_as_much_as_there_are_windows() -> None:
    few, many = (Check(Balances(windows=hourly(number))) for number in (100, 1000))
    assert calls(lambda: list(many.differences())) < 15 * calls(lambda: list(few.differences()))
