"""`llmgov approvals`: what waits for an administrator, and the decision, taken in the ledger of the state folder.

A serving process sees a decision within half a second; nothing has to run for one to be taken.
"""

import asyncio
import getpass
import pathlib
from typing import TextIO

from llmgov.ledger import approvals, rows, store
from llmgov_cli import errors, observe, printable, tables
from llmgov_cli.local import state

WRITER = "cli"
"""The audit chain of decisions taken on the command line: a serving hub's chain is its own."""

_HEADINGS = ("Id", "State", "Kind", "Policy", "Summary", "Requested-By", "Created", "Expires", "Decided-By", "Reason")


def show(explicit: pathlib.Path | None, output: str, out: TextIO) -> int:
    """Print all approvals, newest first.

    Raises:
        CommandError: no state folder, or no such format.
    """
    tables.check_format(output)
    found = observe.read(state.find(explicit), lambda reader: reader.approvals())
    cells = [_row(each) for each in found]
    if output in ("", "wide"):
        out.write(tables.render(_HEADINGS, cells) if cells else "No approvals\n")
    else:
        out.write(tables.dump([tables.record(_HEADINGS, row) for row in cells], output))
    return 0


def decide(approval: str, explicit: pathlib.Path | None, reason: str, out: TextIO, *, grant: bool) -> int:
    """Approve or deny, as the user who runs the command; the decision is on record with its reason.

    Raises:
        CommandError: no such approval, or it cannot be decided any more.
    """
    folder = state.find(explicit)
    try:
        row = asyncio.run(_decide(folder, approval, reason, grant=grant))
    except (approvals.ApprovalError, store.StoreError) as error:
        raise errors.CommandError(str(error)) from error
    out.write(f"{row.id} {row.state.value}: {printable.line(row.summary)}\n")
    return 0


async def _decide(folder: pathlib.Path, approval: str, reason: str, *, grant: bool) -> rows.ApprovalRow:
    from llmgov_hub import hub
    from llmgov_store import sqlite

    ledger = sqlite.SqliteStore.open(folder / "ledger.db")
    try:
        services = hub.Hub(ledger, observe.now, writer=WRITER).approvals
        take = services.approve if grant else services.deny
        return await take(approval, getpass.getuser(), reason)
    finally:
        await ledger.close()


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
