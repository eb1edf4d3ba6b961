"""A streamed chat completion: chunks without names, each a delta of some choices, then `[DONE]`."""

from collections.abc import Iterator
from typing import Any

from llmgov.wire import sse, stream
from llmgov.wire.events import Delta, DeltaKind, Frame, Request
from llmgov.wire.openai import usage

_CONTROLS = frozenset({"role", "id", "type", "name"})
_DONE = b"[DONE]"


class ChatReader(stream.Reader):
    """Reads one stream. A chunk that only the proxy asked for (`include_usage`) is marked `hidden`.

    A choice is closed by the chunk that finishes it, or, where that still says something (as some compatible servers'
    do), by the end of the stream: what is held back of a channel must never have to go out before its own last words.
    """

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._hide_usage = not request.wants_usage
        self._open: dict[int, dict[str, None]] = {}

    def _mark(self, raw: bytes, data: bytes) -> Frame | None:
        return Frame(raw, closes=self._close_all(), terminal=True) if data.startswith(_DONE) else None

    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        return self._chunk(event.raw, parsed)

    def _chunk(self, raw: bytes, chunk: dict[str, Any]) -> Frame:
        choices = chunk.get("choices")
        deltas: list[Delta] = []
        closes: list[str] = []
        derived: list[str] = []
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._choice(choice, f"choices[{position}]", deltas, closes, derived)
        used = usage.of_chat(chunk)
        return Frame(
            raw,
            deltas=tuple(deltas),
            usage=used,
            closes=tuple(closes),
            hidden=self._hide_usage and used is not None and not choices,
            error=chunk.get("error") is not None,
            derived=tuple(derived),
        )

    def _choice(
        self, choice: dict[str, Any], path: str, deltas: list[Delta], closes: list[str], derived: list[str]
    ) -> None:
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        opened = self._open.setdefault(number, {})
        said = list(_deltas(delta if isinstance(delta, dict) else {}, f"{path}.delta", f"choices[{number}]"))
        deltas += said
        opened |= dict.fromkeys(found.channel for found in said)
        if choice.get("logprobs") is not None:
            derived.append(f"{path}.logprobs")
        if choice.get("finish_reason") is not None and not said:
            closes += opened
            opened.clear()

    def _close_all(self) -> tuple[str, ...]:
        channels = tuple(channel for opened in self._open.values() for channel in opened)
        self._open.clear()
        return channels


def _deltas(delta: dict[str, Any], path: str, channel: str) -> Iterator[Delta]:
    for name, value in delta.items():
        if isinstance(value, str):
            if value and name not in _CONTROLS:
                kind = DeltaKind.REFUSAL if name == "refusal" else DeltaKind.TEXT
                yield Delta(f"{channel}.{name}", value, kind, f"{path}.{name}")
        elif name == "tool_calls" and isinstance(value, list):
            for position, call in enumerate(value):
                if isinstance(call, dict):
                    yield from _call(call, f"{path}.tool_calls[{position}]", channel)
        elif name == "function_call" and isinstance(value, dict):
            yield from _arguments(value, "arguments", f"{path}.{name}", f"{channel}.{name}")
        elif name == "audio" and isinstance(value, dict) and isinstance(value.get("transcript"), str):
            where = f"{path}.audio.transcript"
            yield Delta(f"{channel}.audio.transcript", value["transcript"], DeltaKind.TEXT, where)


def _call(call: dict[str, Any], path: str, channel: str) -> Iterator[Delta]:
    where = f"{channel}.tool_calls[{call.get('index', 0)}]"
    for wrapper, name in (("function", "arguments"), ("custom", "input")):
        inner = call.get(wrapper)
        if isinstance(inner, dict):
            yield from _arguments(inner, name, f"{path}.{wrapper}", where)


def _arguments(value: dict[str, Any], name: str, path: str, channel: str) -> Iterator[Delta]:
    text = value.get(name)
    if isinstance(text, str) and text:
        yield Delta(f"{channel}.{name}", text, DeltaKind.TOOL_ARGUMENTS, f"{path}.{name}")
