"""A streamed response of the Responses API: typed events, each text as deltas, then whole, at the end all once more."""

from typing import Any

from llmgov.wire import answers, sse, stream
from llmgov.wire.events import Delta, DeltaKind, Frame, Text
from llmgov.wire.openai import answer, usage

_DONE = b"[DONE]"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_STEMS = {
    "response.output_text": DeltaKind.TEXT,
    "response.text": DeltaKind.TEXT,
    "response.audio.transcript": DeltaKind.TEXT,
    "response.refusal": DeltaKind.REFUSAL,
    "response.function_call_arguments": DeltaKind.TOOL_ARGUMENTS,
    "response.custom_tool_call_input": DeltaKind.TOOL_ARGUMENTS,
}
"""What deltas are, by the event's name without `.delta`. Those of other names are read and not rewritten: reasoning is
signed beside, what hosted tools do has already happened."""

_MEDIA = frozenset({"response.audio", "response.image_generation_call.partial_image"})
_ENCODED = frozenset({"delta", "partial_image_b64"})
_CONTROLS = frozenset(
    {
        "type",
        "sequence_number",
        "item_id",
        "output_index",
        "content_index",
        "summary_index",
        "annotation_index",
        "command_index",
        "obfuscation",
        "name",
        "status",
    }
)


_VOCABULARY = answer.VOCABULARY | _CONTROLS | {"annotation", "delta", "diff", "message", "obfuscation", "param", "part"}
"""Names of what events hold; another may be anybody's words."""


class ResponsesReader(stream.Reader):
    """Reads one stream."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._open: dict[str, None] = {}

    def _mark(self, raw: bytes, data: bytes) -> Frame | None:
        if not data.startswith(_DONE):
            return None
        return Frame(raw, closes=self._close_all(), full=stream.behind(data, _DONE))

    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        return self._event(event.raw, parsed, str(parsed.get("type", event.name)))

    def _event(self, raw: bytes, parsed: dict[str, Any], type_: str) -> Frame:
        stem, _, suffix = type_.rpartition(".")
        if stem in _MEDIA or type_ in _MEDIA:
            rest = {name: value for name, value in parsed.items() if name not in _ENCODED}
            return Frame(raw, full=_texts(rest, stem)[0])
        if suffix == "delta" and isinstance(parsed.get("delta"), str):
            return self._delta(raw, parsed, stem)
        full, derived = _texts(parsed, stem)
        response = parsed.get("response")
        ended = type_ in _ENDS
        return Frame(
            raw,
            full=full,
            derived=derived,
            usage=usage.of_response(response) if ended and isinstance(response, dict) else None,
            closes=self._close_all() if ended else self._close(_channel(parsed, stem)) if suffix == "done" else (),
            terminal=ended,
            error=type_ in ("error", "response.failed") or parsed.get("error") is not None,
        )

    def _delta(self, raw: bytes, parsed: dict[str, Any], stem: str) -> Frame:
        channel = _channel(parsed, stem)
        self._open[channel] = None
        delta = Delta(channel, parsed["delta"], _STEMS.get(stem, DeltaKind.PROTECTED), "delta")
        rest = _texts({name: parsed[name] for name in parsed if name != "delta"}, stem)[0] if self._strict else ()
        return Frame(
            raw,
            deltas=(delta,) if delta.text else (),
            full=rest,
            derived=("logprobs",) if parsed.get("logprobs") else (),
        )

    def _close(self, channel: str) -> tuple[str, ...]:
        if channel not in self._open:
            return ()
        del self._open[channel]
        return (channel,)

    def _close_all(self) -> tuple[str, ...]:
        channels = tuple(self._open)
        self._open.clear()
        return channels


def _channel(parsed: dict[str, Any], stem: str) -> str:
    inner = parsed.get("content_index", parsed.get("summary_index", parsed.get("command_index", 0)))
    return f"output[{parsed.get('output_index', 0)}].{stem.removeprefix('response.')}[{inner}]"


def _texts(parsed: dict[str, Any], stem: str) -> tuple[tuple[Text, ...], tuple[str, ...]]:
    texts = answer.Reading()
    if parsed.get("logprobs"):
        texts.derived.append("logprobs")
    for name, value in parsed.items():
        if name == "response":
            texts.object(value, name, texts.response)
        elif name == "item":
            texts.object(value, name, texts.item)
        elif name == "part":
            texts.object(value, name, texts.part)
        elif name == "logprobs" or answers.is_control(name, value, _CONTROLS):
            continue
        elif stem in _STEMS:
            texts.said(value, texts.at("", name, _VOCABULARY))
        else:
            texts.evidence(value, texts.at("", name, _VOCABULARY))
    return texts.found, tuple(texts.derived)
