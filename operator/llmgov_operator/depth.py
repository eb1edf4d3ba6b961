"""JSON of the API server, made shallow before anything parses it.

An object may be nested 10,000 levels deep wherever its definition leaves its fields open, and in `managedFields`
whatever the definition says. Python's parser, its comparisons and kopf's copies are recursive: one such object would
end every leader, and none could say whose it is. So what is nested deeper than anything that means something becomes
`null`, in the text: the object keeps its name, and is refused like any other that is nested too deep
(`resources.parse`).
"""

import itertools
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, cast

import aiohttp

DEEPEST: Final = 128
"""Levels of lists and objects that are kept, those of the list or event around an object among them: twice what `parse`
takes."""

_STEP: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}

# Possessive, so that they never try again.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]])', re.DOTALL)
"""One bracket with what stands before it; those inside of strings are none."""

_OTHERS: Final = bytes(set(range(256)) - _STEP.keys())


def shallow(text: bytes) -> bytes:
    """The JSON with `null` in place of every list and object below `DEEPEST` others."""
    # No nesting is deeper than this count: of a single object, mostly the only look at it.
    if text.count(b"{") + text.count(b"[") <= DEEPEST:
        return text
    return text if _levels(text) <= DEEPEST else b"".join(_kept(text))


def _levels(text: bytes) -> int:
    brackets = _STRING.sub(b"", text).translate(None, _OTHERS)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _kept(text: bytes) -> Iterator[bytes]:
    depth = since = 0
    for found in _BRACKET.finditer(text):
        before, depth = depth, depth + _STEP[ord(found[1])]
        if (before, depth) == (DEEPEST, DEEPEST + 1):
            yield text[since : found.start(1)]
            yield b"null"
        elif (before, depth) == (DEEPEST + 1, DEEPEST):
            since = found.end()
    yield text[since:]


class Response(aiohttp.ClientResponse):
    """An answer whose body is made shallow: whole where it is one document, line by line where it is a stream."""

    async def start(self, connection: Any) -> "Response":
        """Begin to read it."""
        await super().start(connection)
        self.content = cast(aiohttp.StreamReader, _Shallow(self.content))
        return self


class _Shallow:
    """A body, with the two ways to read it that kopf has."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def read(self, n: int = -1) -> bytes:
        return shallow(await self._content.read(n))

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in self._content.iter_chunked(n):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            for line in whole.split(b"\n") if newline else ():
                yield shallow(line) + newline
        if rest:
            yield shallow(rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)
