"""Every field that the official SDKs can send has a row: an upgrade of an SDK that brings a new one fails here."""

from typing import Any

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_params
from openai.types import embedding_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from llmgov.wire import fields
from llmgov.wire.anthropic import parts as anthropic_parts
from llmgov.wire.anthropic import tops as anthropic_tops
from llmgov.wire.fields import Field, Kind, Rule, Top
from llmgov.wire.openai import parts as openai_parts
from llmgov.wire.openai import tops as openai_tops
from tests.unit.llmgov.wire import sdk_types

REQUESTS = {
    "chat": (completion_create_params.CompletionCreateParamsNonStreaming, openai_tops.CHAT, openai_parts),
    "chat, streamed": (completion_create_params.CompletionCreateParamsStreaming, openai_tops.CHAT, openai_parts),
    "responses": (response_create_params.ResponseCreateParamsNonStreaming, openai_tops.RESPONSES, openai_parts),
    "responses, streamed": (response_create_params.ResponseCreateParamsStreaming, openai_tops.RESPONSES, openai_parts),
    "embeddings": (embedding_create_params.EmbeddingCreateParams, openai_tops.EMBEDDINGS, openai_parts),
    "messages": (message_create_params.MessageCreateParamsNonStreaming, anthropic_tops.MESSAGES, anthropic_parts),
    "messages, streamed": (
        message_create_params.MessageCreateParamsStreaming,
        anthropic_tops.MESSAGES,
        anthropic_parts,
    ),
    "messages, beta": (beta_params.MessageCreateParamsNonStreaming, anthropic_tops.MESSAGES, anthropic_parts),
    "count tokens": (
        message_count_tokens_params.MessageCountTokensParams,
        anthropic_tops.MESSAGES,
        anthropic_parts,
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_each_top_level_field_has_a_row(name: str) -> None:
    typed_dict, table, _ = REQUESTS[name]
    without = sdk_types.top_fields(typed_dict) - table.keys() - anthropic_tops.HEADERS
    assert not without, f"say in the table what bounds the cost of {sorted(without)}"


@pytest.mark.parametrize("name", REQUESTS)
def test_each_typed_object_and_member_inside_has_a_row(name: str) -> None:
    typed_dict, table, parts = REQUESTS[name]

    def row(type_: str, member: str) -> Field | None:
        return parts.FIELDS.get((type_, member)) or parts.FIELDS.get(member)

    def walked(type_: str, member: str) -> bool:
        found = row(type_, member)
        return found is not None and found.kind is Kind.CONTENT

    content = [
        field for field, top in table.items() if top.kind is Kind.CONTENT and field in sdk_types.top_fields(typed_dict)
    ]
    pairs = set(sdk_types.reachable(typed_dict, content, walked))
    assert pairs or name == "embeddings"
    assert not {type_ for type_, _ in pairs} - parts.PARTS.keys(), "types without a row"
    assert not {pair for pair in pairs if row(*pair) is None}, "members without a row"


ALL_TOPS: list[tuple[str, Top]] = [
    (f"{table_name} {field}", top)
    for table_name, table in {
        "chat": openai_tops.CHAT,
        "responses": openai_tops.RESPONSES,
        "embeddings": openai_tops.EMBEDDINGS,
        "messages": anthropic_tops.MESSAGES,
    }.items()
    for field, top in table.items()
]


@pytest.mark.parametrize("top", [top for _, top in ALL_TOPS], ids=[name for name, _ in ALL_TOPS])
def test_what_is_refused_says_why_and_what_is_walked_says_who_speaks(top: Top) -> None:
    assert bool(top.why) == (top.rule is Rule.REFUSED)
    assert top.role is not None or top.kind not in (Kind.CONTENT, Kind.JSON)


@pytest.mark.parametrize("parts", [openai_parts, anthropic_parts], ids=["openai", "anthropic"])
def test_rows_that_a_type_overrides_are_of_types_that_exist(parts: Any) -> None:
    overridden = {key[0] for key in parts.FIELDS if isinstance(key, tuple)}
    assert overridden <= parts.PARTS.keys()
    assert fields.text in {part.cost for part in parts.PARTS.values()}
