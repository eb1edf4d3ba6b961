"""Registrations that are late, repeated or lost: each boot has a number of its own, and only what boots do fences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import epochs, returns
from llmgov.ledger.book import Book
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import Epoch, Inventory, LeaseRequest
from llmgov.ledger.rows import EpochRow, LedgerEpoch
from tests.support.ledgers import NOW


def test_a_registration_that_is_carried_out_late_fences_nobody() -> None:
    rows = Book()
    first = epochs.register(rows, "pod")
    assert epochs.admit(rows, first)
    used, unused = epochs.register(rows, "pod"), epochs.register(rows, "pod")
    assert epochs.admit(rows, first)
    assert epochs.admit(rows, used)
    assert not epochs.admit(rows, first)
    assert epochs.register(rows, "pod").number == unused.number + 1
    assert epochs.admit(rows, used)


def test_a_registration_changes_nothing_of_what_protects_the_boot_that_lives() -> None:
    rows = Book(epochs={"pod": EpochRow("pod", 3, 7, (8, 9), "life")})
    assert epochs.register(rows, "pod") == Epoch("pod", 4)
    assert rows.epochs["pod"] == EpochRow("pod", 3, 7, (8, 9), "life", given=4)
    assert epochs.admit(rows, Epoch("pod", 4))
    assert rows.epochs["pod"] == EpochRow("pod", 4)


def test_a_pod_that_is_given_up_takes_the_numbers_with_it_that_it_was_given() -> None:
    rows = Book()
    epochs.admit(rows, epochs.register(rows, "pod"))
    given_before = epochs.register(rows, "pod")
    returns.lose(rows, "pod", NOW)
    assert not epochs.admit(rows, given_before)
    assert epochs.admit(rows, epochs.register(rows, "pod"))
    assert rows.epochs["pod"].gone is None


def test_an_inventory_fences_what_older_boots_still_ask_for() -> None:
    rows = Book()
    older, newer = epochs.register(rows, "pod"), epochs.register(rows, "pod")
    returns.take_inventory(rows, Inventory(newer, ()), NOW)
    assert not epochs.admit(rows, older)


@given(st.lists(st.one_of(st.just("register"), st.just("lose"), st.integers(0, 30)), max_size=40))
def test_numbers_grow_and_who_is_admitted_is_the_newest_that_acted(steps: list[str | int]) -> None:
    """Against sums of its own: `given` are all numbers, `least` is what a boot needs to be admitted."""
    rows, given_numbers, least = Book(), [0], 0
    for step in steps:
        if step == "register":
            number = epochs.register(rows, "pod").number
            assert number > max(*given_numbers, least)
            given_numbers.append(number)
        elif step == "lose":
            if given_numbers != [0] and rows.epochs["pod"].gone is None:
                least = max(*given_numbers, least) + 1
            returns.lose(rows, "pod", NOW)
        elif int(step) < len(given_numbers) and given_numbers[int(step)]:
            number = given_numbers[int(step)]
            assert epochs.admit(rows, Epoch("pod", number)) == (number >= least)
            least = max(least, number)
        rows = Book(epochs=dict(rows.epochs))


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 12))
def test_a_number_is_given_by_this_life_or_may_be_of_an_earlier_one(
    acted: int, told: int, life: int, number: int
) -> None:
    """Lives are so short here that a few boots make the next one's numbers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(epochs, "BOOTS", 4)
        rows = Book(
            epochs={"pod": EpochRow("pod", acted, given=told)}, ledger_epoch=LedgerEpoch("x", life, 0), database="x"
        )
        if number <= max(acted, told) or number <= 4 * (life - 1):
            epochs.require_given(rows, Epoch("pod", number))
        else:
            with pytest.raises(BadInputError, match=f"epoch: pod:{number} was never given out"):
                epochs.require_given(rows, Epoch("pod", number))


def test_no_more_requests_are_refused_than_can_be_remembered_and_none_is_closed_but_by_its_sender() -> None:
    """The first is being decided meanwhile: what was refused after it is no answer to it."""
    rows, last = Book(epochs={"pod": EpochRow("pod", 1)}), epochs.MAX_REFUSED + 1
    for number in range(2, last + 1):
        epochs.remember(rows, asked(number), refused=True)
    before = rows.epochs["pod"]
    assert (before.closed, len(before.refused)) == (0, epochs.MAX_REFUSED)
    with pytest.raises(epochs.CrowdedError, match="refused and not closed: ask again"):
        epochs.remember(rows, asked(last + 1), refused=True)
    epochs.remember(rows, asked(2), refused=True)
    epochs.remember(rows, asked(1), refused=False)
    assert rows.epochs["pod"] == before
    answered = [epochs.is_answered(rows, asked(number)) for number in range(1, last + 2)]
    assert answered == [False, *[True] * epochs.MAX_REFUSED, False]
    epochs.remember(rows, asked(last + 1, closed=3), refused=True)
    assert rows.epochs["pod"] == EpochRow("pod", 1, closed=3, refused=tuple(range(3, last + 2)))


def asked(number: int, closed: int = 0) -> LeaseRequest:
    return LeaseRequest(Epoch("pod", 1), number, (), (), closed=closed)
