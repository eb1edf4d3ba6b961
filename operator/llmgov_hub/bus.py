"""How the replicas of a hub reach the sidecars of each other, and learn that another one has published.

Every replica lends from the same ledger, but a sidecar listens to one of them. What a bus carries hurries things and
decides nothing: a message that is lost, late or repeated costs an early refusal or a wait up to its bound, never money.
"""

import contextlib
from collections.abc import Collection, Sequence
from typing import Protocol

from llmgov.ledger.messages import Epoch, Recall, Recalled


class Member(Protocol):
    """A replica as its bus sees it; called in the event loop's thread, never to raise."""

    def asked(self, recall: Recall) -> None:
        """Another replica is short: ask a sidecar that is connected here, by the same `ask`."""
        ...

    def told(self, message: Recalled) -> None:
        """A sidecar elsewhere has answered what this replica asked for."""
        ...


class Bus(Protocol):
    """One replica's end. `join` first."""

    def join(self, member: Member) -> None:
        """Deliver to `member` from now on."""
        ...

    def connect(self, epoch: Epoch) -> None:
        """A sidecar listens here now, and nowhere else; it is asked what it is waited for already."""
        ...

    def disconnect(self, epoch: Epoch) -> None:
        """A sidecar does not listen here any more."""
        ...

    def asking(
        self, key: str, epochs: Sequence[Epoch], seconds: float
    ) -> contextlib.AbstractAsyncContextManager[Collection[Epoch]]:
        """Ask those of `epochs` that are connected to other replicas for idle money of `key`, and have what they answer
        told until the context ends, `seconds` at most.

        Gives who was asked: who is connected nowhere, or to a replica that is known to be gone, need not be waited
        for. Nobody was where the others cannot be reached.
        """
        ...

    def answer(self, message: Recalled) -> None:
        """A sidecar answered: tell the replica that asked, which the recall's `ask` is known by."""
        ...

    def turn(self, key: str, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        """One replica at a time asks for the money of an account, so that those that are short do not take each other's
        remainders; after `seconds` of waiting it goes ahead all the same."""
        ...

    def announce(self) -> None:
        """Another configuration is in force: wake who waits in `changed`, at the other replicas."""
        ...

    async def changed(self, seconds: float) -> None:
        """Wait until another replica has announced since the last time, or for `seconds`."""
        ...
