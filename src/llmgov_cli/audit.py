"""`llmgov audit verify | export | show`: over a ledger, or over an export's file.

Exit codes of `verify`: 0 ok, 3 tampered, 4 truncated, 5 empty; 2, as everywhere, where it could not be tried: without a
key, with one that does not fit, or with an anchor that knows of nothing.
"""

import functools
import heapq
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO, TypeVar

import msgspec

from llmgov.audit import checkpoint, export, record, sealing, signing, streams, tally, verify
from llmgov.audit.findings import Outcome, Report
from llmgov.instants import Instant
from llmgov_cli import audit_keys, audit_sources, audit_text, errors, observe, sources, tables

EXIT = {Outcome.OK: 0, Outcome.TAMPERED: 3, Outcome.TRUNCATED: 4, Outcome.EMPTY: 5}
"""What a script can rely on."""

_TRIES = 5

_Document = TypeVar("_Document")


def run_verify(
    out: TextIO,
    *,
    source: pathlib.Path | None = None,
    state: sources.Where = None,
    pins: list[pathlib.Path] | None = None,
    anchor: pathlib.Path | None = None,
    key: pathlib.Path | None = None,
    output: str = "",
    clock: Callable[[], Instant] = observe.now,
) -> int:
    """Verify the export `source`, or without one the ledger's audit.

    `pins` are files of public keys, by default a state folder's own; `anchor` a file of checkpoints kept outside, by
    default likewise; `key` the key file of an encrypted export; by `clock` a new checkpoint may still be on its way to
    the anchor. Returns the exit code.

    Raises:
        CommandError: something cannot be read, an export or a database is to be verified without a pinned key, or no
            pinned key is one that signed it.
    """
    tables.check_format(output)
    if source is not None:
        pinned = audit_keys.pins(_required(pins, "an export"))
        report = _verify_export(source, pinned, anchor, key)
    else:
        where = sources.find(state)
        pinned = _pinned(where, pins)
        report = _verify_ledger(where, pinned, anchor, clock)
    if report.foreign:
        raise errors.CommandError(_foreign(report.foreign, pinned))
    out.write(audit_text.report(report) if output in ("", "wide") else tables.dump(msgspec.to_builtins(report), output))
    return EXIT[report.outcome]


def run_export(
    out: TextIO,
    *,
    target: pathlib.Path,
    state: sources.Where = None,
    gzip: bool = False,
    key: pathlib.Path | None = None,
) -> int:
    """Write the ledger's audit to `target`, which must not exist; with `key` encrypted, with `gzip` packed.

    Only its owner may read the file, as with the ledger it comes from.

    Raises:
        CommandError: nothing can be read, or not written.
    """
    with audit_sources.opened(sources.find(state)) as source:
        chunks = _lines(source)
        if gzip:
            chunks = streams.compress(chunks)
        if key is not None:
            chunks = streams.encrypt(chunks, audit_keys.secret(key), os.urandom(streams.SALT_BYTES))
        size = _write(target, chunks)
    out.write(f"{target}: {size} bytes\n")
    return 0


def run_show(
    out: TextIO,
    *,
    source: pathlib.Path | None = None,
    state: sources.Where = None,
    key: pathlib.Path | None = None,
    kind: str | None = None,
    request: str | None = None,
    limit: int = 20,
    output: str = "",
) -> int:
    """Print the newest `limit` records, oldest first: of the export `source`, or of the ledger.

    A ledger's records are shown with their personal fields, as far as the keys still exist; an export brings no
    keys. `request` is a request's id as clients see it (`x-request-id`), which finds its attempts' ends, too; `kind`
    such as `refused`.

    Raises:
        CommandError: something cannot be read.
    """
    tables.check_format(output)
    wanted = audit_text.Wanted(kind, request)
    if source is not None:
        shown = _newest(functools.partial(_exported, source, key), {}, wanted, limit)
    else:
        with audit_sources.opened(sources.find(state)) as opened:
            shown = _newest(opened.records, opened.keys(), wanted, limit)
    if not shown:
        print(f"llmgov: no records{wanted}", file=sys.stderr)
    if output in ("json", "yaml"):
        out.write(tables.dump(shown, output))
    else:
        headings = (*audit_text.HEADINGS, *audit_text.WIDE) if output else audit_text.HEADINGS
        rows = [audit_text.row(one)[: len(headings)] for one in shown]
        out.write(tables.render(headings, rows))
    return 0


def _verify_export(
    source: pathlib.Path, pinned: signing.Pins, anchor: pathlib.Path | None, key: pathlib.Path | None
) -> Report:
    try:
        return export.verify(
            audit_sources.chunks(source),
            pinned,
            export_key=None if key is None else audit_keys.secret(key),
            anchor=None if anchor is None else audit_sources.anchor(anchor),
        )
    except streams.StreamEncryptedError as error:
        raise errors.CommandError(f"{source} is encrypted: name its key file with --key") from error
    except streams.StreamKeyError as error:
        raise errors.CommandError(f"{source} does not open with {key}: {error}") from error


def _lines(source: audit_sources.Record) -> Iterator[bytes]:
    before = source.sums()
    checkpoints = [checkpoint.decode(data) for _, data in source.checkpoint_data()]

    def sums() -> tally.Sums | None:
        """Those of the records just read, unless the ledger went on meanwhile."""
        return before if source.sums() == before else None

    return export.write(source.records(), checkpoints, source.tombstones(), now=observe.now(), ledger=sums)


def _verify_ledger(
    where: sources.Source, pinned: signing.Pins, anchor: pathlib.Path | None, clock: Callable[[], Instant]
) -> Report:
    outside = None if anchor is None else audit_sources.anchor(anchor)
    with audit_sources.opened(where) as source:
        for left in reversed(range(_TRIES)):
            before, kept = source.sums(), source.kept()
            known = outside or source.anchor()
            verifier = verify.Verifier(pinned, tombstones=source.tombstones(), anchor=known, keys=source.keys())
            _feed(verifier, source)
            if known is None and source.is_unanchored(clock()):
                verifier.unanchored(audit_sources.ANCHORS)
            unbalanced = source.unbalanced()
            if source.sums() == before:
                is_quiet = source.kept() == kept
                if is_quiet or not left:
                    return verifier.report(before, unbalanced, kept if is_quiet else None)
    return verifier.report()  # a busy ledger: its sums at the moment of one record cannot be had without stopping it


def _pinned(where: sources.Source, pins: list[pathlib.Path] | None) -> signing.Pins:
    if not pins and isinstance(where, sources.Folder):
        pins = [where.path / audit_keys.PUBLIC_KEY]
    return audit_keys.pins(_required(pins, "a database"))


def _foreign(checkpoints: int, pinned: signing.Pins) -> str:
    """Of a record that names no pinned key: another ledger's, most likely, and at worst all signed anew."""
    keys = " or ".join(pinned.keys)
    number = "the only checkpoint was not" if checkpoints == 1 else f"none of the {checkpoints} checkpoints was"
    return (
        f"{number} signed by the pinned key {keys}: is it the key of this ledger?"
        " If it is, then somebody else signed the record"
    )


def _feed(verifier: verify.Verifier, source: audit_sources.Record) -> None:
    checkpoints = list(_readable(verifier, "checkpoint", source.checkpoint_data(), checkpoint.decode))
    records = _readable(verifier, "record", source.record_data(), record.decode)
    for entry in verify.merge(records, checkpoints):
        if isinstance(entry, record.AuditRecord):
            verifier.add_record(entry)
        else:
            verifier.add_checkpoint(entry)


def _readable(
    verifier: verify.Verifier, what: str, rows: Iterable[tuple[str, bytes]], decode: Callable[[bytes], _Document]
) -> Iterator[_Document]:
    for name, data in rows:
        try:
            yield decode(data)
        except ValueError as error:
            verifier.unreadable(f"{what} {name}", str(error))


def _required(pins: list[pathlib.Path] | None, what: str) -> list[pathlib.Path]:
    if not pins:
        raise errors.CommandError(
            f"{what} proves nothing without the public key that you trust: name its file with --pin"
        )
    return pins


def _exported(source: pathlib.Path, key: pathlib.Path | None) -> Iterator[record.AuditRecord]:
    secret = None if key is None else audit_keys.secret(key)
    try:
        for entry in export.read(streams.lines(streams.plain(audit_sources.chunks(source), secret))):
            if isinstance(entry, record.AuditRecord):
                yield entry
    except streams.StreamError as error:
        raise errors.CommandError(f"{source}: {error}") from error


def _newest(
    records: Callable[[], Iterable[record.AuditRecord]],
    keys: Mapping[str, sealing.SubjectKey],
    wanted: audit_text.Wanted,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest that are wanted, by the writers' clocks."""
    if wanted.request is not None:
        wanted = wanted.with_attempts(records())
    matching = (one for one in records() if wanted.matches(one))
    newest = heapq.nlargest(limit, matching, key=lambda one: (one.recorded, one.writer, one.seq))
    return [audit_text.shown(one, keys) for one in reversed(newest)]


def _write(target: pathlib.Path, chunks: Iterable[bytes]) -> int:
    try:
        with open(target, "xb", opener=_privately) as file:
            size = sum(map(file.write, chunks))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise errors.CommandError(f"{target} cannot be written: {error.strerror}") from error
    return size


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
