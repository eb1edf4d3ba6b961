"""Recorded streams, cut at every byte: the same frames, no byte lost, the usage that the provider billed."""

import json
import pathlib
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from openai.types.responses import ResponseCompletedEvent

from llmgov.snapshot import Dimension
from llmgov.wire import formats, frames, sse
from llmgov.wire.events import DeltaKind, Format, Frame, Operation, Request, Route, TextRole

RECORDINGS = pathlib.Path(__file__).parent / "recordings"
ROUTES = {
    "chat.sse": Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions"),
    "chat_tools.sse": Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions"),
    "responses.sse": Route(Format.OPENAI, Operation.RESPONSES, "/responses"),
    "messages.sse": Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages"),
    "messages_tools.sse": Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages"),
}
TEXTS = {
    "chat.sse": {"choices[0].content": 'Grüße from "Ulm"\n'},
    "chat_tools.sse": {
        "choices[0].tool_calls[0].arguments": '{"city":"Ulm"}',
        "choices[0].tool_calls[1].arguments": "{}",
    },
    "responses.sse": {
        "output[0].reasoning_summary_text[0]": "Let me think",
        "output[1].output_text[0]": "Grüße there!",
        "output[2].function_call_arguments[0]": '{"a":1}',
    },
    "messages.sse": {"content[0].thinking": "Let me see", "content[1].text": "Grüße!"},
    "messages_tools.sse": {"content[0].partial_json": '{"query":"weather Ulm"}', "content[2].text": "It rains."},
}
USAGE = {
    "chat.sse": {Dimension.INPUT: 15, Dimension.CACHED_INPUT: 4, Dimension.OUTPUT: 10},
    "responses.sse": {
        Dimension.INPUT: 20,
        Dimension.CACHED_INPUT: 7,
        Dimension.CACHE_WRITE_30M: 8,
        Dimension.CACHE_WRITE_12H: 2,
        Dimension.OUTPUT: 11,
        Dimension.WEB_SEARCH_CALL: 1,
    },
    "messages.sse": {
        Dimension.INPUT: 25,
        Dimension.CACHED_INPUT: 3,
        Dimension.CACHE_WRITE_5M: 4,
        Dimension.CACHE_WRITE_1H: 8,
        Dimension.OUTPUT: 15,
    },
    "messages_tools.sse": {Dimension.INPUT: 10682, Dimension.OUTPUT: 510, Dimension.WEB_SEARCH_CALL: 1},
}
NAMES = list(ROUTES)


def request(name: str, **fields: Any) -> Request:
    body: dict[str, Any] = {"model": "m", "stream": True, "max_tokens": 9} | fields
    return formats.parse_request(ROUTES[name], json.dumps(body).encode())


def recording(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes()


def read(name: str, *chunks: bytes, **fields: Any) -> list[Frame]:
    reader = formats.stream_reader(request(name, **fields))
    return [frame for chunk in chunks for frame in reader.feed(chunk)] + reader.end()


def spoken(found: list[Frame]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for frame in found:
        for delta in frame.deltas:
            texts[delta.channel] = texts.get(delta.channel, "") + delta.text
    return texts


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_the_same_wherever_the_stream_is_cut(name: str) -> None:
    data = recording(name)
    whole = read(name, data)
    assert b"".join(frame.raw for frame in whole) == data
    for cut in range(len(data)):
        assert read(name, data[:cut], data[cut:]) == whole, f"cut at byte {cut}"


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_the_same_byte_by_byte_and_with_carriage_returns(name: str) -> None:
    data = recording(name)
    assert read(name, *(data[at : at + 1] for at in range(len(data)))) == read(name, data)
    returned = data.replace(b"\n", b"\r\n")
    found = read(name, *(returned[at : at + 3] for at in range(0, len(returned), 3)))
    assert b"".join(frame.raw for frame in found) == returned
    assert spoken(found) == TEXTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_breaks_off_loses_no_byte_and_is_not_terminal(name: str) -> None:
    data = recording(name)
    ends = len(data.rstrip()) - 1
    for cut in range(0, ends, 7):
        found = read(name, data[:cut])
        assert b"".join(frame.raw for frame in found) == data[:cut]
        if cut < data.rfind(b"data: "):
            assert not any(frame.terminal for frame in found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_found_by_channel_and_each_channel_closes_once(name: str) -> None:
    found = read(name, recording(name))
    assert spoken(found) == TEXTS[name]
    closed = [channel for frame in found for channel in frame.closes]
    assert sorted(closed) == sorted(TEXTS[name])
    assert [frame.terminal for frame in found].count(True) == 1


@pytest.mark.parametrize("name", USAGE)
def test_the_last_usage_is_what_is_billed(name: str) -> None:
    used = [frame.usage for frame in read(name, recording(name)) if frame.usage is not None]
    assert used[-1].counts == USAGE[name]
    assert used[-1].unpriced == ()


def test_a_chunk_that_finishes_and_still_says_something_closes_only_at_the_end() -> None:
    last = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
    finishing, done = read("chat.sse", last + b"data: [DONE]\n\n")
    assert (finishing.closes, done.closes) == ((), ("choices[0].content",))


def test_the_end_of_a_response_closes_what_nobody_closed() -> None:
    delta = b'data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"x"}\n\n'
    end = b'data: {"type":"response.incomplete","response":{"status":"incomplete","output":[]}}\n\n'
    said, ended = read("responses.sse", delta + end)
    assert (said.closes, ended.closes, ended.terminal) == ((), ("output[0].output_text[0]",), True)


def test_a_message_stream_reports_tier_region_and_model() -> None:
    used = [frame.usage for frame in read("messages.sse", recording("messages.sse")) if frame.usage is not None][-1]
    assert (used.service_tier, used.region, used.model) == ("standard", "us", "claude-opus-4-5-20251101")


def test_a_usage_chunk_is_hidden_unless_the_client_asked() -> None:
    data = recording("chat.sse")
    assert [frame.hidden for frame in read("chat.sse", data)].count(True) == 1
    asked = read("chat.sse", data, stream_options={"include_usage": True})
    assert not any(frame.hidden for frame in asked)
    hidden = next(frame for frame in read("chat.sse", data) if frame.hidden)
    assert hidden.usage is not None


def test_thinking_and_what_servers_did_is_protected() -> None:
    kinds = {
        delta.channel: delta.kind for frame in read("messages.sse", recording("messages.sse")) for delta in frame.deltas
    }
    assert kinds == {"content[0].thinking": DeltaKind.PROTECTED, "content[1].text": DeltaKind.TEXT}
    full = [text for frame in read("messages_tools.sse", recording("messages_tools.sse")) for text in frame.full]
    assert {text.text for text in full} >= {"Weather in Ulm", "Rain"}
    assert {text.role for text in full} == {TextRole.PROTECTED}


def test_a_response_repeats_its_texts_whole_and_they_can_all_be_rewritten() -> None:
    found = read("responses.sse", recording("responses.sse"))
    repeated = [text for frame in found for text in frame.full if text.text == "Grüße there!"]
    assert [text.path for text in repeated] == [
        "text",
        "part.text",
        "item.content[0].text",
        "response.output[1].content[0].text",
    ]
    assert {text.role for text in repeated} == {TextRole.OUTPUT}
    clean = b"".join(
        frames.rewrite(
            frame,
            {delta.path: "-" for delta in frame.deltas if delta.kind is DeltaKind.TEXT}
            | {text.path: "-" for text in frame.full if text.role is TextRole.OUTPUT},
        )
        for frame in found
    )
    assert "there!" not in clean.decode()
    assert "Grüße" not in clean.decode()
    last = json.loads(clean.rsplit(b"data: ", 1)[1])
    ResponseCompletedEvent.model_validate(last)


def test_rewriting_a_delta_leaves_the_rest_and_drops_the_log_probabilities() -> None:
    frame = next(frame for frame in read("chat.sse", recording("chat.sse")) if frame.deltas)
    assert frames.rewrite(frame, {}) is frame.raw
    rewritten = frames.rewrite(frame, {frame.deltas[0].path: "[x]"})
    start = frame.raw.index(b'"logprobs":') + len(b'"logprobs":')
    end = frame.raw.index(b',"finish_reason"')
    assert rewritten == (frame.raw[:start] + b"null" + frame.raw[end:]).replace('"Grüße"'.encode(), b'"[x]"')


def test_more_says_what_was_held_back_in_the_manner_of_the_channel() -> None:
    for name, channel in (
        ("chat.sse", "choices[0].content"),
        ("responses.sse", "output[1].output_text[0]"),
        ("messages.sse", "content[1].text"),
    ):
        like = [frame for frame in read(name, recording(name)) if any(d.channel == channel for d in frame.deltas)][-1]
        extra = frames.more(like, channel, "held")
        (again,) = read(name, extra)
        assert [(delta.channel, delta.text) for delta in again.deltas] == [(channel, "held")]
        assert again.derived == ()
        with pytest.raises(ValueError, match="no delta"):
            frames.more(like, "nowhere", "x")


def test_more_of_one_choice_says_nothing_for_the_other() -> None:
    both = b'data: {"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"}}]}\n\n'
    (frame,) = read("chat.sse", both)
    assert [(delta.channel, delta.path) for delta in frame.deltas] == [
        ("choices[1].content", "choices[0].delta.content"),
        ("choices[0].content", "choices[1].delta.content"),
    ]
    assert frames.more(frame, "choices[0].content", "held") == both.replace(b'"b"', b'""').replace(b'"a"', b'"held"')


def test_a_later_report_that_leaves_a_number_out_does_not_take_it_back() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 7}}}
    end = {"type": "message_delta", "usage": {"output_tokens": 2, "cache_read_input_tokens": None}}
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (start, end))
    used = read("messages.sse", raw)[-1].usage
    assert used is not None
    assert used.counts == {Dimension.INPUT: 5, Dimension.CACHED_INPUT: 7, Dimension.OUTPUT: 2}


def test_cache_writes_that_grow_in_the_stream_count_as_the_dearer_kind() -> None:
    begun = {
        "cache_creation_input_tokens": 12,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 8},
    }
    start = {"type": "message_start", "message": {"usage": begun}}
    end = {"type": "message_delta", "usage": {"cache_creation_input_tokens": 20}}
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (start, end))
    used = read("messages.sse", raw)[-1].usage
    assert used is not None
    assert used.counts == {Dimension.CACHE_WRITE_5M: 4, Dimension.CACHE_WRITE_1H: 16}


ODD = {
    "no JSON": b"data: SECRET\n\n",
    "an array": b'data: ["SECRET"]\n\n',
    "JSON cut short": b'data: {"a":"SECRET',
    "nested without end": b"data: " + b'{"a":' * 5000 + b'"SECRET"' + b"}" * 5000 + b"\n\n",
}


@pytest.mark.parametrize("name", ["chat.sse", "responses.sse", "messages.sse"])
@pytest.mark.parametrize("raw", ODD.values(), ids=ODD.keys())
def test_what_cannot_be_read_is_seen_all_the_same(name: str, raw: bytes) -> None:
    (frame,) = read(name, raw)
    assert frame.raw == raw
    assert any("SECRET" in text.text and text.role is TextRole.PROTECTED for text in frame.full)


@pytest.mark.parametrize("name", ["chat.sse", "responses.sse", "messages.sse"])
@pytest.mark.parametrize(
    "raw", [b": keep-alive\n\n", b"\n\n", b"data: {}\n\n", b'data: {"type":null,"choices":[1,null]}\n\n']
)
def test_odd_frames_pass(name: str, raw: bytes) -> None:
    assert b"".join(frame.raw for frame in read(name, raw)) == raw


ERRORS = {
    "chat.sse": b'data: {"error":{"message":"overloaded","code":"x"}}\n\n',
    "responses.sse": b'event: error\ndata: {"type":"error","code":"x","message":"m","param":null}\n\n',
    "messages.sse": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n',
}


@pytest.mark.parametrize(("name", "raw"), ERRORS.items())
def test_the_providers_own_error_in_a_stream_is_marked(name: str, raw: bytes) -> None:
    assert [frame.error for frame in read(name, raw)] == [True]


def test_a_failed_response_is_terminal_an_error_and_has_its_usage() -> None:
    response = {"status": "failed", "output": [], "usage": {"input_tokens": 5, "output_tokens": 0}}
    raw = b"data: " + json.dumps({"type": "response.failed", "response": response}).encode() + b"\n\n"
    (frame,) = read("responses.sse", raw)
    assert (frame.terminal, frame.error) == (True, True)
    assert frame.usage is not None
    assert frame.usage.counts == {Dimension.INPUT: 5}


def test_the_recordings_are_what_the_official_sdks_read() -> None:
    assert sdk_chat(recording("chat.sse")) == TEXTS["chat.sse"]["choices[0].content"]
    assert sdk_messages(recording("messages.sse")) == TEXTS["messages.sse"]["content[1].text"]


def test_the_official_sdks_read_what_was_rewritten_and_added() -> None:
    for name, channel, reader in (
        ("chat.sse", "choices[0].content", sdk_chat),
        ("messages.sse", "content[1].text", sdk_messages),
    ):
        out: list[bytes] = []
        for frame in read(name, recording(name)):
            out.append(frames.rewrite(frame, {delta.path: "a" for delta in frame.deltas if delta.channel == channel}))
            if any(delta.channel == channel for delta in frame.deltas):
                out.append(frames.more(frame, channel, "b"))
        assert reader(b"".join(out)) == "abab"


def client_of(body: bytes) -> httpx2.Client:
    headers = {"content-type": "text/event-stream"}
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body)))


def sdk_chat(body: bytes) -> str:
    with client_of(body) as http:
        client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http)
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def sdk_messages(body: bytes) -> str:
    with client_of(body) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http)
        with client.messages.stream(model="m", max_tokens=1, messages=[]) as stream:
            return "".join(stream.text_stream)


def test_an_endless_event_is_an_error_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    reader = formats.stream_reader(request("chat.sse"))
    with pytest.raises(sse.StreamError):
        reader.feed(b"data: " + b"x" * 2000)
