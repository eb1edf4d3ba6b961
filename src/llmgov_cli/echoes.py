"""Problems that only echo another: to the compiler a resource that could not be read is not there. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from llmgov.compiler import codes
from llmgov.problems import Severity
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


def without(crossed: Iterable[Finding], faults: Sequence[Finding]) -> Iterator[Finding]:
    """What the compiler found, but for what may follow from `faults`, the findings of reading."""
    unread = {fault.problem.resource.kind for fault in faults if fault.problem.severity is Severity.ERROR}
    for finding in crossed:
        kind = _ECHOES.get(finding.problem.code)
        if kind is None or not unread & {kind, ""}:
            yield finding
