"""What holders report after the database began another life: the ledger takes up again what it lost of their leases.

What a holder says can only add to what is counted, or repeat returns of its own: money that the ledger has as lent or
spent is never lessened by a report. Above a limit it counts all the same; then nothing more is lent. It adds only what
may have been lost (`epochs.may_have_lent`), along the path that it was asked for: else whoever reports could use up
everybody's money. It adds it for as long as leases may live that were lent before (`epochs.is_believed`), and of each
no more than its account's limit (`ceilings.believed`): a lie is worth no more than that.
"""

from collections.abc import Iterable, Iterator

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import asking, candidates, ceilings, epochs, lives, moves, paths, pruning, returns, windows
from llmgov.ledger.book import Book, Lock, WindowLock
from llmgov.ledger.bounds import MAX_ALL_RETURNS
from llmgov.ledger.definitions import Definitions, decisive
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_time
from llmgov.ledger.messages import Holding, Holdings, Lease, Need
from llmgov.ledger.rows import LeaseRow, LeaseState, scope
from llmgov.ledger.windows import Span
from llmgov.snapshot import Account

MAX_RETURNS = 10_000
"""Returns of one lease: each recall makes one, and a lease lives for minutes."""


def lock(message: Holdings, definitions: Definitions) -> Lock:
    """What `report` needs of the store.

    Raises:
        BadInputError: the report cannot be meant.
    """
    _check(message)
    known = [(one.lease, account) for one in message.holdings if (account := _account(one, definitions)) is not None]
    return Lock(
        windows=tuple(_windows(known, definitions)),
        leases=tuple(one.lease.id for one in message.holdings),
        leases_of=(message.epoch.holder,),
        returns=tuple((one.lease.id, serial) for one in message.holdings for serial in range(1, one.serial + 1)),
        events=tuple(returns.ended_unknown(one.lease.id) for one in message.holdings),
        holders=(message.epoch.holder,),
        ledger_epoch=True,
    )


def report(book: Book, message: Holdings, definitions: Definitions, now: Instant) -> None:
    """Take a report; repeating it changes nothing.

    A lease of the same epoch that the ledger has as open and that is not named, though its request has been answered,
    was returned for the last time, and the ledger lost the return: its rest counts as unknown from then on. A copy of
    an answered request that arrives after the report is lent nothing, whatever became of its leases.

    Raises:
        BadInputError: the report cannot be meant, or names what was never lent.
    """
    _check(message)
    begun = epochs.begun_before(book, message.epoch, now)
    newest = epochs.admit(book, message.epoch)
    if newest:
        epochs.close(book, message.epoch, message.closed)
    for index, holding in enumerate(message.holdings):
        row, field = book.leases.get(holding.lease.id), f"holdings[{index}]"
        may_be_lost = begun or epochs.may_have_lent(book, holding.lease.id)
        if row is not None:
            _require_lent(row, holding, field, may_be_lost=may_be_lost)
            _raise(book, row, holding, now)
        elif _is_to_be_taken_up(book, holding, definitions, now):
            _require_lost(book, holding, definitions, field, now, may_be_lost=may_be_lost)
            if epochs.is_believed(book, now):
                _take_up(book, message, holding, definitions, now)
    known = book.ledger_epoch
    if known is None or known.open or message.ledger != known.name:
        return
    _lose_unnamed(book, message, now)
    if newest:
        book.put_epoch(msgspec.structs.replace(book.epochs[message.epoch.holder], reported=message.ledger))


def _check(message: Holdings) -> None:
    for index, holding in enumerate(message.holdings):
        field, lease = f"holdings[{index}]", holding.lease
        if epochs.boot_of(lease.id) != str(message.epoch):
            raise BadInputError(Fault.FOREIGN, f"{field}.lease.id", f"{lease.id} is no lease of {message.epoch}")
        require_amount(lease.amount, f"{field}.lease.amount")
        require_amount(holding.returned, f"{field}.returned", most=lease.amount)
        require_amount(holding.held, f"{field}.held")
        if not 0 <= holding.serial <= MAX_RETURNS:
            raise BadInputError(Fault.RANGE, f"{field}.serial", f"{holding.serial} returns of one lease")
        if not 0 <= lease.window_start < lease.window_end:
            raise BadInputError(Fault.RANGE, f"{field}.lease.window_end", "the window ends before it begins")
    returned = sum(holding.serial for holding in message.holdings)
    if returned > MAX_ALL_RETURNS:
        raise BadInputError(Fault.RANGE, "holdings", f"{returned} returns, more than {MAX_ALL_RETURNS}")


def _account(holding: Holding, definitions: Definitions) -> Account | None:
    if holding.account is None:
        return definitions.get(holding.lease.key)
    return definitions.get(holding.account.key, holding.account)


def _windows(known: Iterable[tuple[Lease, Account]], definitions: Definitions) -> Iterator[WindowLock]:
    """The windows, and of each user's account that is not in force the definition, so that it is known whether that
    ever was."""
    for lease, account in known:
        span = Span(lease.window_start, lease.window_end)
        yield WindowLock(lease.key, scope(account, lease.key), span)
        if lease.key != account.key and account.key not in definitions:
            yield WindowLock(account.key, scope(account, account.key), span)


def _is_to_be_taken_up(book: Book, holding: Holding, definitions: Definitions, now: Instant) -> bool:
    """Not what nobody defines, or ever did, since it limits nothing; nor where its window may have been pruned, or the
    report is older than the last return."""
    lease = holding.lease
    if lease.amount == 0 or lease.window_end < now - pruning.KEEP or returns.ended_unknown(lease.id) in book.events:
        return False
    return _decisive(book, holding, definitions) is not None


def _decisive(book: Book, holding: Holding, definitions: Definitions) -> Account | None:
    """By which the ledger takes it up: the report's own word decides no more than a request's does."""
    said = _account(holding, definitions)
    return None if said is None else decisive(book, holding.lease.key, said, definitions)


def _require_lost(
    book: Book, holding: Holding, definitions: Definitions, field: str, now: Instant, *, may_be_lost: bool
) -> None:
    """Refuse a lease that the ledger does not know though it has lost none, or one of an account that does not count
    the path, or has no such window."""
    lease, account = holding.lease, _decisive(book, holding, definitions)
    if not may_be_lost:
        raise BadInputError(Fault.FOREIGN, f"{field}.lease.id", f"{lease.id} was never lent")
    if account is not None:
        asking.check_key(account, lease.key, f"{field}.lease.key")
        paths.require_covered(account, lease.key, holding.path, f"{field}.path")
        _require_window(book, account, lease, f"{field}.lease", now)


def _require_window(book: Book, account: Account, lease: Lease, field: str, now: Instant) -> None:
    """Refuse a window that is none of the account's, or that no clock of the ledger's can have reached: it would be in
    the way of the account's own. Period and zone are of an account's key, so no change of its definition moves them."""
    require_time(lease.window_start, now, lives.RECOVERY_AT_LEAST, f"{field}.window_start")
    known = book.windows.get((lease.key, lease.window_start))
    span = windows.current(account.period, account.time_zone, lease.window_start) if known is None else known.span
    for name, said, true in (
        ("window_start", lease.window_start, span.start),
        ("window_end", lease.window_end, span.end),
    ):
        if said != true:
            raise BadInputError(Fault.RANGE, f"{field}.{name}", f"{lease.key} has no window that is bounded by {said}")


def _require_lent(row: LeaseRow, holding: Holding, field: str, *, may_be_lost: bool) -> None:
    """Refuse what the ledger knows otherwise and has lost nothing of: another account, or more than it lent."""
    lease = holding.lease
    if lease.key != row.account:
        raise BadInputError(Fault.FOREIGN, f"{field}.lease.key", f"{row.id} was lent from {row.account}")
    if lease.amount > row.amount and not may_be_lost:
        wrong = f"{row.id} was lent {row.amount} micro-USD, not {lease.amount}"
        raise BadInputError(Fault.FOREIGN, f"{field}.lease.amount", wrong)


def _take_up(book: Book, message: Holdings, holding: Holding, definitions: Definitions, now: Instant) -> None:
    """A lease that the ledger does not know: as its holder has it, but for what it spent, which settlements say.

    Where its pod was written off it is lost like all that is known to be that pod's.
    """
    lease, account = holding.lease, _decisive(book, holding, definitions)
    assert account is not None, "what nobody defines is not taken up"
    need = Need(lease.key, account, 0, 0)
    window = candidates.window_of(book, need, account, Span(lease.window_start, lease.window_end), now)
    row = LeaseRow(
        id=lease.id,
        account=lease.key,
        window_start=window.start,
        window_end=window.end,
        holder=message.epoch.holder,
        number=message.epoch.number,
        amount=lease.amount,
        deadline=lease.deadline,
        returned=holding.returned,
        over=lease.over,
        definition=lease.definition,
    )
    row = moves.no_more_outstanding(row, ceilings.believed(book, row.account, row.window_start))
    moves.take_in(book, returns.lost_whole(row) if epochs.is_gone(book, row.holder) else row, now)
    _remember_returns(book, holding)


def _raise(book: Book, row: LeaseRow, holding: Holding, now: Instant) -> None:
    """A lease that the ledger knows: what it lacks of the amount and of the holder's own returns.

    Of one that has been returned for the last time a report only arrives late. One that comes when nothing is believed
    any more enlarges none; and one that is known from its attempts alone stays so, since nobody knows how large it was.
    """
    is_believed = epochs.is_believed(book, now)
    is_late = row.state is LeaseState.FINAL or not (is_believed or row.deadline)
    if is_late or returns.ended_unknown(row.id) in book.events:
        return
    amount = max(row.amount, holding.lease.amount) if is_believed else row.amount
    after = msgspec.structs.replace(
        row,
        amount=amount,
        deadline=max(row.deadline, holding.lease.deadline),
        returned=max(row.returned, min(holding.returned, amount)),
    )
    most = ceilings.believed(book, row.account, row.window_start)
    after = moves.no_more_outstanding(after, max(most, row.outstanding))
    if after != row:
        moves.change_lease(book, after, now)
    _remember_returns(book, holding)


def _remember_returns(book: Book, holding: Holding) -> None:
    """The returns that make up what was returned: they may still be on their way, or were lost here."""
    for serial in range(1, holding.serial + 1):
        if (holding.lease.id, serial) not in book.returns:
            book.put_return(holding.lease.id, serial)


def _lose_unnamed(book: Book, message: Holdings, now: Instant) -> None:
    named = {*message.before, *(holding.lease.id for holding in message.holdings)}
    for row in list(book.leases.values()):
        mine = row.epoch == message.epoch and row.state is LeaseState.OPEN
        if mine and row.id not in named and _request(row) < message.closed:
            moves.change_lease(book, returns.lost_whole(row), now)


def _request(row: LeaseRow) -> int:
    """The number of the request that it was lent for."""
    number = row.id.rsplit("/", 2)[-2]
    return int(number) if number.isdecimal() else 0
