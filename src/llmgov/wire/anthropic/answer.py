"""Anthropic's answers understood: what the model said, where it stands, and what was used."""

from collections.abc import Mapping
from typing import Any

from llmgov.wire import answers, lenient, paths
from llmgov.wire.anthropic import usage
from llmgov.wire.events import Answer, Operation, Route, Text

_CONTROLS = frozenset({"id", "type", "signature", "data", "encrypted_content", "tool_use_id"})

_KNOWN = frozenset({"content", "usage", "container"})
"""A container is an id and a time."""

_VOCABULARY = answers.CONTROLS | _CONTROLS | {
    "caller", "citations", "content", "input", "is_error", "name", "partial_json", "server_name", "text", "thinking",
}  # fmt: skip
"""Names of what blocks hold; another may be anybody's words."""


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
    return Answer(body, message_texts(parsed, ""), used)


def message_texts(message: Mapping[str, Any], path: str) -> tuple[Text, ...]:
    """The texts of a message."""
    texts = Reading()
    texts.each(message.get("content"), paths.key(path, "content"), texts.block)
    texts.words(message.get("usage"), paths.key(path, "usage"))
    texts.others(message, _KNOWN, path)
    return texts.found


def block_texts(block: Mapping[str, Any], path: str) -> tuple[Text, ...]:
    """The texts of one block."""
    texts = Reading()
    texts.block(block, path)
    return texts.found


class Reading(answers.Texts):
    """Collects the texts of an answer, or of a part of one."""

    def block(self, block: Mapping[str, Any], path: str) -> None:
        """One content block. Thinking is signed, and results of server tools are evidence: read, not rewritten, and
        neither is a tool's name."""
        said = block.get("type") in ("text", "tool_use")
        for name, value in block.items():
            where = self.at(path, name, _VOCABULARY)
            if answers.is_control(name, value, _CONTROLS):
                continue
            if said and name not in ("name", "caller"):
                self.anything(value, where)
            else:
                self.evidence(value, where)
