"""Kill -9 wherever it hurts, over real processes: afterwards no money is lost and everything dispatched is on record.

Each seed is one run (`tests.support.crash_runs` says what of and what must hold); replay one with `-k seed-17`.
"""

import asyncio
import io
import pathlib
from collections.abc import Iterator

import pytest

from llmgov_cli import audit
from tests.support import crash_runs
from tests.support.crash_client import Crashable, Provider

SEEDS = 208
POWER_SEEDS = 24


@pytest.fixture(scope="module")
def crashable() -> Iterator[Crashable]:
    with Crashable() as made:
        yield made


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as made:
        yield made


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed-{seed}")
def test_whatever_it_was_doing_a_killed_process_loses_nothing(
    seed: int, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    planned = crash_runs.plan(seed)
    result = asyncio.run(crash_runs.Run(planned, crashable, provider, tmp_path).carry_out())
    assert result.findings == [], f"seed {seed}: {planned.kills}, ended at {result.reached}"
    report = io.StringIO()
    assert audit.run_verify(report, state=tmp_path / "state") == 0, f"seed {seed}: {report.getvalue()}"


@pytest.mark.parametrize("seed", range(POWER_SEEDS), ids=lambda seed: f"power-{seed}")
def test_a_machine_that_loses_power_charges_what_it_cannot_account_for(
    seed: int, crashable: Crashable, provider: Provider, tmp_path: pathlib.Path
) -> None:
    planned = crash_runs.plan(seed, power=True)
    result = asyncio.run(crash_runs.Run(planned, crashable, provider, tmp_path).carry_out())
    assert result.findings == [], f"seed {seed}: {planned.kills}, ended at {result.reached}"
    report = io.StringIO()
    assert audit.run_verify(report, state=tmp_path / "state") == 0, f"seed {seed}: {report.getvalue()}"
