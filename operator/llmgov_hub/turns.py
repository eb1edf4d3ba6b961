"""Turns: for each name one at a time, first come first served; a name that nobody wants is forgotten."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """Locks by name."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        """How many names somebody has or wants."""
        return len(self._turns)

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Have the turn of `name`."""
        turn = self._turns.setdefault(name, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]


class _Turn:
    """A lock, and how many want it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
