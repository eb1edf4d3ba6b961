"""`llmgov spend correct` and `llmgov spend corrections`: what a bill says in the place of what was assumed.

A correction is one transaction with its audit record, beside a serving process or the replicas of a hub; an id makes
it happen once, however often it is sent.
"""

import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO, assert_never

import msgspec

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import corrections, reports
from llmgov.ledger.book import Book
from llmgov.ledger.corrections import Order
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.rows import Correction, CorrectionKind, LeaseRow, LeaseState, Window
from llmgov.ledger.store import Reader, Store
from llmgov_cli import acting, errors, moments, observe, printable, sources, tables, unknown

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

    Where it costs that already, and nothing of it is unknown, that is said, and nothing goes on record.

    Raises:
        CommandError: nothing was changed; or the ledger failed, and the sentence says how to repeat the order.
    """
    tables.check_format(output)
    source = sources.find(where)
    order = Order(id_ or secrets.token_hex(8), _kind(subject), subject, _amount(cost), acting.actor(), reason)
    try:
        made = sources.change(source, lambda ledger: _correct(ledger, order, account, window))
    except BadInputError as error:
        raise errors.CommandError(_sentence(error)) from error
    except errors.CommandError as error:
        if isinstance(error.__cause__, OSError):
            if "permission denied" in str(error.__cause__):
                raise errors.CommandError(f"{error}; nothing was changed") from error
            again = (
                f"nothing was changed unless the connection broke at the end; to repeat it safely add --id {order.id}"
            )
            raise errors.CommandError(f"{error}; {again}") from error
        raise
    out.write(_told(order, made) if output in ("", "wide") else tables.dump(_document(made), output))
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


async def _correct(
    ledger: sources.Ledger[Store], order: Order, account: str | None, window: str | None
) -> "Made | None":
    from llmgov_hub import hub

    order = msgspec.structs.replace(order, actor=acting.actor(ledger.login))
    if order.kind is CorrectionKind.HOLDER:
        order = await _placed(ledger.rows, order, account, window)
    elif account is not None or window is not None:
        raise errors.CommandError("--account and --window are for a holder's leases; an attempt or lease has its own")
    if await ledger.rows.transact(corrections.lock(order), lambda book: _stands(book, order)):
        return None
    return await hub.Hub(ledger.rows, ledger.clock, writer=sources.WRITER).corrections.make(order)


def _stands(book: Book, order: Order) -> bool:
    """Whether what an order asks for is in force, by a settlement or a correction, not by an assumption."""
    if corrections.known(book, order) is not None:
        return False  # the order itself was made before, which is another thing to say
    attempt, lease = book.attempts.get(order.subject), book.leases.get(order.subject)
    match order.kind:
        case CorrectionKind.ATTEMPT:
            is_known = attempt is not None and attempt.settlement is not None and not reports.is_unknown(attempt)
            return attempt is not None and is_known and attempt.cost == order.amount
        case CorrectionKind.LEASE:
            is_known = lease is not None and lease.state is LeaseState.LOST and not lease.outstanding
            return lease is not None and is_known and lease.billed == order.amount
        case CorrectionKind.HOLDER:
            return False  # only leases that nobody has corrected yet are found by it
    assert_never(order.kind)


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
    raise errors.CommandError(f"{order.subject}: {_several(lost)}" if lost else _nobody(order.subject))


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
    shown = ", ".join(f"--account '{account}' --window {instants.to_rfc3339(start)}" for account, start in places)
    return f"has lost money in {len(places)} windows; correct one at a time: {shown}"


def _nobody(subject: str) -> str:
    return (
        f"{subject} is no attempt's id (such as POD:1/42) and no lease's (POD:1/7/0), and no holder of this name has"
        f" lost money; {_REMEDIES[Fault.UNKNOWN]}"
    )


def _sentence(error: BadInputError) -> str:
    remedy = _REMEDIES.get(error.fault)
    said = error.wrong if error.field == "subject" else str(error)
    return f"{said}; {remedy}" if remedy else said


def _changes(made: "Made") -> list[list[tables.Cell]]:
    return [_change(before, after) for before, after in made.windows]


def _change(before: Window, after: Window) -> list[tables.Cell]:
    amounts = (before.spent, after.spent, before.leased + before.unknown, after.leased + after.unknown)
    return [after.account, instants.to_rfc3339(after.start), *map(money.format_amount, amounts)]


def _told(order: Order, made: "Made | None") -> str:
    if made is None:
        what = f"{order.kind.value} {printable.line(order.subject)} costs ${money.format_amount(order.amount)}"
        return f"{what} already: nothing is to change, and nothing was recorded\n"
    row, changes = made.row, _changes(made)
    before, after = money.format_amount(row.before), money.format_amount(row.after)
    said = f"{row.kind.value} {printable.line(row.subject)}: ${before} became ${after} (correction {row.id})\n"
    if not changes:
        return said + "No account is changed by it; or it had been made before, and was not made again.\n"
    return f"{said}\n{tables.render(_CHANGES, changes)}\nAmounts are in USD.\n"


def _document(made: "Made | None") -> dict[str, Any]:
    """A correction as a document; `None` where nothing was to change."""
    return {
        "currency": "USD",
        "correction": None if made is None else tables.record((*_LIST, *_WIDE), _row(made.row)),
        "accounts": [] if made is None else [tables.record(_CHANGES, change) for change in _changes(made)],
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
