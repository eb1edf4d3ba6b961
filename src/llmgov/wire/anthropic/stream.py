"""A streamed message: `message_start`, blocks as start, deltas and stop, `message_delta` with the usage, the end."""

from typing import Any

from llmgov.wire import reports, sse, stream
from llmgov.wire.anthropic import answer, usage
from llmgov.wire.events import Delta, DeltaKind, Frame, Text, TextRole, Usage

_DELTAS = {
    "text_delta": ("text", DeltaKind.TEXT),
    "input_json_delta": ("partial_json", DeltaKind.TOOL_ARGUMENTS),
    "thinking_delta": ("thinking", DeltaKind.PROTECTED),
}
"""The member that holds the text, and what it is, by the delta's type."""

_CONTROLS = frozenset({"type", "signature", "encrypted_content"})


class MessageReader(stream.Reader):
    """Reads one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, dict[str, None]] = {}
        self._report: dict[str, Any] = {}
        self._output_told = False
        self._model: str | None = None

    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        return self._event(event.raw, parsed, str(parsed.get("type", event.name)))

    def _event(self, raw: bytes, parsed: dict[str, Any], type_: str) -> Frame:
        match type_:
            case "message_start":
                return self._start(raw, parsed.get("message"))
            case "content_block_start":
                return self._block(raw, parsed)
            case "content_block_delta":
                return self._delta(raw, parsed)
            case "content_block_stop":
                return Frame(raw, closes=tuple(self._open.pop(_index(parsed), {})))
            case "message_delta":
                return Frame(raw, usage=self._spent(parsed.get("usage")), closes=self._close_all())
            case "message_stop":
                return Frame(raw, closes=self._close_all(), terminal=True)
            case "ping":
                return Frame(raw)
            case "error":
                return Frame(raw, error=True)
            case _:
                return Frame(raw, full=answer.block_texts(parsed, "")) if parsed else Frame(raw)

    def _start(self, raw: bytes, message: Any) -> Frame:
        if not isinstance(message, dict):
            return Frame(raw)
        model = message.get("model")
        self._model = model if isinstance(model, str) else None
        full = answer.message_texts(message, "message")
        return Frame(raw, full=full, usage=self._used(message.get("usage")))

    def _block(self, raw: bytes, parsed: dict[str, Any]) -> Frame:
        """A block begins empty, or, where a server tool made it, whole."""
        block = parsed.get("content_block")
        return Frame(raw, full=answer.block_texts(block, "content_block") if isinstance(block, dict) else ())

    def _delta(self, raw: bytes, parsed: dict[str, Any]) -> Frame:
        delta = parsed.get("delta")
        if not isinstance(delta, dict):
            return Frame(raw)
        name, kind = _DELTAS.get(str(delta.get("type")), ("", DeltaKind.PROTECTED))
        text = delta.get(name)
        if not isinstance(text, str):
            rest = {key: value for key, value in delta.items() if key not in _CONTROLS}
            return Frame(raw, full=tuple(_protected(answer.block_texts(rest, "delta"))))
        channel = f"content[{_index(parsed)}].{name}"
        self._open.setdefault(_index(parsed), {})[channel] = None
        return Frame(raw, deltas=(Delta(channel, text, kind, f"delta.{name}"),) if text else ())

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
