"""Problems that only echo another: to the compiler a resource that could not be read is not there. Pure."""

import pathlib
import re
from collections.abc import Callable, Iterable, Iterator

from llmgov.compiler import codes
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov_cli import positioned
from llmgov_cli.manifests import Finding

_ECHOES = {
    codes.UNKNOWN_TEAM.name: "Team",
    codes.UNKNOWN_ROLE.name: "LLMRole",
    codes.UNKNOWN_TEMPLATE.name: "PolicyTemplate",
    codes.NO_CURRENCY_RATE.name: "GovernanceSettings",
    codes.HOST_NOT_ALLOWED.name: "GovernanceSettings",
    codes.SECRET_NOT_FOUND.name: "Secret",
}
"""Problems that may only say that a resource of that kind could not be read."""


def without(
    crossed: Iterable[Finding], faults: Iterable[Finding], text: Callable[[pathlib.Path], str]
) -> Iterator[Finding]:
    """What the compiler found, but for what only follows from `faults`, the findings of reading.

    That is what misses a resource that a faulty document declares. Of a file that could not be read as YAML `text`
    gives whatever is in it: what is named there may be declared there. A key that is there twice hides nothing: the
    first counts.
    """
    wrong = [fault for fault in faults if fault.problem.severity is Severity.ERROR]
    declared = {fault.problem.resource for fault in wrong}
    unread = "\n".join(text(file) for file in sorted({fault.file for fault in wrong if _hides(fault.problem)}))
    for finding in crossed:
        missed = _missed(finding.problem)
        if missed is None or not (_is_among(missed, declared) or _is_named(missed, unread)):
            yield finding


def _hides(problem: Problem) -> bool:
    return not problem.resource.kind and problem.code != positioned.DUPLICATE


def _missed(problem: Problem) -> ResourceRef | None:
    """The resource that the problem may miss; without a name where there is only one of its kind."""
    kind = _ECHOES.get(problem.code)
    if kind is None:
        return None
    name = re.search(rf"\b{kind} (\S+)", problem.message)
    return ResourceRef(kind, "" if name is None else name[1])


def _is_among(missed: ResourceRef, declared: Iterable[ResourceRef]) -> bool:
    return any(each.kind == missed.kind and missed.name in ("", each.name) for each in declared)


def _is_named(missed: ResourceRef, unread: str) -> bool:
    words = filter(None, (missed.kind, missed.name))
    return all(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])", unread) for word in words)
