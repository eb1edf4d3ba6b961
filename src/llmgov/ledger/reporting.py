"""A report of what a boot holds, in messages each of which the ledger takes up in one transaction."""

from collections.abc import Iterator, Sequence

from llmgov.ledger import bounds
from llmgov.ledger.messages import Epoch, Holding, Holdings


def messages(epoch: Epoch, ledger: str, holdings: Sequence[Holding], closed: int) -> Iterator[Holdings]:
    """The messages, to be taken in their order; nearly always there is one."""
    begin, returns = 0, 0
    for index, holding in enumerate(holdings):
        returns += holding.serial
        is_full = index - begin >= bounds.MAX_HOLDINGS or returns > bounds.MAX_ALL_RETURNS
        if is_full and index > begin:
            yield Holdings(epoch, "", tuple(holdings[begin:index]), closed)
            begin, returns = index, holding.serial
    before = tuple(holding.lease.id for holding in holdings[:begin])
    yield Holdings(epoch, ledger, tuple(holdings[begin:]), closed, before)
