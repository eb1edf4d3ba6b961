"""`llmgov spend correct` and `llmgov spend corrections`: what a bill says in the place of what was assumed.

A correction is one transaction with its audit record, beside a serving process or the replicas of a hub; an id makes
it happen once, however often it is sent.
"""

import getpass
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger.corrections import Order
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.rows import Correction, CorrectionKind, LeaseRow, Window
from llmgov.ledger.store import Reader, Store
from llmgov_cli import errors, moments, observe, printable, sources, tables, unknown

if TYPE_CHECKING:
    from llmgov_hub.corrections import Made

_LEASE = re.compile(r".+:[0-9]+/[0-9]+/[0-9]+", re.DOTALL)
_ATTEMPT = re.compile(r".+:[0-9]+/[0-9]+", re.DOTALL)

_CHANGES = ("Account", "From", "Spent-Before", "Spent-After", "Held-Before", "Held-After")
_LIST = ("Time", "Kind", "Subject", "Before", "After", "Account", "By", "Reason")
_WIDE = ("From", "Id")

_REMEDIES = {
    Fault.UNKNOWN: "`llmgov spend unknown` lists what can be corrected",
    Fault.STATE: "wait until it has ended, or its pod is gone",
    Fault.RANGE: "write what the provider billed, in USD",
    Fault.REPEATED: "give this one another --id, or none",
    Fault.EMPTY: "shorten it, or say why",
}


def run(
    subject: str,
    cost: str,
    reason: str,
    where: sources.Where,
    output: str,
    out: TextIO,
    *,
    account: str | None = None,
    window: str | None = None,
    id_: str | None = None,
) -> int:
    """Correct what an attempt, a lost lease or a lost holder's leases cost; print every window that this changed.

    `subject` is the id of one, as `spend unknown` shows it; `cost` is in USD. A holder's leases are corrected in one
    window of one `account`; both may be left out where it has lost money in one only.

    Raises:
        CommandError: nothing was changed; or the ledger failed, and the sentence says how to repeat the order.
    """
    tables.check_format(output)
    source = sources.find(where)
    order = Order(id_ or secrets.token_hex(8), _kind(subject), subject, _amount(cost), getpass.getuser(), reason)
    try:
        made = sources.change(source, lambda ledger: _correct(ledger, order, account, window))
    except BadInputError as error:
        raise errors.CommandError(_sentence(error)) from error
    except errors.CommandError as error:
        if isinstance(error.__cause__, OSError):
            again = (
                f"nothing was changed unless the connection broke at the end; to repeat it safely add --id {order.id}"
            )
            raise errors.CommandError(f"{error}; {again}") from error
        raise
    changes = [_change(before, after) for before, after in made.windows]
    out.write(_told(made, changes) if output in ("", "wide") else tables.dump(_document(made.row, changes), output))
    return 0


def show(where: sources.Where, output: str, out: TextIO, *, start: Instant = 0, end: Instant = observe.ALL_TIME) -> int:
    """Print the corrections that were made in `[start, end)`, oldest first; amounts in USD.

    Raises:
        CommandError: no such format, or no ledger.
    """
    tables.check_format(output)
    found = sources.read(sources.find(where), lambda ledger: ledger.rows.corrections(start, end))
    headings = _LIST if output == "" else (*_LIST, *_WIDE)
    cells = [_row(row)[: len(headings)] for row in found]
    if output in ("", "wide"):
        out.write(tables.render(headings, cells) if cells else "No corrections\n")
    else:
        out.write(tables.dump([tables.record(headings, row) for row in cells], output))
    return 0


def _kind(subject: str) -> CorrectionKind:
    """Whose id it is, by its form (`llmgov.ledger.messages`): nobody chooses ids but the software."""
    if _LEASE.fullmatch(subject):
        return CorrectionKind.LEASE
    return CorrectionKind.ATTEMPT if _ATTEMPT.fullmatch(subject) else CorrectionKind.HOLDER


def _amount(cost: str) -> int:
    try:
        return money.parse_amount(cost)
    except money.MoneyError as error:
        raise errors.CommandError(f"--cost {cost}: {error}") from error


async def _correct(ledger: sources.Ledger[Store], order: Order, account: str | None, window: str | None) -> "Made":
    from llmgov_hub import hub

    if order.kind is CorrectionKind.HOLDER:
        order = await _placed(ledger.rows, order, account, window)
    elif account is not None or window is not None:
        raise errors.CommandError("--account and --window are for a holder's leases; an attempt or lease has its own")
    return await hub.Hub(ledger.rows, ledger.clock, writer=sources.WRITER).corrections.make(order)


async def _placed(rows: Reader, order: Order, account: str | None, window: str | None) -> Order:
    """The order with the only account and window that it can mean.

    Raises:
        CommandError: it could mean several; the sentence has them to paste.
    """
    start = None if window is None else moments.parse("--window", window, 0, 0)
    lost = [row for row in await rows.unaccounted() if row.holder == order.subject and unknown.is_lost(row)]
    found = {
        (row.account, row.window_start)
        for row in lost
        if account in (None, row.account) and start in (None, row.window_start)
    }
    if len(found) == 1:
        ((key, begin),) = found
        return _replaced(order, key, begin)
    if account is not None and start is not None:  # corrected before, perhaps by this order
        return _replaced(order, account, start)
    raise errors.CommandError(f"{order.subject}: {_several(lost)}")


def _replaced(order: Order, account: str, start: Instant) -> Order:
    return Order(
        order.id,
        order.kind,
        order.subject,
        order.amount,
        order.actor,
        order.reason,
        account=account,
        window_start=start,
    )


def _several(lost: Sequence[LeaseRow]) -> str:
    places = sorted({(row.account, row.window_start) for row in lost})
    if not places:
        return f"no holder of this name has lost money there; {_REMEDIES[Fault.UNKNOWN]}"
    shown = ", ".join(f"--account '{account}' --window {instants.to_rfc3339(start)}" for account, start in places)
    return f"has lost money in {len(places)} windows; correct one at a time: {shown}"


def _sentence(error: BadInputError) -> str:
    remedy = _REMEDIES.get(error.fault)
    said = error.wrong if error.field == "subject" else str(error)
    return f"{said}; {remedy}" if remedy else said


def _change(before: Window, after: Window) -> list[tables.Cell]:
    amounts = (before.spent, after.spent, before.leased + before.unknown, after.leased + after.unknown)
    return [after.account, instants.to_rfc3339(after.start), *map(money.format_amount, amounts)]


def _told(made: "Made", changes: Sequence[Sequence[tables.Cell]]) -> str:
    row = made.row
    before, after = money.format_amount(row.before), money.format_amount(row.after)
    said = f"{row.kind.value} {printable.line(row.subject)}: ${before} became ${after} (correction {row.id})\n"
    if not changes:
        return said + "No account is changed by it; or it had been made before, and was not made again.\n"
    return f"{said}\n{tables.render(_CHANGES, changes)}\nAmounts are in USD.\n"


def _document(row: Correction, changes: Sequence[Sequence[tables.Cell]]) -> dict[str, Any]:
    headings = (*_LIST, *_WIDE)
    return {
        "currency": "USD",
        "correction": tables.record(headings, _row(row)),
        "accounts": [tables.record(_CHANGES, change) for change in changes],
    }


def _row(row: Correction) -> list[tables.Cell]:
    return [
        instants.to_rfc3339(row.at),
        row.kind.value,
        row.subject,
        money.format_amount(row.before),
        money.format_amount(row.after),
        row.account,
        row.actor,
        row.reason,
        instants.to_rfc3339(row.window_start) if row.account else "",
        row.id,
    ]
