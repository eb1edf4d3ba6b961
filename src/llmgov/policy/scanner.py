"""Finding what content filters look for: one pass of an RE2 set over a text says which patterns occur at all (most
often none), and only those are searched for one by one.

Texts are searched as UTF-8 and spans are in bytes. Several filters share a scanner: what each pattern belongs to is in
`Item.owners`, so that the card numbers of three policies are searched for once.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import re2

from llmgov.policy import detectors, patterns
from llmgov.policy.detectors import Check
from llmgov.snapshot import ContentFilter

HOLD_BACK_CAP = 4096
"""How many bytes of an answer a match spans at most. A pattern without bound (`.*`) matches no more than this there,
and so no more than this is ever held back of a stream."""

_SET_MEMORY = 32 << 20
"""What the set's automaton may take at most (0.3 MB with all detectors). Where it is not enough, each is searched."""


@dataclasses.dataclass(slots=True, frozen=True)
class Item:
    """One pattern. `group` is 1 where only a part of the match is what was found; `owners` index the filters."""

    name: str
    regex: str
    group: int
    check: Check | None
    owners: tuple[int, ...]


@dataclasses.dataclass(slots=True, frozen=True, order=True)
class Hit:
    """What `item` found at bytes `start` to `end`; `after` is where the search goes on."""

    start: int
    end: int
    item: int
    after: int


@dataclasses.dataclass(slots=True, frozen=True)
class Span:
    """Bytes to replace by `[REDACTED:name]`."""

    start: int
    end: int
    name: str


class Scanner:
    """Searches for everything that some filters look for; made for streams, it also knows what may become a match.

    Raises:
        re2.error: a pattern that RE2 does not compile; the compiler refuses such policies.
    """

    def __init__(self, filters: Sequence[ContentFilter], *, streams: bool = False) -> None:
        self.items = _items(filters)
        self._regexes = tuple(compiled(item.regex) for item in self.items)
        self._set = _set(self.items)
        self._beginning = _beginning(self.items) if streams else None
        self._joins = not any(patterns.looks_at_ends(item.regex) for item in self.items)

    def occurring(self, data: bytes) -> Sequence[int]:
        """The items that occur in `data`, before any check of digits."""
        if self._set is None:
            return ()
        found = self._set.Match(data)
        if found is None:
            return range(len(self.items))
        return sorted(item for item in found if item != len(self.items)) if len(found) > 1 else ()

    def joined(self, texts: Sequence[str]) -> Sequence[bytes]:
        """The texts as UTF-8, for `occurring` only: all as one where that finds whatever occurs in one of them.

        A line end joins them. Words end at it as at a text's ends, and no pattern here looks at those otherwise.
        """
        whole = texts if len(texts) < 2 or not self._joins else ("\n".join(texts),)
        return [text.encode("utf-8", "surrogatepass") for text in whole]

    def hits(self, data: bytes) -> list[Hit]:
        """All hits in a whole text, in order of their start."""
        occurring = self.occurring(data)
        return (
            sorted(hit for item in occurring for hit in self.search(item, data, 0, len(data) + 1)) if occurring else []
        )

    def search(self, item: int, data: bytes, cursor: int, stop: int, cap: int | None = None) -> Iterator[Hit]:
        """Hits of one item whose match begins at or after `cursor` and before `stop`, none overlapping another.

        With a `cap` a match spans at most so many bytes; then it depends on nothing that lies further ahead.
        """
        regex, kind = self._regexes[item], self.items[item]
        while (found := regex.search(data, cursor)) is not None:
            begin = found.start()
            if begin >= stop:
                return
            if cap is not None and found.end() - begin > cap:
                found = regex.match(data[: begin + cap], begin)
            cursor = begin + 1
            if found is None:
                continue
            start, end = found.span(kind.group)
            if kind.check is not None and start >= 0:
                end = start + kind.check(data[start:end])
            if end > start >= 0:
                cursor = max(cursor, end)
                yield Hit(start, end, item, cursor)

    def undecided(self, data: bytes, cursor: int) -> int:
        """The first place from which `data` could become a match if more text followed, or its end."""
        if self._beginning is None:
            return cursor
        found = self._beginning.search(data, cursor)
        return len(data) if found is None else int(found.start())


def compiled(regex: str) -> "re2._Regexp":
    """A pattern ready to search with.

    Raises:
        re2.error: RE2 does not compile it.
    """
    return re2.compile(regex, _options())


def merge(hits: Sequence[Hit], items: Sequence[Item]) -> list[Span]:
    """Spans that do not overlap: of hits that do, their union, named by the first (then the longest, then the first
    item). Says the same whatever the order of `hits`."""
    spans: list[Span] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.item)):
        if spans and hit.start < spans[-1].end:
            last = spans[-1]
            spans[-1] = Span(last.start, max(last.end, hit.end), last.name)
        else:
            spans.append(Span(hit.start, hit.end, items[hit.item].name))
    return spans


def replacement(span: Span) -> bytes:
    """What stands in for a span: always the same, so that caches of prompts stay valid."""
    return f"[REDACTED:{span.name}]".encode()


def redact(data: bytes, spans: Sequence[Span], start: int = 0, end: int | None = None) -> bytes:
    """`data` from `start` to `end` with every span replaced; all spans lie within."""
    pieces, at = [], start
    for span in spans:
        pieces += [data[at : span.start], replacement(span)]
        at = span.end
    pieces.append(data[at:end])
    return b"".join(pieces)


def _items(filters: Sequence[ContentFilter]) -> tuple[Item, ...]:
    owners: dict[tuple[str, str, int, Check | None], list[int]] = {}
    for index, content_filter in enumerate(filters):
        for pattern in content_filter.patterns:
            owners.setdefault((pattern.name, pattern.regex, 0, None), []).append(index)
        for category in content_filter.categories:
            for detector in detectors.of(category):
                owners.setdefault((detector.name, detector.regex, detector.group, detector.check), []).append(index)
    return tuple(Item(*key, tuple(dict.fromkeys(found))) for key, found in owners.items())


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _SET_MEMORY
    return options


def _set(items: Sequence[Item]) -> re2.Set | None:
    """All patterns, and one more that always matches: where even that is missing, RE2 ran out of memory."""
    if not items:
        return None
    found = re2.Set.SearchSet(_options())
    for regex in (*(item.regex for item in items), r"\A"):
        found.Add(regex)
    found.Compile()
    return found


def _beginning(items: Sequence[Item]) -> "re2._Regexp | None":
    """Matches, at the end of a text, whatever could still become a match; `None` where a pattern is not understood."""
    try:
        prefixes = [patterns.shape(item.regex).prefix for item in items]
        return compiled(f"(?:{'|'.join(prefixes)})\\z")
    except (patterns.UnreadableError, re2.error):
        return None
