"""Audit records inside the ledger's transactions: what happened and its record are stored together or not at all."""

import secrets
from collections.abc import Callable, Sequence

from llmgov.audit import chain, facts, sealing
from llmgov.audit.chain import Prepared
from llmgov.audit.events import AuditEvent
from llmgov.instants import Instant
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AuditRow, SubjectKeyRow

_KEY_ID_BYTES = 16


class Recorder:
    """One writer's chain. `entropy(n)` gives n random bytes, for salts and for the keys of subjects seen first."""

    def __init__(
        self,
        writer: str,
        *,
        retention_days: int = chain.DEFAULT_RETENTION_DAYS,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.writer = writer
        self._retention_days = retention_days
        self._entropy = entropy

    def lock(self, lock: Lock, events: Sequence[AuditEvent]) -> Lock:
        """`lock`, and what `append` needs of the store for `events`."""
        found = (facts.subject_of(event) for event in events)
        return lock.with_audit(self.writer, tuple(dict.fromkeys(subject for subject in found if subject is not None)))

    def prepare(self, event: AuditEvent) -> Prepared:
        """Make the part of the record of `event` that needs no lock, for one `put`."""
        return chain.prepare(event, self._entropy(sealing.SALT_BYTES))

    def append(self, book: Book, event: AuditEvent, now: Instant) -> None:
        """Put the record of `event` at the end of the chain."""
        self.put(book, self.prepare(event), now)

    def put(self, book: Book, prepared: Prepared, now: Instant) -> None:
        """Put the record that was prepared at the end of the chain."""
        head = chain.ChainHead(self.writer)
        if book.head is not None:
            head = chain.ChainHead(self.writer, book.head.seq, book.head.hash)
        key = self._key(book, facts.subject_of(prepared.event))
        made, _, data = chain.link(head, prepared, now=now, key=key, retention_days=self._retention_days)
        book.put_record(AuditRow(made.writer, made.seq, made.hash, now, made.kind, data))

    def _key(self, book: Book, subject: str | None) -> sealing.SubjectKey | None:
        if subject is None:
            return None
        row = book.keys.get(subject)
        if row is None:
            row = SubjectKeyRow(self._entropy(_KEY_ID_BYTES).hex(), subject, self._entropy(sealing.KEY_BYTES))
            book.put_key(row)
        return sealing.SubjectKey(row.id, row.secret)
