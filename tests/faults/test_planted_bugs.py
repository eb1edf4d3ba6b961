"""The crash runs can fail: each bug that somebody might write is found by some of a few seeds."""

import asyncio
import pathlib

import pytest

from tests.support import crash_runs, planted_bugs
from tests.support.crash_client import Crashable, Provider

CASES = [
    ("intent after dispatch", (1, 2, 3), "before its intent was on disk"),
    ("lease not in the spool", (1, 2, 3), "is not the sum"),
    ("open intents ignored", (1, 2, 3), "attempts without an end"),
    ("open intents free", (1, 2, 3), "should have ended as"),
    ("settlement counted twice", (6, 2, 0), "2 records of the settlement"),
    ("epoch reused", (1, 4, 5), "the ledger has 0 intents of it"),
    ("leased money lent again", (27, 24, 19, 33, 67, 76, 77), "has used"),
]
POWER_CASES = [("lease never synced", (1, 6, 3), "with sidecars that are gone")]


@pytest.mark.parametrize(("bug", "seeds", "found"), CASES, ids=[bug for bug, _, _ in CASES])
def test_a_kill_brings_the_bug_to_light(
    bug: str, seeds: tuple[int, ...], found: str, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    plans = [crash_runs.plan(seed) for seed in seeds]
    assert found in _findings(plans, bug, found, crashable, provider, tmp_path)


@pytest.mark.parametrize(("bug", "seeds", "found"), POWER_CASES, ids=[bug for bug, _, _ in POWER_CASES])
def test_a_loss_of_power_brings_the_bug_to_light(
    bug: str, seeds: tuple[int, ...], found: str, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    plans = [crash_runs.plan(seed, power=True) for seed in seeds]
    assert found in _findings(plans, bug, found, crashable, provider, tmp_path)


def test_every_planted_bug_has_a_case() -> None:
    assert {bug for bug, _, _ in (*CASES, *POWER_CASES)} == planted_bugs.BUGS.keys()


def _findings(
    plans: list[crash_runs.Plan],
    bug: str,
    wanted: str,
    crashable: Crashable,
    provider: Provider,
    folder: pathlib.Path,
) -> str:
    """What the runs find, up to the first that finds what is wanted."""
    for planned in plans:
        own = folder / str(planned.seed)
        own.mkdir()
        run = crash_runs.Run(planned, crashable, provider, own, bug, patience=1.0)
        findings = "\n".join(asyncio.run(run.carry_out()).findings)
        if wanted in findings:
            return findings
    return ""
