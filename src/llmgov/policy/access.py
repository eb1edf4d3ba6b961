"""The check of kind `modelAccess`: which models may be used, and by whom.

Permissions (administrator guide, "Permission Granularity") that open a model, any one of them being enough:

- `llm.use.*` (also `llm.*` and `*`): every model;
- `llm.use.<provider>`: every model of a kind of provider (`llm.use.openai`, `llm.use.anthropic`);
- `llm.use.<family>`: a family of models, spelt without punctuation. It covers the model of that name and what follows
  it after a hyphen: `llm.use.gpt4` covers `gpt-4` and `gpt-4-turbo`, but neither `gpt-4o` (`llm.use.gpt4o`) nor
  `gpt-4.1` (`llm.use.gpt41`). A trailing `*` covers all that begins so: `llm.use.gpt4*`.

Permissions come with roles, and only a verified user has them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from llmgov.policy import globs, match, refusals
from llmgov.policy.decision import Principal
from llmgov.policy.rules import Rule
from llmgov.policy.verdict import Verdict
from llmgov.snapshot import ModelAccess

if TYPE_CHECKING:
    from llmgov.policy.runtime import Runtime

_PREFIX = "llm.use."
_EVERYTHING = frozenset({"*", "llm.*", "llm.use.*"})
_PROVIDERS = frozenset({"openai", "azureopenai", "anthropic", "google", "openaicompatible"})
"""Words that mean a provider, whatever another provider calls its models."""
_PUNCTUATION = re.compile(r"[^a-z0-9]")


def check(
    rules: Sequence[Rule[ModelAccess]],
    kind: str,
    model: str,
    principal: Principal,
    permissions: Mapping[str, frozenset[str]],
) -> Verdict:
    """Judge a model of a kind of provider by every rule; a list of models (no model) is not judged.

    `permissions` are those of each role.
    """
    verdict = Verdict()
    for rule in rules:
        if not model:
            verdict.passed(rule, "no model is asked for")
        else:
            _judge(rule, kind, model, principal, permissions, verdict)
    return verdict


def retries(rules: Sequence[Rule[ModelAccess]]) -> int:
    """How often a failed attempt may be repeated: the fewest that any rule with an opinion allows."""
    return min((rule.body.retries for rule in rules if rule.acts and rule.body.retries), default=0)


def fallback_models(rules: Sequence[Rule[ModelAccess]]) -> tuple[str, ...]:
    """Models to try when the asked one fails, from the first rule that names some; each attempt is decided anew."""
    return next((rule.body.fallback_models for rule in rules if rule.acts and rule.body.fallback_models), ())


def unmetered(method: str, path: str, principal: Principal, runtime: "Runtime") -> str | None:
    """The id of the policy that lets a route pass uncounted (`POST /v1/files`), `None` where none does."""
    return next(
        (
            policy.id
            for policy in runtime.policies
            if isinstance(policy.body, ModelAccess)
            and not policy.dry_run
            and globs.of(policy.body.unmetered_routes).match(f"{method} {path}")
            and match.why_not(policy.match, principal, "", "") is None
        ),
        None,
    )


def permits(permissions: Iterable[str], provider: str, model: str) -> bool:
    """Whether any of the permissions opens the model."""
    return any(_opens(permission, provider, model) for permission in permissions)


def _judge(
    rule: Rule[ModelAccess],
    kind: str,
    model: str,
    principal: Principal,
    permissions: Mapping[str, frozenset[str]],
    verdict: Verdict,
) -> None:
    body = rule.body
    name = f"{kind}/{model}"
    denying = next((pattern for pattern in body.deny if globs.of((pattern,)).match_model(kind, model)), None)
    if denying is not None:
        verdict.refuse(rule, "model_denied", refusals.model_denied(rule.id, name, denying), path="model")
    elif body.allow and not globs.allows(body.allow, kind, model):
        refusal = refusals.model_not_allowed(rule.id, name, body.allow)
        verdict.refuse(rule, "model_not_allowed", refusal, path="model")
    elif body.require_permission and not permits(_held(principal, permissions), kind, model):
        user = principal.user if principal.verified else None
        refusal = refusals.permission_missing(rule.id, name, _wanted(kind, model), user)
        verdict.refuse(rule, "permission_missing", refusal, path="model")
    else:
        verdict.passed(rule, "allowed")


def _held(principal: Principal, permissions: Mapping[str, frozenset[str]]) -> frozenset[str]:
    if not principal.verified:
        return frozenset()
    return frozenset().union(*(permissions.get(role, frozenset()) for role in principal.roles))


def _wanted(provider: str, model: str) -> tuple[str, ...]:
    return (f"{_PREFIX}{provider}", _PREFIX + _PUNCTUATION.sub("", model.lower()))


def _opens(permission: str, provider: str, model: str) -> bool:
    if permission in _EVERYTHING:
        return True
    if not permission.startswith(_PREFIX):
        return False
    what = permission.removeprefix(_PREFIX)
    if what == provider:
        return True
    if what.endswith("*") and len(what) > 1:
        return _PUNCTUATION.sub("", model.lower()).startswith(what[:-1])
    return what not in _PROVIDERS and what in _families(model)


def _families(model: str) -> set[str]:
    """`gpt-4-turbo` belongs to `gpt`, `gpt4` and `gpt4turbo`."""
    words = model.lower().split("-")
    return {_PUNCTUATION.sub("", "-".join(words[:count])) for count in range(1, len(words) + 1)}
