"""Typed access to members of a parsed request; what has the wrong type is refused with its path."""

from collections.abc import Mapping
from typing import Any

from llmgov.wire import malformed

_MAX_NAME = 256


def text(body: Mapping[str, Any], name: str) -> str | None:
    """A string, or `None` where it is absent or null.

    Raises:
        malformed.RequestError: something else stands there (as do all functions here).
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise malformed.malformed(name, "must be a string")
    return value


def model(body: Mapping[str, Any]) -> str:
    """The model's name, which every metered request has."""
    value = text(body, "model")
    if not value:
        raise malformed.malformed("model", "must name a model")
    if len(value) > _MAX_NAME:
        raise malformed.malformed("model", f"must be at most {_MAX_NAME} characters")
    return value


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A boolean; absent and null are false."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise malformed.malformed(name, "must be true or false")
    return bool(value)


def count(body: Mapping[str, Any], name: str, most: int | None = None, path: str | None = None) -> int | None:
    """A whole number from 1 on, at most `most`, or `None` where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise malformed.malformed(path or name, "must be a whole number of at least 1")
    if most is not None and value > most:
        raise malformed.malformed(path or name, f"must be at most {most}")
    return value


def mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object; absent and null are empty."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed.malformed(name, "must be an object")
    return value


def array(body: Mapping[str, Any], name: str) -> list[Any]:
    """An array; absent and null are empty."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed.malformed(name, "must be an array")
    return value
