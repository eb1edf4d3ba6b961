"""What a request costs in the sidecar, beside nginx in the same rounds: `python -m tests.bench.bench_proxy [ROUNDS]`.

Each subject is a process on one core; load and provider are others on the other cores (with one core all share it, and
latencies mean little). The sidecar has ten policies on, holds money, spools intents and settlements, writes metrics and
its log. Where nginx is missing, the bare proxy (bytes copied by the same libraries, nothing looked at) is the peer.
Medians over the rounds are printed, with their ratio to the peer; nothing is asserted.
"""

import asyncio
import collections
import contextlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
from typing import Any

import uvloop

from tests.bench import provider, subjects

ROUNDS = 5
CONNECTIONS = 16
SATURATED = 3_000
PACED = (100, 500)
PACED_SECONDS = 3
STREAMS = 50
REMEMBERED = 20_000
"""Requests after which memory is looked at (design section 12)."""

CPUS = sorted(os.sched_getaffinity(0))
OURS = {CPUS[0]}
OTHERS = set(CPUS[1:]) or OURS

Rows = dict[tuple[str, str], list[float]]


async def load(port: int, mode: str, *numbers: int) -> dict[str, Any]:
    """One run of the load generator."""
    arguments = [str(port), mode, *map(str, numbers)]
    async with subjects.process((sys.executable, "-m", "tests.bench.load", *arguments), OTHERS) as started:
        output, _ = await started.communicate()
    if not output:
        raise RuntimeError(f"the load {' '.join(arguments)} failed; run it by hand")
    found: dict[str, Any] = json.loads(output)
    return found


async def one_round(subject: subjects.Subject | None, direct: int, rows: Rows) -> None:
    """All measurements of one subject once; `None` is the provider itself, what latencies are compared with."""
    name, port = (subject.name, subject.port) if subject is not None else ("direct", direct)
    for metric, mode, *numbers in (
        ("saturated", "saturate", CONNECTIONS, SATURATED),
        *((f"{rate}/s", "paced", rate, rate * PACED_SECONDS) for rate in PACED),
        ("stream", "streams", STREAMS),
    ):
        before = subject.cpu_seconds() if subject is not None else 0.0
        found = await load(port, mode, *numbers)
        spent = subject.cpu_seconds() - before if subject is not None else 0.0
        each = found["count"] * (provider.EVENTS if mode == "streams" else 1)
        rows[name, f"{metric} cpu"].append(spent / each * 1e6)
        rows[name, f"{metric} p50"].append(found["p50"])
        rows[name, f"{metric} p99"].append(found["p99"])


def report(rows: Rows, names: list[str], peer: str) -> None:
    """Medians, and what they are compared with."""
    median = {key: statistics.median(values) for key, values in rows.items()}
    metrics = ("saturated", *(f"{rate}/s" for rate in PACED), "stream")
    print(f"\n{'CPU in µs':24}" + "".join(f"{metric:>20}" for metric in metrics))
    print(f"{'':24}" + f"{'per request':>20}" * (1 + len(PACED)) + f"{'per event':>20}")
    for name in names:
        cells = [f"{median[name, f'{m} cpu']:.1f} ({_ratio(median, name, peer, m)})" for m in metrics]
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))
    print(f"\n{'added ms, p50 / p99':24}" + "".join(f"{metric:>20}" for metric in metrics[1:]))
    for name in names:
        cells = [f"{_added(median, name, m, 'p50')} / {_added(median, name, m, 'p99')}" for m in metrics[1:]]
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))


def _ratio(median: dict[tuple[str, str], float], name: str, peer: str, metric: str) -> str:
    return f"{median[name, f'{metric} cpu'] / median[peer, f'{metric} cpu']:.1f}x"


def _added(median: dict[tuple[str, str], float], name: str, metric: str, of: str) -> str:
    return f"{median[name, f'{metric} {of}'] - median['direct', f'{metric} {of}']:.2f}"


async def main(rounds: int) -> None:
    """All subjects beside each other."""
    rows: Rows = collections.defaultdict(list)
    async with contextlib.AsyncExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(3)]
        _, direct = await stack.enter_async_context(subjects.python("tests.bench.provider", cores=OTHERS))
        enter = stack.enter_async_context
        all_ = [await enter(subjects.ours("bare proxy", "tests.bench.bare_proxy", direct, folders[0], OURS))]
        if subjects.NGINX is not None:
            all_.insert(0, await enter(subjects.nginx(direct, folders[1], OURS)))
        sidecar = await enter(subjects.ours("sidecar", "tests.bench.bench_sidecar", direct, folders[2], OURS))
        idle = sidecar.resident_mb()
        print(f"{len(CPUS)} cores; {'nginx' if subjects.NGINX else 'no nginx here: the bare proxy'} is the peer")
        for subject in (*all_, sidecar):
            await load(subject.port, "saturate", CONNECTIONS, SATURATED // 4)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for subject in (None, *all_, sidecar):
                await one_round(subject, direct, rows)
        report(rows, [one.name for one in (*all_, sidecar)], all_[0].name)
        await load(sidecar.port, "saturate", CONNECTIONS, REMEMBERED)
        memory = {one.name: one.resident_mb() for one in (*all_, sidecar)}
    print(f"\nsidecar before any request {idle:.1f} MB; after {REMEMBERED}: " + _listed(memory, "MB"))
    with tempfile.TemporaryDirectory() as folder:
        _, *starts = [await subjects.cold_start(pathlib.Path(folder), number, OURS) for number in range(6)]
    after, cpu = (statistics.median(column) for column in zip(*starts, strict=True))
    print(f"`llmgov sidecar` listens after {after:.2f} s ({cpu:.2f} s of CPU)")


def _listed(values: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:.1f} {unit}" for name, value in values.items())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
