"""What one resource adds to the configuration, and where it belongs."""

import dataclasses
from collections.abc import Iterable

from llmgov import snapshot
from llmgov.problems import Problem, Severity


@dataclasses.dataclass(frozen=True, slots=True)
class Fragment:
    """A compiled LLMPolicy, Budget or ProviderCredential.

    `where` are the namespaces whose part its policy or provider belongs to, `None` the organization-wide part; of
    accounts each says so for itself. Of a faulty resource only the problems are there.
    """

    where: tuple[str, ...] | None = None
    policy: snapshot.Policy | None = None
    provider: snapshot.Provider | None = None
    accounts: tuple["Placed", ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Placed:
    """An account and the namespaces whose part it belongs to, `None` the organization-wide part."""

    account: snapshot.Account
    where: tuple[str, ...] | None


def has_error(found: Iterable[Problem]) -> bool:
    """Whether a resource with these problems is left out."""
    return any(problem.severity is Severity.ERROR for problem in found)
