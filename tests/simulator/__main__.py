"""Run seeds: `python -m tests.simulator --seeds N [--from S] [--jobs J]`; one seed with its whole trace: `--seed S`;
look for a planted bug: `--bug NAME`."""

import argparse
import concurrent.futures
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.simulator import planted, report, shape, world


class _Result(NamedTuple):
    """What a seed's run says to the process that prints: `text` where it found something."""

    kind: str
    text: str | None
    attempts: int
    steps: int
    refusals: int
    checked: int


def main(arguments: list[str]) -> int:
    """Run; 0 where every invariant held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="run this one alone, and print its whole trace")
    parser.add_argument("--bug", default="", metavar="NAME", help="with this bug planted (listed in docs/simulator.md)")
    parser.add_argument("--bugs", action="store_true", help="look for each of them: the docs' table")
    parser.add_argument("--digests", action="store_true", help="print what identifies each seed's trace")
    given = parser.parse_args(arguments)
    if given.bug and given.bug not in planted.BUGS:
        parser.error(f"there is no bug {given.bug!r}; docs/simulator.md names those that there are")
    if given.bugs:
        return _bugs()
    if given.seed is not None:
        return _show(given.seed, given.bug)
    if given.bug:
        return _look_for(given.bug)
    seeds = range(given.first, given.first + given.seeds)
    return _digests(seeds) if given.digests else _run(seeds, given.jobs)


def _show(seed: int, bug: str) -> int:
    with planted.planted(bug):
        result = world.run(seed, keep=None)
    print(result.trace.text())
    print(report.ending(result, bug))
    return 0 if result.violation is None else 1


def _look_for(bug: str) -> int:
    tried, result = planted.find(bug)
    if result is None:
        print(f"none of {tried} worlds of kind {planted.BUGS[bug].kind!r} shows it")
        return 0
    print(report.found(result, bug))
    return 1


def _bugs() -> int:
    missed = 0
    for name, bug in planted.BUGS.items():
        tried, result = planted.find(name)
        missed += result is None
        print(f"{name} is not found" if result is None else report.row(name, bug, tried, result))
    return 0 if not missed else 1


def _digests(seeds: range) -> int:
    for seed in seeds:
        print(seed, world.run(seed, keep=None).trace.digest())
    return 0


def _run(seeds: range, jobs: int) -> int:
    began, results = time.monotonic(), []
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        for result in pool.map(_result, seeds, chunksize=10):
            results.append(result)
            if result.text is not None:
                print(result.text, end="\n\n", flush=True)
    print("refusals looked at:", ", ".join(_shares(results)))
    attempts, steps = sum(result.attempts for result in results), sum(result.steps for result in results)
    failed, seconds = sum(result.text is not None for result in results), time.monotonic() - began
    print(f"{len(seeds)} seeds, {attempts} attempts, {steps} steps, {failed} violations, {seconds:.1f} s")
    return 0 if not failed else 1


def _shares(results: list[_Result]) -> Iterator[str]:
    """Of each kind of world, how many of its refusals were looked at."""
    for kind in shape.KINDS:
        refused = sum(result.refusals for result in results if result.kind == kind)
        checked = sum(result.checked for result in results if result.kind == kind)
        yield f"{kind} {checked} of {refused}"


def _result(seed: int) -> _Result:
    result = world.run(seed)
    text = None if result.violation is None else report.found(result)
    return _Result(result.kind, text, result.attempts, result.steps, result.refusals, result.refusals_checked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
