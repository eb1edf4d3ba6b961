"""The ledger's benchmark runs: each part of it once, with next to nothing to do. What it measures is not looked at."""

import asyncio

import pytest

from tests.bench import bench_ledger
from tests.bench.bench_ledger import Scale
from tests.support import machine
from tests.support.postgres_server import Server

TINY = Scale(clients=(2,), replicas=(2,), seconds=0.2, workloads=128, each=4, all=8)


@machine.requires("postgres of its own")
def test_every_part_of_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server.new(fsync=False)
    try:
        asyncio.run(bench_ledger.measure(server, [], TINY))
    finally:
        server.close()
    printed = capsys.readouterr().out
    assert printed.count("published in") == len(bench_ledger.PARTS)
    for measured in (
        "grants, 1 sidecar",
        "intents, 2",
        "settlements alone",
        "no account in common",
        "one user too many",
    ):
        assert measured in printed
