"""One look at a ledger, as a command has it: of what a serving process, or a database, says is in force."""

import collections
import datetime
from collections.abc import Iterable

from llmgov import instants
from llmgov.instants import Instant
from llmgov.ledger import store
from llmgov.statuses.observed import Observed
from llmgov_cli.local import state
from llmgov_store import observing

ALL_TIME = observing.ALL_TIME
"""An end that no instant in a ledger reaches."""


async def observe(reader: store.Reader, run: state.Run, now: Instant, *, every_user: bool = False) -> Observed:
    """Everything that a status is made of, at `now`; the windows of users alone where they are asked for.

    Raises:
        StoreError: the ledger does not answer.
    """
    return await observing.observe(
        reader,
        run.facts,
        now,
        since=run.since,
        problems=run.problems,
        sidecars=_by_namespace(run.sidecars),
        enforcing=_by_namespace(name for name, enforcing in run.enforcing.items() if enforcing),
        every_user=every_user,
    )


def _by_namespace(workloads: Iterable[str]) -> dict[str, int]:
    return collections.Counter(workload.partition("/")[0] for workload in workloads)


def now() -> Instant:
    """The machine's clock, for commands that only look."""
    return instants.from_datetime(datetime.datetime.now(datetime.UTC))
