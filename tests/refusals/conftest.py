"""Every scenario is tried once for all tests of this folder: systems start together, calls run side by side."""

import concurrent.futures
import contextlib
import pathlib
import sqlite3
from collections.abc import Iterator

import pytest

from tests.refusals import observing, systems
from tests.refusals.calls import Call
from tests.refusals.observing import Seen
from tests.refusals.scenarios import SCENARIOS, Before, Place, Scenario
from tests.refusals.systems import System
from tests.support.hop import Hops

_AT_ONCE = 64
"""Calls that run side by side: nearly all of their time is the SDKs' waiting before they try again."""


class Found:
    """What was seen of all scenarios, and the systems where it happened."""

    def __init__(self, seen: list[Seen], places: dict[Place, System]) -> None:
        self.seen = seen
        self.places = places


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Everything that the tests look at."""
    folder = tmp_path_factory.mktemp("refusals")
    with contextlib.ExitStack() as exits:
        places, lock = _start(exits, folder)
        lock.execute("BEGIN IMMEDIATE")
        seen = _try_all(exits, places)
        lock.execute("ROLLBACK")
        yield Found(seen, places)


def _start(exits: contextlib.ExitStack, folder: pathlib.Path) -> tuple[dict[Place, System], sqlite3.Connection]:
    def workloads(place: Place) -> list[str]:
        return sorted({scenario.workload for scenario in SCENARIOS if scenario.place is place})

    def start(place: Place) -> contextlib.AbstractContextManager[System]:
        more = systems.GOLDEN / "budget-429.yaml" if place is Place.BUDGET_429 else None
        return systems.local(folder / place.name, workloads(place), more=more)

    for place in Place:
        (folder / place.name).mkdir()
    served = {place: exits.enter_context(start(place)) for place in (Place.LOCAL, Place.BUDGET_429)}
    served[Place.OUTAGE], lock = exits.enter_context(
        systems.outage(folder / Place.OUTAGE.name, workloads(Place.OUTAGE))
    )
    served[Place.NEW] = exits.enter_context(systems.alone(folder / Place.NEW.name))
    snapshot = folder / Place.LOCAL.name / "state" / "sidecars" / "cases.plain" / "snapshot.json"
    served[Place.RESTARTED] = exits.enter_context(systems.alone(folder / Place.RESTARTED.name, snapshot))
    return served, lock


def _try_all(exits: contextlib.ExitStack, places: dict[Place, System]) -> list[Seen]:
    for scenario in SCENARIOS:
        _prepare(exits, scenario, places[scenario.place].port(scenario.workload))
    clients = exits.enter_context(contextlib.closing(observing.Clients()))
    hops = exits.enter_context(Hops())

    def attempt(scenario: Scenario, call: Call) -> Seen:
        hop = hops.open(places[scenario.place].port(scenario.workload), stalls=scenario.stalls)
        return observing.make(clients, hop, call, scenario)

    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        several = [pool.submit(attempt, scenario, call) for scenario in SCENARIOS for call in scenario.calls]
    failures = [str(error) for one in several if (error := one.exception()) is not None]
    assert not failures, "\n".join(failures)
    return [one.result() for one in several]


def _prepare(exits: contextlib.ExitStack, scenario: Scenario, port: int) -> None:
    match scenario.before:
        case Before.ONE_REQUEST:
            systems.pass_one(port)
        case Before.ONE_RUNNING:
            exits.enter_context(systems.running(port))
        case Before.NOTHING:
            pass
