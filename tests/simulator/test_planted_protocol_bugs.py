"""The simulator finds each planted bug, within the seeds of a test run."""

import pytest

from tests.simulator import planted, shape, world


def seeds_of(kind: str) -> range:
    """The seeds whose worlds are of that kind, in order."""
    return range(shape.KINDS.index(kind), shape.SEEDS, len(shape.KINDS))


@pytest.mark.parametrize("name", planted.BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = planted.BUGS[name]
    with planted.planted(name):
        for tried, seed in enumerate(seeds_of(bug.kind), 1):
            result = world.run(seed, keep=60)
            if result.violation is not None:
                print(f"{name}: {tried} worlds of kind {bug.kind!r}, seed {seed}: {result.violation}")
                return
    pytest.fail(f"no world of kind {bug.kind!r} shows that {bug.what}", pytrace=False)


def test_nothing_is_planted_afterwards() -> None:
    for name, bug in planted.BUGS.items():
        with planted.planted(name):
            pass
        seed = seeds_of(bug.kind)[0]
        assert world.run(seed).violation is None
