"""A streamed chat completion: chunks without names, each a delta of some choices, then `[DONE]`."""

from typing import Any

from llmgov.wire import paths, sse, stream
from llmgov.wire.events import Delta, DeltaKind, Frame, Request
from llmgov.wire.openai import answer, usage

_CONTROLS = frozenset({"role", "id", "type", "name", "index"})
_SAID = frozenset({"text", "content", "reasoning", "thinking", "summary"})
"""Strings by these names inside a content of parts, as some compatible servers stream it, continue each other."""

_DONE = b"[DONE]"


class ChatReader(stream.Reader):
    """Reads one stream. A chunk that only the proxy asked for (`include_usage`) is marked `hidden`.

    A choice is closed by the chunk that finishes it, or, where that still says something or none does (as with some
    compatible servers), by the chunk of the usage or the end of the stream: what is held back of a channel must never
    have to go out before its own last words, nor after what clients take for the end.
    """

    def __init__(self, request: Request, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._hide_usage = not request.wants_usage
        self._open: dict[int, dict[str, None]] = {}

    def _mark(self, raw: bytes, data: bytes) -> Frame | None:
        if not data.startswith(_DONE):
            return None
        return Frame(raw, closes=self._close_all(), terminal=True, full=stream.behind(data, _DONE))

    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        return self._chunk(event.raw, parsed)

    def _chunk(self, raw: bytes, chunk: dict[str, Any]) -> Frame:
        choices = chunk.get("choices")
        said = _Said()
        closes: list[str] = []
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._choice(choice, f"choices[{position}]", said, closes)
        used = usage.of_chat(chunk)
        last = used is not None and not choices
        if last and not self._hide_usage:
            closes += self._close_all()
        if self._strict:
            said.rest.chunk(chunk)
        return Frame(
            raw,
            deltas=tuple(said.deltas),
            full=said.rest.found,
            usage=used,
            closes=tuple(closes),
            hidden=last and self._hide_usage,
            error=chunk.get("error") is not None,
            derived=tuple(said.rest.derived),
        )

    def _choice(self, choice: dict[str, Any], path: str, said: "_Said", closes: list[str]) -> None:
        index = choice.get("index")
        number = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        opened = self._open.setdefault(number, {})
        before = len(said.deltas)
        if isinstance(delta, dict):
            said.read(delta, f"{path}.delta", f"choices[{number}]")
        fresh = said.deltas[before:]
        opened |= dict.fromkeys(found.channel for found in fresh)
        if choice.get("logprobs") is not None:
            said.rest.derived.append(f"{path}.logprobs")
        if choice.get("finish_reason") and not fresh:
            closes += opened
            opened.clear()

    def _close_all(self) -> tuple[str, ...]:
        channels = tuple(channel for opened in self._open.values() for channel in opened)
        self._open.clear()
        return channels


class _Said:
    """What one chunk says: `deltas` of strings that go on in other chunks, and `rest`, whole strings beside them."""

    __slots__ = ("deltas", "rest")

    def __init__(self) -> None:
        self.deltas: list[Delta] = []
        self.rest = answer.Reading()

    def read(self, delta: dict[str, Any], path: str, channel: str) -> None:
        """The delta of a choice."""
        for name, value in delta.items():
            where, goes_on = self._at(path, name), _channel(channel, name)
            if isinstance(value, str):
                if name not in _CONTROLS:
                    kind = DeltaKind.REFUSAL if name == "refusal" else DeltaKind.TEXT
                    self._goes_on(value, where, goes_on, kind)
            elif name == "tool_calls" and isinstance(value, list):
                for position, call in enumerate(value):
                    self._call(call, f"{where}[{position}]", channel)
            elif name == "function_call" and isinstance(value, dict):
                self._function(value, where, goes_on)
            elif name == "audio" and isinstance(value, dict):
                self._audio(value, where, goes_on)
            else:
                self._parts(value, where, goes_on)

    def _at(self, path: str, name: str) -> str:
        return self.rest.at(path, name, answer.VOCABULARY)

    def _goes_on(self, value: str, path: str, channel: str, kind: DeltaKind = DeltaKind.TEXT) -> None:
        if value:
            self.deltas.append(Delta(channel, value, kind, path))

    def _call(self, call: Any, path: str, channel: str) -> None:
        if not isinstance(call, dict):
            self.rest.evidence(call, path)
            return
        where = f"{channel}.tool_calls[{call.get('index', 0)}]"
        for wrapper in ("function", "custom"):
            self.rest.object(call.get(wrapper), f"{path}.{wrapper}", lambda inner, at: self._function(inner, at, where))
        self.rest.others(call, ("function", "custom"), path)

    def _function(self, function: dict[str, Any], path: str, channel: str) -> None:
        for name, value in function.items():
            if name in ("arguments", "input") and isinstance(value, str):
                self._goes_on(value, f"{path}.{name}", f"{channel}.{name}", DeltaKind.TOOL_ARGUMENTS)
            else:
                self.rest.evidence(value, self._at(path, name))

    def _audio(self, audio: dict[str, Any], path: str, channel: str) -> None:
        transcript = audio.get("transcript")
        if isinstance(transcript, str):
            self._goes_on(transcript, f"{path}.transcript", f"{channel}.transcript")
        elif transcript is not None:
            self.rest.evidence(transcript, f"{path}.transcript")
        self.rest.others(audio, ("data", "transcript", "expires_at"), path)

    def _parts(self, value: Any, path: str, channel: str) -> None:
        """A content of another shape: strings of `_SAID` go on in later chunks, the others are whole."""
        if isinstance(value, list):
            for position, part in enumerate(value):
                index = part.get("index", position) if isinstance(part, dict) else position
                self._parts(part, f"{path}[{position}]", f"{channel}[{index}]")
        elif isinstance(value, dict):
            for name, member in value.items():
                where, goes_on = self._at(path, name), _channel(channel, name)
                if name in _SAID and isinstance(member, str):
                    self._goes_on(member, where, goes_on)
                elif name not in _CONTROLS or not isinstance(member, str):
                    self._parts(member, where, goes_on)
        else:
            self.rest.evidence(value, path)


def _channel(channel: str, name: str) -> str:
    return paths.key(channel, name) if name in answer.VOCABULARY else paths.free(channel, name)
