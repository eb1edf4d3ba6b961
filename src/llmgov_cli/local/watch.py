"""Follows a folder: whenever a YAML file in it is saved, it is read again.

The system's notices make that quick; a comparison of names, sizes and times of change finds what no notice came for
(saved before the watching began, or on a file system that sends none).
"""

import os
import pathlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import watchfiles

DEBOUNCE_MS = 50
"""Saves that follow one another as quickly as this are one change (editors write twice)."""
COMPARE_MS = 500
"""Between two comparisons without a notice."""

Signature: TypeAlias = frozenset[tuple[str, int, int]]
"""Path, size and time of change of every YAML file."""

_SUFFIXES = (".yaml", ".yml")


def signature(place: pathlib.Path) -> Signature:
    """What the folder looks like now. Take it before reading the folder, so that no change falls in between."""
    return frozenset(_entries(place))


async def watch(place: pathlib.Path, seen: Signature, reload: Callable[[], Awaitable[None]]) -> None:
    """Call `reload` whenever the folder no longer looks like `seen`, then like after that; runs until cancelled."""
    notices = watchfiles.awatch(
        place,
        watch_filter=lambda _, path: path.endswith(_SUFFIXES),
        debounce=DEBOUNCE_MS,
        step=DEBOUNCE_MS // 2,
        rust_timeout=COMPARE_MS,
        yield_on_timeout=True,
    )
    async for _ in notices:
        now = signature(place)
        if now != seen:
            seen = now
            await reload()


def _entries(place: pathlib.Path) -> Iterator[tuple[str, int, int]]:
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(_SUFFIXES):
                path = pathlib.Path(folder, name)
                try:
                    facts = path.stat()
                except FileNotFoundError:
                    continue
                yield str(path), facts.st_size, facts.st_mtime_ns
