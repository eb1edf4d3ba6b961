"""Files of formats of our own (`cases.yaml`, `traffic.yaml`): read strictly, every fault at once with file and line."""

import pathlib
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from llmgov_cli import manifests, positioned, shapes

MAX_BYTES = 4 * 1024 * 1024

S = TypeVar("S", bound=msgspec.Struct)


class FormatError(Exception):
    """A file that is not what it should be; each of `sentences` begins with the file and, where known, the line."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


def read(
    file: pathlib.Path, kind: type[S], check: Callable[[S], Iterable[shapes.Fault]]
) -> tuple[S, positioned.Document]:
    """The file as a `kind`, and where in it everything is; `check` says what the types cannot.

    Raises:
        FormatError: it cannot be read, is no YAML, or has a key or value that the format does not know.
    """
    document = _document(file)
    wrong = shapes.faults(document.value, kind)
    if not wrong:
        made = msgspec.convert(document.value, kind)
        wrong = list(check(made))
        if not wrong:
            return made, document
    raise FormatError(
        f"{file}:{document.line(path)}: {path}{': ' if path else ''}{sentence}" for path, sentence in wrong
    )


def _document(file: pathlib.Path) -> positioned.Document:
    if not manifests.may_be_read(file):
        raise FormatError([f"{file} is no regular file; correct the path"])
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode() if len(data) <= MAX_BYTES else ""
    except OSError as error:
        raise FormatError([f"{file} cannot be read: {error.strerror}; correct the path"]) from error
    except UnicodeDecodeError as error:
        raise FormatError([f"{file} is not UTF-8; save it as UTF-8"]) from error
    if len(data) > MAX_BYTES:
        raise FormatError([f"{file} is larger than {MAX_BYTES} bytes; split it"])
    reading = positioned.read(text)
    if reading.faults:
        raise FormatError(f"{file}:{fault.line}: {fault.message}; {fault.remedy}" for fault in reading.faults)
    if len(reading.documents) != 1:
        raise FormatError([f"{file}:1: must be one document, and has {len(reading.documents)}"])
    return reading.documents[0]
