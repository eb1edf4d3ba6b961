"""Where audit records come from: an export's file, or a ledger.

The order of reading matters while a process still writes: the anchor before the checkpoints, these before the records;
so what is read later can only have grown.
"""

import asyncio
import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator

from llmgov.audit import checkpoint, events, record, retention, sealing, tally, verify
from llmgov.audit.facts import names_user
from llmgov.instants import Instant
from llmgov.ledger import balances
from llmgov.ledger.rows import Attempt, AuditRow
from llmgov.ledger.store import Reader, StoreError
from llmgov.money import MicroUsd
from llmgov_cli import errors, sources

ANCHORS = "anchors.jsonl"

_CHUNK = 256 * 1024
_PAGE = 1000
_ALWAYS = 2**62


class Record:
    """The audit of a ledger, open for reading; `anchors` is the file of checkpoints that is kept beside it, if any."""

    def __init__(self, rows: Reader, runner: asyncio.Runner, anchors: pathlib.Path | None) -> None:
        self._store = rows
        self._runner = runner
        self._anchors = anchors

    def anchor(self) -> checkpoint.Anchor | None:
        """What the anchor file beside it knows; `None` where there is none, or it knows of nothing."""
        found = _anchor(self._anchors) if self._anchors is not None and self._anchors.exists() else None
        return found if found is not None and found.checkpoints else None

    def is_unanchored(self, now: Instant) -> bool:
        """Whether a checkpoint should have been kept in its anchor file by `now`, and none ever was.

        A checkpoint is stored first and anchored then, within `checkpoint.ANCHOR_EVERY`.
        """
        if self._anchors is None or not any(_is_due(data, now) for _, data in self.checkpoint_data()):
            return False
        return self.anchor() is None

    def checkpoint_data(self) -> list[tuple[str, bytes]]:
        """All checkpoints, by their position and as they are stored."""
        return [(str(index), data) for index, data in enumerate(self._runner.run(self._store.checkpoints()), 1)]

    def record_data(self) -> Iterator[tuple[str, bytes]]:
        """All records, a writer after the other, by name and as they are stored."""
        return ((f"{row.seq} of {row.writer}", row.data) for row in self._rows())

    def records(self) -> Iterator[record.AuditRecord]:
        """All records, a writer after the other.

        Raises:
            CommandError: one is damaged.
        """
        for name, data in self.record_data():
            try:
                yield record.decode(data)
            except record.RecordError as error:
                raise errors.CommandError(f"record {name}: {error}; `llmgov audit verify` says more") from error

    def tombstones(self) -> list[events.Tombstone]:
        """What stands for records that retention removed."""
        return [retention.read(record.decode(row.data).facts) for row in self._rows() if row.kind == "tombstone"]

    def keys(self) -> dict[str, sealing.SubjectKey]:
        """The subjects' keys that still exist, by id; none, which is said, where they may not be read."""
        try:
            rows = self._runner.run(self._store.subject_keys())
        except StoreError as error:
            print(f"llmgov: personal fields stay sealed{_why(error)}", file=sys.stderr)
            return {}
        return {row.id: sealing.SubjectKey(row.id, row.secret) for row in rows}

    def sums(self) -> tally.Sums:
        """What the ledger's own rows add up to."""
        return self._runner.run(ledger_sums(self._store))

    def unbalanced(self) -> list[str]:
        """A sentence for each balance that attempts and leases do not add up to: grants are decided by them."""
        return self._runner.run(unbalanced(self._store))

    def kept(self) -> verify.Kept:
        """What the store lists beside the records."""
        approvals = self._runner.run(self._store.approvals())
        return verify.Kept(tuple(approvals), tuple(self._runner.run(self._store.violations(0, _ALWAYS))))

    def _rows(self) -> Iterator[AuditRow]:
        for writer in self._runner.run(self._store.writers()):
            after = 0
            while page := self._runner.run(self._store.records(writer, after, _PAGE)):
                after = page[-1].seq
                yield from page


@contextlib.contextmanager
def opened(source: sources.Source) -> Iterator[Record]:
    """Open a ledger's audit.

    Raises:
        CommandError: the ledger cannot be read.
    """
    anchors = source.path / ANCHORS if isinstance(source, sources.Folder) else None
    with sources.explained(source), asyncio.Runner() as runner:
        ended = contextlib.AsyncExitStack()
        ledger = runner.run(ended.enter_async_context(source.reader()))
        try:
            yield Record(ledger.rows, runner, anchors)
        finally:
            runner.run(ended.aclose())


def _why(error: StoreError) -> str:
    """A role that may not read the keys of persons is as it should be: no error of a database is to alarm about it."""
    if "permission denied" in str(error):
        return " for this role; a login of the role llmgov_hub may open them"
    return f": {error}"


def _is_due(data: bytes, now: Instant) -> bool:
    """Whether a checkpoint is to be anchored by now: also one that cannot be read, as its time is not known."""
    try:
        return checkpoint.decode(data).at + checkpoint.ANCHOR_EVERY < now
    except checkpoint.CheckpointError:
        return True


async def unbalanced(rows: Reader) -> list[str]:
    """What `balances.differences` says of a ledger, with one attempt at a time in memory."""
    checks: list[balances.Check] = []

    def begin(given: balances.Balances) -> Callable[[Attempt], object]:
        checks.append(balances.Check(given))
        return checks[0].add

    await rows.add_up(begin)
    return list(checks[0].differences())


async def ledger_sums(rows: Reader) -> tally.Sums:
    """The sums of the attempts that the ledger settled, as corrected, by the targets of their paths, users left out."""
    attempts, costs = 0, 0
    targets: dict[str, MicroUsd] = {}

    def add(one: Attempt) -> None:
        nonlocal attempts, costs
        if one.intent is None or one.settlement is None:
            return
        attempts, costs = attempts + 1, costs + one.cost
        for target in one.intent.subject.path:
            if not names_user(target):
                targets[target] = targets.get(target, 0) + one.cost

    await rows.each_attempt(0, _ALWAYS, add)
    return tally.Sums(attempts, costs, targets)


def chunks(path: pathlib.Path) -> Iterator[bytes]:
    """A file's bytes, some at a time.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise errors.CommandError(f"{path} cannot be read: {error.strerror}") from error


def anchor(path: pathlib.Path) -> checkpoint.Anchor:
    """The anchor in a file.

    Raises:
        CommandError: it cannot be read, is none, or holds no checkpoint, so that it could show nothing.
    """
    found = _anchor(path)
    if not found.checkpoints:
        raise errors.CommandError(f"{path} holds no checkpoint, so it proves nothing")
    return found


def _anchor(path: pathlib.Path) -> checkpoint.Anchor:
    try:
        return checkpoint.anchor(b"".join(chunks(path)))
    except checkpoint.CheckpointError as error:
        raise errors.CommandError(f"{path} is no anchor: {error}") from error
