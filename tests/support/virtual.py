"""An event loop whose time stands still while anything runs, and jumps to what is due next: waits take no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing but timers and other coroutines."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(coroutine)


class Loop(asyncio.SelectorEventLoop):
    """asyncio's own loop, with another clock."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class _Selector(selectors.SelectSelector):
    """Instead of waiting for files as long as told, it lets that time pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everything waits, and no timer is set")
        self.now += max(0.0, timeout)
        return super().select(0)
