"""An export: one JSON document a line, enough to be verified offline, in the order in which it is verified.

`{"export":…}` with the format and the time; a `{"tombstone":…}` for each; then the records of each writer in order,
each checkpoint right after its last record, as `{"record":…}` and `{"checkpoint":…}`; perhaps a `{"ledger":…}` with the
sums that the ledger had at that time; `{"end":…}` with the numbers of records and checkpoints.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from llmgov.audit import canonical, checkpoint, events, facts, record, retention, sealing, signing, streams, tally
from llmgov.audit.canonical import Json
from llmgov.audit.findings import Report
from llmgov.audit.verify import Verifier, merge
from llmgov.instants import Instant

FORMAT = 1


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    format: int
    at: Instant


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line: how many records and checkpoints stand before it."""

    records: int
    checkpoints: int


class Unreadable(msgspec.Struct, frozen=True):
    """A line that is none of these."""

    why: str


Entry: TypeAlias = (
    Header | events.Tombstone | record.AuditRecord | checkpoint.Checkpoint | tally.Sums | End | Unreadable
)


def write(
    records: Iterable[record.AuditRecord],
    checkpoints: Iterable[checkpoint.Checkpoint],
    tombstones: Iterable[events.Tombstone],
    *,
    now: Instant,
    ledger: Callable[[], tally.Sums | None] = lambda: None,
) -> Iterator[bytes]:
    """The lines of an export, each with its line feed. `records` are in order of each writer's chain.

    `ledger` is asked after the last record for the ledger's sums; `None` where it has none that belong to the records.
    """
    yield _line("export", {"format": FORMAT, "at": now})
    for tombstone in tombstones:
        yield _line("tombstone", facts.tombstone(tombstone))
    counted = End(0, 0)
    for entry in merge(records, checkpoints):
        match entry:
            case record.AuditRecord():
                counted = End(counted.records + 1, counted.checkpoints)
                yield b'{"record":' + record.encode(entry) + b"}\n"
            case checkpoint.Checkpoint():
                counted = End(counted.records, counted.checkpoints + 1)
                yield b'{"checkpoint":' + checkpoint.encode(entry) + b"}\n"
    sums = ledger()
    if sums is not None:
        yield _line("ledger", msgspec.structs.asdict(sums))
    yield _line("end", {"records": counted.records, "checkpoints": counted.checkpoints})


def read(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of an export's lines; a line that is none is an `Unreadable`, never an exception."""
    for line in lines:
        try:
            yield _entry(line)
        except (ValueError, RecursionError) as error:
            yield Unreadable(str(error))


def verify(
    chunks: Iterable[bytes],
    pins: signing.Pins,
    *,
    export_key: bytes | None = None,
    anchor: checkpoint.Anchor | None = None,
    ledger: tally.Sums | None = None,
    keys: Mapping[str, sealing.SubjectKey] | None = None,
) -> Report:
    """Verify an export as it stands in a file: plain, gzipped or encrypted (see `llmgov.audit.verify`).

    Without `ledger` the sums that the export brings are compared, where it brings any.

    Raises:
        StreamEncryptedError: it is encrypted and there is no key, so nothing can be said of it.
        StreamKeyError: likewise, and the key does not fit.
    """
    reader = _Reader(pins, anchor, keys)
    try:
        for entry in read(streams.lines(streams.plain(chunks, export_key))):
            reader.entry(entry)
    except (streams.StreamEncryptedError, streams.StreamKeyError):
        raise
    except streams.StreamCutError as error:
        reader.verifier.cut(str(error))
    except streams.StreamError as error:
        reader.verifier.unreadable(f"line {reader.line + 1}", str(error))
    else:
        reader.finish()
    return reader.verifier.report(reader.ledger if ledger is None else ledger)


class _Reader:
    """Feeds entries to a verifier, which it can only make once the tombstones are known."""

    def __init__(
        self, pins: signing.Pins, anchor: checkpoint.Anchor | None, keys: Mapping[str, sealing.SubjectKey] | None
    ) -> None:
        self.line = 0
        self._pins, self._anchor, self._keys = pins, anchor, keys
        self._tombstones: list[events.Tombstone] = []
        self._verifier: Verifier | None = None
        self._counted = End(0, 0)
        self._end: End | None = None
        self.ledger: tally.Sums | None = None

    @property
    def verifier(self) -> Verifier:
        if self._verifier is None:
            self._verifier = Verifier(self._pins, tombstones=self._tombstones, anchor=self._anchor, keys=self._keys)
        return self._verifier

    def entry(self, entry: Entry) -> None:
        self.line += 1
        if (self.line == 1) != isinstance(entry, Header) or self._end is not None:
            self.verifier.unreadable(f"line {self.line}", "it does not belong here")
        match entry:
            case record.AuditRecord():
                self._counted = End(self._counted.records + 1, self._counted.checkpoints)
                self.verifier.add_record(entry)
            case checkpoint.Checkpoint():
                self._counted = End(self._counted.records, self._counted.checkpoints + 1)
                self.verifier.add_checkpoint(entry)
            case events.Tombstone() if self._verifier is None:
                self._tombstones.append(entry)
            case events.Tombstone():
                self.verifier.unreadable(f"line {self.line}", "a tombstone stands after the records")
            case Unreadable():
                self.verifier.unreadable(f"line {self.line}", entry.why)
            case tally.Sums():
                self.ledger = entry
            case End():
                self._end = entry
            case Header(format=number) if number != FORMAT:
                self.verifier.unreadable(f"line {self.line}", f"format {number} is not {FORMAT}")
            case Header():
                pass

    def finish(self) -> None:
        if self.line and self._end is None:
            self.verifier.cut("the export's last line is missing")
        elif self._end is not None and self._end != self._counted:
            here = f"{self._counted.records} records and {self._counted.checkpoints} checkpoints"
            self.verifier.cut(f"here are {here}; {self._end.records} and {self._end.checkpoints} were written")


def _entry(line: bytes) -> Entry:
    name, colon, rest = line.partition(b":")
    if not colon or not rest.endswith(b"}"):
        raise record.RecordError("not a line of an export")
    document = rest[:-1]
    match name:
        case b'{"record"':
            return record.decode(document)
        case b'{"checkpoint"':
            return checkpoint.decode(document)
        case b'{"tombstone"':
            return retention.read(msgspec.json.decode(document))
        case b'{"export"':
            return msgspec.json.decode(document, type=Header)
        case b'{"ledger"':
            return msgspec.json.decode(document, type=tally.Sums)
        case b'{"end"':
            return msgspec.json.decode(document, type=End)
        case _:
            raise record.RecordError("not a line of an export")


def _line(name: str, document: Json) -> bytes:
    return canonical.encode({name: document}) + b"\n"
