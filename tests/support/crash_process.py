"""The process that is killed: local mode, composed with a bomb at one named point.

`python -m tests.support.crash_process` imports everything once and then forks one child for each line of its input (a
`Boot` as JSON), so that hundreds of starts cost little. It answers `{"pid": …}` when the child runs and `{"exit": …}`
when it has ended (`-9`: killed). A child serves until SIGTERM, or until its bomb goes off.
"""

import asyncio
import functools
import gc
import os
import pathlib
import signal
import sys
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
import uvloop

from llmgov.ledger.messages import (
    Epoch,
    Event,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Recount,
)
from llmgov_cli.local import anchor, link, serve
from llmgov_hub.hub import Hub
from llmgov_sidecar import settings, spool
from tests.support import planted_bugs

T = TypeVar("T")

STEPS = ("held", "intent", "dispatched", "first_byte", "usage", "settled")
"""What the sidecar's observer is told of an attempt, in order."""

RECOVERY = ("register", "deliver", "give_back", "inventory")
"""Calls that a start makes; a point is `before` or `after` one."""

REACHED = "reached"
"""The file beside the state folder in which a bomb says where it went off."""

SYNCED = "synced"
"""The file beside the state folder that names each segment and how much of it an fsync has covered."""


class Kill(msgspec.Struct, frozen=True):
    """Die at the `nth` time that `point` is reached: a step, `before X` or `after X` of a hub call, or `anchor`."""

    point: str
    nth: int = 1


class Boot(msgspec.Struct, frozen=True):
    """One life of the process. `segment_bytes` makes spool segments small; `bug` is planted (`planted_bugs`)."""

    place: str
    state: str
    workloads: tuple[str, ...]
    kill: Kill | None = None
    segment_bytes: int = 4 * 1024 * 1024
    bug: str = ""


class Bomb:
    """Counts how often its point is reached, and kills the process that it is in."""

    def __init__(self, kill: Kill | None, reached: pathlib.Path) -> None:
        self._kill = kill
        self._left = kill.nth if kill is not None else 0
        self._reached = reached

    def reach(self, point: str) -> None:
        """The process is at `point`."""
        if self._kill is None or point != self._kill.point:
            return
        self._left -= 1
        if self._left == 0:
            self._reached.write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)


class WatchedLink:
    """The hub as `link.Link` shows it, with a point before and after each call."""

    def __init__(self, hub: Hub, bomb: Bomb) -> None:
        self._link = link.Link(hub)
        self._bomb = bomb

    async def register(self, holder: str) -> Epoch:
        """Call through."""
        return await self._watch("register", self._link.register(holder))

    async def inventory(self, message: Inventory) -> None:
        """Call through."""
        await self._watch("inventory", self._link.inventory(message))

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """Call through."""
        return await self._watch("lease", self._link.lease(request))

    async def give_back(self, message: LeaseReturn) -> None:
        """Call through."""
        await self._watch("give_back", self._link.give_back(message))

    async def recalled(self, message: Recalled) -> None:
        """Call through."""
        await self._watch("recalled", self._link.recalled(message))

    async def holdings(self, message: Holdings) -> None:
        """Call through."""
        await self._watch("holdings", self._link.holdings(message))

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Call through."""
        return await self._watch("deliver", self._link.deliver(events))

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """Call through."""
        return self._link.recalls(epoch)

    async def _watch(self, name: str, call: Awaitable[T]) -> T:
        self._bomb.reach(f"before {name}")
        answer = await call
        self._bomb.reach(f"after {name}")
        return answer


def main() -> None:
    """Fork a child for each line of standard input, one after the other."""
    gc.freeze()
    for line in sys.stdin.buffer:
        boot = msgspec.json.decode(line, type=Boot)
        child = os.fork()
        if child == 0:
            os._exit(_live(boot))
        _say(pid=child)
        _, status = os.waitpid(child, 0)
        _say(exit=os.waitstatus_to_exitcode(status))


def _say(**words: int) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(words) + b"\n")
    sys.stdout.buffer.flush()


def _live(boot: Boot) -> int:
    state = pathlib.Path(boot.state)
    output = os.open(state.parent / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    planted_bugs.plant(boot.bug)
    bomb = Bomb(boot.kill, state.parent / REACHED)
    _prepare(boot, bomb, state.parent / SYNCED)
    uvloop.run(_serve(boot, bomb))
    return 0


def _prepare(boot: Boot, bomb: Bomb, synced: pathlib.Path) -> None:
    serve.SIGN_SECONDS = 0.1
    sized = functools.partial(settings.Settings, spool_segment_bytes=boot.segment_bytes)
    vars(serve)["sidecar_settings"] = types.SimpleNamespace(Settings=sized)
    _wrap(anchor.FileAnchor, "_append", lambda _: bomb.reach("anchor"))
    _note_syncs(synced)


def _wrap(owner: type, name: str, first: Callable[[Any], None]) -> None:
    original = getattr(owner, name)

    def wrapped(self: Any, *arguments: Any) -> Any:
        first(self)
        return original(self, *arguments)

    setattr(owner, name, wrapped)


def _note_syncs(synced: pathlib.Path) -> None:
    """Put on record how much of which segment would have survived the death of the machine."""
    sync, syncing = spool.Spool.sync, spool.Spool.syncing

    def note(self: spool.Spool, end: spool.Position) -> None:
        with synced.open("a") as file:
            file.write(f"{self._folder / f'{end.segment:012d}.spool'}\t{end.offset}\n")

    def noted_sync(self: spool.Spool) -> None:
        end = self.end
        sync(self)
        note(self, end)

    def noted_syncing(self: spool.Spool) -> Callable[[], None]:
        end, wait = self.end, syncing(self)

        def noted() -> None:
            wait()
            note(self, end)

        return noted

    spool.Spool.sync = noted_sync  # type: ignore[method-assign]  # the point of this process
    spool.Spool.syncing = noted_syncing  # type: ignore[method-assign]


async def _serve(boot: Boot, bomb: Bomb) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    ports = dict.fromkeys(boot.workloads, 0)
    serving = serve.Serving(
        pathlib.Path(boot.place),
        pathlib.Path(boot.state),
        ports,
        observer=bomb.reach,
        connect=lambda hub: WatchedLink(hub, bomb),
    )
    async with serving, asyncio.TaskGroup() as tasks:
        signing = tasks.create_task(serving.keep_signing())
        await stopped.wait()
        signing.cancel()


if __name__ == "__main__":
    main()
