"""What is put on record of requests: events for the spool, metrics and one log line, without any content.

Refusals come in floods (a loop that retries). Of each kind so many a second are recorded singly; the rest is counted
and recorded as one event with that count, so that no flood fills the spool. Where compliance asks for a log of all
requests (`logAllRequests`) that bound is a high one, and the log says of each request what applied to it.
"""

import asyncio
import itertools
from collections.abc import Callable

import msgspec

from llmgov.instants import Instant
from llmgov.ledger.bounds import MAX_VIOLATIONS
from llmgov.ledger.messages import Epoch, Refused, Settlement, Subject, Violated
from llmgov.policy.decision import ApprovalRequest, Violation
from llmgov.wire.events import Refusal
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.logs import Log
from llmgov_sidecar.metrics import Metrics
from llmgov_sidecar.passage import Passage, RefusedError
from llmgov_sidecar.tally import NO_OPERATION, Ended, Tally

SINGLY = 20
"""Refusals of one kind that are recorded one by one in a second."""

SINGLY_LOGGED = 1_000
"""The same where all requests are to be logged."""

KINDS = 256
"""Kinds of refusals that are told apart in a second; beyond them all count as one."""


class Sequence:
    """Ids of one epoch: `<epoch>/<sequence>`, unique for ever."""

    def __init__(self, epoch: Epoch) -> None:
        self._prefix = f"{epoch}/"
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A new id."""
        return f"{self._prefix}{next(self._numbers)}"


class Records:
    """Writes events, metrics and the log."""

    def __init__(
        self, journal: Journal, ids: Callable[[], str], clock: Callable[[], Instant], metrics: Metrics, log: Log
    ) -> None:
        self._journal = journal
        self._ids = ids
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._second = 0
        self._kinds: dict[tuple[str, ...], int] = {}
        self._written: dict[tuple[str, ...], int] = {}
        self._floods: dict[tuple[str, ...], Refused] = {}
        self._lost = 0
        self._tally = Tally(metrics)

    def refused(self, passage: Passage, refused: RefusedError, status: int) -> None:
        """A request that was not dispatched."""
        singly = SINGLY_LOGGED if passage.decision is not None and passage.decision.log_request else SINGLY
        self._refused(
            passage.request_id, passage.subject(), refused.refusal, status, refused.violations, refused.asks, singly
        )

    def faulted(self, request_id: str, subject: Subject, refusal: Refusal, status: int) -> None:
        """A message that never became a request."""
        self._refused(request_id, subject, refusal, status)
        self._metrics.http_requests.add("none", str(status))
        self._log.info("request", request_id=request_id, operation=NO_OPERATION, status=status, decision="deny")

    def violated(self, passage: Passage, attempt: str | None, violations: tuple[Violation, ...]) -> None:
        """Violations of a request that goes all the same, or of its answer."""
        self.count_violations(violations)
        passage.violations.extend(violations)
        self._violated(passage.request_id, attempt, passage.subject(), violations)

    def settled(self, passage: Passage, settlement: Settlement, hold: int) -> None:
        """An attempt has ended."""
        subject = passage.subject()
        passage.cost += settlement.cost
        self._tally.settled(settlement, subject)
        if settlement.overrun:
            self._metrics.overruns.add(subject.provider, subject.model)
            self._log.warning(
                "overrun", request_id=passage.request_id, model=subject.model, hold=hold, cost=settlement.cost
            )

    def evaluated(self, passage: Passage) -> None:
        """Policies were looked at."""
        if passage.decision is not None:
            self._tally.evaluated(passage.decision.evaluations)

    def count(self) -> None:
        """Bring the metrics up to date."""
        self._tally.count()

    def count_violations(self, violations: tuple[Violation, ...]) -> None:
        """For the metrics."""
        for violation in violations:
            dry = "true" if violation.dry_run else "false"
            self._metrics.violations.add(violation.policy, violation.action.value, dry)

    def ended(self, passage: Passage, decision: str) -> None:
        """The request's line in the log, and its metrics."""
        subject, exchange, now = passage.subject(), passage.exchange, self._clock()
        decided = passage.decision
        ended = Ended(
            passage.request_id,
            passage.operation or NO_OPERATION,
            subject.provider,
            subject.model,
            subject.user,
            passage.status,
            decision,
            now - passage.began,
            passage.cost,
            passage.attempts,
            exchange.gone,
            decided.policies if decided is not None and decided.log_request else (),
        )
        self._tally.ended(ended, exchange.bytes_out)
        self._log.note(now, "request", ended)

    async def run(self) -> None:
        """Put counted floods on record, once a second."""
        while True:
            await asyncio.sleep(1)
            self.flush()

    def flush(self) -> None:
        """Put what was only counted on record."""
        for kind, event in self._floods.items():
            extra = self._kinds.get(kind, 0) - self._written.get(kind, 0)
            if extra > 0:
                self._note(msgspec.structs.replace(event, id=self._ids(), at=self._clock(), count=extra))
        self._floods.clear()
        self._kinds.clear()
        self._written.clear()
        if self._lost:
            self._log.warning("records lost: the spool is full", count=self._lost)
            self._lost = 0

    def _refused(
        self,
        request_id: str,
        subject: Subject,
        refusal: Refusal,
        status: int,
        violations: tuple[Violation, ...] = (),
        asks: ApprovalRequest | None = None,
        singly: int = SINGLY,
    ) -> None:
        """A refusal on record, with as many of its violations as one event may have; others follow in their own, and
        are not in what is only counted."""
        digest = asks.digest if asks else None
        kind = (refusal.reason.value, refusal.policy or "", subject.model, subject.user or "", digest or "")
        if self._counted(kind) > singly:
            return
        event = Refused(
            id=self._ids(),
            at=self._clock(),
            request_id=request_id,
            subject=subject,
            reason=refusal.reason.value,
            policy=refusal.policy,
            message=refusal.message,
            violations=violations[:MAX_VIOLATIONS],
            status=status,
            approval_digest=digest,
            approval_summary=asks.summary if asks else None,
        )
        self._note(event)
        self._violated(request_id, None, subject, violations[MAX_VIOLATIONS:])
        counted = self._kind(kind)
        self._written[counted] = self._written.get(counted, 0) + 1
        self._floods.setdefault(counted, event)

    def _violated(
        self, request_id: str, attempt: str | None, subject: Subject, violations: tuple[Violation, ...]
    ) -> None:
        """Violations on record, in as many events as the ledger takes them in."""
        for start in range(0, len(violations), MAX_VIOLATIONS):
            some = violations[start : start + MAX_VIOLATIONS]
            self._note(Violated(self._ids(), self._clock(), request_id, attempt, subject, some))

    def _kind(self, kind: tuple[str, ...]) -> tuple[str, ...]:
        return kind if kind in self._kinds or len(self._kinds) < KINDS else ()

    def _counted(self, kind: tuple[str, ...]) -> int:
        """How many there were of a kind in this second, with this one."""
        kind = self._kind(kind)
        seen = self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return seen

    def _note(self, event: Refused | Violated) -> None:
        try:
            noted = self._journal.note(event)
        except OSError as error:
            self._log.failure("spool", error)
            noted = False
        if not noted:
            self._lost += 1
