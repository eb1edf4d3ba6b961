"""How long the compiler takes for 1,000 policies in 500 namespaces: all of it, and again after one policy changed.

`python -m tests.bench.bench_compiler` prints both with their bounds and exits with 1 where one is missed.
"""

import functools
import sys
import time
from collections.abc import Callable

from llmgov import compiler, resources, snapshot
from llmgov.snapshot import Dimension

NAMESPACES = 500
COLD_SECONDS = 2.0
CHANGE_SECONDS = 0.05
ROUNDS = 5

PRICES = snapshot.PricePart(
    tuple(
        snapshot.ModelPrice(provider, f"{family}-{size}", {Dimension.INPUT: 1, Dimension.OUTPUT: 2})
        for provider, families in (
            ("openai", ("gpt-4o", "gpt-5", "o3")),
            ("anthropic", ("claude-sonnet", "claude-opus")),
        )
        for family in families
        for size in range(20)
    )
)


def parsed(kind: str, name: str, namespace: str | None, spec: dict[str, object]) -> resources.Resource:
    """A resource as `llmgov.resources.parse` reads it."""
    metadata = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    result = resources.parse({"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
    if isinstance(result, list):
        raise TypeError(result)
    return result


def policy(number: int, requests: int) -> resources.Resource:
    """Every fifth policy is in the root namespace, each of another way to say whom it is for."""
    namespace = f"ns-{number % NAMESPACES}"
    root: dict[str, object] = (
        {"namespaces": {"names": [namespace]}} if number % 2 else {"teams": [f"team-{number % 50}"]}
    )
    bodies: tuple[dict[str, object], ...] = (
        {"rateLimit": {"requestsPerMinute": requests, "per": "Workload"}},
        {"modelAccess": {"allow": [f"openai/gpt-4o-{number % 20}*", "anthropic/claude-*"]}},
        {"contentFilter": {"patterns": [{"name": "ticket", "regex": f"TICKET-{number}-[0-9]+"}]}},
        {"costLimit": {"limits": [{"period": "Month", "amount": str(requests)}]}},
    )
    spec = {"priority": number, **bodies[number % 4]}
    if number % 5:
        return parsed("LLMPolicy", f"policy-{number}", namespace, spec)
    return parsed("LLMPolicy", f"policy-{number}", "llm-governance", {**spec, "appliesTo": root})


def everything() -> list[resources.Resource]:
    """1,000 policies, 50 teams below one another in fives, a Budget for every team."""
    teams = [
        parsed(
            "Team",
            f"team-{number}",
            None,
            {
                "namespaces": {"names": [f"ns-{each}" for each in range(number, NAMESPACES, 50)]},
                **({"parent": f"team-{number - 1}"} if number % 5 else {}),
            },
        )
        for number in range(50)
    ]
    budgets = [
        parsed(
            "Budget",
            f"budget-{number}",
            "llm-governance",
            {"target": {"team": f"team-{number}"}, "limit": "100", "period": "Day"},
        )
        for number in range(50)
    ]
    return [*teams, *budgets, *(policy(number, 60) for number in range(1000))]


def resource_set(given: list[resources.Resource]) -> compiler.ResourceSet:
    """The set in 500 namespaces."""
    namespaces = tuple(compiler.Namespace(f"ns-{number}") for number in range(NAMESPACES))
    return compiler.ResourceSet("bench", "llm-governance", tuple(given), namespaces, every_namespace=True)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    """Measure, print, judge.

    The first run of the process is the cold one: no pattern was compiled before. Of the changes the quickest counts,
    since what else the machine does only adds.
    """
    given = everything()
    whole = resource_set(given)
    cold = seconds(functools.partial(compiler.compile, whole, PRICES))
    first = compiler.compile(whole, PRICES)
    changed = [resource_set([*given[:-1], policy(999, 61 + number)]) for number in range(ROUNDS)]
    again = min(seconds(functools.partial(compiler.compile, each, PRICES, first)) for each in changed)
    results = (("cold", cold, COLD_SECONDS), ("one changed", again, CHANGE_SECONDS))
    for name, took, bound in results:
        print(f"{name:12} {took * 1000:8.1f} ms  (at most {bound * 1000:.0f} ms)")
    return int(any(took > bound for _, took, bound in results))


if __name__ == "__main__":
    sys.exit(main())
