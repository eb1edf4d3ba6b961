"""Throttled requests wait here: for a moment that the engine named, or for a running request to end."""

import asyncio
from collections.abc import Callable, Sequence

from llmgov import instants
from llmgov.instants import Instant
from llmgov.policy.decision import Decision
from llmgov.policy.state import State, Turn


class Turns:
    """The rate state of one sidecar, or of several that share it in one event loop, and who waits at it."""

    def __init__(self, clock: Callable[[], Instant]) -> None:
        self.state = State()
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Turn]] = {}

    async def wait(self, decision: Decision) -> bool:
        """Wait until the request may go; false where its turn did not come in time."""
        if decision.throttle_until is None:
            return True
        if decision.queued:
            return await self._queue(decision.rate_keys[0], decision.throttle_until)
        await self._sleep_until(decision.throttle_until)
        return True

    def release(self, keys: Sequence[str], tokens: int | None) -> None:
        """A request that was dispatched has ended."""
        if keys:
            self._wake(self.state.release(keys, tokens, self._clock()))

    def cancel(self, keys: Sequence[str]) -> None:
        """A request was never dispatched."""
        if keys:
            self._wake(self.state.cancel(keys, self._clock()))

    async def _queue(self, ticket: str, deadline: Instant) -> bool:
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = turn
        try:
            async with asyncio.timeout(max(0, deadline - self._clock()) / instants.SECOND):
                named = await turn
        except TimeoutError:
            return False
        finally:
            del self._waiting[ticket]
        if named.at is None:
            return False
        await self._sleep_until(named.at)
        return True

    async def _sleep_until(self, at: Instant) -> None:
        if (left := at - self._clock()) > 0:
            await asyncio.sleep(left / instants.SECOND)

    def _wake(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            waiting = self._waiting.get(turn.ticket)
            if waiting is not None and not waiting.done():
                waiting.set_result(turn)
