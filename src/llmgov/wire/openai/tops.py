"""Rows for the top-level fields of OpenAI's requests: what each is, and what bounds its cost.

Source: the request types of the official SDK (chat completions, responses, embeddings) and the API reference at
developers.openai.com/api/reference; a test compares the tables with the SDK's types.
"""

from llmgov.wire.events import TextRole
from llmgov.wire.fields import Kind, Rule, Top

_FREE = Top(Rule.FREE, Kind.CONTROL)
_TIER = Top(Rule.TIER, Kind.CONTROL)
_OUTPUT = Top(Rule.OUTPUT, Kind.CONTROL)
_CACHE = Top(Rule.CACHE, Kind.CACHE)
_METADATA = Top(Rule.FREE, Kind.JSON, TextRole.METADATA)
_SCHEMA = Top(Rule.TEXT, Kind.JSON, TextRole.SYSTEM)
_DEFINITION = Top(Rule.TEXT, Kind.JSON, TextRole.TOOL_DEFINITION)
_TOOLS = Top(Rule.TOOLS, Kind.CONTENT, TextRole.TOOL_DEFINITION)

_COMMON = {
    "metadata": _METADATA,
    "model": _FREE,
    "moderation": _FREE,
    "parallel_tool_calls": _FREE,
    "prompt_cache_key": _FREE,
    "prompt_cache_options": _CACHE,
    "prompt_cache_retention": _FREE,
    "safety_identifier": _METADATA,
    "service_tier": _TIER,
    "store": _FREE,
    "stream": _FREE,
    "stream_options": _FREE,
    "temperature": _FREE,
    "tool_choice": _DEFINITION,
    "tools": _TOOLS,
    "top_logprobs": _FREE,
    "top_p": _FREE,
    "user": _METADATA,
}

CHAT = _COMMON | {
    "audio": _FREE,
    "frequency_penalty": _FREE,
    "function_call": _DEFINITION,
    "functions": _TOOLS,
    "logit_bias": _FREE,
    "logprobs": _FREE,
    "max_completion_tokens": _OUTPUT,
    "max_tokens": _OUTPUT,
    "min_p": _FREE,
    "messages": Top(Rule.TEXT, Kind.CONTENT, TextRole.USER),
    "modalities": _FREE,
    "n": Top(Rule.CHOICES, Kind.CONTROL),
    "prediction": Top(Rule.PREDICTION, Kind.CONTENT, TextRole.ASSISTANT),
    "presence_penalty": _FREE,
    "reasoning_effort": _FREE,
    "repetition_penalty": _FREE,
    "response_format": _SCHEMA,
    "seed": _FREE,
    "stop": Top(Rule.TEXT, Kind.JSON, TextRole.METADATA),
    "top_k": _FREE,
    "verbosity": _FREE,
    "web_search_options": Top(
        Rule.REFUSED, Kind.JSON, TextRole.METADATA, "web searches of chat completions, whose number nothing bounds"
    ),
}
"""`POST /chat/completions`. Sampling fields that only compatible servers know are here, too."""

RESPONSES = _COMMON | {
    "access_programs": _FREE,
    "background": Top(
        Rule.REFUSED, Kind.CONTROL, None, "a background response, whose usage is only reported to a later request"
    ),
    "background_options": _FREE,
    "context_management": Top(
        Rule.REFUSED, Kind.JSON, TextRole.METADATA, "compaction, which runs the model as often as the provider likes"
    ),
    "conversation": Top(Rule.OPAQUE, Kind.REFERENCE),
    "image": _FREE,
    "include": _FREE,
    "input": Top(Rule.TEXT, Kind.CONTENT, TextRole.USER),
    "instructions": Top(Rule.TEXT, Kind.CONTENT, TextRole.SYSTEM),
    "max_output_tokens": _OUTPUT,
    "max_tool_calls": _FREE,
    "previous_response_id": Top(Rule.OPAQUE, Kind.REFERENCE),
    "prompt": Top(Rule.OPAQUE, Kind.JSON, TextRole.USER),
    "reasoning": _FREE,
    "text": _SCHEMA,
    "truncation": _FREE,
}
"""`POST /responses`."""

EMBEDDINGS = {
    "dimensions": _FREE,
    "encoding_format": _FREE,
    "input": Top(Rule.TEXT, Kind.CONTENT, TextRole.USER),
    "model": _FREE,
    "user": _METADATA,
}
"""`POST /embeddings`."""
