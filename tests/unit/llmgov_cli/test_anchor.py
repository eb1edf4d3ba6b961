"""The anchor's file: whole lines only, whatever an earlier process left."""

import asyncio
import pathlib

import pytest

from llmgov_cli.local.anchor import FileAnchor


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"three\nfour\n"),
        (b"", b"three\nfour\n"),
        (b"one\ntwo\n", b"one\ntwo\nthree\nfour\n"),
        (b"one\ntw", b"one\nthree\nfour\n"),
        (b"on", b"three\nfour\n"),
        (b"x" * 100_000 + b"\n" + b"y" * 1000, b"x" * 100_000 + b"\nthree\nfour\n"),
    ],
    ids=["no file", "an empty file", "whole lines", "a line cut off", "nothing but a line cut off", "a long file"],
)
def test_what_a_killed_process_wrote_of_a_line_is_cut_off(
    before: bytes | None, after: bytes, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "anchors.jsonl"
    if before is not None:
        path.write_bytes(before)
    asyncio.run(FileAnchor(path).keep([b"three", b"four"]))
    assert path.read_bytes() == after
