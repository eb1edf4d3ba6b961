"""No bill is above what was held for it, and no budget pays more than its limit, by the ledger's own rows."""

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.sdk import cases, greedy, ledger
from tests.sdk import system as system_
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call, Sdk


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of its own: nobody else's requests are among its attempts."""
    with system_.running(tmp_path_factory.mktemp("bank"), ("greedy", "poor")) as system:
        yield system


class _Count:
    """How many requests have gone so far."""

    greedy = 0


@hypothesis.given(calls=st.lists(greedy.ANY, min_size=6, max_size=12))
@hypothesis.settings(max_examples=30, deadline=None)
def test_no_charge_is_above_its_hold_when_the_model_spends_all_that_it_may(bank: System, calls: list[Call]) -> None:
    for found in _at_once(bank, "greedy", calls):
        assert not isinstance(found[-1], dict) or "raised" not in found[-1], found[-1]
    _Count.greedy += len(calls)
    for row in ledger.ended(bank.state_folder, "greedy", _Count.greedy):
        assert row.outcome == "settled"
        assert 0 < row.cost <= row.hold
        assert not row.overrun


def test_a_budget_is_never_overspent_and_lets_pass_what_it_can_pay(bank: System) -> None:
    calls = [
        cases.chat("mock: spend max", model="gpt-4o", max_completion_tokens=400),
        Call(Sdk.OPENAI, "responses.create", {"model": "gpt-4o", "input": "mock: spend max"}),
        cases.message("mock: spend max", model="claude-sonnet-5-5", max_tokens=300),
    ] * 8
    found = [one[-1] for one in _at_once(bank, "poor", calls)]
    refused = [one for one in found if "raised" in one]
    assert {one["status"] for one in refused} == {402}
    assert {one["raised"] for one in refused} <= {"APIStatusError", "PaymentRequiredError"}
    rows = ledger.ended(bank.state_folder, "poor", len(calls) - len(refused))
    assert len(rows) >= 3
    assert all(row.cost <= row.hold for row in rows)
    assert 25_000 < sum(row.cost for row in rows) <= 50_000


def _at_once(bank: System, place: str, calls: list[Call]) -> list[list[Any]]:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda call: sdks.perform(bank.client(call.sdk, place), call), calls))
