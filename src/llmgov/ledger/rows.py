"""The ledger's rows, as every store keeps them: frozen values, identified by what their docstrings say.

Money on a window is `spent` (settled), `leased` (lent and not yet accounted for) and `unknown` (lent to a holder that
is gone). A lease's `outstanding` part is in exactly one of the last two; what is left of the limit is the limit less
all three. So money can only move between columns, and each move is written down as a change of one lease.
"""

import enum

import msgspec

from llmgov.instants import Instant
from llmgov.ledger.messages import Epoch, Intent, Settlement
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov.policy.decision import Action
from llmgov.snapshot import Account, Match, TargetKind


class Row(msgspec.Struct, frozen=True):
    """Base of the rows: immutable."""


def scope(account: Account, key: str) -> str:
    """What an account's spend is summed by when it begins in the middle of a window.

    That is its target's name as in a charging path (`team/payments`, `user/jane`, `policy/ns/name`); of an account
    that counts only some of its target's requests it is its own key.
    """
    if account.target.kind is not TargetKind.POLICY and account.match != Match():
        return key
    if account.target.kind is TargetKind.USER and not account.target.name:
        return f"{TargetKind.USER.value}/{key.removeprefix(account.key).removeprefix('|')}"
    return str(account.target)


class AccountRow(Row, frozen=True):
    """An account that was used or published, by `key` (a user's own has the user in it), with its latest definition."""

    key: str
    scope: str
    account: Account


class Window(Row, frozen=True):
    """What was spent and lent of one account in one window, by `(account, start)`.

    `nano_usd` is the rate of `currency`, fixed when the window opened; `told` are thresholds whose audience was
    notified. `base` is the key of the definition where that gives each user a window of their own, empty elsewhere.
    """

    account: str
    scope: str
    start: Instant
    end: Instant
    nano_usd: int
    spent: MicroUsd = 0
    leased: MicroUsd = 0
    unknown: MicroUsd = 0
    told: tuple[int, ...] = ()
    currency: str = ""
    base: str = ""

    @property
    def used(self) -> MicroUsd:
        """Everything that cannot be lent again now."""
        return self.spent + self.leased + self.unknown

    @property
    def span(self) -> Span:
        """The window's time."""
        return Span(self.start, self.end)


class LeaseState(enum.Enum):
    """What may still happen to a lease."""

    OPEN = "open"
    FINAL = "final"
    """Nothing holds from it any more; what is outstanding waits for settlements on their way."""
    LOST = "lost"
    """Its holder is gone or cannot account for it: what is outstanding counts as unknown."""


class LeaseRow(Row, frozen=True):
    """Money lent to one epoch, by `id`: `<epoch>/<request>/<index>`, so that a repeated request finds its leases.

    `definition` is the fingerprint of the account's definition that it was lent by. `billed` is what an administrator
    found a lost lease to have cost beyond what is settled: its window has it among what is spent, and settlements that
    arrive later are a part of it. A `deadline` of 0 is that of a lease which the ledger lost and knows from its
    attempts alone, until its holder reports it: then it may have been larger.

    `strict_in` is the life of the database (`LedgerEpoch.generation`) in which it was lent to attempts alone whose
    intents are on record before they are dispatched; 0 for any other lease. `claimed` is what such attempts hold of it
    that have not ended, as far as they are on record. A lost one has no more outstanding than that.
    """

    id: str
    account: str
    window_start: Instant
    window_end: Instant
    holder: str
    number: int
    amount: MicroUsd
    deadline: Instant
    returned: MicroUsd = 0
    spent: MicroUsd = 0
    state: LeaseState = LeaseState.OPEN
    over: int | None = None
    definition: str = ""
    billed: MicroUsd = 0
    strict_in: int = 0
    claimed: MicroUsd = 0

    @property
    def epoch(self) -> Epoch:
        """Whom it was lent to."""
        return Epoch(self.holder, self.number)

    @property
    def strict(self) -> bool:
        """Whether only what is on record may have been dispatched from it."""
        return self.strict_in > 0

    @property
    def outstanding(self) -> MicroUsd:
        """Lent, neither returned nor spent as far as the ledger knows; never negative (an overrun spends more)."""
        return max(0, self.amount - self.returned - self.spent)


class EpochRow(Row, frozen=True):
    """The newest boot of a holder that has acted, by `holder`: it fences the older ones; 0 where none has.

    `given` is the highest number that was given out to a boot that has not acted yet, 0 where there is none such.
    `refused` are requests that were answered with no, so that a copy of one which arrives late is not granted to
    nobody; those below `closed` need not be remembered. `reported` is the latest ledger epoch that the holder told its
    leases to; `gone` is when its pod was lost for good.
    """

    holder: str
    number: int
    closed: int = 0
    refused: tuple[int, ...] = ()
    reported: str = ""
    gone: Instant | None = None
    given: int = 0

    @property
    def highest(self) -> int:
        """Above all numbers that were given out there is the next."""
        return max(self.number, self.given)


class Attempt(Row, frozen=True):
    """The two halves of one dispatch, by `id`; whichever comes first waits, and when both are there money moves.

    `counted` is the time that it counts at, set with the intent: the intent's own, unless that lies ahead of the
    ledger's clock, before what the ledger keeps (`pruning.KEEP`) or outside the windows it was lent from. `corrected`
    is the cost that an administrator put in the place of the settlement's, which stays as it was. `beside` are the
    scopes that it counts for beside its path: those of accounts that count only some of their targets' requests, as
    they were defined when it was charged.
    """

    id: str
    intent: Intent | None = None
    settlement: Settlement | None = None
    counted: Instant | None = None
    corrected: MicroUsd | None = None
    beside: tuple[str, ...] = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it counts for once it is charged; its path alone before that, nothing before its intent is known."""
        path = () if self.intent is None else self.intent.subject.path
        return tuple(dict.fromkeys((*path, *self.beside)))

    @property
    def time(self) -> Instant | None:
        """When it counts; `None` before its intent is known."""
        return self.intent.at if self.counted is None and self.intent is not None else self.counted

    @property
    def cost(self) -> MicroUsd:
        """What it counts for: as settled or corrected; 0 before it is settled."""
        if self.corrected is not None:
            return self.corrected
        return 0 if self.settlement is None else self.settlement.cost


class Spend(Row, frozen=True):
    """What each of `scopes` spent more than was known until now, or less (negative), `at` the time that counts.

    No row of its own: it changes the `Sum`s.
    """

    scopes: tuple[str, ...]
    at: Instant
    cost: MicroUsd


class Sum(Row, frozen=True):
    """What one scope spent in the quarter of an hour that begins at `start`, by `(scope, start)`: what accounts that
    begin later are filled from."""

    scope: str
    start: Instant
    cost: MicroUsd


class CorrectionKind(enum.Enum):
    """Whose money a correction is about."""

    ATTEMPT = "attempt"
    """What one attempt cost."""
    LEASE = "lease"
    """What one lost lease cost beyond what is settled."""
    HOLDER = "holder"
    """The same of all lost leases of one holder in one account's window."""


class Correction(Row, frozen=True):
    """An administrator put one amount in the place of another, by `id`, which whoever asks chooses: once.

    `subject` is the id of the attempt or lease, or the holder; a lease's and a holder's names `account` and
    `window_start`, too. `path` are the targets that an attempt's cost counts for.
    """

    id: str
    at: Instant
    actor: str
    reason: str
    kind: CorrectionKind
    subject: str
    before: MicroUsd
    after: MicroUsd
    account: str = ""
    window_start: Instant = 0
    path: tuple[str, ...] = ()


class LedgerEpoch(Row, frozen=True):
    """Which life of the database the ledger is in; there is one such row.

    `id` is the database's own name for it (of PostgreSQL system id and timeline): where the database says another one,
    it may have lost its latest transactions. `generation` counts them. While it is not `open` nothing is lent.
    """

    id: str
    generation: int
    since: Instant
    open: bool = True

    @property
    def name(self) -> str:
        """What holders report to; another one for every generation."""
        return f"{self.generation}:{self.id}"


class ApprovalKind(enum.Enum):
    """What an approval opens."""

    THRESHOLD = "threshold"
    """An account's window, up to its next acting threshold."""
    REQUEST = "request"
    """One attempt of one request, known by its digest."""
    OVERRUN = "overrun"
    """A model that cost more than was held for it (then the digest is the `short_name` of `provider/model`)."""


class ApprovalState(enum.Enum):
    """Where an approval stands; it only moves down this list, but for a stopped model's: that may be denied first."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class ApprovalRow(Row, frozen=True):
    """Somebody waits for a decision, by `id`.

    A threshold's names `account`, `window_start` and `threshold`; a request's the `digest`. `covers` is what the audit
    says it is for. `expires` ends a pending request or an approved one; `used_by` is `<epoch>/<request>` of the one
    lease request that consumed it. `workload` (`<namespace>/<service account>`) is whose request it is of, `user` the
    verified user who sent it, empty where none did.
    """

    id: str
    kind: ApprovalKind
    policy: str
    summary: str
    created: Instant
    expires: Instant
    state: ApprovalState = ApprovalState.PENDING
    account: str = ""
    window_start: Instant = 0
    threshold: int = 0
    digest: str = ""
    requested_by: str = ""
    decided: Instant | None = None
    decided_by: str = ""
    reason: str = ""
    used_by: str = ""
    workload: str = ""
    user: str = ""

    @property
    def covers(self) -> str:
        """The request's digest or the account's key."""
        return self.digest or self.account


class OutboxEntry(Row, frozen=True):
    """Somebody is to be told something, once, by `id`.

    `audience` is `Users` or `Admins`; `about` the account, policy or approval; `fact` a stable word (`threshold:75`,
    `approval`, `violation`) and `message` the sentence. Delivery by mail or webhook sets `delivered`.
    """

    id: str
    at: Instant
    audience: str
    about: str
    fact: str
    message: str
    delivered: Instant | None = None


class ViolationRow(Row, frozen=True):
    """One violation of one event, by `(event, index)`; `count` stands for a flood of the same.

    `request_id` is what its client saw as `x-request-id`, of a flood the first one's; `path` says where in the request
    or answer. Rows of older ledgers have neither.
    """

    event: str
    index: int
    at: Instant
    policy: str
    action: Action
    reason: str
    message: str
    dry_run: bool
    namespace: str
    service_account: str
    user: str | None
    model: str
    count: int = 1
    request_id: str = ""
    path: str | None = None


class AuditRow(Row, frozen=True):
    """One audit record as its writer made it, by `(writer, seq)`; `data` are its exact bytes."""

    writer: str
    seq: int
    hash: str
    recorded: Instant
    kind: str
    data: bytes


class SubjectKeyRow(Row, frozen=True):
    """The key that seals one subject's personal fields, by `id`; destroying `secret` erases them."""

    id: str
    subject: str
    secret: bytes


class ClusterRow(Row, frozen=True):
    """Who may put configurations of a cluster in force, by `cluster`.

    `term` counts those who claimed it, `holder` is the latest of them, since `claimed`; 0 where nobody did. `changed`
    is when its configuration last changed: the next change is later, whatever the clock says.
    """

    cluster: str
    term: int = 0
    holder: str = ""
    claimed: Instant = 0
    changed: Instant = 0


class PartVersion(Row, frozen=True):
    """What `PartRow` says of a version but for its document, which is `size` bytes long."""

    cluster: str
    part: str
    version: str
    since: Instant
    until: Instant | None
    actor: str
    size: int


class PartRow(Row, frozen=True):
    """One version of a part of a cluster's configuration, by `(cluster, part, version, since)`.

    `part` is `organization`, `prices` or `namespace/<name>`. `until` is unset while in force. `actor` is who put it in
    force, empty where that is not known.
    """

    part: str
    version: str
    document: bytes
    since: Instant
    until: Instant | None = None
    cluster: str = ""
    actor: str = ""

    @property
    def head(self) -> PartVersion:
        """The same without the document."""
        return PartVersion(
            self.cluster, self.part, self.version, self.since, self.until, self.actor, len(self.document)
        )
