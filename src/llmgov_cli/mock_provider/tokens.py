"""The mock's rule for tokens, and the pieces that it streams. Pure."""

import json
from collections.abc import Iterator
from typing import Any

BYTES_PER_TOKEN = 4
PER_MESSAGE = 3
PER_REQUEST = 3
PER_IMAGE = 85
DEFAULT_MAXIMUM = 4096
"""What a request without an output maximum may spend."""

_IMAGES = frozenset({"image_url", "image", "input_image"})
_NOT_TEXT = frozenset({"type", "role", "id", "cache_control", "media_type", "signature"})


def of(text: str, *, bytes_per_token: int = BYTES_PER_TOKEN) -> int:
    """Tokens of one string."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // bytes_per_token)


def of_parts(messages: list[Any], others: list[Any], tools: list[Any], *, spend_max: bool = False) -> int:
    """Tokens of a request: its messages, its other texts (system, instructions) and its tools' definitions."""
    size = 1 if spend_max else BYTES_PER_TOKEN
    texts = sum(of(text, bytes_per_token=size) for text in strings([messages, others]))
    definitions = sum(of(json.dumps(tool, separators=(",", ":")), bytes_per_token=size) for tool in tools)
    return texts + definitions + PER_IMAGE * images(messages) + PER_MESSAGE * len(messages) + PER_REQUEST


def strings(value: Any) -> Iterator[str]:
    """Every string that a model would read, in order."""
    match value:
        case str():
            yield value
        case dict() if value.get("type") in _IMAGES:
            return
        case dict():
            for key, inner in value.items():
                if key not in _NOT_TEXT:
                    yield from strings(inner)
        case list():
            for inner in value:
                yield from strings(inner)
        case _:
            return


def images(value: Any) -> int:
    """How many images there are."""
    match value:
        case dict() if value.get("type") in _IMAGES:
            return 1
        case dict():
            return sum(map(images, value.values()))
        case list():
            return sum(map(images, value))
        case _:
            return 0


def fit(text: str, maximum: int) -> tuple[str, bool]:
    """The text cut to so many tokens, and whether it had to be cut."""
    kept = text.encode("utf-8", "surrogatepass")[: maximum * BYTES_PER_TOKEN].decode("utf-8", "ignore")
    return kept, kept != text


def pieces(text: str, size: int = 4) -> list[str]:
    """The text in pieces of `size` characters, as a stream carries it."""
    return [text[at : at + size] for at in range(0, len(text), size)]
