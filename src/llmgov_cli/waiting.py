"""A ledger that lends nothing: its database began another life, and not everybody has told what it holds yet."""

import contextlib
import sys
from collections.abc import Sequence

import msgspec

from llmgov.ledger.rows import LedgerEpoch
from llmgov.ledger.store import Reader, StoreError
from llmgov_cli import printable, tables

_SHOWN = 5
"""How many holders a sentence names."""


class Wait(msgspec.Struct, frozen=True):
    """What the ledger waits for: its epoch, and the holders of open leases that have not reported to it, in order.

    Until the database's new life is `noticed` the epoch is the former one, which says nothing of this.
    """

    epoch: LedgerEpoch
    holders: Sequence[str]
    noticed: bool = True

    @property
    def sentence(self) -> str:
        """Since when, and for whom."""
        if not self.noticed:
            return "the ledger lends nothing: its database began another life, not noticed by any replica yet"
        return f"the ledger lends nothing since {tables.moment(self.epoch.since)}: it waits for {self._whom}"

    @property
    def _whom(self) -> str:
        if not self.holders:
            return "sidecars to reconnect, for half a minute"
        named = ", ".join(map(printable.line, self.holders[:_SHOWN]))
        more = f" and {len(self.holders) - _SHOWN} more" if len(self.holders) > _SHOWN else ""
        return f"holders of leases to report what they hold, {len(self.holders)} of them ({named}{more})"


async def wait(rows: Reader) -> Wait | None:
    """What the ledger waits for; `None` where it lends. Looking notices nothing: that is a replica's to do.

    Raises:
        StoreError: it cannot be read.
    """
    known = await rows.ledger_epoch()
    if known is None:
        return None
    if known.id != await rows.database():
        return Wait(known, (), noticed=False)
    if known.open:
        return None
    return Wait(known, await rows.unreported(known.name))


async def tell(rows: Reader) -> None:
    """Say on standard error that the ledger lends nothing, and what an administrator can do, where that is so."""
    with contextlib.suppress(StoreError):  # a standby can be read, and knows nothing of this
        found = await wait(rows)
        if found is None:
            return
        remedy = "; `llmgov spend accept-loss` lends without them" if found.noticed else ": does one run?"
        print(f"llmgov: {found.sentence}{remedy}", file=sys.stderr)
