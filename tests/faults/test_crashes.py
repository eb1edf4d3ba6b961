"""Kill -9 wherever it hurts, over real processes: afterwards no money is lost and everything dispatched is on record.

Each seed is one run (`tests.support.crash_runs` says what of and what must hold); replay one with `-k seed-17`.
"""

import asyncio
import io
import pathlib

import pytest

from llmgov_cli import audit
from tests.support import crash_process, crash_runs
from tests.support.crash_client import Crashable, Provider

SEEDS = 208
POWER_SEEDS = 24


def _run(planned: crash_runs.Plan, crashable: Crashable, provider: Provider, folder: pathlib.Path) -> None:
    result = asyncio.run(crash_runs.Run(planned, crashable, provider, folder).carry_out())
    assert result.findings == [], f"seed {planned.seed}: {planned.kills}, ended at {result.reached}"
    report = io.StringIO()
    assert audit.run_verify(report, state=folder / "state") == 0, f"seed {planned.seed}: {report.getvalue()}"


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_whatever_it_was_doing_a_killed_process_loses_nothing(
    seed: int, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    _run(crash_runs.plan(seed), crashable, provider, tmp_path)


@pytest.mark.parametrize("seed", range(POWER_SEEDS), ids=lambda seed: f"power-{seed}")
def test_a_machine_that_loses_power_charges_what_it_cannot_account_for(
    seed: int, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    _run(crash_runs.plan(seed, power=True), crashable, provider, tmp_path)


def test_every_named_step_is_where_many_runs_die() -> None:
    """A plan that might not come to its step would prove nothing about it."""
    certain = [planned.kills[0].point for planned in map(crash_runs.plan, range(SEEDS)) if planned.certain]
    assert all(certain.count(step) >= 15 for step in crash_process.STEPS), certain


@pytest.mark.parametrize("step", crash_process.STEPS)
def test_the_bomb_goes_off_where_it_was_put(
    step: str, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    planned = next(p for p in map(crash_runs.plan, range(SEEDS)) if p.certain and p.kills[0].point == step)
    result = asyncio.run(crash_runs.Run(planned, crashable, provider, tmp_path).carry_out())
    assert result.reached[0] == step
