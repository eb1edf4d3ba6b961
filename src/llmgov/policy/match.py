"""Whether a policy is for a request: its `Match` against the principal, the provider and the model.

Within a field any entry suffices, across fields all must hold, an empty field holds for everybody.
"""

from llmgov.policy import globs
from llmgov.policy.decision import Principal
from llmgov.snapshot import Match, Selector, SelectorExpression


def why_not(match: Match, principal: Principal, provider: str, model: str) -> str | None:
    """The first field of `match` that does not hold (`teams`, `models`, …), or `None` where all do.

    `provider` is a kind (`openai`); without a `model` (a list of models) the field `models` holds for nobody.
    """
    workload = principal.workload
    if match.namespaces and workload.namespace not in match.namespaces:
        return "namespaces"
    if match.service_accounts and workload.service_account not in match.service_accounts:
        return "serviceAccounts"
    if match.pods is not None and not selects(match.pods, workload.labels):
        return "pods"
    if match.teams and not any(team in match.teams for team in principal.teams):
        return "teams"
    if match.users and principal.user not in match.users:
        return "users"
    if match.roles and not any(role in match.roles for role in principal.roles):
        return "roles"
    if match.providers and provider not in match.providers:
        return "providers"
    if match.models and not (model and globs.of(match.models).match_model(provider, model)):
        return "models"
    return None


def selects(selector: Selector, labels: dict[str, str]) -> bool:
    """Whether a label selector holds, with the API server's meaning of each operator.

    Raises:
        ValueError: an operator that does not exist.
    """
    found = [_holds(expression, labels) for expression in selector.expressions]
    return all(found) and all(labels.get(key) == value for key, value in selector.labels.items())


def _holds(expression: SelectorExpression, labels: dict[str, str]) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case "In":
            return value in expression.values
        case "NotIn":
            return value not in expression.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case unknown:
            raise ValueError(f"a label selector has no operator {unknown!r}")
