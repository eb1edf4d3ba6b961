"""What a purse tells its caller to do, in order: each command is carried out before the next is looked at."""

from typing import TypeAlias

import msgspec

from llmgov.ledger.messages import (
    Charged,
    Event,
    Holdings,
    Inventory,
    Lease,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recalled,
    Struct,
)
from llmgov.money import MicroUsd


class Leased(Struct, frozen=True, tag="leased"):
    """Spool record: a lease that may be spent from, once this is on disk."""

    lease: Lease


class Returned(Struct, frozen=True, tag="returned"):
    """Spool record: a return that is about to be sent."""

    message: LeaseReturn


class Carried(Struct, frozen=True, tag="carried"):
    """Spool record at the head of a segment: what trimmed records said of a lease that is still open.

    `spent` is what settled attempts cost it, `returned` what returns up to `serial` gave back.
    """

    lease: Lease
    spent: MicroUsd
    returned: MicroUsd
    serial: int


SpoolRecord: TypeAlias = Leased | Returned | Carried | Event
"""Everything in a sidecar's spool: what the purse has written, and the events that the proxy appends beside it."""


class Write(msgspec.Struct, frozen=True):
    """Append `record` to the spool; with `sync` it must be on disk (fsync) before the commands that follow."""

    record: Leased | Returned
    sync: bool


class Send(msgspec.Struct, frozen=True):
    """Send `message` to the hub, until it is answered or acknowledged: every one may be repeated without harm."""

    message: LeaseRequest | LeaseReturn | Recalled | Holdings | Inventory


class Held(msgspec.Struct, frozen=True):
    """The attempt may be dispatched: `amount` is set aside in every account, from the leases in `charged`.

    `over` names accounts that would have refused had they been enforced, with the percentage that stood in the way.
    `tightest` is the key of the account that gave less than was wanted, empty where all gave that.
    """

    attempt: str
    amount: MicroUsd
    charged: tuple[Charged, ...]
    over: dict[str, int] = {}
    tightest: str = ""


class Refused(msgspec.Struct, frozen=True):
    """The attempt may not be dispatched; the refusal says which account and why."""

    attempt: str
    refusal: LeaseRefusal


Command: TypeAlias = Write | Send | Held | Refused
