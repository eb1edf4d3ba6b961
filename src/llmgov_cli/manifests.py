"""A folder of YAML in, its manifests out: who wrote what in which file and line, and what of it cannot be read.

Our own kinds are read by `resources` (see `parse`), Namespaces and Secrets are kept for who needs them; anything else
is named and passed over. A Secret's values stay as they are written (`env:NAME` is local mode's matter).
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llmgov import problems, resources
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov.resources import base
from llmgov_cli import positioned, printable

MAX_FILES = 10_000
MAX_BYTES = 4 * 1024 * 1024
"""The size of one file; the API server takes objects of 1.5 MB."""

CODES = ("Unreadable", "TooLarge", "YamlSyntax", "DuplicateKey", "NotAResource", "ForeignKind")
"""The codes of findings made here and in `positioned`."""

_SUFFIXES = (".yaml", ".yml")
_KEPT = frozenset({("v1", "Namespace"), ("v1", "Secret")})


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """One document with a kind; `lines` has the line of each JSON path in it."""

    raw: dict[str, Any]
    file: pathlib.Path
    lines: Mapping[str, int]

    @property
    def kind(self) -> str:
        """The kind."""
        return str(self.raw["kind"])

    @property
    def api_version(self) -> str:
        """Group and version."""
        return str(self.raw["apiVersion"])

    @property
    def ours(self) -> bool:
        """Whether `resources.parse` is to read it."""
        return self.api_version.startswith(f"{base.GROUP}/")

    def line(self, field: str = "") -> int:
        """The line of a JSON path, or of the nearest place around it that is there."""
        return positioned.line(self.lines, field)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """A problem and where it is written."""

    file: pathlib.Path
    line: int
    problem: Problem

    def __str__(self) -> str:
        """`file:line: kind/name field: message; remedy [Code]`, with `warning:` before what is only one.

        A finding about a folder has no line (0), and shows none.
        """
        problem = self.problem
        subject = " ".join(filter(None, (str(problem.resource) if problem.resource.kind else "", problem.field)))
        level = "warning: " if problem.severity is Severity.WARNING else ""
        said = f"{level}{subject}{': ' if subject else ''}{problem.explanation} [{problem.code}]"
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return printable.line(f"{place}: {said}")


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """A resource and the manifest that declares it."""

    resource: resources.Resource
    manifest: Manifest


def load(paths: Iterable[pathlib.Path]) -> tuple[list[Manifest], list[Finding]]:
    """Read all YAML files at or below `paths`, each once, in the order of their names.

    Hidden files and folders, `traffic.yaml`, `cases.yaml`, `*.cases.yaml` and kustomize's `kustomization.yaml` are not
    read.
    """
    manifests: list[Manifest] = []
    findings: list[Finding] = []
    for count, file in enumerate(_files(paths)):
        if count >= MAX_FILES:
            findings.append(_fault(file, 1, "TooLarge", f"is one of more than {MAX_FILES} files", "name fewer paths"))
            break
        _load_file(file, manifests, findings)
    return manifests, findings


def parse(manifests: Iterable[Manifest]) -> tuple[list[Declared], list[Finding]]:
    """Read the manifests of our own kinds."""
    declared: list[Declared] = []
    findings: list[Finding] = []
    for manifest in filter(lambda each: each.ours, manifests):
        result = resources.parse(manifest.raw)
        if isinstance(result, resources.Resource):
            declared.append(Declared(result, manifest))
        else:
            findings += [located(manifest, problem) for problem in result]
    return declared, findings


def located(manifest: Manifest, problem: Problem) -> Finding:
    """The problem at its place in the manifest's file."""
    return Finding(manifest.file, manifest.line(problem.field), problem)


def whatever_is_in(file: pathlib.Path) -> str:
    """A file's text, however wrong; empty where it cannot be had."""
    if not may_be_read(file):
        return ""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(MAX_BYTES)
    except OSError:
        return ""


def may_be_read(file: pathlib.Path) -> bool:
    """Whether reading ends: a regular file, or what a shell puts in place of one (`<(...)`, below /dev).

    A named pipe would be waited for until somebody writes to it. What is not there may be asked for: that is said then.
    """
    return file.is_file() or not file.exists() or file.is_relative_to("/dev")


def _files(paths: Iterable[pathlib.Path]) -> Iterator[pathlib.Path]:
    seen: set[pathlib.Path] = set()
    for path in paths:
        for file in _below(path) if path.is_dir() else [path]:
            if file not in seen and not _is_other(file):
                seen.add(file)
                yield file


def _below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield pathlib.Path(place, name)


def _is_other(file: pathlib.Path) -> bool:
    """Files beside the manifests that have formats of their own."""
    return file.stem in ("traffic", "cases", "kustomization") or file.stem.endswith(".cases")


def _load_file(file: pathlib.Path, manifests: list[Manifest], findings: list[Finding]) -> None:
    try:
        reading = positioned.read(_text(file))
    except positioned.ReadError as error:
        findings.append(_unread(file, error))
        return
    findings += [_unread(file, fault) for fault in reading.faults]
    for document in reading.documents:
        found = _manifest(file, document)
        if isinstance(found, Manifest):
            manifests.append(found)
        else:
            findings.append(found)


def _unread(file: pathlib.Path, error: positioned.ReadError) -> Finding:
    return _fault(file, error.line, error.code, error.message, error.remedy)


def _text(file: pathlib.Path) -> str:
    if not may_be_read(file):
        raise positioned.ReadError("Unreadable", "is no regular file", "remove it, or give it another name", 1)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise positioned.ReadError("Unreadable", f"cannot be read: {error.strerror}", "correct the path", 1) from error
    if len(data) > MAX_BYTES:
        raise positioned.ReadError("TooLarge", f"is larger than {MAX_BYTES} bytes", "split the file", 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise positioned.ReadError("Unreadable", "is not UTF-8", "save it as UTF-8", line) from error


def _manifest(file: pathlib.Path, document: positioned.Document) -> Manifest | Finding:
    raw = document.value
    line = document.lines[""]
    if not isinstance(raw, dict) or not all(isinstance(raw.get(name), str) for name in ("apiVersion", "kind")):
        remedy = "add apiVersion and kind, or move it to a file that is not read here"
        return _fault(file, line, "NotAResource", "is no resource of Kubernetes", remedy)
    manifest = Manifest(raw, file, document.lines)
    if manifest.ours or (manifest.api_version, manifest.kind) in _KEPT:
        return manifest
    problem = Problem(
        "ForeignKind",
        ResourceRef(manifest.kind, name(raw)),
        "",
        f"is of {manifest.api_version} and not read here",
        f"write apiVersion: {base.API_VERSION} if it is meant for us",
        problems.Severity.WARNING,
    )
    return Finding(file, line, problem)


def name(raw: Mapping[str, Any]) -> str:
    """A document's own name, empty where it has none."""
    metadata = raw.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _fault(file: pathlib.Path, line: int, code: str, message: str, remedy: str) -> Finding:
    return Finding(file, line, Problem(code, ResourceRef("", ""), "", message, remedy))
