"""Exports: written, packed, sealed, and proved; cut and changed in every form."""

import gzip
import hashlib
import json
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.audit import checkpoint, export, merkle, prompts, streams, tally
from llmgov.audit.findings import Outcome
from llmgov.snapshot import PromptRecording
from tests.unit.llmgov.audit import history as h

KEY, SALT = b"k" * 32, b"s" * 32


def _export(history: h.History | None = None) -> bytes:
    history = h.make() if history is None else history
    return b"".join(export.write(history.records, history.checkpoints, (), now=7))


def _chunks(data: bytes, size: int) -> Iterable[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_an_export_is_lines_of_json_in_the_order_of_verification() -> None:
    lines = [json.loads(line) for line in _export().splitlines()]
    assert lines[0] == {"export": {"format": 1, "at": 7}}
    assert lines[-1] == {"end": {"records": 8, "checkpoints": 3}}
    named = ["".join(line) for line in lines]
    assert named[1:-1] == [
        "record",
        "record",
        "checkpoint",
        *["record"] * 4,
        "checkpoint",
        "record",
        "checkpoint",
        "record",
    ]


@pytest.mark.parametrize("form", ["plain", "gzip", "encrypted", "gzip and encrypted"])
def test_every_form_verifies_and_every_cut_of_it_does_not(form: str) -> None:
    data = _export()
    if "gzip" in form:
        data = b"".join(streams.compress([data]))
    if "encrypted" in form:
        data = b"".join(streams.encrypt([data], KEY, SALT))
    report = export.verify(_chunks(data, 997), h.PINS, export_key=KEY, anchor=h.make().anchor(), ledger=h.SUMS)
    assert (report.outcome, report.findings) == (Outcome.OK, ())
    for end in range(1, len(data), max(1, len(data) // 60)):
        cut = export.verify([data[:end]], h.PINS, export_key=KEY, anchor=h.make().anchor())
        assert cut.outcome is not Outcome.OK, end
        assert cut.outcome is not Outcome.EMPTY, end


def test_an_empty_file_and_an_export_of_nothing_are_empty() -> None:
    assert export.verify([], h.PINS).outcome is Outcome.EMPTY
    assert export.verify([_export(h.History())], h.PINS).outcome is Outcome.EMPTY


@pytest.mark.parametrize("line", range(1, 13))
def test_a_line_that_is_gone_is_never_ok(line: int) -> None:
    lines = _export().splitlines(keepends=True)
    del lines[line]
    assert export.verify(lines, h.PINS).outcome in (Outcome.TAMPERED, Outcome.TRUNCATED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:3], b"garbage\n", *lines[3:]], "line 4: not a line of an export"),
        (lambda lines: [*lines[:3], b'{"record":{}}\n', *lines[3:]], "line 4: not a record: Object missing"),
        (
            lambda lines: [lines[0], lines[1].replace(b'"seq":1', b'"seq": 1'), *lines[2:]],
            "line 2: not the exact bytes",
        ),
        (lambda lines: [*lines, lines[1]], "line 14: it does not belong here"),
        (lambda lines: lines[1:], "line 1: it does not belong here"),
        (lambda lines: [b'{"export":{"at":1,"format":9}}\n', *lines[1:]], "line 1: format 9 is not 1"),
    ],
    ids=["garbage", "an empty record", "another form", "after the end", "no header", "another format"],
)
def test_a_line_that_does_not_belong_is_named(change, message: str) -> None:  # type: ignore[no-untyped-def]
    report = export.verify(change(_export().splitlines(keepends=True)), h.PINS)
    assert report.outcome is Outcome.TAMPERED
    assert report.findings[0].message.startswith(message)


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=60)
def test_no_bytes_make_the_verifier_crash(noise: bytes, at: int) -> None:
    data = _export()
    assert export.verify([data[:at] + noise + data[at:]], h.PINS).outcome is not Outcome.EMPTY or not data


def test_an_encrypted_export_needs_its_key() -> None:
    data = b"".join(streams.encrypt([_export()], KEY, SALT))
    with pytest.raises(streams.StreamEncryptedError, match="give its key"):
        export.verify([data], h.PINS)
    with pytest.raises(streams.StreamKeyError, match="does not fit"):
        export.verify([data], h.PINS, export_key=b"x" * 32)


def test_the_encrypted_form_is_the_documented_one() -> None:
    plain = bytes(range(256)) * 300  # more than one piece
    derived = HKDF(hashes.SHA256(), 32, SALT, b"llmgov audit export").derive(KEY)
    first = AESGCM(derived).encrypt(bytes(12), plain[:65536], None)
    last = AESGCM(derived).encrypt(bytes(10) + b"\1\1", plain[65536:], None)
    check = HKDF(hashes.SHA256(), 16, SALT, b"llmgov audit export key").derive(KEY)
    expected = b"llmgov-encrypted 2\n" + SALT + check + first + last
    assert b"".join(streams.encrypt(_chunks(plain, 1000), KEY, SALT)) == expected


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
@settings(max_examples=40)
def test_transforms_undo_each_other_however_the_bytes_are_cut(chunks: list[bytes], size: int) -> None:
    data = b"".join(chunks)
    packed = b"".join(streams.compress(chunks))
    assert gzip.decompress(packed) == data
    sealed = b"".join(streams.encrypt(_chunks(packed, size), KEY, SALT))
    assert b"".join(streams.decompress(streams.decrypt(_chunks(sealed, size), KEY))) == data
    assert b"".join(streams.plain(_chunks(sealed, size), KEY)) == data


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072])
def test_pieces_end_where_they_should_and_a_missing_last_piece_is_a_cut(size: int) -> None:
    sealed = b"".join(streams.encrypt([bytes(size)], KEY, SALT))
    assert b"".join(streams.decrypt([sealed], KEY)) == bytes(size)
    if size > 65536:
        with pytest.raises(streams.StreamCutError):
            list(streams.decrypt([sealed[: 67 + 65552]], KEY))


@pytest.mark.parametrize("at", [0, 25, 60, 70_000])
def test_a_flipped_bit_never_opens(at: int) -> None:
    sealed = bytearray(b"".join(streams.encrypt([bytes(100_000)], KEY, SALT)))
    sealed[at] ^= 1
    with pytest.raises(streams.StreamError):
        list(streams.decrypt([bytes(sealed)], KEY))


def test_what_was_compressed_too_well_comes_out_in_small_pieces() -> None:
    bomb = gzip.compress(bytes(8_000_000))
    assert max(map(len, streams.decompress([bomb]))) == streams.PIECE_BYTES
    assert sum(map(len, streams.decompress([bomb]))) == 8_000_000


@pytest.mark.parametrize("more", [b"x", gzip.compress(b"more")], ids=["a byte", "another member"])
def test_nothing_may_follow_a_gzip_stream(more: bytes) -> None:
    with pytest.raises(streams.StreamError, match="something follows"):
        list(streams.decompress([gzip.compress(b"x") + more]))
    with pytest.raises(streams.StreamError, match="something follows"):
        list(streams.decompress([gzip.compress(b"x"), more]))


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ([""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (["", "00", "10"], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"],
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ],
    ids=["no leaf", "one leaf", "three leaves", "eight leaves"],
)  # fmt: skip
def test_the_merkle_root_is_certificate_transparencys(leaves: list[str], expected: str) -> None:
    """The known answers of Certificate Transparency's reference implementation."""
    assert merkle.root(map(bytes.fromhex, leaves)).hex() == expected


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
@settings(max_examples=40)
def test_the_merkle_root_is_that_of_the_rfcs_recursion(leaves: list[bytes]) -> None:
    def recursive(some: list[bytes]) -> bytes:
        if len(some) == 1:
            return hashlib.sha256(b"\0" + some[0]).digest()
        split = 1 << ((len(some) - 1).bit_length() - 1)
        return hashlib.sha256(b"\1" + recursive(some[:split]) + recursive(some[split:])).digest()

    assert merkle.root(leaves) == recursive(leaves)


def test_an_anchor_is_the_latest_of_the_checkpoints_that_were_appended_to_it() -> None:
    history = h.make()
    lines = b"".join(checkpoint.encode(one) + b"\n" for one in history.checkpoints)
    assert checkpoint.anchor(lines) == history.anchor()
    assert checkpoint.anchor(lines + lines[:100]) == history.anchor()
    assert checkpoint.anchor(b"") == checkpoint.Anchor(())
    with pytest.raises(checkpoint.CheckpointError, match="not a checkpoint"):
        checkpoint.anchor(b"\x80\n")


def test_a_checkpoint_over_nothing_is_not_signed() -> None:
    with pytest.raises(checkpoint.CheckpointError, match="says nothing"):
        checkpoint.sign(None, "hub-0", [], now=1, signer=h.SIGNER)


def test_an_export_brings_the_ledgers_sums_to_be_compared() -> None:
    history = h.make()
    for cost, outcome in ((550, Outcome.OK), (551, Outcome.TAMPERED)):
        sums = tally.Sums(3, cost, h.SUMS.targets)
        lines = export.write(history.records, history.checkpoints, (), now=7, ledger=lambda sums=sums: sums)
        assert export.verify(lines, h.PINS).outcome is outcome


@pytest.mark.parametrize(
    ("mode", "recorded"),
    [
        (PromptRecording.NOTHING, None),
        (PromptRecording.REDACTED, "redacted:my SSN: [REDACTED:ssn]\n\nbye"),
        (PromptRecording.FULL, "full:my SSN: 1\n\nbye"),
    ],
)
def test_what_of_a_prompt_is_recorded(mode: PromptRecording, recorded: str | None) -> None:
    assert prompts.record(mode, ["my SSN: 1", "bye"], ["my SSN: [REDACTED:ssn]", "bye"], b"key") == recorded


def test_a_prompts_digest_is_keyed_and_tells_apart_where_strings_end() -> None:
    def digest(texts: list[str], key: bytes = b"key") -> str | None:
        return prompts.record(PromptRecording.DIGEST, texts, [], key)

    assert digest(["ab", "c"]) == digest(["ab", "c"])
    assert len({digest(["ab", "c"]), digest(["a", "bc"]), digest(["ab", "c"], b"other"), digest(["abc"])}) == 4
    assert str(digest(["ab"])).startswith("hmac-sha256:")
