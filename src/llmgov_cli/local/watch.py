"""Follows a folder: whenever something in it is saved, it is read again."""

import pathlib
from collections.abc import Awaitable, Callable

import watchfiles

DEBOUNCE_MS = 50
"""Saves that follow one another as quickly as this are one change (editors write twice)."""


async def watch(place: pathlib.Path, reload: Callable[[], Awaitable[None]]) -> None:
    """Call `reload` after each change of a YAML file; runs until cancelled."""
    async for _ in watchfiles.awatch(place, watch_filter=_is_yaml, debounce=DEBOUNCE_MS, step=DEBOUNCE_MS // 2):
        await reload()


def _is_yaml(_: watchfiles.Change, path: str) -> bool:
    return pathlib.PurePath(path).suffix in (".yaml", ".yml")
