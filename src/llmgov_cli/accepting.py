"""`llmgov spend accept-loss`: after a failover, lend again though not every sidecar has told what it holds.

The ledger of a database that began another life may have lost its latest leases, so it lends nothing before everybody
who held some has reported. Whoever never will (a node that is gone) would keep it waiting for ever.
"""

from collections.abc import Callable
from typing import TextIO

from llmgov.ledger import errors as ledger_errors
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.rows import LedgerEpoch
from llmgov.ledger.store import Store
from llmgov_cli import acting, errors, sources, waiting
from llmgov_cli.waiting import Wait

_CONSEQUENCE = (
    "Accepting the loss lends again at once. Money that sidecars were lent and that the ledger has lost can then be\n"
    "spent a second time: budgets may be exceeded by as much. It goes on record with your name and the reason.\n"
)
_MAX_REASON = 1000


def run(reason: str, where: sources.Where, out: TextIO, *, confirm: Callable[[str], bool]) -> int:
    """Say what the ledger waits for and what accepting that means, ask, and lend again; 1 where the answer is no.

    Raises:
        CommandError: there is nothing to accept, no reason, or no ledger that can be changed.
    """
    source = sources.find(where)
    try:
        ledger_errors.require_words(reason, "reason", _MAX_REASON)
        found = sources.change(source, _look)
        if found is None:
            raise errors.CommandError("the ledger lends: there is no loss to accept")
        out.write(f"{found.sentence[:1].upper()}{found.sentence[1:]}.\n{_CONSEQUENCE}")
        if not confirm("Accept the loss?"):
            out.write("Nothing was changed.\n")
            return 1
        row = sources.change(source, lambda ledger: _accept(ledger, reason))
    except BadInputError as error:
        raise errors.CommandError(error.wrong if error.field == "epoch" else str(error)) from error
    out.write(f"The ledger lends again (its life {row.generation}); `llmgov audit show --kind lossAccepted` has it.\n")
    return 0


async def _look(ledger: sources.Ledger[Store]) -> Wait | None:
    """Note the database's new life where no replica has yet, and see who is missing; `None` where it lends."""
    from llmgov_hub import hub

    lends = await hub.Hub(ledger.rows, ledger.clock, writer=sources.WRITER).recovery.look()
    return None if lends else await waiting.wait(ledger.rows)


async def _accept(ledger: sources.Ledger[Store], reason: str) -> LedgerEpoch:
    from llmgov_hub import hub

    services = hub.Hub(ledger.rows, ledger.clock, writer=sources.WRITER)
    return await services.recovery.accept_loss(acting.actor(ledger.login), reason)
