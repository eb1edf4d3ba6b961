"""Rows for the top-level fields of Anthropic's messages: what each is, and what bounds its cost.

Source: the request types of the official SDK (messages, and its beta, which is the same endpoint) and the API reference
at platform.claude.com/docs/en/api; a test compares the tables with the SDK's types.
"""

from llmgov.wire.events import TextRole
from llmgov.wire.fields import Kind, Rule, Top

_FREE = Top(Rule.FREE, Kind.CONTROL)
_TIER = Top(Rule.TIER, Kind.CONTROL)
_OTHER_MODELS = "further models, each at its own price"

MESSAGES = {
    "billing_policy": Top(Rule.REFUSED, Kind.CONTROL, None, "a billing policy that nothing here knows"),
    "cache_control": Top(Rule.CACHE, Kind.CACHE),
    "compaction": Top(Rule.REFUSED, Kind.JSON, TextRole.SYSTEM, "compaction, a run of the model of its own"),
    "container": Top(
        Rule.REFUSED, Kind.CONTROL, None, "a hosted container, whose time is billed apart from the answer"
    ),
    "context_management": Top(Rule.TEXT, Kind.CONTENT, TextRole.METADATA),
    "diagnostics": _FREE,
    "fallback_credit_token": _FREE,
    "fallbacks": Top(Rule.REFUSED, Kind.CONTROL, None, _OTHER_MODELS),
    "inference_geo": _TIER,
    "max_tokens": Top(Rule.OUTPUT, Kind.CONTROL),
    "mcp_servers": Top(Rule.REFUSED, Kind.CONTROL, None, "tools of MCP servers, whose number of calls nothing bounds"),
    "messages": Top(Rule.TEXT, Kind.CONTENT, TextRole.USER),
    "metadata": Top(Rule.FREE, Kind.JSON, TextRole.METADATA),
    "model": _FREE,
    "output_config": Top(Rule.TEXT, Kind.JSON, TextRole.SYSTEM),
    "service_tier": _TIER,
    "speed": _TIER,
    "stop_sequences": Top(Rule.TEXT, Kind.JSON, TextRole.METADATA),
    "stream": _FREE,
    "system": Top(Rule.TEXT, Kind.CONTENT, TextRole.SYSTEM),
    "temperature": _FREE,
    "thinking": _FREE,
    "thread": Top(Rule.OPAQUE, Kind.CONTROL),
    "tool_choice": Top(Rule.TEXT, Kind.JSON, TextRole.TOOL_DEFINITION),
    "tools": Top(Rule.TOOLS, Kind.CONTENT, TextRole.TOOL_DEFINITION),
    "top_k": _FREE,
    "top_p": _FREE,
    "user_profile_id": _FREE,
}
"""`POST /v1/messages` and `/v1/messages/count_tokens`. Sampling fields that the SDK dropped are still accepted by older
models."""

HEADERS = frozenset({"betas", "workspace_id"})
"""What the SDK's request types hold too, but sends as headers."""
