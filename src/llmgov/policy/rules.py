"""One policy that applies to a request, as the checks see it."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Generic, TypeVar

from llmgov.policy.decision import Evaluation
from llmgov.snapshot import Body, Compliance, ContentFilter, CostLimit, ModelAccess, Policy, RateLimit

KINDS: dict[type, str] = {
    RateLimit: "rateLimit",
    ContentFilter: "contentFilter",
    CostLimit: "costLimit",
    ModelAccess: "modelAccess",
    Compliance: "compliance",
}
"""How evaluations name the kind of a policy: its field in `LLMPolicy.spec`."""

B_co = TypeVar("B_co", bound=Body, covariant=True)
K = TypeVar("K", RateLimit, ContentFilter, CostLimit, ModelAccess, Compliance)


@dataclasses.dataclass(slots=True, frozen=True)
class Rule(Generic[B_co]):
    """A policy with its body. `acts` is false in dry run, in an observing namespace, and under the kill switch."""

    policy: Policy
    body: B_co
    acts: bool

    @property
    def id(self) -> str:
        """`namespace/name` of the policy."""
        return self.policy.id

    def evaluation(self, outcome: str) -> Evaluation:
        """A line for `llmgov explain`; it says where nothing is enforced."""
        return _evaluation(self.policy.id, KINDS[type(self.body)], outcome, self.acts)


@functools.lru_cache(maxsize=512)
def _evaluation(policy: str, kind: str, outcome: str, acts: bool) -> Evaluation:
    """Nearly every request has the same ones."""
    return Evaluation(policy, kind, True, outcome if acts else f"{outcome} (not enforced)")


def applied(evaluations: tuple[Evaluation, ...]) -> tuple[str, ...]:
    """The policies that apply, each once."""
    return tuple(dict.fromkeys(one.policy for one in evaluations if one.applied))


def of_kind(policies: Iterable[tuple[Policy, bool]], kind: type[K]) -> tuple[Rule[K], ...]:
    """The rules of one kind, in the order given, from policies and whether they act."""
    return tuple(Rule(policy, policy.body, acts) for policy, acts in policies if isinstance(policy.body, kind))
