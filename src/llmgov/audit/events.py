"""What is put on record beside the sidecars' own events: what administrators, and the audit itself, did."""

from typing import TypeAlias

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import messages
from llmgov.money import MicroUsd


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of the events: immutable, and small at rest."""


class InForce(Struct, frozen=True, tag="inForce"):
    """A part of a snapshot came into force. `part` is `organization`, `prices` or `namespace/<name>`.

    `version` is the part's content hash, `replaced` the one before, `None` for the first; `actor` who applied it, where
    that is known.
    """

    at: Instant
    part: str
    version: str
    replaced: str | None = None
    actor: str | None = None


class ApprovalDecided(Struct, frozen=True, tag="approvalDecided"):
    """An administrator approved or denied; `covers` is a request's digest or an account's key."""

    at: Instant
    approval: str
    approved: bool
    actor: str
    covers: str
    reason: str | None = None


class Corrected(Struct, frozen=True, tag="corrected"):
    """An administrator put `after` in the place of `before`: what an attempt cost (`what` is `attempt`), or what the
    rest of one lost lease (`lease`) or of all of a lost holder's in one window of `account` (`holder`) did.

    `subject` is the id of the attempt or lease, or the holder; `path` the targets that an attempt's cost counts for.
    """

    at: Instant
    correction: str
    what: str
    subject: str
    before: MicroUsd
    after: MicroUsd
    actor: str
    reason: str
    account: str = ""
    window_start: Instant = 0
    path: tuple[str, ...] = ()


class LedgerBegun(Struct, frozen=True, tag="ledgerBegun"):
    """The database began another life and may have lost its latest transactions: nothing is lent until all sidecars
    have reported. `actor` and `reason` are set where an administrator said so."""

    at: Instant
    epoch: str
    generation: int
    actor: str | None = None
    reason: str | None = None


class LossAccepted(Struct, frozen=True, tag="lossAccepted"):
    """Money is lent again though `waiting` holders had not reported what they hold: an administrator accepted that."""

    at: Instant
    epoch: str
    generation: int
    actor: str
    reason: str
    waiting: int


class Erased(Struct, frozen=True, tag="erased"):
    """The key of one subject was destroyed: what was sealed with it can be read by nobody any more."""

    at: Instant
    key: str
    actor: str
    reason: str | None = None


class Tombstone(Struct, frozen=True, tag="tombstone"):
    """Records whose retention ended were removed; what stays lets the chain and the sums still be verified.

    `hashes[i]` is the hash of record `first + i` of `writer`. `attempts` and `cost` are what settlements among them
    say in all, `targets` by target of the charging path (users left out). `signature` is Ed25519 (hex) by `signer`.
    """

    at: Instant
    writer: str
    first: int
    hashes: tuple[str, ...]
    attempts: int
    cost: MicroUsd
    targets: dict[str, MicroUsd] = {}
    signer: str = ""
    signature: str = ""


AuditEvent: TypeAlias = (
    messages.Event | InForce | ApprovalDecided | Corrected | LedgerBegun | LossAccepted | Erased | Tombstone
)
"""Everything that becomes a record."""
