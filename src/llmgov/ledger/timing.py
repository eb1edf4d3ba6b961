"""When an attempt counts: the one rule by which the ledger finds the windows that it is charged to.

A sidecar's clock may be wrong by minutes. The money was lent for certain windows by the ledger's clock, so where an
attempt held from leases its time lies in their windows, whatever the sidecar's clock says; and no attempt lies ahead
of the ledger's clock, in a window that has not begun, nor before what the ledger keeps, where it would count for
nobody: either counts now.
"""

from collections.abc import Iterable, Mapping

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import pruning
from llmgov.ledger.messages import Intent
from llmgov.ledger.rows import Attempt, LeaseRow


def believed(intents: Iterable[Intent], now: Instant) -> tuple[Intent, ...]:
    """The intents, those at `now` that are later or older than windows are kept: what a `Lock` is to name."""
    return tuple(
        intent if now - pruning.KEEP <= intent.at <= now else msgspec.structs.replace(intent, at=now)
        for intent in intents
    )


def counted(intent: Intent, leases: Mapping[str, LeaseRow]) -> Instant:
    """The intent's time, moved as little as possible into the windows of those of `leases` that it held from.

    Windows that it held from share a time: the one at which it did.
    """
    at = intent.at
    held = [leases[part.lease] for part in intent.charged if part.lease in leases]
    at = max([at, *(lease.window_start for lease in held)])
    return min([at, *(lease.window_end - 1 for lease in held)])


def of(attempt: Attempt, intent: Intent, leases: Mapping[str, LeaseRow]) -> Instant:
    """When an attempt counts: once stored that does not change."""
    return counted(intent, leases) if attempt.counted is None else attempt.counted
