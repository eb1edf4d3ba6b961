"""What an event must be for the ledger to take it: bounded, not from the future, and of its sender's own attempts."""

from collections.abc import Sequence, Set
from typing import assert_never

from llmgov.instants import Instant
from llmgov.ledger import billing, epochs, paths, pruning
from llmgov.ledger.book import Book
from llmgov.ledger.bounds import (
    CLOCK_AHEAD,
    MAX_KUBERNETES_NAME,
    MAX_PARTS,
    MAX_PATH,
    MAX_POLICIES,
    MAX_POLICY,
    MAX_SENTENCE,
    MAX_TEXT,
    MAX_VIOLATIONS,
    require_count,
    require_few,
    require_name,
    require_names,
    require_text,
)
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_time
from llmgov.ledger.messages import Charged, Event, Intent, Refused, Settlement, Subject, Violated
from llmgov.ledger.rows import LeaseRow, LeaseState
from llmgov.money import MicroUsd
from llmgov.policy.decision import Violation
from llmgov.snapshot import Audience

MAX_PLAIN = 2**53 - 1
"""What a record's numbers may be: every reader of JSON holds that exactly."""

MAX_USAGE = 10**12
"""Tokens or calls of one attempt: a thousand reports of the most that a sidecar believes of one."""

MAX_FLOOD = 10**9
"""Refusals that one event stands for: those of one sidecar in a second, or for as long as it was kept from counting."""

MAX_STATUS = 999
"""The largest number with three digits: what an answer's status has."""

MAX_DAYS = 36_525
"""A hundred years of retention; 0 is for ever."""

MAX_AUDIENCES = len(Audience)
"""Audiences of one violation."""

MAX_SENTENCES = 4 * MAX_SENTENCE
"""Characters of all that one event's violations say."""


def check_words(event: Event) -> None:
    """Refuse names, texts and lists that cannot be: before any row is looked up by them.

    Raises:
        BadInputError: `EMPTY` or `RANGE`.
    """
    require_name(event.id, "id")
    match event:
        case Intent():
            _check_words_of_intent(event)
        case Settlement():
            require_text(event.model, "model")
            require_text(event.stop, "stop")
        case Refused():
            _check_words_of_refusal(event)
        case Violated():
            require_name(event.request_id, "request_id", empty=True)
            require_name(event.attempt or "", "attempt", empty=True)
            check_subject(event.subject)
            _check_violations(event.violations)
        case _:
            assert_never(event)


def check(book: Book, event: Event, now: Instant) -> None:
    """Refuse numbers that cannot be, and what is not the sender's; its words were looked at before.

    Raises:
        BadInputError: an amount or count out of range, a time beyond `CLOCK_AHEAD`, a lease of another epoch or
            whose money came back, more money than an attempt can cost.
    """
    require_time(event.at, now, CLOCK_AHEAD, "at")
    match event:
        case Intent():
            _check_intent(book, event, now)
        case Settlement():
            _check_settlement(book, event)
        case Refused():
            require_count(event.count, "count", least=1, most=MAX_FLOOD)
            require_count(event.status, "status", most=MAX_STATUS)
        case Violated():
            pass
        case _:
            assert_never(event)


def _check_words_of_intent(intent: Intent) -> None:
    require_name(intent.request_id, "request_id", empty=True)
    check_subject(intent.subject)
    require_few(intent.charged, "charged", MAX_PARTS)
    for index, part in enumerate(intent.charged):
        require_name(part.lease, f"charged[{index}].lease")
        require_name(part.key, f"charged[{index}].key")
    require_names(intent.snapshot, "snapshot", MAX_PATH)
    require_names(intent.policies, "policies", MAX_POLICIES)
    require_text(intent.prompt, "prompt", MAX_TEXT)
    require_name(intent.approval or "", "approval", empty=True)


def _check_words_of_refusal(event: Refused) -> None:
    require_name(event.request_id, "request_id", empty=True)
    check_subject(event.subject)
    require_name(event.reason, "reason")
    require_name(event.policy or "", "policy", MAX_POLICY, empty=True)
    require_text(event.message, "message")
    require_name(event.approval_digest or "", "approval_digest", empty=True)
    require_text(event.approval_summary, "approval_summary")
    _check_violations(event.violations)


def _check_intent(book: Book, intent: Intent, now: Instant) -> None:
    require_count(intent.retention_days or 0, "retention_days", most=MAX_DAYS)
    require_amount(intent.hold, "hold", most=_most_held(book, intent))
    held: dict[str, MicroUsd] = {}
    path = frozenset(intent.subject.path)
    for index, part in enumerate(intent.charged):
        field = f"charged[{index}]"
        require_amount(part.held, f"{field}.held")
        _require_own(book, intent, part, field)
        _require_lent(book, intent, part, path, field, now)
        _require_kept(book, intent, part, field)
        held[part.key] = held.get(part.key, 0) + part.held
    _require_one_time(book, intent)
    for key, amount in held.items():
        if amount != intent.hold:
            wrong = f"{amount} micro-USD of {key} are set aside for a hold of {intent.hold}"
            raise BadInputError(Fault.RANGE, "charged", wrong)


def _most_held(book: Book, intent: Intent) -> MicroUsd:
    """A million dollars, or what the leases that it names were lent, where that is more: a sidecar holds beyond a
    million only what an account's limit allowed."""
    leases = (book.leases.get(part.lease) for part in intent.charged)
    return max(billing.MAX_COST, sum(lease.amount for lease in leases if lease is not None))


def _require_own(book: Book, intent: Intent, part: Charged, field: str) -> None:
    """An attempt holds from leases of its own epoch only: a fenced one's too, but no newer or other one's."""
    epoch = intent.id.rpartition("/")[0]
    lease = book.leases.get(part.lease)
    owner = str(lease.epoch) if lease is not None else "/".join(part.lease.split("/")[:-2])
    if owner != epoch:
        raise BadInputError(Fault.FOREIGN, f"{field}.lease", f"{part.lease} is no lease of {epoch or intent.id}")
    if lease is not None and lease.account != part.key:
        raise BadInputError(Fault.FOREIGN, f"{field}.key", f"{part.lease} was lent from {lease.account}")


def _require_lent(book: Book, intent: Intent, part: Charged, path: Set[str], field: str, now: Instant) -> None:
    """What the ledger does not know it lost in a failover, or it went with its window (`pruning`); else nobody lent it.

    Nobody but its sender says then from which account it was: from one of the attempt's path it may have been. A lease
    that is known was looked at when it was lent.
    """
    if part.lease in book.leases:
        return
    is_pruned = intent.at <= now - pruning.KEEP + CLOCK_AHEAD
    if not is_pruned and not epochs.may_have_lent(book, part.lease):
        raise BadInputError(Fault.FOREIGN, f"{field}.lease", f"{part.lease} was never lent")
    row = book.accounts.get(part.key)
    if row is not None:
        paths.require_covered(row.account, part.key, path, f"{field}.key")


def _require_kept(book: Book, intent: Intent, part: Charged, field: str) -> None:
    """What comes after its holder's pod was written off must not be dispatched: of a strict lease all came back that
    was not on record by then. What was on record stays so, however often it is told."""
    lease, known = book.leases.get(part.lease), book.attempts.get(intent.id)
    if lease is None or not lease.strict or lease.state is not LeaseState.LOST:
        return
    if known is None or known.intent is None:
        wrong = f"{part.lease} came back when {lease.holder} was written off"
        raise BadInputError(Fault.WRITTEN_OFF, f"{field}.lease", wrong)


def _require_one_time(book: Book, intent: Intent) -> None:
    """Each lease once, and windows that share a moment: else no time is right for what the attempt cost.

    A lease that the ledger made anew after a failover has no deadline, and a window that is only supposed.
    """
    named = [part.lease for part in intent.charged]
    if len(set(named)) < len(named):
        raise BadInputError(Fault.REPEATED, "charged", "one lease is named twice")
    leases = [lease for lease in map(book.leases.get, named) if lease is not None and lease.deadline]
    first, last = max(leases, key=_start, default=None), min(leases, key=_end, default=None)
    if first is not None and last is not None and last.window_end <= first.window_start:
        raise BadInputError(Fault.RANGE, "charged", f"{last.id} is of a window that ended before that of {first.id}")


def _check_settlement(book: Book, settlement: Settlement) -> None:
    _check_cost(book, settlement)
    require_count(settlement.duration, "duration", most=MAX_PLAIN)
    require_count(settlement.status, "status", most=MAX_STATUS)
    for dimension, count in settlement.usage.items():
        require_count(count, f"usage.{dimension.value}", most=MAX_USAGE)


def _check_cost(book: Book, settlement: Settlement) -> None:
    """An overrun is recorded whole, up to what a sidecar believes of any report (`billing.bill`): a million dollars, or
    the hold, where that is more. Whatever says more is forged or broken, and no bill. An intent comes before its
    settlement; where it has not, it held no more than others do."""
    attempt = book.attempts.get(settlement.id)
    intent = attempt.intent if attempt is not None else None
    most = max(billing.MAX_COST, intent.hold if intent is not None else 0)
    if settlement.cost > most:
        wrong = (
            f"{settlement.cost} micro-USD is more than any attempt costs ({most}); see the provider's bill for what it "
            "did cost, and correct its lease once its pod is gone"
        )
        raise BadInputError(Fault.RANGE, "cost", wrong)
    require_amount(settlement.cost, "cost")


def check_subject(subject: Subject) -> None:
    """Refuse a subject that names nobody who can be. What is not known is empty; a model has the client's own name.

    Raises:
        BadInputError: `EMPTY`, `RANGE` or, where its path is nobody's, `FOREIGN`.
    """
    require_name(subject.namespace, "subject.namespace", MAX_KUBERNETES_NAME, empty=True)
    require_name(subject.service_account, "subject.service_account", MAX_KUBERNETES_NAME, empty=True)
    require_name(subject.user or "", "subject.user", empty=True)
    require_names(subject.teams, "subject.teams", MAX_PATH)
    require_names(subject.path, "subject.path", MAX_PATH)
    paths.require_consistent(subject.path, "subject.path")
    require_name(subject.provider, "subject.provider", empty=True)
    require_text(subject.model, "subject.model")
    require_name(subject.operation, "subject.operation", empty=True)
    require_name(subject.pod, "subject.pod", empty=True)


def _check_violations(violations: Sequence[Violation]) -> None:
    require_few(violations, "violations", MAX_VIOLATIONS)
    said = sum(len(violation.message) + len(violation.path or "") for violation in violations)
    if said > MAX_SENTENCES:
        raise BadInputError(Fault.RANGE, "violations", f"say {said} characters, more than {MAX_SENTENCES}")
    for index, violation in enumerate(violations):
        field = f"violations[{index}]"
        require_name(violation.policy, f"{field}.policy", MAX_POLICY, empty=True)
        require_name(violation.reason, f"{field}.reason")
        require_text(violation.message, f"{field}.message")
        require_text(violation.path, f"{field}.path")
        require_few(violation.notify, f"{field}.notify", MAX_AUDIENCES)


def _start(lease: LeaseRow) -> Instant:
    return lease.window_start


def _end(lease: LeaseRow) -> Instant:
    return lease.window_end
