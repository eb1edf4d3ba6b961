"""Glob patterns over model names, compiled to RE2: `*` is any text, `?` any one character, case does not count.

A user's pattern never runs on the standard library's `re` (design section 11), so `fnmatch` is out of the question.
"""

import functools
from collections.abc import Sequence

import re2


class Globs:
    """A set of patterns, matched at once. An empty set matches nothing."""

    __slots__ = ("_regex",)

    def __init__(self, patterns: Sequence[str]) -> None:
        self._regex = re2.compile(_alternation(patterns)) if patterns else None

    def match(self, name: str) -> bool:
        """Whether any pattern covers the whole of `name`."""
        return self._regex is not None and self._regex.fullmatch(name) is not None

    def match_model(self, provider: str, model: str) -> bool:
        """Whether any pattern covers `provider/model` or `model` alone: for rules that restrict."""
        return self.match(f"{provider}/{model}") or self.match(model)


@functools.lru_cache(maxsize=4096)
def of(patterns: tuple[str, ...]) -> Globs:
    """The compiled set of `patterns`; compiled once for equal sets."""
    return Globs(patterns)


def allows(patterns: tuple[str, ...], provider: str, model: str) -> bool:
    """Whether an allow list covers the model: a pattern with a slash means `provider/model`, one without the model.

    Narrower than `Globs.match_model`, because another provider may have a model whose own name is `openai/gpt-4o`.
    """
    full = tuple(pattern for pattern in patterns if "/" in pattern)
    bare = tuple(pattern for pattern in patterns if "/" not in pattern)
    return of(full).match(f"{provider}/{model}") or of(bare).match(model)


def _alternation(patterns: Sequence[str]) -> str:
    return "(?is)(?:" + "|".join(_translate(pattern) for pattern in patterns) + ")"


def _translate(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character) or re2.escape(character) for character in pattern)
