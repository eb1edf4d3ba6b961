"""A streamed message: `message_start`, blocks as start, deltas and stop, `message_delta` with the usage, the end."""

from typing import Any

import msgspec

from llmgov.wire import reports, sse, stream
from llmgov.wire.anthropic import answer, usage
from llmgov.wire.events import Delta, DeltaKind, Frame, Text, TextRole, Usage

_DELTAS = {
    "text_delta": ("text", DeltaKind.TEXT),
    "input_json_delta": ("partial_json", DeltaKind.TOOL_ARGUMENTS),
    "thinking_delta": ("thinking", DeltaKind.PROTECTED),
}
"""The member that holds the text, and what it is, by the delta's type."""

_STARTS = {
    "text": ("text", DeltaKind.TEXT, "text_delta"),
    "thinking": ("thinking", DeltaKind.PROTECTED, "thinking_delta"),
}
"""The same of blocks that begin, and the type of the deltas that go on."""

_ABOUT = {
    "message_start": "message",
    "content_block_start": "content_block",
    "content_block_delta": "delta",
}
"""The member that each type of event is about; of others all members are read."""


class MessageReader(stream.Reader):
    """Reads one stream."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._open: dict[int, dict[str, None]] = {}
        self._report: dict[str, Any] = {}
        self._output_told = False
        self._model: str | None = None

    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        return self._event(event.raw, parsed, str(parsed.get("type", event.name)))

    def _event(self, raw: bytes, parsed: dict[str, Any], type_: str) -> Frame:
        rest = self._rest(parsed, type_)
        match type_:
            case "message_start":
                return self._start(raw, parsed.get("message"), rest)
            case "content_block_start":
                return self._block(raw, parsed, rest)
            case "content_block_delta":
                return self._delta(raw, parsed, rest)
            case "content_block_stop":
                return Frame(raw, full=rest, closes=tuple(self._open.pop(_index(parsed), {})))
            case "message_delta":
                return Frame(raw, full=rest, usage=self._spent(parsed.get("usage")), closes=self._close_all())
            case "message_stop":
                return Frame(raw, full=rest, closes=self._close_all(), terminal=True)
            case "error":
                return Frame(raw, full=rest, error=True)
            case _:
                return Frame(raw, full=rest)

    def _rest(self, parsed: dict[str, Any], type_: str) -> tuple[Text, ...]:
        """The texts of an event's members but those that its type is about."""
        if not self._strict:
            return ()
        texts = answer.Reading()
        about = _ABOUT.get(type_, "")
        texts.others(parsed, ("usage", about) if isinstance(parsed.get(about), dict) else ("usage",), "")
        texts.words(parsed.get("usage"), "usage")
        return texts.found

    def _start(self, raw: bytes, message: Any, rest: tuple[Text, ...]) -> Frame:
        if not isinstance(message, dict):
            return Frame(raw, full=rest)
        model = message.get("model")
        self._model = model if isinstance(model, str) else None
        full = (*answer.message_texts(message, "message"), *rest)
        return Frame(raw, full=full, usage=self._used(message.get("usage")))

    def _block(self, raw: bytes, parsed: dict[str, Any], rest: tuple[Text, ...]) -> Frame:
        """A block begins empty, or, where a server tool made it, whole; a text that has begun goes on in deltas."""
        block = parsed.get("content_block")
        if not isinstance(block, dict):
            return Frame(raw, full=rest)
        name, kind, type_ = _STARTS.get(str(block.get("type")), ("", DeltaKind.PROTECTED, ""))
        text = block.get(name)
        if not isinstance(text, str) or not text:
            return Frame(raw, full=(*answer.block_texts(block, "content_block"), *rest))
        others = {key: value for key, value in block.items() if key != name}
        delta = Delta(self._channel(parsed, name), text, kind, f"content_block.{name}")
        return Frame(
            raw,
            deltas=(delta,),
            full=(*answer.block_texts(others, "content_block"), *rest),
            again=_again(delta, _index(parsed), type_, name),
        )

    def _delta(self, raw: bytes, parsed: dict[str, Any], rest: tuple[Text, ...]) -> Frame:
        delta = parsed.get("delta")
        if not isinstance(delta, dict):
            return Frame(raw, full=rest)
        name, kind = _DELTAS.get(str(delta.get("type")), ("", DeltaKind.PROTECTED))
        text = delta.get(name)
        if not isinstance(text, str):
            name = ""
        others = {key: value for key, value in delta.items() if key != name} if self._strict or not name else {}
        full = (*_protected(answer.block_texts(others, "delta")), *rest)
        if not isinstance(text, str):
            return Frame(raw, full=full)
        channel = self._channel(parsed, name)
        return Frame(raw, deltas=(Delta(channel, text, kind, f"delta.{name}"),) if text else (), full=full)

    def _channel(self, parsed: dict[str, Any], name: str) -> str:
        channel = f"content[{_index(parsed)}].{name}"
        self._open.setdefault(_index(parsed), {})[channel] = None
        return channel

    def _spent(self, report: Any) -> Usage | None:
        """The report of a `message_delta`: only this one says what the whole answer has cost, the start's does not."""
        if isinstance(report, dict) and report.get("output_tokens") is not None:
            self._output_told = True
        return self._used(report)

    def _used(self, report: Any) -> Usage | None:
        """Every report is the total so far, and later ones may leave out what did not change."""
        if report is None:
            return None
        if not isinstance(report, dict):
            return usage.of_report(report, self._model)
        self._report = reports.latest(self._report, report)
        return usage.of_report(self._report | ({} if self._output_told else {"output_tokens": None}), self._model)

    def _close_all(self) -> tuple[str, ...]:
        channels = tuple(channel for opened in self._open.values() for channel in opened)
        self._open.clear()
        return channels


def _protected(texts: tuple[Text, ...]) -> list[Text]:
    return [Text(text.path, text.text, TextRole.PROTECTED) for text in texts]


def _index(parsed: dict[str, Any]) -> int:
    index = parsed.get("index")
    return index if isinstance(index, int) else 0


def _again(delta: Delta, index: int, type_: str, name: str) -> Frame:
    """A delta that goes on with what a block began with."""
    data = {"type": "content_block_delta", "index": index, "delta": {"type": type_, name: delta.text}}
    raw = b"event: content_block_delta\ndata: " + msgspec.json.encode(data) + b"\n\n"
    return Frame(raw, deltas=(Delta(delta.channel, delta.text, delta.kind, f"delta.{name}"),))
