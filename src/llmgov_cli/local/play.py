"""Plays a traffic file against the running sidecars and says, step by step, what became of it and why."""

import asyncio
import pathlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TextIO

from llmgov_cli import errors, ownfiles, traffic
from llmgov_cli.local.players import Player

FILE = "traffic.yaml"
_WIDTH = 44


def read(folder: pathlib.Path) -> traffic.Traffic | None:
    """The folder's traffic, `None` where it has none.

    Raises:
        CommandError: the file does not fit its format.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return ownfiles.read(path, traffic.Traffic, traffic.check)[0]
    except ownfiles.FormatError as error:
        raise errors.CommandError("\n  ".join(("nothing is played:", *error.sentences))) from error


class Applications:
    """The application processes of a traffic file; they start at once, and are waited for when first needed."""

    def __init__(self) -> None:
        self._players: dict[traffic.Sdk, Player] = {}
        self._ready: set[traffic.Sdk] = set()

    async def start(self, steps: traffic.Traffic) -> None:
        """One process for each SDK of the steps."""
        for sdk in dict.fromkeys(step.sdk for step in steps.steps):
            self._players[sdk] = await Player.start(sdk)

    async def play(self, step: traffic.Step, port: int) -> list[traffic.Result]:
        """Make a step's calls through the sidecar on `port`."""
        if step.sdk not in self._ready:
            await self._players[step.sdk].ready()
            self._ready.add(step.sdk)
        return await self._players[step.sdk].play(step, port)

    async def stop(self) -> None:
        """End them all; there is nothing to end a second time."""
        players, self._players = list(self._players.values()), {}
        await asyncio.gather(*(each.stop() for each in players))


async def play(
    steps: traffic.Traffic,
    applications: Applications,
    ports: Mapping[str, int],
    approve: Callable[[], Awaitable[int]],
    out: TextIO,
) -> bool:
    """Play all steps in order; whether every expectation held. `approve` grants all pending approvals."""
    held = True
    for step in steps.steps:
        if step.approve:
            count = await approve()
            out.write(f"        {'approved':<10} {count} pending, as `llmgov approvals approve` would\n")
        results = await applications.play(step, ports[step.workload])
        wrong = traffic.unmet(step.expect, results)
        out.writelines(f"{line}\n" for line in lines(step, results, wrong))
        out.flush()
        held = held and not wrong
    return held


def lines(step: traffic.Step, results: list[traffic.Result], wrong: list[str]) -> list[str]:
    """What is printed of a step: whether it went as expected, what became of it, and why."""
    mark = "FAILED" if wrong else "ok"
    shown = [f"{mark:<7} {_outcomes(results):<10} {step.name:<{_WIDTH}} {_facts(results)}".rstrip()]
    shown += [f"        {'':<10} {sentence}" for sentence in _sentences(results)]
    shown += [f"        {'':<10} {sentence}" for sentence in wrong]
    return shown


def _outcomes(results: list[traffic.Result]) -> str:
    counts = {outcome: sum(each.outcome is outcome for each in results) for outcome in traffic.Outcome}
    seen = [(outcome.value, count) for outcome, count in counts.items() if count]
    if len(results) == 1:
        return seen[0][0]
    return ", ".join(f"{count} {name}" for name, count in seen)


def _facts(results: list[traffic.Result]) -> str:
    last = results[-1]
    facts = [
        f"{last.status}" if last.status and last.status != 200 else "",
        last.code or "",
        f"clamped {last.clamped}" if last.clamped else "",
        f"${last.cost}" if last.cost else "",
        f"waited {last.seconds:.1f}s" if last.outcome is traffic.Outcome.THROTTLED else "",
    ]
    return " ".join(fact for fact in facts if fact)


def _sentences(results: list[traffic.Result]) -> list[str]:
    """Why: each different message once, and what came back where it was changed."""
    said = list(dict.fromkeys(each.message for each in results if each.message))
    changed = (traffic.Outcome.REDACTED, traffic.Outcome.CUT)
    return said + [f"→ {each.text}" for each in results if each.outcome in changed and each.text]
