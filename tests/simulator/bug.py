"""A protocol bug that somebody might write one day: what it is, and the list of all of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.simulator.violation import Invariant

Replace = Callable[[Any, str, object], None]


@dataclasses.dataclass(frozen=True)
class Bug:
    """A bug: what is wrong, in which kind of world it shows soonest, what it breaks first there, and how it is
    planted."""

    what: str
    kind: str
    breaks: frozenset[Invariant]
    plant: Callable[[Replace], None]


BUGS: dict[str, Bug] = {}


def bug(kind: str, *breaks: Invariant) -> Callable[[Callable[[Replace], None]], Callable[[Replace], None]]:
    """Enter a bug under its function's name; the function's docstring says what is wrong."""

    def enter(plant: Callable[[Replace], None]) -> Callable[[Replace], None]:
        BUGS[plant.__name__] = Bug((plant.__doc__ or "").strip(), kind, frozenset(breaks), plant)
        return plant

    return enter
