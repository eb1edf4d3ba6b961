"""The hub's services as a sidecar of the same process sees them: what a network would add is only how it fails."""

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from llmgov.ledger.store import StoreError
from llmgov_hub.hub import Hub

P = ParamSpec("P")
T = TypeVar("T")


def _reachable(call: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """A ledger that cannot be used now looks to a sidecar like a hub that cannot be reached."""

    @functools.wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except StoreError as error:
            raise ConnectionError(f"the ledger cannot be used: {error}") from error

    return wrapped


class Link:
    """Implements what `llmgov_sidecar.hub.Hub` asks for, over the hub's services."""

    def __init__(self, hub: Hub) -> None:
        self.register = _reachable(hub.register)
        self.inventory = _reachable(hub.inventory)
        self.lease = _reachable(hub.lease)
        self.give_back = _reachable(hub.give_back)
        self.recalled = _reachable(hub.recalled)
        self.holdings = _reachable(hub.holdings)
        self.deliver = _reachable(hub.deliver)
        self.recalls = hub.recalls
