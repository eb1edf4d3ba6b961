"""Whole answers: what the model said and where, what was used, and what a rewritten answer looks like."""

import json
import pathlib
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from llmgov.snapshot import Dimension
from llmgov.wire import formats, frames
from llmgov.wire.events import Answer, Format, Operation, Route, TextRole
from tests.support.json_paths import plain

RECORDINGS = pathlib.Path(__file__).parent / "recordings"
CHAT = Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions")
RESPONSES = Route(Format.OPENAI, Operation.RESPONSES, "/responses")
EMBEDDINGS = Route(Format.OPENAI, Operation.EMBEDDINGS, "/embeddings")
MESSAGES = Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages")
ROUTES = {"chat.json": CHAT, "responses.json": RESPONSES, "messages.json": MESSAGES}


def answer(name: str) -> Answer:
    return formats.parse_answer(ROUTES[name], 200, (RECORDINGS / name).read_bytes())


PLACES = {
    "chat.json": {
        "choices[0].message.content": ("SECRET one", TextRole.OUTPUT),
        "choices[1].message.tool_calls[0].function.arguments": ('{"k": "SECRET\\u0020two"}', TextRole.OUTPUT),
        "choices[1].message.tool_calls[0].function.arguments::k": ("SECRET two", TextRole.OUTPUT),
    },
    "responses.json": {
        "output[0].summary[0].text": ("SECRET thought", TextRole.PROTECTED),
        "output[1].content[0].text": ("SECRET text", TextRole.OUTPUT),
        "output[1].content[1].refusal": ("SECRET refusal", TextRole.OUTPUT),
        "output[2].arguments": ("SECRET arguments", TextRole.OUTPUT),
        "output[3].action.query": ("SECRET query", TextRole.PROTECTED),
        "output[6].code": ("SECRET code", TextRole.PROTECTED),
    },
    "messages.json": {
        "content[0].thinking": ("SECRET thought", TextRole.PROTECTED),
        "content[1].text": ("SECRET text", TextRole.OUTPUT),
        "content[2].input.a[0]": ("SECRET input", TextRole.OUTPUT),
    },
}


@pytest.mark.parametrize("name", PLACES)
def test_what_the_model_said_is_found_in_its_place(name: str) -> None:
    found = {plain(text.path): (text.text, text.role) for text in answer(name).texts if "SECRET" in text.text}
    assert found == PLACES[name]


USAGE = {
    "chat.json": {
        Dimension.INPUT: 83,
        Dimension.CACHED_INPUT: 1024,
        Dimension.INPUT_AUDIO: 10,
        Dimension.OUTPUT: 40,
        Dimension.OUTPUT_AUDIO: 6,
    },
    "responses.json": {
        Dimension.INPUT: 36,
        Dimension.OUTPUT: 87,
        Dimension.WEB_SEARCH_CALL: 1,
        Dimension.FILE_SEARCH_CALL: 1,
    },
    "messages.json": {
        Dimension.INPUT: 2095,
        Dimension.CACHED_INPUT: 100,
        Dimension.OUTPUT: 503,
        Dimension.WEB_SEARCH_CALL: 2,
    },
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_is_counted_by_what_is_billed(name: str) -> None:
    used = answer(name).usage
    assert used is not None
    assert used.counts == USAGE[name]


def test_tiers_regions_and_what_has_no_price_are_told() -> None:
    chat, responses, messages = (answer(name).usage for name in ROUTES)
    assert chat is not None
    assert responses is not None
    assert messages is not None
    assert (chat.service_tier, chat.model, chat.unpriced) == ("priority", "gpt-4o-2024-08-06", ())
    assert responses.unpriced == ("code_interpreter_call",)
    assert (messages.service_tier, messages.region, messages.unpriced) == ("fast", "us", ())


REPORTS: dict[str, tuple[Route, dict[str, Any], tuple[str, ...]]] = {
    "a new kind of token": (CHAT, {"prompt_tokens": 1, "video_tokens": 3}, ("video_tokens",)),
    "a new kind inside": (
        CHAT,
        {"prompt_tokens_details": {"video_tokens": 3}},
        ("prompt_tokens_details.video_tokens",),
    ),
    "a new kind that was not used": (CHAT, {"video_tokens": 0, "fast_tokens": None}, ()),
    "durations of other servers": (CHAT, {"prompt_tokens": 1, "queue_time": 0.25}, ()),
    "a new tool": (MESSAGES, {"server_tool_use": {"paint_requests": 1}}, ("server_tool_use.paint_requests",)),
    "a compaction run": (
        MESSAGES,
        {"input_tokens": 1, "iterations": [{"type": "message"}, {"type": "compaction", "input_tokens": 9}]},
        ("iterations.compaction",),
    ),
    "a new detail of a response": (
        RESPONSES,
        {"output_tokens_details": {"svg_tokens": 2}},
        ("output_tokens_details.svg_tokens",),
    ),
}


@pytest.mark.parametrize(("route", "report", "unpriced"), REPORTS.values(), ids=REPORTS.keys())
def test_a_number_that_no_row_knows_is_unpriced(
    route: Route, report: dict[str, Any], unpriced: tuple[str, ...]
) -> None:
    used = formats.parse_answer(route, 200, json.dumps({"usage": report}).encode()).usage
    assert used is not None
    assert used.unpriced == unpriced


def test_embeddings_are_billed_for_what_they_read() -> None:
    body = b'{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}'
    found = formats.parse_answer(EMBEDDINGS, 200, body)
    assert found.usage is not None
    assert found.usage.counts == {Dimension.INPUT: 8}
    assert found.texts == ()


@pytest.mark.parametrize("route", [CHAT, RESPONSES, MESSAGES])
def test_the_providers_own_error_costs_nothing(route: Route) -> None:
    found = formats.parse_answer(route, 500, b'{"error":{"message":"x"}}')
    assert (found.produced, found.usage, found.unread) == (False, None, "")
    assert "x" in [text.text for text in found.texts]


ERRORS = {
    "another shape": (b'{"detail": [{"msg": "x"}]}', ["x"], False),
    "a page": (b"<p>x</p>", ["<p>x</p>"], False),
    "nothing": (b"", [""], False),
    "another encoding": ("<p>x</p>".encode("utf-16"), [], True),
}


@pytest.mark.parametrize("route", [CHAT, MESSAGES])
@pytest.mark.parametrize(("body", "texts", "unread"), ERRORS.values(), ids=ERRORS.keys())
def test_a_gateways_error_is_read_whatever_its_shape(route: Route, body: bytes, texts: list[str], unread: bool) -> None:
    found = formats.parse_answer(route, 502, body, strict=True)
    assert (found.produced, bool(found.unread)) == (False, unread)
    assert {text.text for text in found.texts} >= set(texts)


SHAPES: dict[str, tuple[Route, Any]] = {
    "a member beside the choices": (CHAT, {"choices": [], "output": "SECRET"}),
    "no choices at all": (CHAT, {"output": {"text": ["SECRET"]}}),
    "the name of a member": (CHAT, {"choices": [], "SECRET": None}),
    "choices that are one object": (CHAT, {"choices": {"message": {"content": "SECRET"}}}),
    "a choice that is a string": (CHAT, {"choices": ["SECRET"]}),
    "a choice of the older API": (CHAT, {"choices": [{"text": "SECRET"}]}),
    "a choice with a delta": (CHAT, {"choices": [{"delta": {"content": "SECRET"}}]}),
    "a message that is a string": (CHAT, {"choices": [{"message": "SECRET"}]}),
    "a content in parts": (CHAT, {"choices": [{"message": {"content": [{"type": "text", "text": "SECRET"}]}}]}),
    "a member of a message with a blank in its name": (CHAT, {"choices": [{"message": {"an answer": "SECRET"}}]}),
    "an id that is no word": (CHAT, {"id": ["SECRET"], "choices": []}),
    "the name of a called tool": (
        CHAT,
        {"choices": [{"message": {"tool_calls": [{"function": {"name": "SECRET", "arguments": "{}"}}]}}]},
    ),
    "calls that are one object": (CHAT, {"choices": [{"message": {"tool_calls": {"function": "SECRET"}}}]}),
    "a word among the numbers": (CHAT, {"choices": [], "usage": {"prompt_tokens_details": {"note": ["SECRET"]}}}),
    "a member beside the vectors": (EMBEDDINGS, {"data": [], "output": "SECRET"}),
    "a vector of words": (EMBEDDINGS, {"data": [{"embedding": [0.5, "SECRET"]}]}),
    "a member beside a response's output": (RESPONSES, {"output": [], "answer": "SECRET"}),
    "an error in a response": (RESPONSES, {"output": [], "error": {"message": "SECRET"}}),
    "an output that is a string": (RESPONSES, {"output": "SECRET"}),
    "an item that is a string": (RESPONSES, {"output": ["SECRET"]}),
    "a message's content that is a string": (RESPONSES, {"output": [{"type": "message", "content": "SECRET"}]}),
    "a member beside a message's content": (RESPONSES, {"output": [{"type": "message", "x": {"y": "SECRET"}}]}),
    "a result that is no image": (RESPONSES, {"output": [{"type": "shell_call", "result": "SECRET"}]}),
    "a member beside a call's arguments": (RESPONSES, {"output": [{"type": "function_call", "x": "SECRET"}]}),
    "a content that is a string": (MESSAGES, {"content": "SECRET"}),
    "a block that is a string": (MESSAGES, {"content": ["SECRET"]}),
    "a member beside the content": (MESSAGES, {"content": [], "completion": "SECRET"}),
    "the text at which it stopped": (MESSAGES, {"content": [], "stop_sequence": "SECRET"}),
    "the name of a used tool": (MESSAGES, {"content": [{"type": "tool_use", "name": "SECRET", "input": {}}]}),
    "a signature that is no word": (MESSAGES, {"content": [{"type": "thinking", "signature": {"x": "SECRET"}}]}),
}


@pytest.mark.parametrize(("route", "body"), SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_that_no_row_knows_is_read_to_its_last_string_and_can_be_rewritten(route: Route, body: Any) -> None:
    data = json.dumps(body).encode()
    found = formats.parse_answer(route, 200, data, strict=True)
    assert [text for text in found.texts if "SECRET" in text.text]
    edits = {text.path: "-" for text in found.texts if text.role is not TextRole.PROTECTED}
    json.loads(frames.rewrite_answer(found, edits))


@pytest.mark.parametrize("member", ["instructions", "metadata", "tools", "text", "user"])
def test_what_a_response_repeats_of_its_request_is_not_taken_for_an_answer(member: str) -> None:
    body = json.dumps({"output": [], member: {"x": "SECRET"}}).encode()
    assert formats.parse_answer(RESPONSES, 200, body).texts == ()


@pytest.mark.parametrize("name", ROUTES)
def test_ids_times_and_numbers_of_tokens_are_no_content(name: str) -> None:
    """Detectors of phone and card numbers would find one in them now and then."""
    found = [text.text for text in answer(name).texts]
    assert not [text for text in found if text.isdigit()]
    assert not [text for text in found if json.loads((RECORDINGS / name).read_bytes())["id"] in text]


DISPUTED = {
    "a key twice": b'{"choices":[],"choices":[]}',
    "a number beyond doubles": b'{"choices":[],"a":1e999}',
    "half a surrogate pair": b'{"choices":[],"a":"\\ud83d"}',
}


@pytest.mark.parametrize("body", DISPUTED.values(), ids=DISPUTED.keys())
def test_filters_get_nothing_that_parsers_disagree_about(body: bytes) -> None:
    assert formats.parse_answer(CHAT, 200, body, strict=True).unread


@pytest.mark.parametrize("route", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("body", [b"", b"SECRET", b'["SECRET"]', b'{"a":"SECRET', b"\xff", b'{"a":' * 200_000])
def test_what_cannot_be_read_is_seen_all_the_same(route: Route, body: bytes) -> None:
    found = formats.parse_answer(route, 200, body)
    assert found.unread
    assert found.texts[0].role is TextRole.PROTECTED
    assert found.texts[0].text == body.decode(errors="replace")
    assert found.usage is None


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("route", [CHAT, RESPONSES, MESSAGES, EMBEDDINGS])
def test_answers_cut_at_every_byte_or_of_another_route_do_no_harm(name: str, route: Route) -> None:
    body = (RECORDINGS / name).read_bytes()
    for cut in range(0, len(body), 5):
        assert formats.parse_answer(route, 200, body[:cut]).body == body[:cut]


def test_a_rewritten_answer_has_nothing_left_of_the_text_and_is_still_the_sdks_type() -> None:
    found = answer("chat.json")
    clean = frames.rewrite_answer(found, {text.path: "-" for text in found.texts if text.role is TextRole.OUTPUT})
    assert b"SECRET" not in clean
    ChatCompletion.model_validate_json(clean)
    found = answer("messages.json")
    clean = frames.rewrite_answer(found, {"content[1].text": "-"})
    assert Message.model_validate_json(clean).content[1].text == "-"
    assert frames.rewrite_answer(found, {}) is found.body


def test_a_rewritten_response_loses_its_log_probabilities() -> None:
    found = answer("responses.json")
    clean = json.loads(frames.rewrite_answer(found, {"output[1].content[0].text": "-"}))
    assert clean["output"][1]["content"][0] == {"type": "output_text", "text": "-", "annotations": [], "logprobs": []}
