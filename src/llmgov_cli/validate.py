"""`llmgov validate`: every error of every file at once, with its place and what to do about it."""

import pathlib
from collections.abc import Iterable, Sequence
from typing import TextIO

from llmgov.problems import Severity
from llmgov_cli import manifests
from llmgov_cli.manifests import Finding


def run(paths: Iterable[pathlib.Path], out: TextIO) -> int:
    """Write one line a problem, `file:line: kind/name field: message; remedy`, and a last one that counts them.

    Returns 1 where there is an error; warnings alone are no failure.
    """
    found, findings = manifests.load(paths)
    declared, wrong = manifests.parse(found)
    findings = sorted({*findings, *wrong}, key=_place)
    out.writelines(f"{finding}\n" for finding in findings)
    out.write(f"{_summary(len(declared), findings)}\n")
    return 1 if _count(findings, Severity.ERROR) else 0


def _place(finding: Finding) -> tuple[str, int, str, str]:
    return str(finding.file), finding.line, finding.problem.field, finding.problem.code


def _summary(resources: int, findings: Sequence[Finding]) -> str:
    errors, warnings = _count(findings, Severity.ERROR), _count(findings, Severity.WARNING)
    return f"{_number(resources, 'valid resource')}, {_number(errors, 'error')}, {_number(warnings, 'warning')}"


def _count(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(finding.problem.severity is severity for finding in findings)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
