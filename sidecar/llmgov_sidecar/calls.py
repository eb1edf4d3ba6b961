"""Calls to the hub: repeated until they are answered, each for a bounded time, with growing pauses.

What the ledger refuses as nothing that can be meant is no outage: sent again it is refused again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from llmgov.ledger.errors import BadInputError, Fault

T = TypeVar("T")


class Waits(msgspec.Struct, frozen=True):
    """Seconds: how long an attempt waits for a lease or for its intent to be durable, what one call to the hub may
    take, the pauses between two tries, and how often deadlines are looked at."""

    lease: float = 10.0
    strict: float = 2.0
    call: float = 5.0
    retry: float = 0.2
    retry_at_most: float = 5.0
    tick: float = 1.0
    gather: float = 0.01


class Calls:
    """Makes calls; what is no outage but a bug is reported, and tried again all the same: events must not be stuck."""

    def __init__(self, waits: Waits, report: Callable[[str, BaseException], None]) -> None:
        self.waits = waits
        self._report = report

    async def until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer, however often it takes to get one; only its caller's cancellation ends it."""
        pause = self.waits.retry
        while True:
            try:
                async with asyncio.timeout(self.waits.call):
                    return await call()
            except OSError:  # TimeoutError is one, too
                pass
            except Exception as error:  # noqa: BLE001 - reported, and the loop must go on
                self._report("a call to the hub", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, self.waits.retry_at_most)

    async def until_decided(self, call: Callable[[], Awaitable[T]]) -> T:
        """The same, unless the ledger refuses the message for good; that is reported once.

        An epoch that the ledger does not know is not for good: it asks what that boot holds, and knows it then.

        Raises:
            BadInputError: the ledger will not take this, however often it is sent.
        """

        async def once() -> T | BadInputError:
            try:
                return await call()
            except BadInputError as error:
                if error.fault is Fault.UNKNOWN and error.field == "epoch":
                    raise
                return error

        answer = await self.until_answered(once)
        if isinstance(answer, BadInputError):
            self._report("a request that the ledger refused", answer)
            raise answer
        return answer

    async def until_taken(self, call: Callable[[], Awaitable[None]]) -> None:
        """The same for a message whose sender can do nothing about it when the ledger refuses what it says: that is
        reported, and the message is not sent again."""

        async def once() -> None:
            try:
                await call()
            except BadInputError as error:
                self._report("a message that the ledger refused", error)

        await self.until_answered(once)
