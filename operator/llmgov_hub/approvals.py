"""Approvals: listed, decided (with an audit record in the same transaction), and handed to the sidecars."""

from collections.abc import Callable

from llmgov.audit.events import ApprovalDecided
from llmgov.instants import Instant
from llmgov.ledger import approvals, bounds, errors
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import ApprovalKind, ApprovalRow
from llmgov.ledger.store import Store
from llmgov.snapshot import Directory
from llmgov_store.recorder import Recorder

MAX_ACTOR = 200
"""Characters of who decides."""

MAX_REASON = 1000
"""Characters of why."""


class Approvals:
    """The approvals in a store; `clock` is the ledger's. Several processes may decide over one store."""

    def __init__(self, store: Store, recorder: Recorder, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock

    async def list(self) -> list[ApprovalRow]:
        """All of them, newest first."""
        return await self._store.approvals()

    async def approve(self, id_: str, actor: str, reason: str = "") -> ApprovalRow:
        """Approve.

        Raises:
            ApprovalError: there is no such approval, it cannot be decided any more, or nobody is said to decide it, or
                for a reason that is too long; the message says which.
        """
        return await self._decide(id_, actor, reason, approve=True)

    async def deny(self, id_: str, actor: str, reason: str = "") -> ApprovalRow:
        """Deny.

        Raises:
            ApprovalError: as for `approve`.
        """
        return await self._decide(id_, actor, reason, approve=False)

    async def _decide(self, id_: str, actor: str, reason: str, *, approve: bool) -> ApprovalRow:
        _check(id_, actor, reason)
        now = self._clock()
        # Who decides is known before what it covers; only the former decides which key the record needs.
        shape = ApprovalDecided(now, id_, approve, actor, "", reason or None)

        def step(book: Book) -> ApprovalRow:
            row = approvals.decide(book, id_, actor, now, approve=approve, reason=reason)
            event = ApprovalDecided(now, id_, approve, actor, row.covers, reason or None)
            self._recorder.append(book, event, now)
            return row

        lock = Lock(approvals=(id_,), approval_kinds=(ApprovalKind.OVERRUN,))
        return await self._store.transact(self._recorder.lock(lock, [shape]), step)

    async def directory(self) -> Directory:
        """What sidecars have to know: approvals that may be used, late denials, stopped models."""
        now = self._clock()
        rows = await self._store.approvals_told(now, approvals.MAX_DENIALS)
        return Directory(
            approvals=approvals.for_directory(rows, now),
            denials=approvals.denials(rows, now),
            askings=approvals.next_askings(rows, now),
            stopped=tuple(sorted(approvals.stopped_models(rows))),
        )


def _check(id_: str, actor: str, reason: str) -> None:
    try:
        bounds.require_name(id_, "approval")
        errors.require_words(actor, "actor", MAX_ACTOR)
        bounds.require_text(reason, "reason", MAX_REASON)
    except errors.BadInputError as error:
        raise approvals.ApprovalError(str(error)) from error
