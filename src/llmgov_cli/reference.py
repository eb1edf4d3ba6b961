"""`python -m llmgov_cli.reference`: the tables of fields in docs/, written from the models.

A page is prose by hand with places such as `<!-- fields of RateLimit -->` … `<!-- end -->`; what stands between is
replaced by the model's table and rules. With `--check` nothing is written, and a stale page is exit code 1.
"""

import enum
import json
import pathlib
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, TextIO

import annotated_types
import pydantic

from llmgov import resources
from llmgov.resources import outline
from llmgov.resources.base import Model
from llmgov.resources.text import Text

PAGES = ("policies.md", "resources.md")
"""The pages below docs/ that have such places."""

_PLACE = re.compile(r"(<!-- fields of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_DURATION = "InvalidDuration"
_WIDTH = 120
_FORMATS = re.compile(r"(<!-- formats -->\n).*?(<!-- end -->)", re.DOTALL)


def run(folder: pathlib.Path, out: TextIO, *, check: bool = False) -> int:
    """Rewrite the pages in `folder`; with `check` write nothing, but return 1 where one is stale."""
    stale = {}
    for page in (folder / name for name in PAGES):
        text = page.read_text()
        if filled(text) != text:
            stale[page] = filled(text)
    for page, text in stale.items():
        out.write(f"{page} {'is stale; run python -m llmgov_cli.reference' if check else 'written'}\n")
        if not check:
            page.write_text(text)
    return 1 if check and stale else 0


def filled(text: str) -> str:
    """A page with every place filled in.

    Raises:
        KeyError: a place names no model.
    """
    known = models()
    text = _PLACE.sub(lambda found: f"{found[1]}{section(known[found[2]])}{found[3]}", text)
    return _FORMATS.sub(lambda found: f"{found[1]}{formats()}{found[2]}", text)


def models() -> dict[str, type[Model]]:
    """Every model that a resource's author writes, by its name; statuses are the operator's."""
    return {model.__name__: model for kind in resources.KINDS.values() for model in _below(_spec(kind))}


def _spec(kind: type[resources.Resource]) -> type[Model]:
    found = outline.fields(kind)["spec"].model
    assert found is not None
    return found


def _below(model: type[Model]) -> Iterator[type[Model]]:
    yield model
    for field in outline.fields(model).values():
        if field.model is not None:
            yield from _below(field.model)


def home(model: type[Model]) -> str:
    """The page that a model's table is in: policies have their own."""
    ours = {each.__name__ for each in _below(_spec(resources.LLMPolicy))}
    return "policies.md" if model.__name__ in ours else "resources.md"


def section(model: type[Model]) -> str:
    """A model's table of fields, and the rules across them with their codes."""
    rows = [
        [f"`{name}`", _default(field.info), _values(field.info), _prose(field.info.description or "")]
        for name, field in outline.fields(model).items()
    ]
    rules = [
        _item(f"{rule.message}; {rule.remedy} ([{rule.code}](troubleshooting.md#{rule.code.lower()}))")
        for rule in model.invariants
    ]
    table = _table(["field", "default", "value", "meaning"], rows) if rows else "\nIt has no fields.\n"
    return table + ("\nRules:\n\n" + "".join(rules) if rules else "") + "\n"


def _item(text: str) -> str:
    """An item of a list, broken as our pages are."""
    lines = textwrap.wrap(f"- {text}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "".join(f"{line}\n" for line in lines)


def formats() -> str:
    """The table of formats that strings have, by the word that the other tables use for them."""
    found = sorted({(_word(text), _meaning(text), text.remedy) for text in texts()})
    first = {word: index for index, (word, _, _) in reversed(list(enumerate(found)))}
    rows = [
        [f'<a id="{_anchor(word)}"></a>{word}' if first[word] == index else word, _prose(meaning), _prose(remedy)]
        for index, (word, meaning, remedy) in enumerate(found)
    ]
    return _table(["format", "a value", "what to write"], rows) + "\n"


def _meaning(text: Text) -> str:
    """What must hold; that of a duration without its longest, which the tables of fields say."""
    also = text.check.message if text.check is not None and text.code != _DURATION else ""
    return f"{text.message}; {also}" if also.startswith("must ") else text.message


def texts() -> Iterator[Text]:
    """Every format of a string in the models, as often as it is used."""
    for model in models().values():
        for info in model.model_fields.values():
            yield from _texts_in(info.annotation, info.metadata)


def _texts_in(annotation: Any, metadata: list[Any]) -> Iterator[Text]:
    yield from (each for each in metadata if isinstance(each, Text))
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *inner = typing.get_args(annotation)
        yield from _texts_in(annotation, inner)
    else:
        for argument in typing.get_args(annotation):
            yield from _texts_in(argument, [])


def _default(info: pydantic.fields.FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is None:
        return ""
    if isinstance(value, Model) and not value.model_fields_set:
        return "its own"
    return f"`{json.dumps(_plain(value), ensure_ascii=False)}`"


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, enum.Enum):
        return value.value
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _values(info: pydantic.fields.FieldInfo) -> str:
    return _shape(info.annotation, info.metadata)


def _shape(annotation: Any, metadata: list[Any]) -> str:
    """What a value may be, in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    text = next((each for each in metadata if isinstance(each, Text)), None)
    if text is not None:
        return f"[{_word(text)}](resources.md#{_anchor(_word(text))}){_longest(text)}"
    if origin is typing.Annotated:
        return _shape(arguments[0], list(arguments[1:]))
    if origin in (typing.Union, types.UnionType):
        return _shape(next(each for each in arguments if each is not type(None)), metadata)
    if origin is tuple:
        return f"{_list(metadata)} {_shape(arguments[0], [])}"
    if origin is dict and arguments[1] is Any:
        return "object"
    if origin is dict:
        return f"map of {_shape(arguments[0], [])} to {_shape(arguments[1], [])}"
    if origin is typing.Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    return _plain_shape(annotation, metadata)


def _plain_shape(annotation: Any, metadata: list[Any]) -> str:
    if annotation is Any:
        return "text, number, `true`, `false`, or a list of these"
    if issubclass(annotation, enum.Enum):
        return ", ".join(f"`{each.value}`" for each in annotation)
    if issubclass(annotation, Model):
        return f"[{annotation.__name__}]({home(annotation)}#{annotation.__name__.lower()})"
    if annotation is bool:
        return "`true`, `false`"
    if annotation is int:
        return f"whole number{_range(metadata)}"
    most = _bound(metadata, annotated_types.MaxLen, "max_length")
    return "text" if most is None else f"text of at most {most} characters"


def _range(metadata: list[Any]) -> str:
    least, most = _bound(metadata, annotated_types.Ge, "ge"), _bound(metadata, annotated_types.Le, "le")
    if least is None and most is None:
        return ""
    return f", {least} to {most:,}" if most is not None else f", at least {least}"


def _list(metadata: list[Any]) -> str:
    most = _bound(metadata, annotated_types.MaxLen, "max_length")
    return "list of" if most is None else f"list of up to {most}:"


def _longest(text: Text) -> str:
    """Of a duration, how long it may be: each field has its own."""
    return f" {text.check.message.removeprefix('must be ')}" if text.code == _DURATION and text.check else ""


def _bound(metadata: list[Any], kind: type[Any], name: str) -> int | None:
    """The bound of that kind; a `Field` inside of `Annotated` holds its own list of them."""
    for each in metadata:
        if isinstance(each, kind):
            return int(getattr(each, name))
        if isinstance(each, pydantic.fields.FieldInfo):
            found = _bound(each.metadata, kind, name)
            if found is not None:
                return found
    return None


def _word(text: Text) -> str:
    """`InvalidModelPattern` is about a model pattern."""
    words = re.findall("[A-Z][a-z]*", text.code.removeprefix("Invalid"))
    return " ".join(words).lower()


def _anchor(word: str) -> str:
    return f"format-{word.replace(' ', '-')}"


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("*", r"\*")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(run(pathlib.Path("docs"), sys.stdout, check="--check" in sys.argv[1:]))
