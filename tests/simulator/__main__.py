"""Run seeds: `python -m tests.simulator --seeds N [--from S] [--jobs J]`; one seed with its whole trace: `--seed S`."""

import argparse
import concurrent.futures
import sys
import time

from tests.simulator import world

LAST = 60
"""How many events around a violation are shown."""


def main(arguments: list[str]) -> int:
    """Run; 0 where every invariant held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="run this one alone, and print its whole trace")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return _show(given.seed)
    return _run(range(given.first, given.first + given.seeds), given.jobs)


def _show(seed: int) -> int:
    result = world.run(seed, keep=None)
    print(result.trace.text())
    print(_ending(result))
    return 0 if result.violation is None else 1


def _run(seeds: range, jobs: int) -> int:
    began, failed, attempts, steps = time.monotonic(), 0, 0, 0
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        for result in pool.map(_result, seeds, chunksize=10):
            attempts, steps = attempts + result[2], steps + result[3]
            if result[1] is not None:
                failed += 1
                print(result[1], end="\n\n")
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds, {attempts} attempts, {steps} steps, {failed} violations, {seconds:.1f} s")
    return 0 if not failed else 1


def _result(seed: int) -> tuple[int, str | None, int, int]:
    result = world.run(seed)
    return seed, None if result.violation is None else report(result), result.attempts, result.steps


def report(result: world.Result) -> str:
    """What was found, the events that led to it, and how to see it again."""
    return f"{result.trace.text(LAST)}\n{_ending(result)}"


def _ending(result: world.Result) -> str:
    if result.violation is None:
        return f"seed {result.seed} ({result.kind}): every invariant held; trace {result.trace.digest()[:16]}"
    return (
        f"seed {result.seed} ({result.kind}): {result.violation}\n"
        f"replay with: python -m tests.simulator --seed {result.seed}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
