"""An event loop in virtual time, and the processes whose code it runs: they can be paused, and killed at any step.

Everything runs in one thread, in an order that follows from the seed alone. What a process schedules carries the
process in its context; so a killed one never runs again, not even its `finally`, as with a real SIGKILL.
"""

import asyncio
import collections
import contextlib
import contextvars
import functools
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from llmgov.instants import Duration

T = TypeVar("T")

_MICRO = 1_000_000


class KilledError(BaseException):
    """Ends the step in which its process is killed; no code of a process may catch it."""


class Process:
    """One process: what runs in it stops for good when it is killed, and waits while it is paused.

    `machine` names the boot of the machine that it runs on.
    """

    def __init__(self, name: str, machine: str = "") -> None:
        self.name = name
        self.machine = machine
        self.alive = True
        self.paused = False
        self.stash: list[_Handle] = []
        self.on_command: Callable[[str, Any], None] = lambda when, command: None

    def kill(self) -> None:
        """End it without a word."""
        self.alive = False
        self.stash.clear()


WORLD = Process("world")
"""Everything that is no process of the system: network, disks, administrators, weather."""

_CURRENT: contextvars.ContextVar[Process] = contextvars.ContextVar("process", default=WORLD)


def current() -> Process:
    """The process whose code runs."""
    return _CURRENT.get()


class _Handle:
    """A callback that is due: what `call_soon` and `call_at` give."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when", "process")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context, when: Duration
    ) -> None:
        self._callback = callback
        self._args = args
        self._context = context
        self._cancelled = False
        self._when = when
        self.process = context.get(_CURRENT, WORLD)

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when / _MICRO

    def run(self) -> None:
        self._context.run(self._callback, *self._args)


class Loop(asyncio.AbstractEventLoop):
    """Virtual time: it stands still while callbacks run, and jumps to the next one that is due."""

    def __init__(self) -> None:
        self.now: Duration = 0
        self.failed: Callable[[str], None] = lambda _: None
        self.io_delay: Callable[[], Duration] = lambda: 0
        self.steps = 0
        self._ready: collections.deque[_Handle] = collections.deque()
        self._later: list[tuple[Duration, int, _Handle]] = []
        self._numbers = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._stopped = False
        self._broken: Exception | None = None

    def time(self) -> float:
        return self.now / _MICRO

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context, self.now)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        due = max(self.now, round(when * _MICRO))
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context, due)
        self._numbers += 1
        heapq.heappush(self._later, (due, self._numbers, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def after(self, delay: Duration, callback: Callable[..., object], *args: Any) -> None:
        """Call it in `delay` microseconds, in no process."""
        self.call_at((self.now + delay) / _MICRO, callback, *args, context=_OUTSIDE.copy())

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[T]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def spawn(self, process: Process, coro: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """A task of `process`; an error that it dies of is `failed`, and ends `run` where it is the world's own."""
        context = _OUTSIDE.copy()
        context.run(_CURRENT.set, process)
        task = self.create_task(coro, name=name, context=context)
        task.add_done_callback(functools.partial(self._look_at, process), context=_OUTSIDE.copy())
        return task

    def _look_at(self, process: Process, task: "asyncio.Task[Any]") -> None:
        """Nobody has to ask how a task ended: one that died of an error is told of all the same."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and process is WORLD:
            self._broken = error
            self.stop()
        elif isinstance(error, Exception):
            self.failed(f"{process.name}: {task.get_name()} died of {error!r}")

    def run_in(self, process: Process, callback: Callable[[], T]) -> T | None:
        """Run a callback as `process` does, at once; `None` where that kills it."""
        context = _OUTSIDE.copy()
        context.run(_CURRENT.set, process)
        with contextlib.suppress(KilledError):
            return context.run(callback)
        return None

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """A thread's work: done at one moment, known of at a later one."""
        future = self.create_future()

        def work() -> None:
            try:
                done: tuple[Any, BaseException | None] = (func(*args), None)
            except Exception as error:  # noqa: BLE001 - the future's to tell
                done = (None, error)
            except KilledError:
                return
            self.call_later(self.io_delay() / _MICRO, tell, *done)

        def tell(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.call_later(self.io_delay() / _MICRO, work)
        return future

    def resume(self, process: Process) -> None:
        """End a pause: what was due meanwhile is late now."""
        process.paused = False
        self._ready.extend(process.stash)
        process.stash.clear()

    def stop(self) -> None:
        """End `run` after the callback at hand."""
        self._stopped = True

    def run(self, until: "asyncio.Future[Any]") -> None:
        """Run until `until` is done, somebody calls `stop`, or nothing is left to do."""
        asyncio._set_running_loop(self)
        try:
            while not self._stopped and not until.done():
                if self._ready:
                    handle = self._ready.popleft()
                elif self._later:
                    self.now, _, handle = heapq.heappop(self._later)
                else:
                    break
                self._step(handle)
        finally:
            asyncio._set_running_loop(None)
        if self._broken is not None:
            raise self._broken

    def _step(self, handle: _Handle) -> None:
        process = handle.process
        if handle._cancelled or not process.alive:
            return
        if process.paused:
            process.stash.append(handle)
            return
        self.steps += 1
        try:
            handle.run()
        except KilledError:
            pass
        except Exception as error:  # noqa: BLE001 - a callback's own: nobody else would hear of it
            self.failed(f"a callback of {process.name} raised {error!r}")

    def close(self) -> None:
        """Throw away what never ended, without running any of it where anybody can see."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with contextlib.suppress(BaseException):
                    task.get_coro().close()  # type: ignore[union-attr]
        self._tasks.clear()
        self._ready.clear()
        self._later.clear()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A future's failure that nobody asked for; a killed process's is nobody's."""
        error = context.get("exception")
        if error is not None and not isinstance(error, KilledError):
            self.failed(f"{context['message']}: {error!r}")


_OUTSIDE = contextvars.Context()
