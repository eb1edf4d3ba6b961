"""Anthropic's answers understood: what the model said, where it stands, and what was used."""

from collections.abc import Mapping
from typing import Any

from llmgov.wire import answers, lenient, paths, walk
from llmgov.wire.anthropic import usage
from llmgov.wire.events import Answer, Operation, Route, Text, TextRole
from llmgov.wire.fields import Kind

_CONTROLS = frozenset({"id", "type", "name", "signature", "data", "encrypted_content", "caller", "tool_use_id"})


def parse_answer(route: Route, status: int, body: bytes, *, strict: bool = False) -> Answer:
    """A whole answer. What cannot be read is `unread`, and one text of role `PROTECTED`."""
    if status >= 400:
        return answers.error(body, strict=strict)
    parsed = lenient.decode_object(body, strict=strict)
    if parsed is None:
        return answers.unread(body)
    if route.operation is not Operation.MESSAGES:
        return Answer(body, (), None)
    report, model = parsed.get("usage"), parsed.get("model")
    used = usage.of_report(report, model if isinstance(model, str) else None) if report is not None else None
    return Answer(body, content_texts(parsed.get("content"), "content"), used)


def content_texts(content: Any, path: str) -> tuple[Text, ...]:
    """The texts of an answer's content blocks."""
    blocks = content if isinstance(content, list) else []
    return tuple(
        text
        for index, block in enumerate(blocks)
        if isinstance(block, dict)
        for text in block_texts(block, f"{path}[{index}]")
    )


def block_texts(block: Mapping[str, Any], path: str) -> tuple[Text, ...]:
    """The texts of one block. Thinking is signed, and results of server tools are evidence: read, not rewritten."""
    role = TextRole.OUTPUT if block.get("type") in ("text", "tool_use") else TextRole.PROTECTED
    walker = walk.Walker({}, {}, {}, {})
    for name, value in block.items():
        if name not in _CONTROLS:
            walker.read(value, Kind.JSON, paths.key(path, name), role)
    return tuple(walker.findings.texts)
