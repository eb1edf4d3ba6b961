"""`llmgov validate`: every error of every file at once, with its place and what to do about it."""

import pathlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from llmgov import compiler
from llmgov.compiler import codes
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov_cli import assembly, manifests, prices
from llmgov_cli.manifests import Declared, Finding, Manifest

_ECHOES = {
    codes.UNKNOWN_TEAM.name: "Team",
    codes.UNKNOWN_ROLE.name: "LLMRole",
    codes.UNKNOWN_TEMPLATE.name: "PolicyTemplate",
    codes.NO_CURRENCY_RATE.name: "GovernanceSettings",
    codes.HOST_NOT_ALLOWED.name: "GovernanceSettings",
}
"""Problems that may only say that a resource of that kind could not be read."""


def run(paths: Iterable[pathlib.Path], out: TextIO) -> int:
    """Write one line a problem, `file:line: kind/name field: message; remedy [Code]`, and a last one that counts them.

    Returns 1 where there is an error; warnings alone are no failure.
    """
    found, unreadable = manifests.load(paths)
    declared, wrong = manifests.parse(found)
    crossed = _without_echoes(_across(found, declared), [*unreadable, *wrong])
    findings = sorted({*unreadable, *wrong, *crossed}, key=_place)
    out.writelines(f"{finding}\n" for finding in findings)
    out.write(f"{_summary(len(declared), findings)}\n")
    return 1 if _count(findings, Severity.ERROR) else 0


def _across(found: Sequence[Manifest], declared: Sequence[Declared]) -> Iterator[Finding]:
    """What only shows when all resources are seen together; a folder cannot say which Secrets there are elsewhere."""
    compiled = compiler.compile(assembly.resource_set(found, declared, secrets_known=False), prices.prices())
    places: defaultdict[ResourceRef, list[Manifest]] = defaultdict(list)
    for each in declared:
        places[each.resource.ref].append(each.manifest)
    for problem in compiled.problems:
        yield manifests.located(_manifest(places[problem.resource], problem), problem)


def _manifest(candidates: Sequence[Manifest], problem: Problem) -> Manifest:
    """Of two manifests of one resource the first is compiled, and the last is the one too many."""
    return candidates[-1 if problem.code == codes.DUPLICATE.name else 0]


def _without_echoes(crossed: Iterable[Finding], faults: Sequence[Finding]) -> Iterator[Finding]:
    missing = {fault.problem.resource.kind for fault in faults if fault.problem.severity is Severity.ERROR}
    for finding in crossed:
        kind = _ECHOES.get(finding.problem.code)
        if kind is None or not missing & {kind, ""}:
            yield finding


def _place(finding: Finding) -> tuple[str, int, str, str]:
    return str(finding.file), finding.line, finding.problem.field, finding.problem.code


def _summary(resources: int, findings: Sequence[Finding]) -> str:
    errors, warnings = _count(findings, Severity.ERROR), _count(findings, Severity.WARNING)
    return f"{_number(resources, 'valid resource')}, {_number(errors, 'error')}, {_number(warnings, 'warning')}"


def _count(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(finding.problem.severity is severity for finding in findings)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
