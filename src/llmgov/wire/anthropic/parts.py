"""Rows for the typed objects inside Anthropic's messages (content blocks, sources, tools) and for their members."""

from llmgov.snapshot import Dimension
from llmgov.wire import fields, values
from llmgov.wire.events import TextRole
from llmgov.wire.fields import Field, Findings, Kind, Object, Part
from llmgov.wire.walk import FieldTable

ROLES = {"user": TextRole.USER, "assistant": TextRole.ASSISTANT, "system": TextRole.SYSTEM}
"""Who speaks, by a message's `role`."""

LIFETIMES: dict[str | None, Dimension] = {
    None: Dimension.CACHE_WRITE_5M,
    "5m": Dimension.CACHE_WRITE_5M,
    "1h": Dimension.CACHE_WRITE_1H,
}
"""What a cache write is billed as, by its `ttl`."""

MAX_LOOP = 10
"""How often a server tool's loop runs the model before the answer ends with `pause_turn`
(platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools)."""

_CLIENT_TOOL = 4096
"""Tokens of the provider's own description of a tool it defines, at most: the pricing page says 245 to 735."""

_TOOLSET = 32_768
"""The same for a set of some thirty tools."""

_MAX_USES = 1000


def _document(findings: Findings, value: Object, _path: str) -> None:
    """Plain text is in the body; what a PDF, an address or a file id becomes is seen by the provider alone."""
    source = value.get("source")
    if not isinstance(source, dict) or source.get("type") not in ("text", "content"):
        findings.opaque = True


def _search(findings: Findings, value: Object, path: str) -> None:
    uses = values.count(value, "max_uses", _MAX_USES, f"{path}.max_uses")
    findings.opaque = True
    if uses is None:
        findings.refuse(path, "web searches without max_uses")
        return
    findings.calls[Dimension.WEB_SEARCH_CALL] = findings.calls.get(Dimension.WEB_SEARCH_CALL, 0) + uses
    findings.iterations += min(uses, MAX_LOOP)


def _loop(findings: Findings, value: Object, path: str) -> None:
    """A server tool without a fee of its own: it runs the model again, and adds context."""
    uses = values.count(value, "max_uses", _MAX_USES, f"{path}.max_uses")
    findings.opaque = True
    findings.iterations += MAX_LOOP if uses is None else min(uses, MAX_LOOP)


_CONTAINER = "code execution, whose time is billed apart from the answer"
_TEXT = Part(None, fields.text)
_CALL = Part(TextRole.TOOL_ARGUMENTS, fields.text)
_RESULT = Part(TextRole.TOOL_RESULT, fields.text)
_FIXED = Part(TextRole.PROTECTED, fields.text)
_OPAQUE = Part(TextRole.PROTECTED, fields.opaque)
_BUILT_IN = Part(TextRole.TOOL_DEFINITION, fields.overhead(_CLIENT_TOOL))
_SET = Part(TextRole.TOOL_DEFINITION, fields.overhead(_TOOLSET))
_CODE = Part(TextRole.TOOL_DEFINITION, fields.unbounded(_CONTAINER))
_SEARCH = Part(TextRole.TOOL_DEFINITION, _search)
_LOOP = Part(TextRole.TOOL_DEFINITION, _loop)
_ADVISOR = Part(TextRole.TOOL_DEFINITION, fields.unbounded("an advisor, another model at its own price"))
_MCP = Part(TextRole.TOOL_DEFINITION, fields.unbounded("tools of an MCP server, whose number of calls nothing bounds"))
_COMPACT = Part(None, fields.unbounded("compaction, a run of the model of its own"))

PARTS = {
    "": _TEXT,
    "advisor_20260301": _ADVISOR,
    "advisor_redacted_result": _FIXED,
    "advisor_result": _RESULT,
    "advisor_tool_result": _RESULT,
    "advisor_tool_result_error": _RESULT,
    "base64": _TEXT,
    "bash_20241022": _BUILT_IN,
    "bash_20250124": _BUILT_IN,
    "bash_code_execution_output": _RESULT,
    "bash_code_execution_result": _RESULT,
    "bash_code_execution_tool_result": _RESULT,
    "bash_code_execution_tool_result_error": _RESULT,
    "browser_state": _RESULT,
    "browser_toolset_20260801": _SET,
    "clear_thinking_20251015": _TEXT,
    "clear_tool_uses_20250919": _TEXT,
    "code_execution_20250522": _CODE,
    "code_execution_20250825": _CODE,
    "code_execution_20260120": _CODE,
    "code_execution_20260521": _CODE,
    "code_execution_output": _RESULT,
    "code_execution_result": _RESULT,
    "code_execution_tool_result": _RESULT,
    "code_execution_tool_result_error": _RESULT,
    "compact_20260112": _COMPACT,
    "compaction": _OPAQUE,
    "computer_20241022": _BUILT_IN,
    "computer_20250124": _BUILT_IN,
    "computer_20251124": _BUILT_IN,
    "computer_toolset_20260801": _SET,
    "container_upload": _OPAQUE,
    "content": _TEXT,
    "custom": Part(TextRole.TOOL_DEFINITION, fields.text),
    "document": Part(None, _document),
    "encrypted_code_execution_result": _RESULT,
    "fallback": _FIXED,
    "file": _TEXT,
    "image": Part(None, fields.image),
    "mcp_tool_listing": Part(TextRole.TOOL_DEFINITION, fields.text),
    "mcp_tool_reference": _FIXED,
    "mcp_tool_result": _RESULT,
    "mcp_tool_use": _CALL,
    "mcp_toolset": _MCP,
    "mcp_toolset_reference": _FIXED,
    "memory_20250818": _BUILT_IN,
    "redacted_thinking": _FIXED,
    "search_result": _RESULT,
    "server_tool_use": _CALL,
    "text": _TEXT,
    "text_editor_20241022": _BUILT_IN,
    "text_editor_20250124": _BUILT_IN,
    "text_editor_20250429": _BUILT_IN,
    "text_editor_20250728": _BUILT_IN,
    "text_editor_code_execution_create_result": _RESULT,
    "text_editor_code_execution_str_replace_result": _RESULT,
    "text_editor_code_execution_tool_result": _RESULT,
    "text_editor_code_execution_tool_result_error": _RESULT,
    "text_editor_code_execution_view_result": _RESULT,
    "thinking": _FIXED,
    "tool_addition": Part(TextRole.TOOL_DEFINITION, fields.text),
    "tool_definition": Part(TextRole.TOOL_DEFINITION, fields.text),
    "tool_reference": _FIXED,
    "tool_removal": _FIXED,
    "tool_result": _RESULT,
    "tool_search_tool_bm25": _LOOP,
    "tool_search_tool_bm25_20251119": _LOOP,
    "tool_search_tool_regex": _LOOP,
    "tool_search_tool_regex_20251119": _LOOP,
    "tool_search_tool_result": _RESULT,
    "tool_search_tool_result_error": _RESULT,
    "tool_search_tool_search_result": _RESULT,
    "tool_use": _CALL,
    "url": _TEXT,
    "web_fetch_20250910": _LOOP,
    "web_fetch_20260209": _LOOP,
    "web_fetch_20260309": _LOOP,
    "web_fetch_20260318": _LOOP,
    "web_fetch_result": _RESULT,
    "web_fetch_tool_result": _RESULT,
    "web_fetch_tool_result_error": _RESULT,
    "web_search_20250305": _SEARCH,
    "web_search_20260209": _SEARCH,
    "web_search_20260318": _SEARCH,
    "web_search_result": _RESULT,
    "web_search_tool_result": _RESULT,
    "web_search_tool_result_error": _RESULT,
}
"""By `type`; objects without one (messages, tools of the client's own) are under the empty name."""

_CONTENT = Field(Kind.CONTENT)
_JSON = Field(Kind.JSON)
_NAME = Field(Kind.PROTECTED)
_CONTROL = Field(Kind.CONTROL)

# fmt: off
_CONTROLS = (
    "allowed_callers", "caching", "caller", "clear_at", "clear_at_least", "clear_tool_inputs", "defer_loading",
    "display_height_px", "display_number", "display_width_px", "eager_input_streaming", "enable_zoom",
    "encrypted_content", "encrypted_stdout", "error_code", "exclude_tools", "file_type", "id", "instructions",
    "is_error", "is_file_update", "keep", "max_characters", "max_content_tokens", "max_tokens", "max_uses",
    "media_type", "model", "new_lines", "new_start", "num_lines", "old_lines", "old_start", "output_config", "page_age",
    "pause_after_compaction", "response_inclusion", "retrieved_at", "return_code", "role", "signature", "start_line",
    "stop_reason", "strict", "tool_use_id", "total_lines", "transformations", "trigger", "type", "use_cache",
)
# fmt: on

FIELDS: FieldTable = {
    **dict.fromkeys(_CONTROLS, _CONTROL),
    "allowed_domains": _NAME,
    "blocked_domains": _NAME,
    "cache_control": Field(Kind.CACHE),
    "citations": _JSON,
    "configs": _NAME,
    "content": _CONTENT,
    "context": _CONTENT,
    "data": Field(Kind.MEDIA),
    "default_config": _NAME,
    "definition": _CONTENT,
    "description": _JSON,
    "edits": _CONTENT,
    "error": _NAME,
    "error_message": _JSON,
    "file_id": _CONTROL,
    "from": _NAME,
    "input": Field(Kind.JSON, TextRole.TOOL_ARGUMENTS),
    "input_examples": _JSON,
    "input_schema": _JSON,
    "lines": _JSON,
    "mcp_server_name": _NAME,
    "name": _NAME,
    "server_name": _NAME,
    "source": _CONTENT,
    "state_changes": _JSON,
    "stderr": _CONTENT,
    "stdout": _CONTENT,
    "tabs": _JSON,
    "text": _CONTENT,
    "thinking": _CONTENT,
    "title": _CONTENT,
    "to": _NAME,
    "tool": _CONTENT,
    "tool_changes": _NAME,
    "tool_name": _NAME,
    "tool_references": _NAME,
    "tools": _JSON,
    "toolset_name": _NAME,
    "url": Field(Kind.URL),
    "url_sources": _NAME,
    "user_location": _JSON,
    ("redacted_thinking", "data"): _CONTROL,
    ("search_result", "source"): _JSON,
    ("text", "data"): _CONTENT,
}
"""By name, or by the object's type and name where the type decides."""
