"""Output filters on a stream: frames in, bytes out, with no more held back than a match may still need.

What was held back of a string goes out in a frame of its own before the provider says that the string is complete.
"""

from collections.abc import Iterable

from llmgov.policy import refusals
from llmgov.policy.decision import Violation
from llmgov.policy.output import OutputScanner, StreamScanner
from llmgov.wire import frames as frames_
from llmgov.wire.events import DeltaKind, Frame, Refusal


class StreamFilter:
    """One stream's filters. After `refusal` is set nothing more may be passed on; `unread` says so if, and why, that is
    because it cannot be read."""

    def __init__(self, scanner: OutputScanner) -> None:
        self._scanner = scanner
        self._channels: dict[str, StreamScanner] = {}
        self._last: dict[str, Frame] = {}
        self._closed: set[str] = set()
        self._reported: set[tuple[str, str]] = set()
        self.refusal: Refusal | None = None
        self.unread = ""

    def pass_on(self, frame: Frame, violations: list[Violation]) -> bytes:
        """What may go out for this frame; what is found is added to `violations`."""
        before = b"".join(self._finish(frame.closes, violations))
        if self._is_cut() or not self._readable(frame):
            return before
        texts = self._full(frame, violations) if frame.full else {}
        if self._is_cut():
            return before
        texts |= self._deltas(frame, violations)
        if self._is_cut():
            return before + (frames_.rewrite(frame, texts) if any(texts.values()) else b"")
        # Log probabilities spell the text once more, token by token: no pattern finds in them what it looks for.
        return before + frames_.rewrite(frame, texts, bare=self._scanner.guard is not None)

    def end(self, violations: list[Violation]) -> bytes:
        """What is still held back when the stream ends."""
        return b"".join(self._finish(tuple(self._channels), violations))

    def _readable(self, frame: Frame) -> bool:
        """Whether the frame may pass: what cannot be read may not, nor text that follows where all of it was judged."""
        why = frame.unread
        if not why and not self._closed.isdisjoint(delta.channel for delta in frame.deltas):
            why = "a text of its stream goes on behind its end"
        guard = self._scanner.guard
        if not why or guard is None:
            return True
        self.unread = why
        self.refusal = refusals.answer_unread(guard, why)
        return False

    def _deltas(self, frame: Frame, violations: list[Violation]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for delta in frame.deltas:
            if self._is_cut():
                texts[delta.path] = ""
                continue
            piece = self._channel(delta.channel, delta.kind).feed(delta.text)
            self._report(piece.violations, violations)
            self.refusal = self.refusal or piece.refusal
            self._last[delta.channel] = frame.again or frame
            if piece.text != delta.text:
                texts[delta.path] = piece.text
        return texts

    def _full(self, frame: Frame, violations: list[Violation]) -> dict[str, str]:
        scan = self._scanner.scan_answer(frame.full)
        self._report(scan.violations, violations)
        self.refusal = self.refusal or scan.refusal
        return {edit.path: edit.text for edit in scan.edits}

    def _finish(self, channels: Iterable[str], violations: list[Violation]) -> Iterable[bytes]:
        for name in channels:
            scanner = self._channels.pop(name, None)
            if scanner is None:
                continue
            self._closed.add(name)
            piece = scanner.close()
            self._report(piece.violations, violations)
            self.refusal = self.refusal or piece.refusal
            last = self._last.pop(name)
            if piece.text:
                yield frames_.more(last, name, piece.text)
            if self._is_cut():
                return

    def _channel(self, name: str, kind: DeltaKind) -> StreamScanner:
        if name not in self._channels:
            self._channels[name] = self._scanner.stream(name, protected=kind is DeltaKind.PROTECTED)
        return self._channels[name]

    def _is_cut(self) -> bool:
        return self.refusal is not None

    def _report(self, found: Iterable[Violation], violations: list[Violation]) -> None:
        for violation in found:
            if (violation.policy, violation.reason) not in self._reported:
                self._reported.add((violation.policy, violation.reason))
                violations.append(violation)
