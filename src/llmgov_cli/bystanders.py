"""The policies that a decision says nothing of, each with the reason, for `llmgov explain`. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from llmgov import compiler, resources, snapshot
from llmgov.compiler.fragments import Fragment
from llmgov.policy.decision import Decision, Evaluation
from llmgov.policy.rules import KINDS


def of(compiled: compiler.Compiled, decision: Decision, namespace: str) -> Iterator[Evaluation]:
    """A line for each policy of the configuration that `decision`, on a request from `namespace`, has none of.

    That is one for other namespaces, which this one's configuration does not hold, and one whose turn did not come.
    """
    told = {each.policy for each in decision.evaluations}
    for _, (resource, fragment) in sorted(compiled.memory.fragments.items(), key=lambda each: str(each[0])):
        policy = fragment.policy
        if isinstance(resource, resources.LLMPolicy) and policy is not None and policy.id not in told:
            here = fragment.where is None or namespace in fragment.where
            applied, why = _unsaid(policy, decision) if here else (False, _elsewhere(resource, fragment))
            yield Evaluation(policy.id, KINDS[type(policy.body)], applied, why)


def of_these(policies: Iterable[snapshot.Policy], decision: Decision) -> Iterator[Evaluation]:
    """The same of the policies of one namespace's configuration, where its resources are not known any more."""
    told = {each.policy for each in decision.evaluations}
    for policy in sorted(policies, key=lambda each: each.id):
        if policy.id not in told:
            yield Evaluation(policy.id, KINDS[type(policy.body)], *_unsaid(policy, decision))


def joined(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """One line for each policy, in the order of the first, with all that came of it."""
    outcomes: dict[tuple[str, str, bool], list[str]] = {}
    for each in evaluations:
        outcomes.setdefault((each.policy, each.kind, each.applied), []).append(each.outcome)
    return [
        Evaluation(policy, kind, applied, "; ".join(dict.fromkeys(several)))
        for (policy, kind, applied), several in outcomes.items()
    ]


def _unsaid(policy: snapshot.Policy, decision: Decision) -> tuple[bool, str]:
    """Whether a policy of this namespace's configuration applies, and why the decision is silent about it."""
    if decision.refusal is not None:
        return False, "not asked: the request was refused before"
    if isinstance(policy.body, snapshot.ContentFilter):
        return True, "looks at the answer alone"
    return False, "not asked: the request costs nothing"


def _elsewhere(resource: resources.LLMPolicy, fragment: Fragment) -> str:
    """Why a policy is not in a namespace's configuration: in the words of `appliesTo`, or for want of any."""
    applies = resource.spec.applies_to
    if applies is None or (applies.teams is None and applies.namespaces is None):
        return f"namespace: it is for {resource.metadata.namespace} alone"
    if not fragment.where:
        return "namespaces: it is for none that is there"
    what = "namespaces" if applies.teams is None else f"teams {', '.join(applies.teams)}, that is for namespaces"
    return f"{'namespaces' if applies.teams is None else 'teams'}: it is for {what} {_few(fragment.where)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
