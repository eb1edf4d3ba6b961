"""The one place that starts background tasks, so that no failure is lost and every task has a name.

Requests are not started here one by one for safety alone: a task that nobody holds may be collected while it runs.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries of work that fails; it doubles from the first to the longest."""


class Tasks:
    """A set of named tasks: failures go to `on_failure`, and `stop` ends all that still run."""

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure
        self._failed: dict[str, float] = {}

    @property
    def failing(self) -> list[str]:
        """The names of kept work that has failed a moment ago, sorted: it may be waiting for its next try."""
        since = asyncio.get_running_loop().time() - 2 * _LONGEST_PAUSE
        return sorted(name for name, at in self._failed.items() if at > since)

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run `work` until it ends by itself: when it fails, that is reported and it is begun anew after a pause."""
        return self.spawn(name, self._kept(name, work))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until it ends or the set stops; the task's name appears in the log when it fails."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def __len__(self) -> int:
        return len(self._running)

    async def stop(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for every task to end by itself; whether all have."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=seconds)
        return not self._running

    async def _kept(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        clock = asyncio.get_running_loop().time
        pause = _FIRST_PAUSE
        while True:
            began = clock()
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - reported, and what is kept must go on
                self._failed[name] = clock()
                self._on_failure(name, error)
            else:
                self._failed.pop(name, None)
                return
            pause = _FIRST_PAUSE if clock() - began > _LONGEST_PAUSE else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            self._on_failure(task.get_name(), failure)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel one task and wait for its end; what it ended with has been reported already."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
