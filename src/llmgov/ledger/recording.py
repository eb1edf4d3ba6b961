"""What the ledger makes of each event that a sidecar reports, once: charges, violations, notices, pending approvals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger import approvals, checks, settling, timing
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Event, Intent, Refused, Settlement, Violated
from llmgov.ledger.rows import ApprovalKind, OutboxEntry, ViolationRow
from llmgov.policy.decision import Violation
from llmgov.snapshot import Audience, approval_id, short_name

NOTICE_PERIOD: Duration = instants.HOUR
"""Of one policy's violations of one kind in one namespace, an audience hears once in this time."""

_NAMES = 8
"""Names that are looked at while one row is written, about."""


def lock(events: Sequence[Event], now: Instant, askings: Mapping[str, int] | None = None) -> Lock:
    """What `record` needs of the store for all of `events`; `now` is the ledger's clock, as for `record`.

    `askings` (`approvals.askings`) are those of `digests_of(events)`: with an approval its next asking is locked, too.

    Raises:
        BadInputError: an event has words that no row can be looked up by, or stored.
    """
    for event in events:
        checks.check_words(event)
    asking = [event for event in events if isinstance(event, Refused) and event.approval_digest]
    digests = _distinct(event.approval_digest for event in asking if event.approval_digest)
    numbers = {digest: (askings or {}).get(digest, 1) for digest in digests}
    stops = any(isinstance(event, Settlement) and _stops(event) for event in events)
    return Lock(
        attempts=_distinct(event.id for event in events if isinstance(event, Intent | Settlement)),
        intents=timing.believed((event for event in events if isinstance(event, Intent)), now),
        events=_distinct(event.id for event in events if isinstance(event, Refused | Violated)),
        approvals=_distinct(approval_id(digest, numbers[digest] + more) for digest in digests for more in (0, 1)),
        approval_kinds=(ApprovalKind.OVERRUN,) if stops else (),
        workloads=_distinct(map(approvals.workload, asking)),
        ledger_epoch=True,
        beside=sum(map(work, events)),
    )


def work(event: Event) -> int:
    """How much work an event is, in rows to write, beside those that its `Lock` names: rows of violations and of
    notices, and an eighth of one for each name that is looked at."""
    match event:
        case Intent():
            return (len(event.charged) + len(event.subject.path) + len(event.policies)) // _NAMES
        case Settlement():
            return 0
        case Refused() | Violated():
            told = sum(1 + len(violation.notify) for violation in event.violations)
            return told + len(event.subject.path) // _NAMES
        case _:
            assert_never(event)


def digests_of(events: Sequence[Event]) -> tuple[str, ...]:
    """What events ask approvals for.

    Raises:
        BadInputError: one has words that no row can be looked up by.
    """
    asking = [event for event in events if isinstance(event, Refused) and event.approval_digest]
    for event in asking:
        checks.check_words(event)
    return _distinct(event.approval_digest for event in asking if event.approval_digest)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def record(book: Book, event: Event, now: Instant) -> bool:
    """Take one event; false where it was known already, and changes nothing.

    Late ones of fenced epochs are taken: their money was lent.

    Raises:
        BadInputError: it cannot be taken for what it says; nothing was put.
    """
    checks.check(book, event, now)
    match event:
        case Intent() | Settlement():
            return _record_half(book, event, now)
        case Refused():
            return _record_violations(book, event, event.count, now)
        case Violated():
            return _record_violations(book, event, 1, now)
        case _:
            assert_never(event)


def _record_half(book: Book, half: Intent | Settlement, now: Instant) -> bool:
    if not settling.record(book, half, now):
        return False
    intent, settlement = book.attempts[half.id].intent, book.attempts[half.id].settlement
    if intent is not None and settlement is not None and _stops(settlement):
        approvals.stop_model(book, f"{intent.subject.provider}/{intent.subject.model}", settlement, now)
    return True


def _stops(settlement: Settlement) -> bool:
    return settlement.overrun or bool(settlement.stop)


def _record_violations(book: Book, event: Refused | Violated, count: int, now: Instant) -> bool:
    if event.id in book.events:
        return False
    book.put_event(event.id)
    for index, violation in enumerate(event.violations):
        book.put.violations.append(_row(event, index, violation, count))
        for audience in violation.notify:
            _notify(book, event, violation, audience, now)
    if isinstance(event, Refused):
        approvals.ask_for_request(book, event, now)
    return True


def _row(event: Refused | Violated, index: int, violation: Violation, count: int) -> ViolationRow:
    return ViolationRow(
        event=event.id,
        index=index,
        at=event.at,
        policy=violation.policy,
        action=violation.action,
        reason=violation.reason,
        message=violation.message,
        dry_run=violation.dry_run,
        namespace=event.subject.namespace,
        service_account=event.subject.service_account,
        user=event.subject.user,
        model=event.subject.model,
        count=count,
        request_id=event.request_id,
        path=violation.path,
    )


def _notify(book: Book, event: Refused | Violated, violation: Violation, audience: Audience, now: Instant) -> None:
    """A notice, whose id makes it the only one of its kind in its period."""
    about = short_name(f"{violation.policy}/{violation.reason}/{event.subject.namespace}")
    entry = OutboxEntry(
        id=f"violation/{about}/{audience.value}/{now // NOTICE_PERIOD}",
        at=now,
        audience=audience.value,
        about=violation.policy,
        fact="violation",
        message=f"{violation.action.value} in {event.subject.namespace}: {violation.message}",
    )
    book.put.outbox.setdefault(entry.id, entry)
