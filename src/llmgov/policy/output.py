"""Content filters on answers, whole or while they stream (design section 5, step 7).

A stream's text goes out as soon as nothing that is still to come can make it part of a match: what could be the
beginning of one is held back, and no more. However the text is cut into pieces, what goes out is the same, and the same
as for a whole answer, since a whole answer is a stream of one piece.
"""

from collections.abc import Sequence

import msgspec

from llmgov.policy import refusals, scanner
from llmgov.policy.decision import Action, OutputFilter, Violation
from llmgov.policy.scanner import HOLD_BACK_CAP, Hit, Scanner
from llmgov.snapshot import Audience, OnDetect
from llmgov.wire import paths
from llmgov.wire.events import Refusal, ReplaceText, Text, TextRole


class Piece(msgspec.Struct, frozen=True):
    """Text that may go out now, violations seen since the last piece, and, where the stream must be cut, why.

    After a `refusal` nothing more of the channel may go out; `text` before it still may.
    """

    text: str = ""
    violations: tuple[Violation, ...] = ()
    refusal: Refusal | None = None


class Scan(msgspec.Struct, frozen=True):
    """What became of a whole answer: edits to its texts, or why it is withheld."""

    edits: tuple[ReplaceText, ...] = ()
    violations: tuple[Violation, ...] = ()
    refusal: Refusal | None = None


class OutputScanner:
    """The output filters of one decision, ready to use; made once for equal filters (`Runtime.output_scanner`).

    `cap` is how many bytes a match spans at most. `guard` is the policy that withholds an answer which cannot be read:
    the first that would withhold or change what it finds; `None` where all of them only put on record.
    """

    def __init__(self, filters: Sequence[OutputFilter], cap: int = HOLD_BACK_CAP) -> None:
        self.filters = tuple(filters)
        self.cap = cap
        self.guard = next((output.policy for output in self.filters if _acts(output)), None)
        self.finder = Scanner([output.filter for output in filters], streams=True)

    def scan_answer(self, texts: Sequence[Text]) -> Scan:
        """Scan all texts of a whole answer, or of a frame that repeats what deltas said."""
        edits: list[ReplaceText] = []
        violations: dict[tuple[str, str], Violation] = {}
        refusal: Refusal | None = None
        for text in texts:
            # Nearly always nothing occurs, and then a text need not be taken through as a stream.
            if not self.finder.occurring(text.text.encode("utf-8", "surrogatepass")):
                continue
            stream = self.stream(text.path, protected=text.role is TextRole.PROTECTED)
            pieces = (stream.feed(text.text), stream.close())
            for piece in pieces:
                refusal = refusal or piece.refusal
                for violation in piece.violations:
                    violations.setdefault((violation.policy, violation.reason), violation)
            result = "".join(piece.text for piece in pieces)
            if result != text.text:
                edits.append(ReplaceText(text.path, result))
        return Scan(() if refusal else tuple(edits), tuple(violations.values()), refusal)

    def stream(self, channel: str, *, protected: bool = False) -> "StreamScanner":
        """A scanner of one streamed string; `protected` strings are passed as they are, or cut."""
        return StreamScanner(self, channel, protected=protected)


class StreamScanner:
    """One string of an answer, in pieces."""

    def __init__(self, scanner_: OutputScanner, channel: str, *, protected: bool = False) -> None:
        # `_data` is what was not sent, after the last character that was (`_sent` bytes). Whether a match begins
        # before `_from` is known; items in `_ahead` have matched text beyond it.
        self._finder = scanner_.finder
        self._filters = scanner_.filters
        self._cap = scanner_.cap
        self._channel = paths.shown(channel)
        self._protected = protected
        self._data = b""
        self._sent = 0
        self._from = 0
        self._ahead: dict[int, int] = {}
        self._hits: list[Hit] = []
        self._reported: set[tuple[str, str]] = set()
        self._cut = False

    def feed(self, text: str) -> Piece:
        """Take in a delta; returns what may go out."""
        if self._cut or not text:
            return Piece()
        self._data += text.encode("utf-8", "surrogatepass")
        begin = self._finder.undecided(self._data, self._sent)
        far = _boundary(self._data, len(self._data) - self._cap - 1)
        decided = max(begin, far, self._sent)
        return self._advance(decided) if decided > self._from else Piece()

    def close(self) -> Piece:
        """The string is complete: returns all that was held back."""
        if self._cut:
            return Piece()
        return self._advance(len(self._data) + 1)

    @property
    def held(self) -> int:
        """How many bytes are held back at the moment."""
        return len(self._data) - self._sent

    def _advance(self, decided: int) -> Piece:
        """Everything that begins before `decided` is known; send what no match that may still come can touch."""
        fresh = self._search(decided)
        if not fresh and not self._hits:  # nearly always
            plain = self._data[self._sent : decided]
            self._forget(min(decided, len(self._data)))
            return Piece(plain.decode("utf-8", "surrogatepass"))
        violations, refusal, blocked_at = self._judge(fresh)
        until = min(decided, len(self._data))
        if blocked_at is not None:
            until = min(until, blocked_at)
        spans = [span for span in scanner.merge(self._hits, self._finder.items) if span.start < until]
        if spans and spans[-1].end > until:
            until = spans.pop().start
        out = scanner.redact(self._data, spans, self._sent, until)
        self._forget(until)
        self._cut = refusal is not None
        return Piece(out.decode("utf-8", "surrogatepass"), violations, refusal)

    def _search(self, decided: int) -> list[Hit]:
        fresh: list[Hit] = []
        for item in self._finder.occurring(self._data):
            cursor = max(self._from, self._ahead.get(item, 0))
            for hit in self._finder.search(item, self._data, cursor, decided, self._cap):
                fresh.append(hit)
                self._ahead[item] = hit.after
        self._from = min(decided, len(self._data))
        fresh.sort()
        self._hits += [hit for hit in fresh if self._redacts(hit)]
        return fresh

    def _redacts(self, hit: Hit) -> bool:
        if self._protected:
            return False
        return any(
            self._filters[owner].filter.on_detect is OnDetect.REDACT and not self._filters[owner].dry_run
            for owner in self._finder.items[hit.item].owners
        )

    def _judge(self, hits: Sequence[Hit]) -> tuple[tuple[Violation, ...], Refusal | None, int | None]:
        """Violations that are new, and the first hit that blocks: nothing from there on may go out."""
        violations: list[Violation] = []
        for hit in hits:
            item = self._finder.items[hit.item]
            for owner in item.owners:
                output = self._filters[owner]
                blocks = output.filter.on_detect is OnDetect.BLOCK or (
                    self._protected and output.filter.on_detect is OnDetect.REDACT
                )
                violation = self._violation(output, item.name, blocks)
                if violation is not None:
                    violations.append(violation)
                if blocks and not output.dry_run:
                    refusal = refusals.content_in_answer(output.policy, item.name, self._channel)
                    return tuple(violations), refusal, hit.start
        return tuple(violations), None, None

    def _violation(self, output: OutputFilter, name: str, blocks: bool) -> Violation | None:
        if (output.policy, name) in self._reported:
            return None
        self._reported.add((output.policy, name))
        action, done = (
            (Action.DENY, "the answer is withheld")
            if blocks
            else (Action.REDACT, "redacted")
            if output.filter.on_detect is OnDetect.REDACT
            else (Action.FLAG, "put on record")
        )
        return Violation(
            output.policy,
            action,
            f"pattern:{name}",
            f"llmgov: policy {output.policy} found {name} in {refusals.in_answer(self._channel)}; {done}",
            dry_run=output.dry_run,
            path=self._channel,
            notify=output.filter.notify,
        )

    def _forget(self, until: int) -> None:
        """Drop what was sent, but for one character, which `\\b` and `^` may look back at."""
        keep = _boundary(self._data, until - 1)
        self._sent = until - keep
        self._data = self._data[keep:]
        self._from -= keep
        if self._ahead:
            self._ahead = {item: at - keep for item, at in self._ahead.items() if at - keep > self._from}
        if self._hits:
            self._hits = [
                Hit(hit.start - keep, hit.end - keep, hit.item, hit.after - keep)
                for hit in self._hits
                if hit.end > until
            ]


def unread(model: str, why: str, guard: str | None) -> Violation:
    """An answer of `model` could not be read: `guard` is the policy that withholds it, `None`: it passed as it is."""
    done = f"policy {guard} filters answers, so it is withheld" if guard else "it is handed on as it is"
    return Violation(
        guard or model,
        Action.DENY if guard else Action.FLAG,
        "answer_unread",
        f"llmgov: the answer of {model} cannot be read ({why}); {done}",
        notify=(Audience.ADMINS,),
    )


def _acts(output: OutputFilter) -> bool:
    return not output.dry_run and output.filter.on_detect is not OnDetect.FLAG


def _boundary(data: bytes, at: int) -> int:
    """The last place up to `at` where a character begins."""
    at = max(0, at)
    while at > 0 and at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at
