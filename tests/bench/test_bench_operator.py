"""The operator's benchmark runs, with next to nothing to do. Times are not looked at, what is written twice is."""

import re

import pytest

from tests.bench import bench_operator
from tests.bench.bench_operator import Scale
from tests.bench.operator_world import World
from tests.support import machine

TINY = Scale(World(policies=40, namespaces=6, budgets=5, teams=2, credentials=2), changes=2, steady=1, quiet=1)


@machine.requires("kubernetes of its own")
@machine.requires("postgres of its own")
@pytest.mark.timeout(3600)  # where the control plane is not built yet
def test_the_whole_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    bench_operator.run(TINY, fsync=False)
    printed = capsys.readouterr().out
    for measured in (
        r"56 objects applied .* s, .*/s$",
        r"start to everything published .* s .*<= 30 s$",
        r"50 statuses written after that",
        r"one namespace's policy, to published: p50 / p99 .* ms .*<= 300 ms$",
        r"an organization-wide policy, to published: p50 / p99 .* ms .*<= 300 ms$",
        r"RSS / most so far, after the changes .* MiB .*<= 512 MiB$",
        r"CPU of a core, 1 s in which nothing changed .*% .*<= 2 %$",
        r"requests in that time: .* leases",
        r"second start: statuses and events written +0 +0$",
    ):
        assert re.search(measured, printed, re.MULTILINE), measured
