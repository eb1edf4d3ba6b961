"""`llmgov approvals`: what waits for an administrator, and the decision, taken in the ledger.

A serving process sees a decision within half a second; nothing has to run for one to be taken.
"""

from collections.abc import Sequence
from typing import TextIO

from llmgov.ledger import approvals, rows
from llmgov.ledger.store import Store
from llmgov_cli import acting, errors, printable, sources, tables

_HEADINGS = ("Id", "State", "Kind", "Policy", "Summary", "Requested-By", "Created", "Expires", "Decided-By", "Reason")


def show(where: sources.Where, output: str, out: TextIO) -> int:
    """Print all approvals, newest first.

    Raises:
        CommandError: no ledger, or no such format.
    """
    tables.check_format(output)
    found = sources.read(sources.find(where), lambda ledger: ledger.rows.approvals())
    cells = [_row(each) for each in found]
    if output in ("", "wide"):
        out.write(tables.render(_HEADINGS, cells) if cells else "No approvals\n")
    else:
        out.write(tables.dump([tables.record(_HEADINGS, row) for row in cells], output))
    return 0


def decide(ids: Sequence[str], where: sources.Where, reason: str, out: TextIO, *, grant: bool) -> int:
    """Approve or deny, as the user who runs the command; each decision is on record with its reason.

    Raises:
        CommandError: there is no such approval, or it cannot be decided any more; the others of `ids` are decided.
    """
    decided = sources.change(sources.find(where), lambda ledger: _decide(ledger, ids, reason, grant=grant))
    for row in decided:
        if isinstance(row, rows.ApprovalRow):
            out.write(f"{row.id} {row.state.value}: {printable.line(row.summary)}\n")
    wrong = [str(row) for row in decided if isinstance(row, approvals.ApprovalError)]
    if wrong:
        raise errors.CommandError("\n".join(wrong))
    return 0


async def _decide(
    ledger: sources.Ledger[Store], ids: Sequence[str], reason: str, *, grant: bool
) -> list[rows.ApprovalRow | approvals.ApprovalError]:
    from llmgov_hub import hub

    services = hub.Hub(ledger.rows, ledger.clock, writer=sources.WRITER).approvals
    take = services.approve if grant else services.deny
    decided: list[rows.ApprovalRow | approvals.ApprovalError] = []
    for id_ in dict.fromkeys(ids):
        try:
            decided.append(await take(id_, acting.actor(ledger.login), reason))
        except approvals.ApprovalError as error:
            decided.append(error)
    return decided


def _row(row: rows.ApprovalRow) -> list[str]:
    return [
        row.id,
        row.state.value,
        row.kind.value,
        row.policy,
        row.summary,
        row.requested_by,
        tables.moment(row.created),
        tables.moment(row.expires),
        row.decided_by,
        row.reason,
    ]
