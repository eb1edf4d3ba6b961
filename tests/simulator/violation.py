"""What the oracle can find: the invariants by name (docs/simulator.md says what each means), and one that is broken."""

import enum
from typing import NamedTuple


class Invariant(enum.Enum):
    """What must hold."""

    LIMIT = "limit"
    """Attempts never hold and cost more of a window than it may be spent of."""
    THRESHOLD = "threshold"
    """No lease crosses the limit or an acting threshold when it is committed."""
    WINDOW = "window"
    """A lease is of the window that contains the database's time, and does not outlive it."""
    FENCING = "fencing"
    """Boots' numbers rise, and no boot is lent to once a newer one has acted."""
    SYNCED = "synced"
    """An attempt holds only from leases that are on the disk."""
    DEADLINE = "deadline"
    """An attempt holds only from leases that have not ended."""
    DEFINITION = "definition"
    """An attempt holds only from leases that were lent under what its pod has heard of last, or under what is newer."""
    APPROVAL = "approval"
    """An approval is used as often as it was given."""
    REFUSAL = "refusal"
    """Nobody is refused while reachable idle money exceeds the need."""
    ENFORCED = "enforced"
    """What is not enforced refuses nobody: an account in dry run, and all where one only observes."""
    RECOVERY = "recovery"
    """After a failover nothing is lent until everybody has reported, and what was reported is in the ledger then."""
    ANSWER = "answer"
    """A wait for money ends in time, with an answer where nothing is broken; a boot that lives is not fenced."""
    REQUEST = "request"
    """A request ends in one of the ways that the sidecar knows, and not with an exception."""
    ERROR = "error"
    """Nothing else fails with an error that is no outage."""
    REST = "rest"
    """Once everything is healed, everything comes to rest."""
    SETTLED = "settled"
    """Every dispatched attempt is settled, at a cost that its sidecar's record allows."""
    DISPATCHED = "dispatched"
    """What was never dispatched costs nothing."""
    SPENT = "spent"
    """A window's `spent` is what its attempts cost."""
    LEASED = "leased"
    """At rest nothing is lent."""
    UNKNOWN = "unknown"
    """What is unknown is what lost pods and dead machines have outstanding, at most."""
    COUNTED = "counted"
    """What is spent or unknown is at least what was really spent."""
    RETURNED = "returned"
    """Nothing came back of a lease that an attempt has spent."""
    SUMS = "sums"
    """The ledger's sums are what its own rows add up to."""
    USERS = "users"
    """No account counts more users in a window than it may."""
    PRUNED = "pruned"
    """What nobody can ask for any more is forgotten, and nothing else."""
    AUDIT = "audit"
    """Every audit chain is whole, and has each half of each attempt once."""


class Violation(NamedTuple):
    """An invariant that does not hold, and in which way."""

    invariant: Invariant
    what: str

    def __str__(self) -> str:
        return f"{self.invariant.value}: {self.what}"
