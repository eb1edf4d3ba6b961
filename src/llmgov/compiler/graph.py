"""Chains of "has as its parents", of teams and of roles alike: who stands above whom, and who stands in a circle."""

from collections.abc import Iterator, Mapping, Sequence


def above(start: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Everybody above `start`, nearest first, each once, `start` itself only where it stands in a circle."""
    found: dict[str, None] = {}
    level = [start]
    while level:
        level = list(dict.fromkeys(name for name in _next(level, parents) if name not in found))
        found.update(dict.fromkeys(level))
    return tuple(found)


def _next(level: Sequence[str], parents: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name in level:
        yield from parents.get(name, ())


def circular(parents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """All who stand above themselves."""
    return frozenset(name for name in parents if name in above(name, parents))
