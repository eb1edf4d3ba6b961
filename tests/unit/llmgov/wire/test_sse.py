"""Server-sent events: the same events however the bytes are cut, and no byte lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.wire import sse

LINES = st.lists(
    st.sampled_from(
        ["data: x", "data:y", "data", "event: e", "event:", ": comment", "id: 1", "retry: 2", "", "", "junk"]
    ),
    max_size=12,
)
ENDINGS = st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=12, max_size=12)
CUTS = st.lists(st.integers(1, 5), max_size=60)


def oracle(stream: bytes) -> list[tuple[str, bytes]]:
    """Events with data, as the standard describes it: decode, split into lines, dispatch at empty ones."""
    text = stream.decode().replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    events, name, data = [], "", []
    for line in lines[:-1] if lines[-1] == "" else lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                events.append((name, "\n".join(data).encode()))
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
    if data:
        events.append((name, "\n".join(data).encode()))
    return events


def split(stream: bytes, cuts: list[int]) -> list[sse.Event]:
    splitter = sse.Splitter()
    found: list[sse.Event] = []
    position = 0
    for width in [*cuts, len(stream)]:
        found += splitter.feed(stream[position : position + width])
        position += width
    return found + splitter.end()


@settings(max_examples=150)
@given(lines=LINES, endings=ENDINGS, cuts=CUTS)
def test_any_chunking_of_any_line_ends_gives_the_events_of_the_standard(
    lines: list[str], endings: list[str], cuts: list[int]
) -> None:
    stream = "".join(line + ending for line, ending in zip(lines, endings, strict=False)).encode()
    found = split(stream, cuts)
    assert b"".join(event.raw for event in found) == stream
    assert [(event.name, event.data) for event in found if event.data is not None] == oracle(stream)


def test_an_event_is_out_as_soon_as_its_empty_line_is_in() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        splitter = sse.Splitter()
        assert splitter.feed(b"data: 1" + end[:-1]) == []
        assert [event.data for event in splitter.feed(end[-1:])] == [b"1"]


def test_an_event_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = sse.Splitter()
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(sse.StreamError):
        splitter.feed(b"x" * 90)


DATA = {
    "the usual shape": (b"data: old\n\n", b"data: new\n\n"),
    "a name before": (b"event: e\ndata: old\n\n", b"event: e\ndata: new\n\n"),
    "CRLF, an id after": (b"data:old\r\nid: 1\r\n\r\n", b"data: new\r\nid: 1\r\n\r\n"),
    "data over two lines": (b"data: {\ndata: }\n: c\n\n", b"data: new\n: c\n\n"),
}


@pytest.mark.parametrize(("raw", "expected"), DATA.values(), ids=DATA.keys())
def test_data_is_replaced_and_other_lines_stay(raw: bytes, expected: bytes) -> None:
    assert sse.with_data(raw, b"new") == expected


def test_data_over_lines_is_put_on_one() -> None:
    raw = sse.with_data(b"event: e\ndata: old\n\n", b'{\n"a": 1\r\n}')
    assert sse.parse(raw).data == b'{ "a": 1 }'
