"""Reading RE2 syntax, for two questions about a pattern that RE2 itself does not answer.

How long can a match be? And which text could still *become* one? The second decides what a stream must hold back: the
`prefix` of a pattern matches whatever begins a match, so that what follows its last possible beginning can go out.
"""

import dataclasses
import functools
import re

import re2


class UnreadableError(ValueError):
    """A pattern with syntax that is not understood here; nothing is then known about its matches."""


@dataclasses.dataclass(slots=True, frozen=True)
class Shape:
    """A pattern taken apart: itself, what matches all of its beginnings (the empty one too), and how long a match is.

    `longest` counts characters; `None` is without bound.
    """

    full: str
    prefix: str
    longest: int | None


@functools.lru_cache(maxsize=1024)
def shape(regex: str) -> Shape:
    """The shape of a pattern that RE2 compiles.

    Raises:
        UnreadableError: syntax that this reader does not know.
    """
    reader = _Reader(regex)
    found = reader.alternation("")
    if reader.rest():
        raise UnreadableError(f"unexpected {reader.rest()[0]!r}")
    return found


def longest(regex: str) -> int | None:
    """How many characters a match has at most; `None` without bound, or where the pattern is not understood."""
    try:
        return shape(regex).longest
    except UnreadableError:
        return None


def looks_at_ends(regex: str) -> bool:
    """Whether a match may depend on where the text begins or ends (`^`, `$`, `\\A`, `\\z`), beyond whether a word does.

    Where it is not sure that it does not, it does.
    """
    outside = _ONE_PIECE.sub(lambda found: f"^{found[1]}" if found[1] in _ENDS else "", regex)
    return "^" in outside or "$" in outside


_ONE_PIECE = re.compile(r"\\(.)|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]", re.DOTALL)
"""An escape, or a class of characters."""
_ENDS = frozenset("AzQ")  # what is quoted by \Q is not looked into


_EMPTY = Shape("", "", 0)
_CLASS_ESCAPES = frozenset("dDsSwWC")
_ASSERTIONS = frozenset("AzbB")


class _Reader:
    """A recursive descent over a pattern. `flags` are those in force (`is`), so that each atom carries its own."""

    def __init__(self, regex: str) -> None:
        self._regex = regex
        self._at = 0

    def rest(self) -> str:
        return self._regex[self._at :]

    def alternation(self, flags: str) -> Shape:
        branches = [[_EMPTY]]
        while self._at < len(self._regex) and self._peek() != ")":
            if self._take("|"):
                branches.append([_EMPTY])
            elif (changed := self._flag_setting(flags)) is not None:
                flags = changed
            else:
                branches[-1].append(self._repeated(self._atom(flags)))
        return _either([_sequence(branch) for branch in branches])

    def _peek(self) -> str:
        return self._regex[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if not self._regex.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _until(self, end: str) -> str:
        stop = self._regex.find(end, self._at)
        if stop < 0:
            raise UnreadableError(f"missing {end}")
        found, self._at = self._regex[self._at : stop], stop + len(end)
        return found

    def _flag_setting(self, flags: str) -> str | None:
        """`(?i)`: changes the flags for the rest of the group."""
        stop = self._regex.find(")", self._at)
        inside = self._regex[self._at + 2 : stop]
        if not self._regex.startswith("(?", self._at) or not inside or set(inside) - set("imsU-"):
            return None
        self._at = stop + 1
        return _changed(flags, inside)

    def _atom(self, flags: str) -> Shape:
        start = self._at
        if self._take("("):
            return self._group(flags)
        if self._take("["):
            self._skip_class()
        elif self._take("\\"):
            return self._escape(start, flags)
        else:
            self._at += 1
        text = self._regex[start : self._at]
        return _assertion(text, flags) if text in "^$" else _one(text, flags)

    def _group(self, flags: str) -> Shape:
        if self._take("?P<") or self._take("?<"):
            self._until(">")
        elif self._take("?"):
            flags = _changed(flags, self._until(":"))
        inside = self.alternation(flags)
        if not self._take(")"):
            raise UnreadableError("missing )")
        return inside

    def _skip_class(self) -> None:
        self._take("^")
        self._take("]")
        while not self._take("]"):
            if self._at >= len(self._regex):
                raise UnreadableError("missing ]")
            if self._take("[:"):
                self._until(":]")
            elif self._take("\\"):
                self._skip_escape()
            else:
                self._at += 1

    def _escape(self, start: int, flags: str) -> Shape:
        kind = self._peek()
        if kind == "Q":
            self._at += 1
            literal = self._regex[self._at :] if "\\E" not in self.rest() else self._until("\\E")
            if literal and literal == self._regex[self._at :]:
                self._at = len(self._regex)
            return _sequence([_one(re2.escape(character), flags) for character in literal])
        self._skip_escape()
        text = self._regex[start : self._at]
        return _assertion(text, flags) if kind in _ASSERTIONS else _one(text, flags)

    def _skip_escape(self) -> None:
        kind = self._peek()
        self._at += 1
        if not kind or (kind.isdigit() and kind != "0"):
            raise UnreadableError("an escape that is none")
        if kind in "pPx":
            if self._take("{"):
                self._until("}")
            else:
                self._at += 2 if kind == "x" else 1
        elif kind == "0":
            while self._peek() in tuple("01234567"):
                self._at += 1

    def _repeated(self, atom: Shape) -> Shape:
        while (bounds := self._bounds()) is not None:
            self._take("?")
            atom = _repeat(atom, *bounds)
        return atom

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        stop = self._regex.find("}", self._at)
        least, comma, most = self._regex[self._at + 1 : stop].partition(",")
        if self._peek() != "{" or stop < 0 or not least.isdigit() or not (most.isdigit() or not most):
            return None
        self._at = stop + 1
        return int(least), (int(most) if most else None) if comma else int(least)


def _changed(flags: str, setting: str) -> str:
    """Flags after `i-s`; `U` only says what is preferred, but to be exact it is kept."""
    on, _, off = setting.partition("-")
    return "".join(flag for flag in "imsU" if flag in (set(flags) | set(on)) - set(off))


def _flagged(text: str, flags: str) -> str:
    return f"(?{flags}:{text})" if flags else text


def _one(text: str, flags: str) -> Shape:
    atom = _flagged(text, flags)
    return Shape(atom, f"(?:{atom})?", 1)


def _assertion(text: str, flags: str) -> Shape:
    """Nothing is known yet about what follows, so that a beginning may end before it."""
    return Shape(_flagged(text, flags), "", 0)


def _sequence(parts: list[Shape]) -> Shape:
    whole = parts[-1]
    for part in reversed(parts[:-1]):
        if part is _EMPTY:
            continue
        both = None if part.longest is None or whole.longest is None else part.longest + whole.longest
        if part.prefix == f"(?:{part.full})?":
            prefix = f"(?:{part.full}{whole.prefix})?"
        else:
            prefix = f"(?:{part.prefix}|{part.full}{whole.prefix})"
        whole = Shape(part.full + whole.full, prefix, both)
    return whole


def _either(branches: list[Shape]) -> Shape:
    if len(branches) == 1:
        return branches[0]
    lengths = [branch.longest for branch in branches]
    most = None if None in lengths else max(length for length in lengths if length is not None)
    full = "|".join(branch.full for branch in branches)
    prefix = "|".join(branch.prefix for branch in branches)
    return Shape(f"(?:{full})", f"(?:{prefix})", most)


def _repeat(part: Shape, least: int, most: int | None) -> Shape:
    if most == 0 or part is _EMPTY:
        return _EMPTY
    count = f"{{{least},}}" if most is None else f"{{{least},{most}}}"
    before = "*" if most is None else f"{{0,{most - 1}}}"
    length = 0 if part.longest == 0 else None if most is None or part.longest is None else part.longest * most
    return Shape(f"(?:{part.full}){count}", f"(?:{part.full}){before}{part.prefix}", length)
