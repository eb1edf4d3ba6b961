"""The spool's records as messages of the ledger, and what must outlive a trimmed segment.

Every new segment begins with what the older ones say that still matters (open leases with what they spent, attempts
without an end, returns that the hub has not acknowledged), so that older segments go as soon as their events are
delivered. The order of calls matters: an intent is appended after its hold and a settlement before the purse settles.
"""

import asyncio
import pathlib
from collections.abc import Iterator
from typing import Final

import msgspec

from llmgov.ledger import charging
from llmgov.ledger.commands import Carried, Leased, Returned, SpoolRecord
from llmgov.ledger.messages import Event, Intent, LeaseReturn, Refused, Settlement, Violated
from llmgov.money import MicroUsd
from llmgov_sidecar.spool import Position, Spool, SpoolFullError


class _Copy(msgspec.Struct, frozen=True, tag="copy"):
    """A record repeated at the head of a segment: replayed, and not delivered again."""

    record: Intent | Returned


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(
    Leased | Returned | Carried | Intent | Settlement | Refused | Violated | _Copy
)

_EVENTS: Final = (Intent, Settlement, Refused, Violated)

REFUSALS_SHARE: Final = 0.5
"""Refusals may fill half of the spool, new attempts nine tenths; what is left is for the ends of attempts."""

ATTEMPTS_SHARE: Final = 0.9


class _Account(msgspec.Struct):
    """What is known of one open lease."""

    leased: Leased
    spent: MicroUsd = 0
    returned: MicroUsd = 0
    serial: int = 0


class Journal:
    """What one boot writes, over what earlier boots left."""

    def __init__(self, folder: pathlib.Path, segment_bytes: int, capacity: int) -> None:
        self._leases: dict[str, _Account] = {}
        self._intents: dict[str, Intent] = {}
        self._returns: dict[tuple[str, int], Returned] = {}
        self._spool = Spool(folder, segment_bytes, capacity, self._carry)
        self.first_own = self._spool.end.segment
        self.wake = asyncio.Event()

    @property
    def end(self) -> Position:
        """Behind the last record."""
        return self._spool.end

    @property
    def used(self) -> int:
        """Bytes on disk."""
        return self._spool.used

    @property
    def open_attempts(self) -> int:
        """Attempts with an intent and without a settlement."""
        return len(self._intents)

    def begin(self, intent: Intent) -> Position:
        """Append the intent of an attempt that holds its money.

        Raises:
            SpoolFullError: there is no room for another attempt.
            OSError: the disk refuses it.
        """
        if not self._spool.has_room(ATTEMPTS_SHARE):
            raise SpoolFullError("the spool is full: the hub has taken no events for too long")
        position = self._append(intent)
        self._intents[intent.id] = intent
        return position

    def end_attempt(self, settlement: Settlement) -> Position:
        """Append the end of an attempt; there is always room for it."""
        position = self._append(settlement)
        intent = self._intents.pop(settlement.id, None)
        if intent is not None:
            for lease, paid in charging.distribute(intent.charged, settlement.cost).items():
                if (account := self._leases.get(lease)) is not None:
                    account.spent += paid
        return position

    def note(self, event: Refused | Violated) -> bool:
        """Append what is on record only; false where the spool has no room for it."""
        if not self._spool.has_room(REFUSALS_SHARE):
            return False
        self._append(event)
        return True

    def take(self, leased: Leased) -> None:
        """Append a lease; `sync` before it is spent from."""
        self._append(leased)
        self._leases.setdefault(leased.lease.id, _Account(leased))

    def give_back(self, returned: Returned) -> None:
        """Append a return, which is kept until `acknowledged`."""
        message = returned.message
        self._append(returned)
        self._returns[message.lease, message.serial] = returned
        account = self._leases.get(message.lease)
        if account is not None:
            account.returned += message.amount
            account.serial = max(account.serial, message.serial)
            if message.final:
                del self._leases[message.lease]

    def acknowledged(self, message: LeaseReturn) -> None:
        """The hub has taken a return."""
        self._returns.pop((message.lease, message.serial), None)

    async def sync(self) -> None:
        """Wait until everything appended so far survives the death of the machine."""
        await asyncio.get_running_loop().run_in_executor(None, self._spool.syncing())

    def earlier(self) -> Iterator[SpoolRecord]:
        """What earlier boots left, oldest first; to be read before anything is appended."""
        for record in map(_DECODER.decode, self._spool.read_all()):
            yield record.record if isinstance(record, _Copy) else record

    def events(self, position: Position | None, limit: int) -> tuple[tuple[Event, ...], Position]:
        """The next events from `position` (`None`: the beginning), and the position behind them."""
        raw, behind = self._spool.read(position or self._spool.first, limit)
        records = map(_DECODER.decode, raw)
        return tuple([record for record in records if isinstance(record, _EVENTS)]), behind

    def trim(self, delivered: Position, *, recovered: bool) -> None:
        """Remove segments whose events are delivered; those of earlier boots only once all of that is `recovered`."""
        if recovered:
            self._spool.trim(delivered.segment)

    def close(self) -> None:
        """Close the file."""
        self._spool.close()

    def _append(self, record: SpoolRecord) -> Position:
        try:
            return self._spool.append(_ENCODER.encode(record))
        finally:
            self.wake.set()  # also where that failed: `end` may lie in a new segment, and somebody may wait for it

    def _carry(self) -> Iterator[bytes]:
        for account in self._leases.values():
            yield _ENCODER.encode(Carried(account.leased.lease, account.spent, account.returned, account.serial))
        kept: tuple[Intent | Returned, ...] = (*self._intents.values(), *self._returns.values())
        for copied in kept:
            yield _ENCODER.encode(_Copy(copied))
