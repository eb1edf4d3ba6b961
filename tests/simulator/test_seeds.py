"""The seeds of every test run, in chunks; and that a seed is a world, byte by byte, on every machine."""

import os
import subprocess
import sys

import pytest

from tests.simulator import planted, report, shape, world

CHUNK = 50


@pytest.mark.parametrize("first", range(0, shape.SEEDS, CHUNK))
def test_every_invariant_holds(first: int) -> None:
    for seed in range(first, first + CHUNK):
        result = world.run(seed)
        if result.violation is not None:
            pytest.fail(report.found(result), pytrace=False)


ONCE_FAILED = (2825, 4757, 7515, 20388, 20613, 30500)
"""Seeds beyond the first ones that found something once, or would have, had the oracle looked."""


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_what_failed_once_holds(seed: int) -> None:
    result = world.run(seed)
    if result.violation is not None:
        pytest.fail(report.found(result), pytrace=False)


LEAST_SHARES = {
    "calm": 85, "network": 80, "crashes": 45, "power": 60, "clocks": 65, "changes": 30, "approvals": 60, "rollover": 50,
    "replicas": 25, "lost": 70, "expiry": 60, "failover": 40, "contention": 85, "storm": 8,
}  # fmt: skip
"""Of how many refusals in a hundred it is at least to be looked at whether idle money was within reach, by kind."""


@pytest.mark.parametrize("kind", shape.KINDS)
def test_the_seeds_refuse_and_look_at_enough_refusals_to_mean_something(kind: str) -> None:
    results = [world.run(seed) for seed in planted.seeds(kind)[:24]]
    refusals = sum(result.refusals for result in results)
    assert sum(result.attempts for result in results) > 100
    assert refusals > 10
    assert sum(result.refusals_checked for result in results) * 100 >= LEAST_SHARES[kind] * refusals


SAMPLE = range(len(shape.KINDS))


def test_a_seed_gives_the_same_trace_twice() -> None:
    for seed in SAMPLE:
        assert world.run(seed, keep=None).trace.text() == world.run(seed, keep=None).trace.text()


def test_a_seed_gives_the_same_trace_in_every_process() -> None:
    here = "".join(f"{seed} {world.run(seed, keep=None).trace.digest()}\n" for seed in SAMPLE)
    for hash_seed in ("1", "4711"):
        there = subprocess.run(
            [sys.executable, "-m", "tests.simulator", "--digests", "--seeds", str(len(SAMPLE))],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout == here
