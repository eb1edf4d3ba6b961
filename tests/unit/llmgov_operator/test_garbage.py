"""Rounds do not pay for looks at all that a process knows."""

import gc
from collections.abc import Iterator

import pytest

from llmgov_operator import garbage

ROUND = 60_000
"""Objects that a round makes, of 5,000 policies."""


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def _looks_at_everything(rounds: int) -> int:
    before = gc.get_stats()[2]["collections"]
    made: list[list[object]] = []
    for _ in range(rounds):
        made = [[number] for number in range(ROUND)]
    assert len(made) == ROUND
    return gc.get_stats()[2]["collections"] - before


def test_rounds_bring_about_no_look_at_everything() -> None:
    garbage.collect_seldom()
    gc.collect()
    assert _looks_at_everything(20) == 0


def test_what_is_left_in_cycles_goes_in_the_end() -> None:
    garbage.collect_seldom()
    gc.collect()
    before = gc.get_stats()[0]["collected"]
    for _ in range(2 * garbage.THRESHOLDS[0]):
        cycle: list[object] = []
        cycle.append(cycle)
    assert gc.get_stats()[0]["collected"] - before >= garbage.THRESHOLDS[0] // 2
