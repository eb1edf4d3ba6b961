"""OpenAI's answers understood: what the model said, where it stands, and what was used."""

from collections.abc import Mapping
from typing import Any

from llmgov.wire import answers, lenient, paths
from llmgov.wire.events import Answer, Operation, Route
from llmgov.wire.openai import usage

_CONTROLS = frozenset({"id", "type", "role", "status", "call_id", "encrypted_content", "object", "index", "phase"})

_ECHOES = frozenset(
    {
        "background",
        "conversation",
        "input_transformations",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Members of a response that repeat the request, which filters have seen: an instruction never to say a word has it."""


VOCABULARY = answers.CONTROLS | {
    "action", "annotations", "approval_request_id", "arguments", "audio", "code", "container_id", "content", "error",
    "file_id", "function_call", "input", "logprobs", "max_output_length", "name", "operation", "output", "outputs",
    "pending_safety_checks", "queries", "reasoning", "reasoning_content", "refusal", "result", "results",
    "server_label", "summary", "text", "thinking", "tool_calls", "tools", "transcript",
}  # fmt: skip
"""Names of what messages, their parts and output items hold; another may be anybody's words."""


def parse_answer(route: Route, status: int, body: bytes, *, strict: bool = False) -> Answer:
    """A whole answer. What cannot be read is `unread`, and one text of role `PROTECTED`."""
    if status >= 400:
        return answers.error(body, strict=strict)
    parsed = lenient.decode_object(body, strict=strict)
    if parsed is None:
        return answers.unread(body)
    texts = Reading()
    match route.operation:
        case Operation.CHAT_COMPLETIONS:
            texts.chat(parsed)
            used = usage.of_chat(parsed)
        case Operation.RESPONSES:
            texts.response(parsed, "")
            used = usage.of_response(parsed)
        case Operation.EMBEDDINGS:
            texts.embeddings(parsed)
            used = usage.of_embeddings(parsed)
        case _:
            used = None
    return Answer(body, texts.found, used, derived=tuple(texts.derived))


class Reading(answers.Texts):
    """Collects the texts of an answer, or of a part of one."""

    def chat(self, body: Mapping[str, Any]) -> None:
        """A chat completion. Its metadata repeats the request's."""
        self.each(body.get("choices"), "choices", self._choice)
        self.words(body.get("usage"), "usage")
        self.others(body, ("choices", "usage", "metadata"), "")

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """A chunk of a streamed one, but for the deltas of its choices."""
        self.each(chunk.get("choices"), "choices", self._streamed)
        self.words(chunk.get("usage"), "usage")
        self.others(chunk, ("choices", "usage"), "")

    def embeddings(self, body: Mapping[str, Any]) -> None:
        """Vectors, as numbers or in base64."""
        self.each(body.get("data"), "data", self._vector)
        self.words(body.get("usage"), "usage")
        self.others(body, ("data", "usage"), "")

    def response(self, response: Mapping[str, Any], path: str) -> None:
        """A response of the Responses API: what it says is in its output items."""
        self.each(response.get("output"), paths.key(path, "output"), self.item)
        self.words(response.get("usage"), paths.key(path, "usage"))
        self.words(response.get("tool_usage"), paths.key(path, "tool_usage"))
        self.others(response, {"output", "usage", "tool_usage"} | _ECHOES, path)

    def item(self, item: dict[str, Any], path: str) -> None:
        """An output item. Reasoning is signed or encrypted beside, and what hosted tools brought is evidence: both
        are read, and not rewritten."""
        match item.get("type"):
            case "message":
                self.each(item.get("content"), f"{path}.content", self.part)
                self.others(item, ("content",), path)
            case "function_call" | "custom_tool_call":
                self.said(item.get("arguments"), f"{path}.arguments")
                self.said(item.get("input"), f"{path}.input")
                self.evidence(item.get("name"), f"{path}.name")
                self.others(item, ("arguments", "input", "name"), path)
            case "image_generation_call":
                self.media(item.get("result"), f"{path}.result")
                self._evidence(item, path, ("result",))
            case _:
                self._evidence(item, path)

    def part(self, part: dict[str, Any], path: str) -> None:
        """A content part of a message; of other things than messages it is not rewritten."""
        if part.get("type") not in ("output_text", "refusal", "text"):
            self._evidence(part, path)
            return
        for name, value in part.items():
            where = self.at(path, name, VOCABULARY)
            if name == "logprobs":
                if value:
                    self.derived.append(where)
            elif not answers.is_control(name, value, _CONTROLS):
                self.said(value, where)

    def _choice(self, choice: dict[str, Any], path: str) -> None:
        self.object(choice.get("message"), f"{path}.message", self._message)
        if choice.get("logprobs") is not None:
            self.derived.append(f"{path}.logprobs")
        self.others(choice, ("message", "logprobs"), path)

    def _streamed(self, choice: dict[str, Any], path: str) -> None:
        delta = choice.get("delta")
        self.others(choice, ("logprobs", "delta") if isinstance(delta, dict) else ("logprobs",), path)

    def _message(self, message: dict[str, Any], path: str) -> None:
        for name, value in message.items():
            where = self.at(path, name, VOCABULARY)
            if name == "tool_calls":
                self.each(value, where, self._call)
            elif name == "function_call":
                self.object(value, where, self._function)
            elif name == "audio":
                self.object(value, where, self._audio)
            elif not answers.is_control(name, value, _CONTROLS):
                self.said(value, where)

    def _call(self, call: dict[str, Any], path: str) -> None:
        self.object(call.get("function"), f"{path}.function", self._function)
        self.object(call.get("custom"), f"{path}.custom", self._function)
        self.others(call, ("function", "custom"), path)

    def _function(self, function: dict[str, Any], path: str) -> None:
        self.evidence(function.get("name"), f"{path}.name")
        for name, value in function.items():
            if name != "name":
                self.said(value, self.at(path, name, VOCABULARY))

    def _audio(self, audio: dict[str, Any], path: str) -> None:
        self.media(audio.get("data"), f"{path}.data")
        self.said(audio.get("transcript"), f"{path}.transcript")
        self.others(audio, ("data", "transcript", "expires_at"), path)

    def _vector(self, vector: dict[str, Any], path: str) -> None:
        embedding = vector.get("embedding")
        if not isinstance(embedding, str) and not _is_numbers(embedding):
            self.evidence(embedding, f"{path}.embedding")
        self.others(vector, ("embedding",), path)

    def _evidence(self, value: Mapping[str, Any], path: str, known: tuple[str, ...] = ()) -> None:
        for name, member in value.items():
            if name not in known and not answers.is_control(name, member, _CONTROLS):
                self.evidence(member, self.at(path, name, VOCABULARY))


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {int, float}
