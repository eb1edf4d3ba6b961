"""Rows for the typed objects inside OpenAI's requests (message parts, items, tools) and for their members."""

from llmgov.snapshot import Dimension
from llmgov.wire import fields
from llmgov.wire.events import TextRole
from llmgov.wire.fields import Field, Findings, Kind, Object, Part
from llmgov.wire.walk import FieldTable

ROLES = {
    "system": TextRole.SYSTEM,
    "developer": TextRole.SYSTEM,
    "user": TextRole.USER,
    "assistant": TextRole.ASSISTANT,
    "tool": TextRole.TOOL_RESULT,
    "function": TextRole.TOOL_RESULT,
}
"""Who speaks, by a message's `role`."""

LIFETIMES: dict[str | None, Dimension] = {
    None: Dimension.CACHE_WRITE_30M,
    "30m": Dimension.CACHE_WRITE_30M,
    "12h": Dimension.CACHE_WRITE_12H,
}
"""What a cache write is billed as, by its `ttl`."""

_HOSTED_TEXT = 4096
"""Tokens that the provider's own description of a built-in client-side tool takes at most, generously."""

_BYTES_PER_AUDIO_TOKEN = 25
"""Base64 characters per token of sound, at least. Input is billed at 10 tokens a second; the least that a second of
speech takes is 1,000 bytes (MP3 at 8 kbit/s), so that the true number is 130 and more."""

_AUDIO_FORMATS = ("mp3", "wav")


def _audio(findings: Findings, value: Object, path: str) -> None:
    sound = value.get("input_audio")
    data = sound.get("data") if isinstance(sound, dict) else None
    if not isinstance(sound, dict) or not isinstance(data, str) or sound.get("format") not in _AUDIO_FORMATS:
        findings.refuse(path, "audio in a format of unknown length")
    else:
        findings.audio_tokens += len(data) // _BYTES_PER_AUDIO_TOKEN + 1


def _server_tool(dimension: Dimension | None) -> fields.Cost:
    """A tool that the provider runs and feeds back to the model; `dimension` is what a call is billed in, if at all."""

    def add(findings: Findings, _value: Object, path: str) -> None:
        findings.opaque = True
        findings.server_tools.append((path, dimension))

    return add


def _shell(findings: Findings, value: Object, path: str) -> None:
    environment = value.get("environment")
    if not isinstance(environment, dict) or environment.get("type") != "local":
        findings.refuse(path, "a hosted container, whose time is billed apart from the response")
    findings.overhead += _HOSTED_TEXT


_TEXT = Part(None, fields.text)
_CALL = Part(TextRole.TOOL_ARGUMENTS, fields.text)
_RESULT = Part(TextRole.TOOL_RESULT, fields.text)
_PROTECTED = Part(TextRole.PROTECTED, fields.text)
_DEFINITION = Part(TextRole.TOOL_DEFINITION, fields.text)
_CLIENT_TOOL = Part(TextRole.TOOL_DEFINITION, fields.overhead(_HOSTED_TEXT))
_WEB_SEARCH = Part(TextRole.TOOL_DEFINITION, _server_tool(Dimension.WEB_SEARCH_CALL))
_FREE_SERVER_TOOL = Part(TextRole.TOOL_DEFINITION, _server_tool(None))
_OPAQUE = Part(TextRole.PROTECTED, fields.opaque)
_CONTAINER = "a hosted container, whose time is billed apart from the response"

PARTS = {
    "": _TEXT,
    "additional_tools": _DEFINITION,
    "apply_patch": _CLIENT_TOOL,
    "apply_patch_call": _CALL,
    "apply_patch_call_output": _RESULT,
    "code_interpreter": Part(TextRole.TOOL_DEFINITION, fields.unbounded(_CONTAINER)),
    "code_interpreter_call": _CALL,
    "compaction": _OPAQUE,
    "compaction_trigger": Part(TextRole.PROTECTED, fields.unbounded("compaction, a run of the model of its own")),
    "computer": _CLIENT_TOOL,
    "computer_call": _CALL,
    "computer_call_output": _RESULT,
    "computer_screenshot": Part(None, fields.image),
    "computer_use_preview": _CLIENT_TOOL,
    "configuration_update": _TEXT,
    "content": _TEXT,
    "custom": _TEXT,
    "custom_tool_call": _CALL,
    "custom_tool_call_output": _RESULT,
    "file": Part(None, fields.opaque),
    "file_search": Part(TextRole.TOOL_DEFINITION, _server_tool(Dimension.FILE_SEARCH_CALL)),
    "file_search_call": _CALL,
    "function": _TEXT,
    "function_call": _CALL,
    "function_call_output": _RESULT,
    "image_generation": Part(TextRole.TOOL_DEFINITION, fields.unbounded("image generation, billed by another model")),
    "image_generation_call": Part(TextRole.TOOL_RESULT, fields.image),
    "image_url": Part(None, fields.image),
    "input_audio": Part(None, _audio),
    "input_file": Part(None, fields.opaque),
    "input_image": Part(None, fields.image),
    "input_text": _TEXT,
    "item_reference": _OPAQUE,
    "local_shell": _CLIENT_TOOL,
    "local_shell_call": _CALL,
    "local_shell_call_output": _RESULT,
    "mcp": _FREE_SERVER_TOOL,
    "mcp_approval_request": _CALL,
    "mcp_approval_response": _RESULT,
    "mcp_call": _CALL,
    "mcp_list_tools": _DEFINITION,
    "message": _TEXT,
    "namespace": _DEFINITION,
    "output_text": _TEXT,
    "program": _CALL,
    "program_output": _RESULT,
    "programmatic_tool_calling": Part(TextRole.TOOL_DEFINITION, fields.unbounded(_CONTAINER)),
    "reasoning": _PROTECTED,
    "reasoning_text": _PROTECTED,
    "refusal": _TEXT,
    "shell": Part(TextRole.TOOL_DEFINITION, _shell),
    "shell_call": _CALL,
    "shell_call_output": _RESULT,
    "summary_text": _PROTECTED,
    "text": _TEXT,
    "tool_search": _FREE_SERVER_TOOL,
    "tool_search_call": _CALL,
    "tool_search_output": _DEFINITION,
    "web_search": _WEB_SEARCH,
    "web_search_2025_08_26": _WEB_SEARCH,
    "web_search_call": _CALL,
    "web_search_preview": _WEB_SEARCH,
    "web_search_preview_2025_03_11": _WEB_SEARCH,
}
"""By `type`; objects without one (messages, the inner `function`) are under the empty name."""

_CONTENT = Field(Kind.CONTENT)
_JSON = Field(Kind.JSON)
_NAME = Field(Kind.PROTECTED)
_CONTROL = Field(Kind.CONTROL)
_ARGUMENTS = Field(Kind.CONTENT, TextRole.TOOL_ARGUMENTS)
_MEDIA = Field(Kind.MEDIA)
_URL = Field(Kind.URL)

# fmt: off
_CONTROLS = (
    "allowed_callers", "approval_request_id", "approve", "async", "authorization", "background", "call_id",
    "caller", "complexity", "connector_id", "container_id", "defer_loading", "detail", "display_height",
    "display_width", "encrypted_content", "execution", "external_web_access", "fingerprint", "frame_count",
    "frame_duration_ms", "headers", "id", "input_fidelity", "max_num_results", "max_output_length", "moderation",
    "output_compression", "output_format", "partial_images", "phase", "quality", "ranking_options", "role",
    "search_content_types", "search_context_size", "size", "status", "strict", "svg_usage", "tool_call_id",
    "tunnel_id", "type", "vector_store_ids",
)
# fmt: on

FIELDS: FieldTable = {
    **dict.fromkeys(_CONTROLS, _CONTROL),
    "acknowledged_safety_checks": _NAME,
    "action": _JSON,
    "actions": _JSON,
    "allowed_tools": _NAME,
    "annotations": _NAME,
    "arguments": _ARGUMENTS,
    "audio": Field(Kind.REFERENCE),
    "code": _CONTENT,
    "container": _NAME,
    "content": _CONTENT,
    "custom": _CONTENT,
    "data": _MEDIA,
    "description": _JSON,
    "environment": _JSON,
    "error": _JSON,
    "file": _CONTENT,
    "file_data": _MEDIA,
    "file_id": Field(Kind.REFERENCE),
    "file_url": _URL,
    "filename": Field(Kind.JSON, TextRole.FILE_NAME),
    "filters": _JSON,
    "format": Field(Kind.JSON, TextRole.TOOL_DEFINITION),
    "function": _CONTENT,
    "function_call": _ARGUMENTS,
    "image_url": _URL,
    "input": _ARGUMENTS,
    "input_audio": _CONTENT,
    "input_image_mask": _MEDIA,
    "logprobs": _NAME,
    "model": _NAME,
    "name": _NAME,
    "namespace": _NAME,
    "operation": _JSON,
    "output": _CONTENT,
    "output_schema": _JSON,
    "outputs": _JSON,
    "parameters": _JSON,
    "pending_safety_checks": _NAME,
    "prompt_cache_breakpoint": Field(Kind.CACHE),
    "queries": _JSON,
    "reason": _CONTENT,
    "reasoning": _JSON,
    "refusal": _CONTENT,
    "require_approval": _NAME,
    "result": _CONTENT,
    "results": _JSON,
    "revised_prompt": _JSON,
    "server_description": _JSON,
    "server_label": _NAME,
    "server_url": _URL,
    "summary": _CONTENT,
    "svg": _NAME,
    "text": _CONTENT,
    "tool_calls": _ARGUMENTS,
    "tools": Field(Kind.CONTENT, TextRole.TOOL_DEFINITION),
    "url": _URL,
    "user_location": _JSON,
    ("computer_screenshot", "file_id"): _CONTROL,
    ("configuration_update", "text"): _JSON,
    ("image_generation_call", "action"): _CONTROL,
    ("image_generation_call", "result"): _MEDIA,
    ("image_url", "image_url"): _CONTENT,
    ("input_image", "file_id"): _CONTROL,
    ("mcp_list_tools", "tools"): _JSON,
    ("mcp_call", "output"): Field(Kind.CONTENT, TextRole.TOOL_RESULT),
    ("shell_call_output", "output"): _JSON,
    ("tool_search_call", "arguments"): Field(Kind.JSON, TextRole.TOOL_ARGUMENTS),
}
"""By name, or by the object's type and name where the type decides."""
