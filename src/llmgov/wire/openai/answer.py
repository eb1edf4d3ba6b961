"""OpenAI's answers understood: what the model said, where it stands, and what was used."""

from collections.abc import Iterator, Mapping
from typing import Any

from llmgov.wire import answers, lenient, walk
from llmgov.wire.events import Answer, Operation, Route, Text, TextRole
from llmgov.wire.fields import Kind
from llmgov.wire.openai import usage

_CONTROLS = frozenset({"id", "type", "role", "status", "call_id", "encrypted_content", "object", "index", "phase"})


def parse_answer(route: Route, status: int, body: bytes, *, strict: bool = False) -> Answer:
    """A whole answer. What cannot be read is `unread`, and one text of role `PROTECTED`."""
    if status >= 400:
        return answers.error(body, strict=strict)
    parsed = lenient.decode_object(body, strict=strict)
    if parsed is None:
        return answers.unread(body)
    match route.operation:
        case Operation.CHAT_COMPLETIONS:
            return _chat(body, parsed)
        case Operation.RESPONSES:
            texts = _Texts()
            texts.response(parsed, "")
            return Answer(body, texts.found, usage.of_response(parsed), derived=texts.derived)
        case Operation.EMBEDDINGS:
            return Answer(body, (), usage.of_embeddings(parsed))
        case _:
            return Answer(body, (), None)


def _chat(body: bytes, parsed: dict[str, Any]) -> Answer:
    texts = _Texts()
    derived: list[str] = []
    for index, choice in enumerate(_objects(parsed.get("choices"))):
        texts.message(_object(choice, "message"), f"choices[{index}].message")
        if choice.get("logprobs") is not None:
            derived.append(f"choices[{index}].logprobs")
    return Answer(body, texts.found, usage.of_chat(parsed), derived=tuple(derived))


def item_texts(item: Mapping[str, Any], path: str) -> tuple[tuple[Text, ...], tuple[str, ...]]:
    """The texts of one output item of the Responses API, and the paths derived from them."""
    texts = _Texts()
    texts.item(item, path)
    return texts.found, texts.derived


def response_texts(response: Mapping[str, Any], path: str) -> tuple[tuple[Text, ...], tuple[str, ...]]:
    """The texts of a whole response, and the paths derived from them."""
    texts = _Texts()
    texts.response(response, path)
    return texts.found, texts.derived


def part_texts(part: Mapping[str, Any], path: str) -> tuple[tuple[Text, ...], tuple[str, ...]]:
    """The texts of one part of an output item; of reasoning they are not rewritten."""
    if part.get("type") in ("output_text", "refusal", "text"):
        texts = _Texts()
        texts.part(part, path)
        return texts.found, texts.derived
    return any_texts({k: v for k, v in part.items() if k not in _CONTROLS}, path, TextRole.PROTECTED), ()


def any_texts(value: Any, path: str, role: TextRole) -> tuple[Text, ...]:
    """All strings of a value, of whatever shape."""
    walker = walk.Walker({}, {}, {}, {})
    walker.read(value, Kind.JSON, path, role)
    return tuple(walker.findings.texts)


class _Texts:
    """Collects the texts of an answer."""

    def __init__(self) -> None:
        self._walker = walk.Walker({}, {}, {}, {})
        self._derived: list[str] = []

    @property
    def found(self) -> tuple[Text, ...]:
        return tuple(self._walker.findings.texts)

    @property
    def derived(self) -> tuple[str, ...]:
        return tuple(self._derived)

    def message(self, message: Mapping[str, Any], path: str) -> None:
        """A chat message: its strings, its calls' arguments, a transcript."""
        for name, value in message.items():
            where = f"{path}.{name}"
            if name in _CONTROLS:
                continue
            if name == "tool_calls":
                for index, call in enumerate(_objects(value)):
                    self._call(call, f"{where}[{index}]")
            elif name == "function_call":
                self._string(_object(message, name).get("arguments"), f"{where}.arguments")
            elif name == "audio":
                self._string(_object(message, name).get("transcript"), f"{where}.transcript")
            else:
                self._string(value, where)

    def response(self, response: Mapping[str, Any], path: str) -> None:
        """A response: what it says is in its output items; the rest repeats the request."""
        for index, item in enumerate(_objects(response.get("output"))):
            self.item(item, f"{path}.output[{index}]".lstrip("."))

    def item(self, item: Mapping[str, Any], path: str) -> None:
        """An output item. Reasoning is signed or encrypted beside, and what hosted tools brought is evidence: both
        are read, and not rewritten."""
        match item.get("type"):
            case "message":
                for index, part in enumerate(_objects(item.get("content"))):
                    self.part(part, f"{path}.content[{index}]")
            case "function_call" | "custom_tool_call":
                self._string(item.get("arguments"), f"{path}.arguments")
                self._string(item.get("input"), f"{path}.input")
            case _:
                for name, value in item.items():
                    if name not in _CONTROLS and name != "result":
                        self._walker.read(value, Kind.PROTECTED, f"{path}.{name}", TextRole.PROTECTED)

    def part(self, part: Mapping[str, Any], path: str) -> None:
        """A content part of a message."""
        for name, value in part.items():
            if name in _CONTROLS:
                continue
            if name == "logprobs":
                if value:
                    self._derived.append(f"{path}.{name}")
            else:
                self._string(value, f"{path}.{name}")

    def _call(self, call: Mapping[str, Any], path: str) -> None:
        self._string(_object(call, "function").get("arguments"), f"{path}.function.arguments")
        self._string(_object(call, "custom").get("input"), f"{path}.custom.input")

    def _string(self, value: Any, path: str) -> None:
        if isinstance(value, str):
            self._walker.read(value, Kind.CONTENT, path, TextRole.OUTPUT)
        elif value is not None:
            self._walker.read(value, Kind.PROTECTED, path, TextRole.PROTECTED)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (item if isinstance(item, dict) else {} for item in (value if isinstance(value, list) else ()))
