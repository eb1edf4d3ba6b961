"""pydantic's errors in our own words: what is wrong, what is possible instead, and what was probably meant."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from llmgov.resources import outline
from llmgov.resources.base import Model
from llmgov.resources.findings import Finding
from llmgov.resources.paths import Location

CODES = (
    "UnknownField",
    "MissingField",
    "WrongType",
    "UnknownWord",
    "OutOfRange",
    "WrongLength",
)
"""The codes of findings made here; formats and rules have their own."""

_TYPES = {
    "string_type": ("must be a string", "put it in quotes"),
    "int_type": ("must be a whole number", "write digits, without quotes"),
    "int_from_float": ("must be a whole number", "write digits, without a point"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "tuple_type": ("must be a list", "write each entry on a line of its own that begins with a hyphen"),
    "dict_type": ("must be an object", "write its fields on indented lines"),
}


def translate(error: ErrorDetails, root: type[Model]) -> Finding:
    """One error of validating a document against `root`."""
    location = _location(error)
    context = error.get("ctx", {})
    match error["type"]:
        case "llmgov":
            return Finding(location, context["code"], context["message"], context["remedy"])
        case "extra_forbidden":
            return _unknown_field(location, root)
        case "missing":
            return _missing_field(location, root)
        case "enum" | "literal_error":
            return _unknown_word(location, _words(context["expected"]), error["input"])
        case "greater_than_equal" | "less_than_equal":
            return _out_of_range(location, context)
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            return _wrong_length(location, error["type"], context)
        case "model_type":
            return Finding(location, "WrongType", "must be an object", _written(location, root))
        case kind:
            message, remedy = _TYPES.get(kind, ("is not possible here", "see the field's description in the CRD"))
            return Finding(location, "WrongType", message, remedy)


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _location(error: ErrorDetails) -> Location:
    """pydantic appends the word `[key]` where a key of a map is wrong, not its value."""
    return tuple(step for step in error["loc"] if step != "[key]")


def _unknown_field(location: Location, root: type[Model]) -> Finding:
    model = outline.model_at(root, location[:-1])
    known = tuple(outline.fields(model)) if model is not None else ()
    meant = _deeper(location, root, known) or nearest(location[-1], known)
    if meant is not None:
        remedy = f"did you mean {meant}?"
    else:
        remedy = f"use one of {', '.join(known)}" if known else "remove it; the object has no fields"
    return Finding(location, "UnknownField", "is no field of this object", remedy)


def _deeper(location: Location, root: type[Model], known: Iterable[str]) -> str | None:
    """The place of a field that belongs into an object beside it."""
    name = str(location[-1])
    inside = ((each, outline.model_at(root, (*location[:-1], each))) for each in known)
    return next(
        (f"{each}.{name}" for each, model in inside if model is not None and name in outline.fields(model)), None
    )


def _missing_field(location: Location, root: type[Model]) -> Finding:
    model = outline.model_at(root, location[:-1])
    field = outline.fields(model).get(str(location[-1])) if model is not None else None
    description = (field.info.description or "") if field is not None else ""
    meaning = _first_sentence(description)
    return Finding(location, "MissingField", "is missing", f"add it ({meaning})" if meaning else "add it")


def _first_sentence(text: str) -> str:
    sentence = text.split(". ", maxsplit=1)[0].split("; ", maxsplit=1)[0].removesuffix(".")
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _unknown_word(location: Location, words: list[str], written: object) -> Finding:
    meant = nearest(written, words) if isinstance(written, str) else None
    one_of = f"must be {words[0]}" if len(words) == 1 else f"must be one of {', '.join(words)}"
    return Finding(location, "UnknownWord", one_of, f"did you mean {meant}?" if meant else "use one of these")


def _written(location: Location, root: type[Model]) -> str:
    model = outline.model_at(root, location)
    known = ", ".join(outline.fields(model)) if model is not None else ""
    return f"write its fields ({known}) on indented lines" if known else "write {}, since it has no fields"


def _words(expected: str) -> list[str]:
    """The words in pydantic's `'a', 'b' or 'c'`."""
    return [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def _out_of_range(location: Location, context: dict[str, Any]) -> Finding:
    if "ge" in context:
        return Finding(location, "OutOfRange", f"must be at least {context['ge']}", "raise it")
    return Finding(location, "OutOfRange", f"must be at most {context['le']}", "lower it")


def _wrong_length(location: Location, kind: str, context: dict[str, Any]) -> Finding:
    unit = "characters" if kind.startswith("string") else "entries"
    if kind.endswith("too_short"):
        return Finding(location, "WrongLength", "must not be empty", "fill it, or leave the field out")
    return Finding(location, "WrongLength", f"must have at most {context['max_length']} {unit}", "shorten it")
