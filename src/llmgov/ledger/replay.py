"""After a restart: what an older epoch's spool says became of its leases, and what to report for what it does not say.

The spool is append-only, so what survived is a prefix. An intent in it without a settlement costs its hold. If the
process died but the machine did not, everything written survived and the rest of each lease was never spent. If the
machine died (`torn`), what was written after the last fsync may be missing, and the rest is charged as unknown.
"""

import dataclasses
from collections.abc import Iterable

from llmgov.instants import Instant
from llmgov.ledger import charging
from llmgov.ledger.commands import Carried, Leased, Returned, SpoolRecord
from llmgov.ledger.messages import (
    Epoch,
    Intent,
    Inventory,
    Lease,
    LeaseReturn,
    Outcome,
    Refused,
    Settlement,
    Violated,
)
from llmgov.money import MicroUsd


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """What the new epoch reports: `settlements` as events (after those that the spool still holds), then the messages.

    `returns` repeat those that were recorded (harmless by their serials) and add the last one of each open lease.
    """

    settlements: tuple[Settlement, ...]
    returns: tuple[LeaseReturn, ...]
    inventory: Inventory


def replay(records: Iterable[SpoolRecord], epoch: Epoch, now: Instant, *, torn: bool) -> Replay:
    """Read the spool of earlier epochs of `epoch.holder`, oldest record first.

    `torn` stays true for later restarts until all `returns` of one replay were acknowledged: before that the ledger
    may not know that something is missing.
    """
    ledger = _Spool()
    for record in records:
        ledger.read(record)
    unknown = tuple(_unknown(intent, now) for intent in ledger.open_intents())
    for settlement in unknown:
        ledger.read(settlement)
    closing = (ledger.close(lease, epoch, torn) for lease in ledger.open_leases())
    return Replay(unknown, (*ledger.returns, *closing), Inventory(epoch, tuple(ledger.leases)))


class _Spool:
    """The leases, attempts and returns that records speak of."""

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self.returns: list[LeaseReturn] = []
        self._intents: dict[str, Intent] = {}
        self._settled: set[str] = set()
        self._spent: dict[str, MicroUsd] = {}
        self._carried: dict[str, Carried] = {}

    def read(self, record: SpoolRecord) -> None:
        match record:
            case Leased(lease=lease):
                self.leases[lease.id] = lease
            case Returned(message=message):
                self.returns.append(message)
            case Carried(lease=lease):
                self.leases[lease.id] = lease
                self._spent[lease.id] = record.spent
                self._carried[lease.id] = record
            case Intent():
                self._intents[record.id] = record
            case Settlement():
                self._settle(record)
            case Refused() | Violated():
                pass

    def _settle(self, settlement: Settlement) -> None:
        if settlement.id in self._settled or settlement.id not in self._intents:
            return
        self._settled.add(settlement.id)
        for lease, paid in charging.distribute(self._intents[settlement.id].charged, settlement.cost).items():
            self._spent[lease] = self._spent.get(lease, 0) + paid

    def open_intents(self) -> list[Intent]:
        return [intent for id_, intent in self._intents.items() if id_ not in self._settled]

    def open_leases(self) -> list[Lease]:
        final = {message.lease for message in self.returns if message.final}
        return [lease for id_, lease in self.leases.items() if id_ not in final]

    def close(self, lease: Lease, epoch: Epoch, torn: bool) -> LeaseReturn:
        if torn:
            # Records of returns may be missing as well: a serial below zero is none of theirs.
            return LeaseReturn(epoch, lease.id, -epoch.number, 0, final=True, unaccounted=True)
        carried = self._carried.get(lease.id)
        known, returned = (carried.serial, carried.returned) if carried else (0, 0)
        later = [message for message in self.returns if message.lease == lease.id and message.serial > known]
        serial = max((message.serial for message in later), default=known) + 1
        returned += sum(message.amount for message in later)
        rest = lease.amount - returned - self._spent.get(lease.id, 0)
        return LeaseReturn(epoch, lease.id, serial, max(0, rest), final=True)


def _unknown(intent: Intent, now: Instant) -> Settlement:
    return Settlement(intent.id, now, Outcome.UNKNOWN, intent.hold, {}, 0, intent.subject.model)
