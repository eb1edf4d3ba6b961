"""Paths: what names a value exactly, and what of it may be shown to anybody."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.wire import formats, paths
from llmgov.wire.events import Format, Operation, Route

CHAT = Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions")
RESPONSES = Route(Format.OPENAI, Operation.RESPONSES, "/responses")
MESSAGES = Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages")
NAMES = ("Project Nightfall", "nightfall", 'a"] nightfall', "nightfall::x")


@given(st.text(), st.text(min_size=1))
def test_a_free_name_is_an_exact_step_and_never_shown(before: str, name: str) -> None:
    path = paths.free(paths.free("messages[0]", before), name)
    assert paths.split(path) == ("messages", 0, before, name)
    assert paths.shown(path) == "messages[0]"


def test_what_a_string_holds_is_shown_as_that_string() -> None:
    inside = paths.free(paths.nested("messages[0].tool_calls[0].function.arguments"), "city")
    assert paths.shown(inside) == "messages[0].tool_calls[0].function.arguments"


REQUESTS: dict[str, tuple[Route, dict[str, Any]]] = {
    "a chat's top": (CHAT, {"messages": [], "@": {"x": ["v", {"@": "w"}]}}),
    "a chat's message": (CHAT, {"messages": [{"role": "user", "content": "hi", "@": "v"}]}),
    "a chat's metadata": (CHAT, {"messages": [], "metadata": {"@": "v"}}),
    "a chat's arguments": (
        CHAT,
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"@": "\\u0076"}'}}
                    ],
                }
            ]
        },
    ),
    "a tool's option": (RESPONSES, {"input": "hi", "tools": [{"type": "function", "name": "f", "@": "v"}]}),
    "a message's block": (
        MESSAGES,
        {"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "@": "v"}]}]},
    ),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("route", "body"), REQUESTS.values(), ids=REQUESTS.keys())
def test_no_shown_path_of_a_request_has_a_name_of_somebodys(route: Route, body: dict[str, Any], name: str) -> None:
    inner = json.dumps(json.dumps(name)[1:-1])[1:-1]
    text = json.dumps({"model": "m"} | body)
    nested = '\\"@' in text
    request = formats.parse_request(route, text.replace("@", inner if nested else json.dumps(name)[1:-1]).encode())
    named = [found for found in request.texts if name in found.text]
    assert named
    assert not [found.path for found in request.texts if "ightfall" in paths.shown(found.path)]


ANSWERS: dict[str, tuple[Route, dict[str, Any]]] = {
    "a chat's top": (CHAT, {"@": 1}),
    "a chat's message": (CHAT, {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x", "@": 1}}]}),
    "a chat's call": (CHAT, {"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "@": "v"}}]}}]}),
    "a chat's usage": (CHAT, {"choices": [], "usage": {"@": 1}}),
    "a response's part": (RESPONSES, {"output": [{"type": "message", "content": [{"type": "output_text", "@": 1}]}]}),
    "a response's reasoning": (RESPONSES, {"output": [{"type": "reasoning", "@": "v"}]}),
    "a message's block": (MESSAGES, {"content": [{"type": "text", "text": "x", "@": 1}]}),
    "a tool's input": (MESSAGES, {"content": [{"type": "tool_use", "name": "f", "input": {"@": 1}}]}),
}


@pytest.mark.parametrize("name", ["Project Nightfall", "Nightfall"])
@pytest.mark.parametrize(("route", "body"), ANSWERS.values(), ids=ANSWERS.keys())
def test_a_name_in_an_answer_is_read_and_never_shown(route: Route, body: dict[str, Any], name: str) -> None:
    answer = formats.parse_answer(route, 200, json.dumps(body).replace("@", name).encode(), strict=True)
    assert [found for found in answer.texts if name in found.text]
    assert not [found.path for found in answer.texts if name in paths.shown(found.path)]
