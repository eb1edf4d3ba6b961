"""A provider's 401 in our words: what SDKs go by stays, what shows the key does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.wire import key_errors

OPENAI = {
    "message": "Incorrect API key provided: wron********-key.",
    "type": "invalid_request_error",
    "param": None,
    "code": "invalid_api_key",
}
CASES = [
    (
        "OpenAI's keeps type, parameter and code",
        {"error": OPENAI},
        {"error": {"message": "ours", "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}},
    ),
    (
        "Anthropic's keeps its frame",
        {"type": "error", "error": {"type": "authentication_error", "message": "sk-1"}, "request_id": "req_1"},
        {"type": "error", "error": {"message": "ours", "type": "authentication_error"}, "request_id": "req_1"},
    ),
    (
        "what else it says is left out",
        {"error": {**OPENAI, "code": "key sk-1 is wrong", "key": "sk-1"}, "detail": "sk-1"},
        {"error": {"message": "ours", "type": "invalid_request_error", "param": None}},
    ),
    (
        "an error of another shape",
        {"error": "sk-1 is wrong"},
        {"error": {"message": "ours", "type": "authentication_error"}},
    ),
    ("no object", ["sk-1"], {"error": {"message": "ours", "type": "authentication_error"}}),
]


@pytest.mark.parametrize(("theirs", "ours"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_only_the_words_change(theirs: object, ours: object) -> None:
    assert json.loads(key_errors.with_message(json.dumps(theirs).encode(), "ours")) == ours


@given(st.binary(max_size=60))
def test_any_bytes_become_an_error(body: bytes) -> None:
    assert json.loads(key_errors.with_message(body, "ours"))["error"]["message"] == "ours"
