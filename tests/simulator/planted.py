"""Protocol bugs that somebody might write one day, planted by name: the simulator must find each.

Every one is small and plausible, and silent as long as nothing is lost, late or dead. Each says which invariants it may
break first: a bug that shows as anything else is not the bug that it says it is, or the oracle looks at something else.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.simulator import failover_bugs, ledger_bugs, shape, sidecar_bugs
from tests.simulator.bug import BUGS, Bug
from tests.simulator.world import Result, run

__all__ = ["BUGS", "Bug", "find", "planted", "seeds"]

ROOMS = failover_bugs, ledger_bugs, sidecar_bugs
"""Where they are entered in `BUGS`."""


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The code with the bug of that name, for as long as this lasts; the empty name plants none."""
    with contextlib.ExitStack() as undo:

        def replace(owner: Any, attribute: str, value: object) -> None:
            undo.callback(setattr, owner, attribute, getattr(owner, attribute))
            setattr(owner, attribute, value)

        if name:
            BUGS[name].plant(replace)
        yield


def seeds(kind: str) -> range:
    """The seeds of a test run whose worlds are of that kind, in order."""
    return range(shape.KINDS.index(kind), shape.SEEDS, len(shape.KINDS))


def find(name: str) -> tuple[int, Result | None]:
    """Look for a planted bug in the worlds of its kind, in order: how many were tried, and what the last one found."""
    tried = 0
    with planted(name):
        for seed in seeds(BUGS[name].kind):
            tried += 1
            result = run(seed, keep=60)
            if result.violation is not None:
                return tried, result
    return tried, None
