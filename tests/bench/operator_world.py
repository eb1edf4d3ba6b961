"""The cluster that `bench_operator` measures: policies in namespaces of their own, Budgets, Teams and credentials.

A quarter of the policies each limits rates, names models, filters content and limits cost. Of these, every tenth stands
in the root namespace and governs a team, one in a hundred the organization; the others govern their own namespace.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Self

from llmgov.resources.base import API_VERSION
from tests.cluster import operators

Document = dict[str, Any]

ROOT = operators.NAMESPACE
PREFIX = "bench"
"""Names of namespaces begin with it."""


@dataclasses.dataclass(frozen=True)
class World:
    """How many there are of each."""

    policies: int = 5_000
    namespaces: int = 1_000
    budgets: int = 500
    teams: int = 50
    credentials: int = 20

    @classmethod
    def sized(cls, size: float) -> Self:
        """So many times the whole; at least two of everything."""
        whole = dataclasses.asdict(cls())
        return cls(**{name: max(2, round(count * size)) for name, count in whole.items()})

    @property
    def resources(self) -> int:
        """How many objects have a status of ours: all, one policy more included, but namespaces."""
        return self.policies + 1 + self.budgets + self.teams + self.credentials

    def namespace_documents(self) -> Iterator[Document]:
        """The namespaces, which must be there before what is in them."""
        for number in range(self.namespaces):
            yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{PREFIX}-{number}"}}

    def documents(self) -> Iterator[Document]:
        """All else."""
        yield from (self.team(number) for number in range(self.teams))
        yield from (credential(number) for number in range(self.credentials))
        yield from (self.budget(number) for number in range(self.budgets))
        yield from (self.policy(number) for number in range(self.policies))
        yield organization_policy(0)

    def team(self, number: int) -> Document:
        """One of five below one another, with every so manieth namespace."""
        names = [f"{PREFIX}-{each}" for each in range(number, self.namespaces, self.teams)]
        parent = {"parent": f"team-{number - 1}"} if number % 5 else {}
        return document("Team", f"team-{number}", {"namespaces": {"names": names}, **parent}, "")

    def budget(self, number: int) -> Document:
        """A team's, as long as there are teams without; then a namespace's."""
        target = (
            {"team": f"team-{number}"} if number < self.teams else {"namespace": f"{PREFIX}-{number % self.namespaces}"}
        )
        thresholds = [{"percent": 75, "actions": ["NotifyAdmins"]}, {"percent": 100, "actions": ["Block"]}]
        budget = {"target": target, "limit": "5000", "period": "Month", "thresholds": thresholds}
        return document("Budget", f"budget-{number}", budget)

    def policy(self, number: int) -> Document:
        """One of the many."""
        bodies: tuple[Document, ...] = (
            {"rateLimit": {"requestsPerMinute": 60 + number, "per": "Workload"}},
            models(f"*-{number}"),
            {"contentFilter": {"patterns": [{"name": "ticket", "regex": f"TICKET-{number}-[0-9]+"}]}},
            {"costLimit": {"limits": [{"period": "Week" if number % 8 == 3 else "Day", "amount": str(100 + number)}]}},
        )
        if number % 10:
            return document("LLMPolicy", f"policy-{number}", spec(number, bodies[number % 4]), self._place(number))
        who = {} if number % 100 == 0 else {"appliesTo": {"teams": [f"team-{number % self.teams}"]}}
        return document("LLMPolicy", f"policy-{number}", spec(number, bodies[number // 10 % 3]) | who)

    def changed(self, change: int) -> Document:
        """Another version of a policy that governs its own namespace alone, of another namespace for each change."""
        number = 20 * change % self.policies + 1
        return self.policy(number) | {"spec": spec(number, models(f"*-changed-{change}"))}

    def _place(self, number: int) -> str:
        """The namespace of a policy: one has a few that follow one another, so one of each kind."""
        return f"{PREFIX}-{number * self.namespaces // self.policies}"


def spec(number: int, body: Document) -> Document:
    """A policy's."""
    return {"priority": 1 + number % 900, **body}


def organization_policy(change: int) -> Document:
    """A version of the policy for the whole organization that is changed."""
    return document("LLMPolicy", "organization", {"priority": 1, **models(f"*-organization-{change}")})


def credential(number: int) -> Document:
    """A provider's."""
    secret = {"name": f"key-{number}", "key": "api-key"}
    return document("ProviderCredential", f"provider-{number}", {"provider": "openai", "secretRef": secret})


def models(denied: str) -> Document:
    """Which models may be used."""
    return {"modelAccess": {"allow": ["openai/gpt-4o*", "anthropic/claude-*"], "deny": [denied]}}


def document(kind: str, name: str, body: Document, namespace: str = ROOT) -> Document:
    """A resource; `namespace` is empty where its kind has none."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": body}
